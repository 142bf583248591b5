package sim

import (
	"context"
	"errors"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// line is a WebSocket between an edge and the cloud for one building: frames in order,
// until it is cut.
type line struct {
	w        *world
	building record.ID
	ends     [2]*end
	open     bool
}

// end is one side of a line with the production session and the frames on their way to it.
type end struct {
	line    *line
	host    *host
	session *replica.Session
	in      [][]byte
	seen    uint64 // the host's feed position at the last notice
}

func (w *world) connect(l *line) {
	l.open = true
	for _, e := range l.ends {
		e.in = nil
		e.session = replica.NewSession(replica.SessionConfig{Building: l.building, Peer: e.other().host.peer(), InFlight: 3})
	}
	for _, e := range l.ends {
		h, err := e.host.node.Hello(context.Background(), l.building, e.other().host.peer())
		if err != nil {
			l.open = false
			return
		}
		e.step(replica.Opened{Hello: h})
	}
}

func (e *end) other() *end {
	if e.line.ends[0] == e {
		return e.line.ends[1]
	}
	return e.line.ends[0]
}

// cut closes all lines of a host; what is on its way is lost.
func (w *world) cut(h *host) {
	for _, l := range w.lines {
		if l.open && (l.ends[0].host == h || l.ends[1].host == h) {
			l.close()
		}
	}
}

func (l *line) close() {
	if len(l.ends[0].in)+len(l.ends[1].in) > 0 {
		l.w.count("frames lost")
	}
	l.open = false
}

// deliver hands the next frame to one end.
func (e *end) deliver() {
	frame := e.in[0]
	e.in = e.in[1:]
	m, err := wire.Decode(frame)
	if err != nil {
		e.line.w.violate("wire: %v", err)
		return
	}
	e.step(replica.Received{Message: m})
}

// step feeds the session and does what it wants done, at once and in order.
func (e *end) step(event replica.SessionEvent) {
	events := []replica.SessionEvent{event}
	for len(events) > 0 && e.line.open {
		effects := e.session.Step(e.line.w.now, events[0])
		events = events[1:]
		for _, effect := range effects {
			if answer := e.do(effect); answer != nil {
				events = append(events, answer)
			}
		}
	}
}

func (e *end) do(effect replica.SessionEffect) replica.SessionEvent {
	ctx, node, w := context.Background(), e.host.node, e.line.w
	building, peer := e.line.building, e.other().host.peer()
	failed := func(err error) replica.SessionEvent {
		busy := errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrUnsure)
		if !busy && replica.RefusalCode(err) == "" && !errors.Is(err, errDisk) {
			w.violate("%s: %T: %v", e.host.name, effect, err)
		}
		return replica.EffectFailed{Effect: effect, Busy: busy, Code: replica.RefusalCode(err), Detail: err.Error()}
	}
	switch d := effect.(type) {
	case replica.DoSend:
		frame, err := wire.Encode(d.Message)
		if err != nil {
			w.violate("wire: encode %T: %v", d.Message, err)
			return nil
		}
		if p, ok := d.Message.(wire.Page); ok {
			w.keep(stray{from: e.host, to: e.other().host, building: building, page: p})
		}
		e.other().in = append(e.other().in, frame)
	case replica.DoGreet:
		g, err := node.Greet(ctx, building, peer, d.Hello)
		if err != nil {
			return failed(err)
		}
		w.greeted(g)
		return g.Event()
	case replica.DoReadPage, replica.DoReadEvents, replica.DoReadDigest:
		read, err := e.read(ctx, effect)
		if err != nil {
			return failed(err)
		}
		return read
	case replica.DoCheckDigest:
		c, err := node.CheckDigest(ctx, building, peer, d.Sender, d.Digest)
		if err != nil {
			return failed(err)
		}
		w.digested(d.Digest, c)
		return replica.DigestChecked(c)
	case replica.DoApplyPage:
		a, err := node.ApplyPage(ctx, building, peer, d.Page)
		if err != nil {
			return failed(err)
		}
		w.alarms(a)
		return a.Event()
	case replica.DoSaveAck:
		if err := node.ApplyAck(ctx, building, peer, d.Ack); err != nil {
			return failed(err)
		}
		w.acked(d.Ack)
		return replica.AckSaved{}
	case replica.DoClose:
		w.count("closed " + d.Code)
		e.line.close()
	}
	return nil
}

// read does the effects that only read the own feed.
func (e *end) read(ctx context.Context, effect replica.SessionEffect) (replica.SessionEvent, error) {
	node, building := e.host.node, e.line.building
	switch d := effect.(type) {
	case replica.DoReadPage:
		p, err := node.ReadPage(ctx, building, d.After, d.Until, d.Held, d.Skips)
		return replica.PageRead{Page: p}, err
	case replica.DoReadDigest:
		st, err := node.ReadDigest(ctx, building, d.Reader, d.After, d.Held, d.Skips)
		return replica.DigestRead{Stretch: st}, err
	case replica.DoReadEvents:
		p, err := node.ReadEvents(ctx, building, d.Want)
		return replica.PageRead{Page: p}, err
	}
	return nil, errors.New("sim: no reader of this effect")
}

// notice tells the session that time passed and the feed moved.
func (e *end) notice() {
	have, err := e.host.disk.store.Load(context.Background(), e.line.building, replica.Need{})
	if err == nil && have.State.Position != e.seen {
		e.seen = have.State.Position
		e.step(replica.FeedMoved{})
	}
	if e.line.open {
		e.step(replica.Ticked{})
	}
}

// drain runs a line until nothing moves.
func (l *line) drain() {
	for range 10_000 {
		idle := true
		for _, e := range l.ends {
			if l.open && len(e.in) > 0 {
				idle = false
				e.deliver()
			}
		}
		if !l.open {
			return
		}
		if idle {
			for _, e := range l.ends {
				e.notice()
			}
			if !l.open || l.ends[0].session.Status().Synced && l.ends[1].session.Status().Synced && len(l.ends[0].in)+len(l.ends[1].in) == 0 {
				return
			}
			l.w.now += 500
		}
	}
	l.w.violate("line %s-%s never comes to rest", l.ends[0].host.name, l.ends[1].host.name)
}

// stray is a page of an exchange by POST: it comes late, twice, out of order, or never.
type stray struct {
	from, to *host
	building record.ID
	page     wire.Page
}

// strayMax bounds how far back a page may come from.
const strayMax = 40

func (w *world) keep(s stray) {
	w.strays = append(w.strays, s)
	if len(w.strays) > strayMax {
		w.strays = slices.Delete(w.strays, 0, 1)
	}
}

// late delivers some page of the past once more, and its answer or not.
func (w *world) late() {
	if len(w.strays) == 0 {
		return
	}
	s := w.strays[w.random.IntN(len(w.strays))]
	a, err := s.to.node.ApplyPage(context.Background(), s.building, s.from.peer(), s.page)
	switch {
	case replica.RefusalCode(err) == wire.CodeFrameUnexpected:
		w.count("reordered page refused")
	case errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrUnsure) || errors.Is(err, errDisk):
	case err != nil:
		w.violate("late page %s-%s: %v", s.from.name, s.to.name, err)
	default:
		w.count("late page")
		w.alarms(a)
		if w.chance(.5) {
			if err := s.from.node.ApplyAck(context.Background(), s.building, s.to.peer(), a.Ack); err == nil {
				w.acked(a.Ack)
			}
		} else {
			w.count("answer lost")
		}
	}
}
