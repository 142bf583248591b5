package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// ownSigned lists the highest heads of a page that this node signed, by replica: up to there
// the replicas are this node's. The lower tier trusts the upper, which needs no proof.
func (a *application) ownSigned() map[record.ReplicaID]record.Head {
	if a.peer.Tier < a.node.Tier {
		return nil
	}
	return a.node.signedBy(a.building, a.page.Heads)
}

func (n *Node) signedBy(building record.ID, heads []record.Head) map[record.ReplicaID]record.Head {
	out := map[record.ReplicaID]record.Head{}
	for _, h := range heads {
		if h.Verify(building, n.PublicKey()) == nil && h.N > out[h.Replica].N {
			out[h.Replica] = h
		}
	}
	return out
}

// disowned returns why an event that would be one of this node's is not: under the replica
// that it writes under now it holds them all, and of what an earlier run wrote and a
// restored store lost, it takes only numbers that it signed itself. Nobody else's word
// makes an event its own, or it would sign the next head over it (SPEC R9).
func (l *ledger) disowned(c *Chain, in *incoming) string {
	card := c.Card
	if card == nil {
		card = in.event.Card
	}
	switch {
	case card == nil || card.Node != l.self:
		return ""
	case l.live(in.row.Replica):
		if l.ownSigned == nil || l.ownSigned[in.row.Replica].N >= in.row.N {
			return l.differs(in) // somebody else writes under it
		}
		return wire.CodeChainFork
	case l.ownSigned != nil && l.ownSigned[in.row.Replica].N < in.row.N:
		return wire.CodeContextUnsigned
	}
	return ""
}

// errCited stops an application whose records cite events of this node that it has not
// read yet.
var errCited = errors.New("replica: own events are to be read")

// withCited runs a part of the application, and again with the events that its records
// turn out to cite: only what a rewound store lost, or what a peer made up, cites any.
func (a *application) withCited(ctx context.Context, run func() error) error {
	for {
		a.cited = nil
		err := run()
		if !errors.Is(err, errCited) {
			return err
		}
		for _, d := range a.cited {
			rows, err := a.node.Store.Events(ctx, a.building, d.Replica, d.N, d.N, 1)
			if err != nil {
				return fmt.Errorf("read event %d of %s: %w", d.N, d.Replica, err)
			}
			a.own[d] = nil
			for _, row := range rows {
				if e, err := record.DecodeEvent(row.Body); err == nil {
					a.own[d] = &e
				}
			}
		}
	}
}

// readOwn begins with the events that the page brings.
func (a *application) readOwn() {
	a.own = map[record.Dot]*record.Event{}
	for _, e := range a.events {
		if !e.unreadable {
			a.own[e.event.Dot()] = &e.event
		}
	}
}

// mine reports whether a replica is one of this node's, as its card says.
func (l *ledger) mine(r record.ReplicaID) bool {
	c := l.chains[r]
	return c != nil && c.Card != nil && c.Card.Node == l.self
}

// wrote reports whether a value that carries this node's own number is one that it wrote,
// as far as its events say. strict asks for the event; else it may come later. What the
// stored context covers needs no look: the merge leaves it out.
func (a *application) wrote(l *ledger, k record.Key, field string, d record.Dot, strict bool) bool {
	if !l.mine(d.Replica) || merge.Covers(l.work(k).record.Context, field, d, l) {
		return true
	}
	if a.own == nil {
		a.readOwn()
	}
	e, read := a.own[d]
	switch {
	case !read:
		a.cited = append(a.cited, d)
		return true
	case e == nil:
		return !strict
	}
	return slices.ContainsFunc(e.Touches, func(t record.Touch) bool { return t.Kind == k.Kind && t.ID == k.ID && t.Field == field })
}
