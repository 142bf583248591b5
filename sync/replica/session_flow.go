package replica

import (
	"maps"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// outbound is the direction of this side's feed.
type outbound struct {
	read     uint64 // up to here the feed was read for the peer, or need not be
	told     uint64 // end of the last page that was read: where the peer's cursor will be
	readAt   int64  // when the last read of the feed began
	more     bool   // the last page read was not the last, or nothing was read yet
	moved    bool   // the feed moved since the last read began
	toldLast bool   // the last page sent was called the last
	reading  retry
	want1    bool       // what is being read is events for the first of wants
	pending  *wire.Page // read, waiting for a place in flight or for credit
	flight   []uint64   // ids of pages sent and not acknowledged, in order
	pageID   uint64
	credit   uint64
	held     map[record.ReplicaID]uint64
	skip     []uint64  // positions that hold what the peer sent, ascending
	echoed   []stretch // of the feed that hold nothing else, ascending
	wants    []wire.Want
	acks     []wire.Ack // received, to be saved in order
	saving   retry
	digests  digesting
	// receiptAt is when the last acknowledgement was saved.
	receiptAt int64
}

// inbound is the direction of the peer's feed.
type inbound struct {
	cursor   uint64 // what this side's hello asked for
	started  bool
	end      uint64 // end of the last feed page received
	queue    []queued
	applying retry
	underWay []underWay    // at the head of the queue, oldest first
	cost     uint64        // of the queue: what the peer has used of its window
	last     bool          // the last feed page applied was the peer's last
	late     []record.Head // of the hello, until the first page is applied
	asked    map[wire.Want]struct{}
	// questions are the peer's digests, answered one at a time.
	questions []wire.Digest
	checking  retry
}

// queued is a page in line.
type queued struct {
	wire.Page
	content *Content
}

func newOutbound() outbound {
	return outbound{more: true, credit: CreditInitial}
}

func newInbound() inbound { return inbound{asked: map[wire.Want]struct{}{}} }

func (o *outbound) begin(g Greeted) {
	o.read, o.told = g.From, g.From
	o.held = maps.Clone(g.Held)
	if o.held == nil {
		o.held = map[record.ReplicaID]uint64{}
	}
	if len(g.Receipts) > 0 {
		o.pending = &wire.Page{Receipts: g.Receipts} // has no place in the feed, as an answer to a want
	}
}

func (o *outbound) settled() bool {
	return !o.more && !o.moved && !o.reading.running && o.pending == nil && len(o.flight) == 0 && len(o.acks) == 0
}

func (i *inbound) settled() bool { return i.last && len(i.queue) == 0 }

// want notes a peer's question, once while it is open.
func (o *outbound) want(w wire.Want) {
	if len(o.wants) < WantsMax && !slices.Contains(o.wants, w) {
		o.wants = append(o.wants, w)
	}
}

// pump starts whatever can start now. Reading comes before applying: a page just applied
// left its echoes in the skip set, and the next one would move the feed under the read.
func (s *Session) pump() {
	o, i := &s.out, &s.in
	s.sendPending()
	if s.disputedAt == 0 {
		s.jump()
	}
	until, readable := o.digests.until()
	if o.reading.ready(s.now) && o.pending == nil && len(o.flight) < s.room() {
		switch {
		case len(o.wants) > 0:
			o.reading.start()
			o.want1 = true
			s.do(DoReadEvents{Want: o.wants[0]})
		case s.disputedAt > 0 || len(o.flight) >= s.config.InFlight:
		case readable && (o.more || o.moved && !i.applying.running && (len(i.queue) == 0 || s.now-o.readAt >= readEvery)):
			o.reading.start()
			o.moved, o.want1, o.readAt = false, false, s.now
			s.do(DoReadPage{After: o.read, Until: o.before(until), Held: o.heldNow(), Skip: o.skip})
		}
	}
	if s.disputedAt == 0 {
		s.pumpDigests()
	}
	s.pumpPages()
	if o.saving.ready(s.now) && len(o.acks) > 0 {
		o.saving.start()
		s.do(DoSaveAck{Ack: o.acks[0]})
	}
}

// wantsInFlight is how many answers to wants may be on their way beyond the pages of the
// feed: a peer that holds those for a fork's sake acknowledges none before it is decided.
const wantsInFlight = 8

func (s *Session) room() int {
	if len(s.out.wants) > 0 || s.out.want1 {
		return s.config.InFlight + wantsInFlight
	}
	return s.config.InFlight
}

func (s *Session) pageRead(p wire.Page) {
	o := &s.out
	o.reading.done()
	if o.want1 {
		o.wants = o.wants[1:]
		if len(p.Events) > 0 {
			o.pending = &p
		}
		return
	}
	empty := len(p.Heads)+len(p.Events)+len(p.Records)+len(p.Receipts) == 0 && p.To == o.told
	o.more = !p.Last && p.To > p.From
	p.From, o.told, o.read = o.told, p.To, p.To
	o.digests.passed(o.read)
	o.pass()
	if !empty || !o.toldLast {
		o.pending = &p
	}
}

// sendPending sends the page that was read once there is room for it in flight and in the
// peer's window.
func (s *Session) sendPending() {
	o := &s.out
	if o.pending == nil || len(o.flight) >= s.room() {
		return
	}
	p := *o.pending
	cost := PageCost(p)
	if cost > o.credit {
		return
	}
	o.credit -= cost
	o.pending = nil
	o.pageID++
	p.ID, p.Reader = o.pageID, s.hello.Generation
	o.flight = append(o.flight, p.ID)
	AdvanceHeld(o.held, p)
	if !asked(p) {
		o.toldLast = p.Last
	}
	s.send(p)
}

// asked reports whether a page answers a want: it moves no cursor. The page of an empty
// feed looks the same but is called the last.
func asked(p wire.Page) bool { return p.From == 0 && p.To == 0 && !p.Last }

func (s *Session) pageArrived(p wire.Page, content *Content) {
	i := &s.in
	i.cost += PageCost(p)
	if i.cost > CreditInitial || len(i.queue) >= PagesInFlightMax {
		s.fail(wire.CodeTooManyInFlight, "%d pages of %d bytes, granted %d", len(i.queue)+1, i.cost, CreditInitial)
		return
	}
	if s.disputedAt > 0 && !asked(p) {
		return // neither applied nor acknowledged: it comes again in the next session
	}
	if !asked(p) {
		follows := p.From == i.end
		if !i.started {
			follows = p.From == 0 || p.From == i.cursor
			p.Anew = p.From == 0 && i.cursor > 0
		}
		if !follows || p.To < p.From {
			s.fail(wire.CodeFrameUnexpected, "page from %d to %d does not follow %d", p.From, p.To, i.end)
			return
		}
		i.started, i.end = true, p.To
	}
	i.queue = append(i.queue, queued{p, content})
}

// pageApplied acknowledges the pages that were applied together, each by itself; what is to
// be said of them goes with the last.
func (s *Session) pageApplied(taken int, e PageApplied) {
	o, i := &s.out, &s.in
	i.late = nil
	pages := i.queue[:taken]
	i.queue = slices.Clone(i.queue[taken:]) // what was applied is let go
	if e.Forked {
		s.fail(wire.CodeChainFork, "a chain has two branches: each side writes its own again")
		return
	}
	if s.disputedAt > 0 {
		s.ask(e.Wants)
		return
	}
	cost := uint64(0)
	for n, p := range pages {
		cost += PageCost(p.Page)
		if !asked(p.Page) {
			i.last = p.Last
		}
		ack := wire.Ack{Time: e.Ack.Time}
		if n == len(pages)-1 {
			ack = e.Ack
		}
		ack.Page, ack.To = p.ID, p.To
		s.send(ack)
	}
	i.cost -= cost
	s.send(wire.Credit{Bytes: cost})
	o.addSkip(e.Echoes)
	o.addStretch(e.Since, e.Until)
	for replica, n := range e.Held {
		o.held[replica] = max(o.held[replica], n)
	}
	o.pass()
	s.ask(e.Wants)
}

// skipMax bounds the skip set: beyond it an echo is sent, which costs a page and breaks
// nothing. It is 8 MB, and more records than a building has.
const skipMax = 1 << 20

// addSkip keeps the skip set in order without touching what a read effect holds of it.
func (o *outbound) addSkip(positions []uint64) {
	added := slices.DeleteFunc(slices.Clone(positions), func(p uint64) bool { return p <= o.read })
	slices.Sort(added)
	if len(added) == 0 || len(o.skip)+len(added) > skipMax {
		return
	}
	if n := len(o.skip); n > 0 && o.skip[n-1] >= added[0] {
		added = append(added, o.skip...)
		slices.Sort(added)
		o.skip = nil
	}
	o.skip = append(o.skip, slices.Compact(added)...)
}

// heldNow is what the peer holds of each chain, as a copy that an effect may keep.
func (o *outbound) heldNow() map[record.ReplicaID]uint64 { return maps.Clone(o.held) }

func (s *Session) ackArrived(a wire.Ack) {
	o := &s.out
	if len(o.flight) == 0 || o.flight[0] != a.Page {
		s.fail(wire.CodeFrameUnexpected, "acknowledgement of page %d, which is not the oldest in flight", a.Page)
		return
	}
	o.flight = o.flight[1:]
	o.acks = append(o.acks, a)
}
