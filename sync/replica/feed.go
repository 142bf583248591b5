package replica

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// Hello says what this node holds of a building and from where it wants the peer's feed.
func (n *Node) Hello(ctx context.Context, building record.ID, peer Peer) (wire.Hello, error) {
	have, err := n.Store.Load(ctx, building, Need{Peer: peer.Node, AllChains: true})
	if err != nil {
		return wire.Hello{}, fmt.Errorf("load cursor and chains: %w", err)
	}
	return wire.Hello{Protocol: wire.Protocol, Schema: n.Schema, Building: building, Node: n.ID(), Tier: n.Tier,
		Generation: n.generation(have.State), Time: n.Now() + have.State.ClockOffset, Cursor: have.Cursor, Held: n.held(building, have.listed())}, nil
}

// held lists chains, less those that a successor's card covers whole: a node of many
// starts sends one entry, not one for each. A predecessor that is not held as far as a card
// names it is listed as it is, even where nothing of it is held.
func (n *Node) held(building record.ID, chains []Chain) []wire.Held {
	covered := map[record.ReplicaID]uint64{}
	for _, c := range chains {
		if c.Card != nil && c.Card.Predecessor.N > 0 {
			p := c.Card.Predecessor
			covered[p.Replica] = max(covered[p.Replica], p.N)
		}
	}
	var out []wire.Held
	for _, c := range chains {
		open := n.Tier == record.TierEdge && c.Card != nil && c.Card.Tier == record.TierPhone && c.Settled() < c.Held
		// Nobody above said yet that this is what it has of the chain: a copy of this node may
		// have brought another branch.
		open = open || n.Tier == record.TierEdge && c.Card != nil && c.Card.Node == n.ID() && c.Receipted < c.Held
		if c.Held == 0 || covered[c.Replica] == c.Held && c.Receipted <= c.Held && !open && c.Fork == 0 {
			continue
		}
		h := wire.Held{Replica: c.Replica, N: c.Held, Hash: c.Hash, Signed: n.head(building, c), Receipted: c.Receipted, Settled: c.Settled(), Fork: c.Fork, Proof: n.proof(building, c)}
		if c.Card != nil {
			h.Predecessor, h.PredecessorHash = c.Card.Predecessor, c.Card.PredecessorHash
		}
		out = append(out, h)
	}
	for r := range covered {
		if !slices.ContainsFunc(chains, func(c Chain) bool { return c.Replica == r && c.Held > 0 }) {
			out = append(out, wire.Held{Replica: r})
		}
	}
	slices.SortFunc(out, func(a, b wire.Held) int { return a.Replica.Compare(b.Replica) })
	return out
}

// head is the highest signed head of a chain; the node signs its own chains as they stand.
func (n *Node) head(building record.ID, c Chain) *record.Head {
	if c.Card != nil && c.Card.Node == n.ID() && c.Held > 0 && (c.Signed == nil || c.Signed.N < c.Held) {
		h := record.SignHead(n.Key, building, c.Replica, c.Held, c.Hash)
		return &h
	}
	return c.Signed
}

// proof is a signed head over what is held of a chain, where its highest is beyond that: it
// may be of another branch.
func (n *Node) proof(building record.ID, c Chain) *record.Head {
	if c.Signed == nil || c.Signed.N <= c.Held {
		return nil
	}
	if c.Card != nil && c.Card.Node == n.ID() && c.Held > 0 {
		h := record.SignHead(n.Key, building, c.Replica, c.Held, c.Hash)
		return &h
	}
	return c.Proof
}

// clockTolerance is how far, in milliseconds, a building's clock may be from the upper
// tier's: beyond the delay of any line on which a session lives.
const clockTolerance = 60_000

// follow sets the building's clock to the upper tier's where it is clearly wrong: offsets
// flow down, whether the clock is fast or slow (SPEC R16).
func (l *ledger) follow(upperMillis int64) {
	if off := upperMillis - l.now; upperMillis > 0 && max(off, -off) > clockTolerance {
		l.setClock(upperMillis)
	}
}

// FollowClock sets the building's clock to an upper peer's time where it is clearly wrong, as
// a greeting does: a clock may jump while a session lives (SPEC R16). It returns ErrBusy as
// the store does; the time is stale then.
func (n *Node) FollowClock(ctx context.Context, building record.ID, peer Peer, upperMillis int64) error {
	if peer.Tier >= n.Tier {
		return nil
	}
	return n.step(ctx, building, Need{}, nil, func(l *ledger) error {
		l.follow(upperMillis)
		return nil
	})
}

// setClock restarts the building's hybrid clock at the upper tier's time, unless it is
// behind already.
func (l *ledger) setClock(upperMillis int64) {
	l.state.ClockOffset += upperMillis - l.now
	l.now = upperMillis
	l.state.Stamp = min(l.state.Stamp, hlc.At(upperMillis))
}

// ReadPage reads the next stretch of this node's feed for a peer that holds the whole
// building: events that it does not hold yet, and records but those that skip names.
// It ends at position until, where that is not zero.
func (n *Node) ReadPage(ctx context.Context, building record.ID, after, until uint64, held map[record.ReplicaID]uint64, skip func(position uint64) bool) (wire.Page, error) {
	feed, err := n.Store.Feed(ctx, building, after, wire.PageItemsMax, wire.PageBytesGoal)
	if err != nil {
		return wire.Page{}, fmt.Errorf("read feed: %w", err)
	}
	p := wire.Page{From: after, To: after, Generation: n.generation(feed.State)}
	var replicas []record.ReplicaID
	cited := map[record.ReplicaID]bool{}
	usual := len(feed.Items)/2 + 1 // of events and of records: each of these comes with its event
	for _, item := range feed.Items {
		if until > 0 && item.Position > until {
			p.To = until
			break
		}
		p.To = item.Position
		switch {
		case item.Event != nil && item.Event.N > held[item.Event.Replica]:
			if p.Events == nil {
				p.Events = make([]wire.EventItem, 0, usual)
			}
			p.Events = append(p.Events, wire.EventItem{Body: item.Event.Body, Details: item.Event.Details, Replica: item.Event.Replica, N: item.Event.N})
			if last := len(replicas) - 1; last < 0 || replicas[last] != item.Event.Replica {
				replicas = append(replicas, item.Event.Replica)
			}
		case item.Event == nil && !skip(item.Position):
			if p.Records == nil {
				p.Records = make([]wire.RecordItem, 0, usual)
			}
			p.Records = append(p.Records, wire.RecordItem{Kind: item.Key.Kind, ID: item.Key.ID, Body: item.Body})
			for _, r := range record.Replicas(item.Body) {
				cited[r] = true
			}
		}
	}
	p.Last = p.To >= feed.End
	p.Heads, err = n.heads(ctx, building, replicas, cited, held)
	return p, err
}

// heads collects the signed heads of chains whose events a page carries, and of those that
// its records cite beyond what this node holds, or its reader: a phone's transaction may be here
// while the events before it still travel, what a phone brought back may lie in the feed before
// its events, and the receiver's gate asks for its number's signature.
func (n *Node) heads(ctx context.Context, building record.ID, carried []record.ReplicaID, cited map[record.ReplicaID]bool, held map[record.ReplicaID]uint64) ([]record.Head, error) {
	replicas := slices.Clone(carried)
	for r := range cited {
		replicas = append(replicas, r)
	}
	slices.SortFunc(replicas, record.ID.Compare)
	replicas = slices.Compact(replicas)
	if len(replicas) == 0 {
		return nil, nil
	}
	have, err := n.Store.Load(ctx, building, Need{Chains: replicas})
	if err != nil {
		return nil, fmt.Errorf("load heads: %w", err)
	}
	var out []record.Head
	for _, r := range replicas {
		c := have.Chains[r]
		gap := c.Signed != nil && c.Signed.N > c.Held || held != nil && held[r] < c.Held
		if h := n.head(building, c); h != nil && (gap || slices.Contains(carried, r)) {
			out = append(out, *h)
			if p := n.proof(building, c); p != nil {
				out = append(out, *p)
			}
			out = append(out, c.Ahead...)
		}
	}
	return out, nil
}

// ReadEvents answers a Want: events only, with no place in the feed.
func (n *Node) ReadEvents(ctx context.Context, building record.ID, w wire.Want) (wire.Page, error) {
	to := w.To
	if to == 0 {
		to = ^uint64(0)
	}
	rows, err := n.Store.Events(ctx, building, w.Replica, w.From, to, eventsMax)
	if err != nil {
		return wire.Page{}, fmt.Errorf("read events: %w", err)
	}
	own := slices.Clip(rows) // what this node may sign for
	if rows, err = n.withBeside(ctx, building, w.Replica, w.From, to, rows); err != nil {
		return wire.Page{}, err
	}
	p := wire.Page{Generation: n.Boot()}
	size := 0
	for _, r := range rows {
		if size += len(r.Body) + len(r.Details); size > wire.PageBytesGoal && len(p.Events) > 0 {
			break
		}
		p.Events = append(p.Events, wire.EventItem{Body: r.Body, Details: r.Details, Replica: r.Replica, N: r.N})
	}
	p.Heads, err = n.heads(ctx, building, []record.ReplicaID{w.Replica}, nil, nil)
	if last := min(len(p.Events), len(own)); last > 0 && slices.ContainsFunc(p.Heads, func(h record.Head) bool { return h.Verify(building, n.PublicKey()) == nil }) {
		// Its own chain it signs where these events end, so that they prove themselves.
		p.Heads = append(p.Heads, record.SignHead(n.Key, building, w.Replica, own[last-1].N, own[last-1].Hash))
	}
	return p, err
}

// eventsMax is how many events answer a want at most.
const eventsMax = wire.PageItemsMax / 4

// withBeside adds, by number, what lies beside a chain beyond its fork: whoever decides on it, or
// decided and lost the other branch, has it from there (SPEC R33). What is being moved there is in
// both, for the chain was read first.
func (n *Node) withBeside(ctx context.Context, building record.ID, r record.ReplicaID, from, to uint64, rows []EventRow) ([]EventRow, error) {
	have, err := n.Store.Load(ctx, building, Need{Chains: []record.ReplicaID{r}})
	if err != nil {
		return nil, fmt.Errorf("load chain: %w", err)
	}
	c := have.Chains[r]
	if c.Fork == 0 || to < c.Fork {
		return rows, nil
	}
	beside, err := n.beside(ctx, building, r, max(from, c.Fork), to, eventsMax)
	if err != nil {
		return nil, err
	}
	for _, b := range beside {
		if !slices.ContainsFunc(rows, func(o EventRow) bool { return o.N == b.N && o.Hash == b.Hash }) {
			rows = append(rows, b)
		}
	}
	slices.SortStableFunc(rows, func(a, b EventRow) int { return cmp.Compare(a.N, b.N) })
	return rows[:min(len(rows), eventsMax)], nil
}

var _ merge.Lineage = (*ledger)(nil)
