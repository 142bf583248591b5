package replica_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"estate/sync/replica"
	"estate/sync/wire"
)

// linkEnd is one side of a session between two boxes, run by the machine that ships.
type linkEnd struct {
	box     *box
	session *replica.Session
	in      []wire.Message
	pending []replica.SessionEvent
	closed  string
	alarms  []string
	refused []string
}

// link runs one session until nothing moves or it ends, and returns both ends.
func (l *lab) link(a, b *box) (x, y *linkEnd) { return l.linkFor(a, b, 100_000) }

// linkFor runs a session whose line breaks after so many steps.
func (l *lab) linkFor(a, b *box, limit int) (x, y *linkEnd) {
	l.t.Helper()
	ends := [2]*linkEnd{{box: a}, {box: b}}
	for i, e := range ends {
		other := ends[1-i].box
		e.session = replica.NewSession(replica.SessionConfig{Building: home, Peer: other.peer()})
		h, err := e.box.Hello(context.Background(), home, other.peer())
		if err != nil {
			l.t.Fatal(err)
		}
		e.pending = append(e.pending, replica.Opened{Hello: h})
	}
	for moved, steps := true, 0; moved && steps < limit; steps++ {
		moved = false
		for i, e := range ends {
			if len(e.pending) == 0 && len(e.in) > 0 {
				e.pending, e.in = append(e.pending, replica.Received{Message: e.in[0]}), e.in[1:]
			}
			if len(e.pending) == 0 || e.closed != "" {
				continue
			}
			moved = true
			event := e.pending[0]
			e.pending = e.pending[1:]
			for _, effect := range e.session.Step(l.now, event) {
				e.perform(ends[1-i], effect)
			}
		}
	}
	return ends[0], ends[1]
}

func (e *linkEnd) perform(other *linkEnd, effect replica.SessionEffect) {
	ctx, b, peer := context.Background(), e.box, other.box.peer()
	before := b.position()
	var event replica.SessionEvent
	var err error
	switch d := effect.(type) {
	case replica.DoSend:
		if p, ok := d.Message.(wire.Page); ok {
			other.box.taken = append(other.box.taken, takenPage{b, p})
		}
		other.in = append(other.in, d.Message)
		return
	case replica.DoClose:
		e.closed = d.Code
		if e.closed == "" {
			e.closed = "ended"
		}
		return
	case replica.DoGreet:
		var g replica.Greeting
		if g, err = b.Greet(ctx, home, peer, d.Hello); len(g.Forks) > 0 {
			e.alarms = append(e.alarms, wire.CodeChainFork)
		}
		if g.Rewound {
			e.alarms = append(e.alarms, wire.CodeStoreRewound)
		}
		event = g.Event()
	case replica.DoReadPage:
		var p wire.Page
		p, err = b.ReadPage(ctx, home, d.After, d.Until, d.Held, d.Skips)
		event = replica.PageRead{Page: p}
	case replica.DoReadEvents:
		var p wire.Page
		p, err = b.ReadEvents(ctx, home, d.Want)
		event = replica.PageRead{Page: p}
	case replica.DoReadDigest:
		var st replica.Stretch
		st, err = b.ReadDigest(ctx, home, d.Reader, d.After, d.Held, d.Skips)
		event = replica.DigestRead{Stretch: st}
	case replica.DoCheckDigest:
		var c replica.Checked
		c, err = b.CheckDigest(ctx, home, peer, d.Sender, d.Digest)
		event = replica.DigestChecked(c)
	case replica.DoApplyPage:
		var a replica.Applied
		a, err = b.ApplyPage(ctx, home, peer, d.Page)
		e.alarms = append(e.alarms, a.Alarms...)
		for _, q := range a.Ack.Quarantined {
			e.refused = append(e.refused, q.Code)
		}
		event = a.Event()
	case replica.DoSaveAck:
		err = b.ApplyAck(ctx, home, peer, d.Ack)
		event = replica.AckSaved{}
	}
	if err != nil {
		event = replica.EffectFailed{Effect: effect, Busy: errors.Is(err, replica.ErrBusy), Code: replica.RefusalCode(err), Detail: err.Error()}
		e.alarms = append(e.alarms, err.Error())
	}
	e.pending = append(e.pending, event)
	if b.position() != before {
		e.pending = append(e.pending, replica.FeedMoved{})
	}
}

// meet runs sessions until one goes through without an end and moves nothing. It returns the
// codes with which the earlier ones ended.
func (l *lab) meet(a, b *box) (codes []string) {
	l.t.Helper()
	for range 20 {
		before := [2]uint64{a.position(), b.position()}
		x, y := l.link(a, b)
		if x.closed == "" && y.closed == "" && before == [2]uint64{a.position(), b.position()} {
			return codes
		}
		for _, e := range []*linkEnd{x, y} {
			if e.closed != "" && !slices.Contains(codes, e.closed) {
				codes = append(codes, e.closed)
			}
		}
	}
	l.t.Fatalf("the boxes never come to rest: %v", codes)
	return nil
}

func TestMeet(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("title", "one"))
	cloud.write(ticket(2), text("title", "two"))
	want(t, "codes", l.meet(edge, cloud), []string{})
	same(t, edge, cloud)
}
