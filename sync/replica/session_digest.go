package replica

import (
	"slices"

	"estate/sync/wire"
)

// A feed that starts from zero for a peer that holds the building is led by digests: what
// the peer holds byte for byte joins the skip set, and pages stay behind the answers.
//
//	off ──Greeted: from zero, the peer holds chains, both speak it──▶ on
//	on:   read a stretch ─▶ ask ─▶ answer ─▶ pages of the stretch, or one empty page over it
//	         ▲ DigestsAhead stretches at most, the next asked while pages of this one go │
//	         └──────────────────────────────────────────────────────────────────────────┘
//	on ──the last stretch is passed──▶ off
//
// Nothing but time is lost by a digest that is wrong, late or never answered in full: a
// record that changes takes a new position, which no answer named.

// DigestsAhead is how many stretches a sender has open: one that pages pass through and one
// that the peer looks up meanwhile. A receiver accepts no more questions at once.
const DigestsAhead = 2

// digesting is the round of digests ahead of this side's feed.
type digesting struct {
	on      bool
	done    bool   // the feed's end was read
	read    uint64 // digests were read up to here
	id      uint64
	reading retry
	ahead   []ahead // stretches that pages have not passed, in order
}

// ahead is a stretch that was asked for.
type ahead struct {
	Stretch
	answered bool
	whole    bool // the peer holds all of it
}

// closed reports whether a stretch holds nothing for the peer.
func (a ahead) closed() bool { return a.answered && a.whole && !a.Open }

// begin starts the round where it can save anything.
func (d *digesting) begin(e Greeted, protocol uint64) {
	d.on = e.From == 0 && protocol >= wire.ProtocolDigests
	holds := false
	for _, n := range e.Held {
		holds = holds || n > 0
	}
	d.on = d.on && holds
}

// until is how far pages may be read, zero for no end; ok is false while the peer has not
// said what it holds there.
func (d *digesting) until() (position uint64, ok bool) {
	switch {
	case !d.on:
		return 0, true
	case len(d.ahead) == 0 || !d.ahead[0].answered:
		return 0, false
	}
	return d.ahead[0].To, true
}

// passed drops the stretches that were read as pages.
func (d *digesting) passed(read uint64) {
	for len(d.ahead) > 0 && d.ahead[0].To <= read {
		d.ahead = d.ahead[1:]
	}
	if d.done && len(d.ahead) == 0 {
		d.on = false
	}
}

// pumpDigests starts what the two rounds can do now.
func (s *Session) pumpDigests() {
	o, i := &s.out, &s.in
	d := &o.digests
	if d.on && !d.done && d.reading.ready(s.now) && len(d.ahead) < DigestsAhead {
		d.reading.start()
		s.do(DoReadDigest{Reader: s.hello.Generation, DoReadPage: DoReadPage{After: d.read, Held: o.heldNow(), Skip: o.skip}})
	}
	if i.checking.ready(s.now) && len(i.questions) > 0 {
		i.checking.start()
		s.do(DoCheckDigest{Sender: s.hello.Generation, Digest: i.questions[0]})
	}
}

// jump passes over stretches of which the peer holds everything: their page would be empty.
func (s *Session) jump() {
	o := &s.out
	d := &o.digests
	if !d.on || o.pending != nil || o.reading.running || len(o.flight) >= s.config.InFlight {
		return
	}
	n := 0
	for n < len(d.ahead) && d.ahead[n].closed() {
		n++
	}
	if n == 0 {
		return
	}
	end := d.ahead[n-1]
	o.want1 = false
	s.pageRead(wire.Page{From: o.read, To: end.To, Last: end.Last, Generation: end.Generation})
	s.sendPending()
}

func (s *Session) digestRead(st Stretch) {
	d := &s.out.digests
	d.reading.done()
	d.read, d.done = st.To, st.Last || st.To <= st.From
	a := ahead{Stretch: st, answered: len(st.Digest.Items) == 0, whole: len(st.Digest.Items) == 0}
	if !a.answered {
		d.id++
		a.Digest.ID = d.id
		s.send(a.Digest)
		a.Digest.Items = nil // the answer needs the positions only
	}
	d.ahead = append(d.ahead, a)
	d.passed(s.out.read)
}

// digested takes the peer's answer to the oldest open question.
func (s *Session) digested(m wire.Digested) {
	d := &s.out.digests
	at := slices.IndexFunc(d.ahead, func(a ahead) bool { return !a.answered })
	if at < 0 || d.ahead[at].Digest.ID != m.ID {
		s.fail(wire.CodeFrameUnexpected, "answer to digest %d, which is not the oldest open", m.ID)
		return
	}
	a := &d.ahead[at]
	var same []uint64
	for i, position := range a.Positions {
		if m.Has(i) {
			same = append(same, position)
		}
	}
	a.answered, a.whole = true, len(same) == len(a.Positions)
	s.out.addSkip(same)
}

// digestArrived puts a peer's digest in line.
func (s *Session) digestArrived(m wire.Digest) {
	if s.protocol < wire.ProtocolDigests {
		s.fail(wire.CodeFrameUnexpected, "digest in protocol %d", s.protocol)
		return
	}
	if len(s.in.questions) >= DigestsAhead {
		s.fail(wire.CodeTooManyInFlight, "%d digests at once, at most %d", len(s.in.questions)+1, DigestsAhead)
		return
	}
	s.in.questions = append(s.in.questions, m)
}

func (s *Session) digestChecked(e DigestChecked) {
	s.in.checking.done()
	s.in.questions = s.in.questions[1:]
	s.send(e.Answer)
	s.out.addSkip(e.Echoes)
}
