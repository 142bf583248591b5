package sim

import (
	"context"
	"errors"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// line is a WebSocket between an edge and the cloud for one building: frames in order,
// until it is cut.
type line struct {
	w        *world
	building record.ID
	edge     *host
	ends     [2]*end // the edge's and the cloud's; nil where that side knows it is gone
	open     bool
	echoes   [2]map[uint64]bool // without EchoSession: positions that hold what the other sent
}

// end is one side of a line with the production session and the frames on their way to it.
type end struct {
	line    *line
	at      int // which end it is
	host    *host
	peer    replica.Peer
	session *replica.Session
	in      [][]byte
	seen    uint64 // the host's feed position at the last notice
}

// connect opens a line anew, to any process of the cloud.
func (w *world) connect(l *line) {
	cloud := pick(w, w.clouds)
	if w.revoked[l.edge.node.ID()] {
		w.count("revoked node turned away")
		return
	}
	if !l.edge.reachable() || !cloud.reachable() {
		w.count("not reachable")
		return
	}
	w.trace("connect", l.edge.name, cloud.name)
	l.open = true
	l.ends = [2]*end{{line: l, host: l.edge, peer: cloud.peer()}, {line: l, at: 1, host: cloud, peer: l.edge.peer()}}
	for _, e := range l.ends {
		e.session = replica.NewSession(replica.SessionConfig{Building: l.building, Peer: e.peer, InFlight: 3})
	}
	for _, e := range l.ends {
		h, err := e.host.node.Hello(context.Background(), l.building, e.peer)
		if err != nil {
			l.open = false
			return
		}
		e.step(replica.Opened{Hello: h})
	}
}

// cut closes all lines of a host; what is on its way is lost.
func (w *world) cut(h *host) {
	for _, l := range append(w.lines, w.halves...) {
		for _, e := range l.ends {
			if l.open && e != nil && e.host == h {
				l.close()
			}
		}
	}
}

func (l *line) close() {
	for _, e := range l.ends {
		if l.open && e != nil && len(e.in) > 0 {
			l.w.count("frames lost")
		}
	}
	l.open = false
}

// half leaves one end alone: it believes that the line lives and works on what had arrived,
// until it hears nothing for too long. The line itself may be opened anew meanwhile.
func (l *line) half(at int) {
	h := &line{w: l.w, building: l.building, edge: l.edge, open: true, echoes: l.echoes}
	h.ends[at] = l.ends[at]
	h.ends[at].line = h
	l.open = false
	l.w.halves = append(l.w.halves, h)
	l.w.count("half open")
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
	if e.line.ends[1-e.at] == nil {
		e.line.w.count("frame of a half-open line")
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

func (e *end) send(m wire.Message) {
	w := e.line.w
	frame, err := wire.Encode(m)
	if err != nil {
		w.violate("wire: encode %T: %v", m, err)
		return
	}
	other := e.line.ends[1-e.at]
	if other == nil {
		w.count("sent into the void")
		return
	}
	if p, ok := m.(wire.Page); ok {
		w.keep(stray{from: e.host, to: other.host, building: e.line.building, page: p})
	}
	other.in = append(other.in, frame)
}

func (e *end) failed(effect replica.SessionEffect, err error) replica.SessionEvent {
	busy := stumbles(err) && !e.host.down
	if !stumbles(err) && replica.RefusalCode(err) == "" {
		e.line.w.violate("%s: %T: %v", e.host.name, effect, err)
	}
	e.line.w.count("session " + replica.RefusalCode(err))
	return replica.EffectFailed{Effect: effect, Busy: busy, Code: replica.RefusalCode(err), Detail: err.Error()}
}

func (e *end) do(effect replica.SessionEffect) replica.SessionEvent {
	ctx, node, w, building := context.Background(), e.host.node, e.line.w, e.line.building
	switch d := effect.(type) {
	case replica.DoSend:
		if p, ok := d.Message.(wire.Pong); ok {
			p.Time = node.Now()
			d.Message = p
		}
		e.send(d.Message)
	case replica.DoGreet:
		g, err := node.Greet(ctx, building, e.peer, d.Hello)
		if err != nil {
			return e.failed(effect, err)
		}
		w.greeted(g)
		return g.Event()
	case replica.DoReadPage, replica.DoReadEvents, replica.DoReadDigest:
		read, err := e.read(ctx, effect)
		if err != nil {
			return e.failed(effect, err)
		}
		return read
	case replica.DoCheckDigest:
		c, err := node.CheckDigest(ctx, building, e.peer, d.Sender, d.Digest)
		if err != nil {
			return e.failed(effect, err)
		}
		w.digested(d.Digest, c)
		return replica.DigestChecked(c)
	case replica.DoApplyPage:
		a, err := w.apply(e.host, e.peer, building, d.Page)
		if err != nil {
			return e.failed(effect, err)
		}
		e.echoed(a.Echoes)
		return a.Event()
	case replica.DoSaveAck:
		if err := node.ApplyAck(ctx, building, e.peer, d.Ack); err != nil {
			return e.failed(effect, err)
		}
		w.acked(d.Ack)
		return replica.AckSaved{}
	case replica.DoFollow:
		if err := node.FollowClock(ctx, building, e.peer, d.Time); err != nil {
			return e.failed(effect, err)
		}
		w.count("clock followed")
		return replica.Followed{}
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
		p, err := node.ReadPage(ctx, building, d.After, d.Until, d.Held, e.skips(d.Skips))
		return replica.PageRead{Page: p}, err
	case replica.DoReadDigest:
		st, err := node.ReadDigest(ctx, building, d.Reader, d.After, d.Held, e.skips(d.Skips))
		return replica.DigestRead{Stretch: st}, err
	case replica.DoReadEvents:
		p, err := node.ReadEvents(ctx, building, d.Want)
		e.line.w.count("want answered")
		return replica.PageRead{Page: p}, err
	}
	return nil, errors.New("sim: no reader of this effect")
}

// skips is what the session leaves out, and, without EchoSession, what sessions before did.
func (e *end) skips(inSession func(uint64) bool) func(uint64) bool {
	return func(position uint64) bool {
		if inSession(position) {
			e.line.w.count("echo left out")
			return true
		}
		return e.line.echoes[e.at][position]
	}
}

func (e *end) echoed(positions []uint64) {
	if !e.line.w.config.Without.Has(EchoSession) {
		return
	}
	if e.line.echoes[e.at] == nil {
		e.line.echoes[e.at] = map[uint64]bool{}
	}
	for _, p := range positions {
		e.line.echoes[e.at][p] = true
	}
}

// apply merges a page at a host.
func (w *world) apply(h *host, from replica.Peer, building record.ID, p wire.Page) (replica.Applied, error) {
	h.incoming = map[record.Key][]byte{}
	for _, item := range p.Records {
		h.incoming[record.Key{Building: building, Kind: item.Kind, ID: item.ID}] = item.Body
	}
	a, err := h.node.ApplyPage(context.Background(), building, from, p)
	h.incoming = nil
	if err == nil {
		w.alarms(a)
	}
	return a, err
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
	l.w.violate("line of %s never comes to rest", l.edge.name)
}
