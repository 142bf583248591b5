package replica

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// A copy of a running server has its run, its key and, up to the copy, its past; from there on
// it lives another one. A server that was set back to an image of its memory is such a copy of
// itself. Two things tell a phone's server that the phone was given another history:
//
//   - its cursor: positions leap by what is committed and when (see position), so the place
//     where a phone stopped is no place of the other history's feed;
//   - heads that were signed over events which this server has not, or has others of.

// resume reads a phone's feed from its cursor on, where that is a place of this feed: what lay
// there lies there still, or the last event up to there does, for records move and events do
// not. Else it begins at zero. The cursor that it returns is where the page begins.
func (n *Node) resume(ctx context.Context, building record.ID, v View, c wire.Cursor, limit int) (FeedPage, wire.Cursor, error) {
	places := []wire.Cursor{{Position: c.Position, Anchor: c.Anchor}, {Position: c.Anchor, Anchor: c.Anchor}, {}}
	if c.View != v.Hash {
		places = places[2:]
	}
	for _, at := range places {
		if at.Position == 0 {
			feed, err := n.Store.Feed(ctx, building, 0, limit, wire.PageBytesGoal)
			return feed, wire.Cursor{Generation: n.generation(feed.State)}, err
		}
		// With the place itself, and room for one item more than that.
		feed, err := n.Store.Feed(ctx, building, at.Position-1, limit+1, wire.PageBytesGoal+record.RecordBytesMax)
		if err != nil {
			return feed, at, err
		}
		if at.Generation = n.generation(feed.State); at.Generation != c.Generation {
			continue
		}
		if len(feed.Items) == 0 || feed.Items[0].Position != at.Position || feed.Items[0].Event == nil && at.Position == at.Anchor {
			continue
		}
		feed.Items = feed.Items[1:]
		return feed, at, nil
	}
	return FeedPage{}, wire.Cursor{}, nil // never: the last place is zero
}

// hear holds the heads that a phone was shown elsewhere, or by an earlier self of this server,
// to the chains here. One over another history proves a fork: its node signed both. The cloud
// decides on it, and every node for its own chains, before the phone is given anything that
// counts under the same numbers. Another edge says so and gives nothing, where the chain is a
// server's: all that the phone shows may hang on it (SPEC R33).
func (n *Node) hear(ctx context.Context, building record.ID, heads []record.Head) ([]record.Head, error) {
	if len(heads) == 0 {
		return nil, nil
	}
	if len(heads) > wire.PullHeadsMax {
		return nil, refuse(wire.CodeFrameTooLarge, "%d heads, limit %d", len(heads), wire.PullHeadsMax)
	}
	var need Need
	for _, h := range heads {
		if h.N == 0 {
			continue
		}
		need.Chains = append(need.Chains, h.Replica)
		need.Events = append(need.Events, record.Dot{Replica: h.Replica, N: h.N}, record.Dot{Replica: h.Replica, N: firstBranch - 1})
	}
	slices.SortFunc(need.Chains, record.ID.Compare)
	need.Chains = slices.Compact(need.Chains)
	slices.SortFunc(need.Events, record.Dot.Compare)
	need.Events = slices.Compact(need.Events)
	have, err := n.Store.Load(ctx, building, need)
	if err != nil {
		return nil, fmt.Errorf("load chains of heads: %w", err)
	}
	l := newLedger(n, building, n.generation(have.State), have, nil)
	if len(l.strange(heads)) == 0 {
		return l.compared(heads), nil // nearly always, and nothing is written
	}
	cuts := false
	err = n.step(ctx, building, need, nil, func(l *ledger) error {
		strange := l.strange(heads)
		for _, r := range slices.SortedFunc(maps.Keys(strange), record.ID.Compare) {
			switch {
			case n.Tier == record.TierCloud || l.mine(r):
				l.decide(r, strange[r]+1)
			case l.chains[r].Card.Tier != record.TierPhone: // a copied app shuts nobody out
				return refuse(wire.CodeOtherHistory, "the phone was shown another history of %s than is held here", r)
			}
		}
		cuts = l.forks.marked || l.uncut()
		return nil
	})
	if err == nil && cuts {
		err = n.cut(ctx, building)
	}
	return nil, err
}

// compared are the heads of chains of which this node holds all that it was told of: the phone
// need not tell that again.
func (l *ledger) compared(heads []record.Head) []record.Head {
	told := map[record.ReplicaID]uint64{}
	for _, h := range heads {
		told[h.Replica] = max(told[h.Replica], h.N)
	}
	var out []record.Head
	for _, r := range slices.SortedFunc(maps.Keys(told), record.ID.Compare) {
		c := l.chains[r]
		if c == nil || c.Held < told[r] {
			continue
		}
		if h := l.node.head(l.building, *c); h != nil && h.N >= told[r] {
			out = append(out, *h)
		}
	}
	return out
}

// strange finds the chains of which a head was signed over another history than the one here,
// with the highest number that both are known to have: that of their card, or of a head before
// it on the same stretch of the phone's trail (see Proofs).
func (l *ledger) strange(heads []record.Head) map[record.ReplicaID]uint64 {
	out := map[record.ReplicaID]uint64{}
	var before record.Head
	common := uint64(firstBranch - 1)
	for _, h := range heads {
		if h.Replica != before.Replica || h.N <= before.N || before.N == 0 {
			common = firstBranch - 1
		}
		before = h
		c := l.chains[h.Replica]
		if h.N == 0 || c == nil || c.Card == nil || c.beyond(h.N) || h.Verify(l.building, c.Card.PublicKey) != nil {
			continue
		}
		known, ok := l.known[record.Dot{Replica: h.Replica, N: h.N}]
		if h.N == c.Held {
			known, ok = c.Hash, true
		}
		ok = ok && h.N <= c.Held
		switch {
		case ok && known == h.Hash:
			common = h.N
		case ok, h.N > c.Held && l.live(h.Replica), c.Signed != nil && c.Signed.N == h.N && c.Signed.Hash != h.Hash:
			if lowest, is := out[h.Replica]; !is || common < lowest {
				out[h.Replica] = common
			}
		}
	}
	return out
}
