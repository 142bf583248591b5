package synclink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// serveNode answers a node's POST. The own hello is written last and sent first: its
// cursor says what of this very body is on disk. The acknowledgement of the own pages is
// the cursor of the next POST.
func (x *exchange) serveNode(ctx context.Context) error {
	s, peer, building := x.server, x.caller.peer, x.caller.building
	if x.hello.Building != building {
		return refusef(wire.CodeWrongBuilding, "this node is enrolled for building %s", building)
	}
	if x.hello.Node != peer.Node || x.hello.Tier != peer.Tier {
		return refusef(wire.CodeNodeUnknown, "hello names another node than the one that signed in")
	}
	g, err := x.met(ctx)
	if err != nil {
		return err
	}
	got, err := x.takeFrames(ctx)
	if greetErr := x.greet(ctx); greetErr != nil {
		return errors.Join(err, greetErr)
	}
	if err != nil {
		return err
	}
	for _, w := range unique(slices.Concat(g.Wants, got.wants)) {
		if err := s.codec.AppendFrame(&x.out, w); err != nil {
			return err
		}
	}
	if len(g.Receipts) > 0 {
		if err := s.codec.AppendFrame(&x.out, wire.Page{Receipts: g.Receipts}); err != nil {
			return err
		}
	}
	held := maps.Clone(g.Held)
	for id, n := range got.held {
		held[id] = max(held[id], n)
	}
	for _, w := range got.asked {
		if x.out.Len() >= bodyBytesGoal {
			break // asked again with the next POST
		}
		p, err := s.config.Node.ReadEvents(ctx, building, w)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if len(p.Events) > 0 {
			if err := s.codec.AppendFrame(&x.out, p); err != nil {
				return err
			}
		}
	}
	if g.Disputed {
		// No record goes either way before the fork is decided; an answer holds a page.
		return s.codec.AppendFrame(&x.out, wire.Page{})
	}
	slices.Sort(got.echoes)
	feed := reader{node: s.config.Node, building: building, from: g.From, held: held, skip: got.echoes, reader: x.hello.Generation}
	for x.out.Len() < bodyBytesGoal {
		p, err := feed.next(ctx)
		if err != nil {
			return err
		}
		if err := s.codec.AppendFrame(&x.out, p); err != nil {
			return err
		}
		if p.Last {
			break
		}
	}
	return nil
}

// met has the hello looked at, and what is late of it taken in.
func (x *exchange) met(ctx context.Context) (replica.Greeting, error) {
	s, peer, building := x.server, x.caller.peer, x.caller.building
	g, err := s.config.Node.Greet(ctx, building, peer, x.hello)
	if err != nil {
		return g, fmt.Errorf("greet: %w", err)
	}
	s.config.Hooks.greeted(building, peer.Node, x.hello.Generation)
	s.config.Hooks.alarms(building, peer.Node, greetingAlarms(g))
	x.disputed = g.Disputed
	if len(g.Late) > 0 {
		if _, err := s.config.Node.ApplyContent(ctx, building, peer, wire.Page{Heads: g.Late}, nil, nil); err != nil {
			return g, fmt.Errorf("apply heads: %w", err)
		}
	}
	return g, nil
}

// taken is what a node's frames brought.
type taken struct {
	echoes []uint64
	wants  []wire.Want
	asked  []wire.Want // by the caller
	held   map[record.ReplicaID]uint64
}

// takeFrames applies what follows the hello, and writes an ack after each page.
func (x *exchange) takeFrames(ctx context.Context) (taken, error) {
	s, peer, building := x.server, x.caller.peer, x.caller.building
	got := taken{held: map[record.ReplicaID]uint64{}}
	for {
		m, err := x.next()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		switch m := m.(type) {
		case wire.Ack:
			if err := s.config.Node.ApplyAck(ctx, building, peer, m); err != nil {
				return got, fmt.Errorf("apply ack: %w", err)
			}
		case wire.Want:
			if len(got.asked) < replica.WantsMax {
				got.asked = append(got.asked, m)
			}
		case wire.Page:
			if x.disputed && m.To > 0 {
				continue // it comes again
			}
			a, err := s.config.Node.ApplyContent(ctx, building, peer, m, nil, nil)
			if err != nil {
				return got, fmt.Errorf("apply page from %d to %d: %w", m.From, m.To, err)
			}
			s.config.Hooks.alarms(building, peer.Node, a.Alarms)
			if a.Forked {
				return got, refusef(wire.CodeChainFork, "a chain has two branches: each side writes its own again")
			}
			a.Ack.Page, a.Ack.To = m.ID, m.To
			if err := s.codec.AppendFrame(&x.out, a.Ack); err != nil {
				return got, err
			}
			got.echoes = append(got.echoes, a.Echoes...)
			got.wants = a.Wants
			for id, n := range a.Held {
				got.held[id] = max(got.held[id], n)
			}
		default:
			return got, refusef(wire.CodeFrameUnexpected, "%T on a link of two whole buildings", m)
		}
	}
}

func unique(wants []wire.Want) []wire.Want {
	var out []wire.Want
	for _, w := range wants {
		if !slices.Contains(out, w) && len(out) < replica.WantsMax {
			out = append(out, w)
		}
	}
	return out
}

// reader walks the own feed for a peer, page by page.
type reader struct {
	node     Node
	building record.ID
	from     uint64
	held     map[record.ReplicaID]uint64
	skip     []uint64 // ascending
	// reader is the peer's run: a page that leaves echoes out is for no other (SPEC R11).
	reader record.ID
}

func (r *reader) next(ctx context.Context) (wire.Page, error) {
	p, err := r.node.ReadPage(ctx, r.building, r.from, 0, r.held, replica.DoReadPage{Skip: r.skip}.Skips)
	if err != nil {
		return p, fmt.Errorf("read page after %d: %w", r.from, err)
	}
	if p.To <= p.From {
		p.Last = true
	}
	p.Reader = r.reader
	r.from = p.To
	replica.AdvanceHeld(r.held, p)
	return p, nil
}
