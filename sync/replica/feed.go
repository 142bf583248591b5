package replica

import (
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
	have, err := n.Store.Load(ctx, building, Need{Peer: peer.Node})
	if err != nil {
		return wire.Hello{}, fmt.Errorf("load cursor: %w", err)
	}
	chains, err := n.Store.Chains(ctx, building)
	if err != nil {
		return wire.Hello{}, fmt.Errorf("list chains: %w", err)
	}
	return wire.Hello{Protocol: wire.Protocol, Schema: n.Schema, Building: building, Node: n.ID(), Tier: n.Tier,
		Generation: n.generation(have.State), Time: n.Now() + have.State.ClockOffset, Cursor: have.Cursor, Held: n.held(building, chains)}, nil
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

// Greeting is what a peer's Hello means for this session.
type Greeting struct {
	// From is where the peer's copy of this feed ends; zero where its cursor does not fit.
	From uint64
	// Held is what the peer holds: events up to these numbers need not be sent.
	Held map[record.ReplicaID]uint64
	// Rewound says that one side holds less than it gave receipts for: a store was
	// restored from a backup. Both sides re-offer from zero.
	Rewound bool
	// Forks are replicas with two hashes at one number: a key was copied.
	Forks []record.ReplicaID
	// Wants are events to ask the peer for.
	Wants []wire.Want
	// Receipts are the cloud's word on phones' chains that the edge was not told yet.
	Receipts []record.Receipt
	// Disputed says that a fork is not decided yet: until it is, no record goes either way.
	// Offers are events that the peer needs for that.
	Disputed bool
	Offers   []wire.Want
}

// Greet compares a peer's Hello with what this node holds and keeps the heads that it
// brings. It returns a Refusal for another building or protocol, and for a lower tier's
// generation that is this node's own.
func (n *Node) Greet(ctx context.Context, building record.ID, peer Peer, h wire.Hello) (Greeting, error) {
	g := Greeting{Held: map[record.ReplicaID]uint64{}}
	switch {
	case h.Protocol == 0 || h.Protocol > wire.Protocol+1:
		return g, refuse(wire.CodeProtocolVersion, "peer speaks %d, this node %d", h.Protocol, wire.Protocol)
	case h.Building != building:
		return g, refuse(wire.CodeWrongBuilding, "hello for %s in the session of %s", h.Building, building)
	case h.Node != peer.Node || h.Tier != peer.Tier:
		return g, refuse(wire.CodeNodeUnknown, "hello of %s in the session of %s", h.Node, peer.Node)
	case len(h.Held) > wire.HeldMax:
		return g, refuse(wire.CodeFrameTooLarge, "%d chains", len(h.Held))
	}
	chains, err := n.Store.Chains(ctx, building)
	if err != nil {
		return g, fmt.Errorf("list chains: %w", err)
	}
	mine := map[record.ReplicaID]uint64{}
	for _, c := range chains {
		mine[c.Replica] = c.Held
	}
	need := Need{Peer: peer.Node}
	for _, held := range h.Held {
		need.Events = append(need.Events, record.Dot{Replica: held.Replica, N: held.N})
		need.Chains = append(need.Chains, held.Replica)
		if held.Fork > 1 {
			need.Events = append(need.Events, record.Dot{Replica: held.Replica, N: held.Fork - 1})
		}
		if !held.Predecessor.Replica.IsZero() {
			need.Chains, need.Events = append(need.Chains, held.Predecessor.Replica), append(need.Events, held.Predecessor)
		}
		if held.N > mine[held.Replica] {
			need.Waiting = append(need.Waiting, held.Replica) // the peer can fill a gap
		}
	}
	cuts, renewed := false, false
	err = n.step(ctx, building, need, nil, func(l *ledger) error {
		g = Greeting{Held: map[record.ReplicaID]uint64{}}
		n.compare(l, &g, peer, h, chains)
		if peer.Tier < n.Tier {
			l.follow(h.Time)
		}
		if !g.Rewound && h.Cursor.Generation == l.boot && h.Cursor.View.IsZero() && h.Cursor.Position <= l.state.Position {
			g.From = h.Cursor.Position
		}
		g.Wants = append(g.Wants, l.gaps()...)
		cuts, renewed = l.forks.marked || l.uncut(), l.renewed
		return nil
	})
	if err == nil && cuts {
		err = n.cut(ctx, building)
	}
	if err == nil && renewed {
		err = refuse(wire.CodeChainFork, "this node's own running replica is copied: it begins anew")
	}
	if err == nil && peer.Tier < n.Tier {
		err = n.correctLate(ctx, building, peer, h.Time)
	}
	if err == nil && g.From > 0 {
		err = n.reaches(ctx, building, &g, chains)
	}
	if err == nil {
		g.Receipts, err = n.untold(ctx, building, peer, h, chains)
	}
	return g, err
}

// reachMax bounds the chains that a greeting holds a cursor to.
const reachMax = 64

// reaches holds a cursor to what the peer says that it holds: whoever was given this feed up
// to there has every event up to there. One that lacks any was given the feed of a copy of
// this node, which has the same run and other things at the same positions: from zero (SPEC
// R12, R33).
func (n *Node) reaches(ctx context.Context, building record.ID, g *Greeting, chains []Chain) error {
	looked := 0
	for _, c := range chains {
		next := g.Held[c.Replica]
		if next >= c.Held || looked == reachMax {
			continue
		}
		looked++
		rows, err := n.Store.Events(ctx, building, c.Replica, next+1, next+1, 1)
		if err != nil {
			return fmt.Errorf("read event %d of %s: %w", next+1, c.Replica, err)
		}
		if len(rows) == 1 && rows[0].Position > 0 && rows[0].Position <= g.From {
			g.From = 0
			return nil
		}
	}
	return nil
}

// untold makes up for settled receipts that an edge missed: their session ended before the
// acknowledgement, or the phone brought its transactions here by itself (SPEC R13). A page
// holds them; what is beyond it comes with the next greeting.
func (n *Node) untold(ctx context.Context, building record.ID, peer Peer, h wire.Hello, chains []Chain) ([]record.Receipt, error) {
	if n.Tier != record.TierCloud || peer.Tier != record.TierEdge || h.Protocol < wire.ProtocolDigests {
		return nil, nil
	}
	told := map[record.ReplicaID]uint64{}
	for _, held := range h.Held {
		if held.Settled < held.N {
			told[held.Replica] = held.Settled
		}
	}
	var ids []record.ReplicaID
	for _, c := range chains {
		if _, open := told[c.Replica]; open && c.Card != nil && c.Card.Tier == record.TierPhone && len(ids) < wire.PageItemsMax {
			ids = append(ids, c.Replica)
		}
	}
	receipts, err := n.receipts(ctx, building, ids)
	return slices.DeleteFunc(receipts, func(r record.Receipt) bool { return r.Settled <= told[r.Replica] }), err
}

func (n *Node) compare(l *ledger, g *Greeting, peer Peer, h wire.Hello, chains []Chain) {
	listed := map[record.ReplicaID]bool{}
	for _, held := range h.Held {
		listed[held.Replica] = true
	}
	for _, held := range h.Held {
		c := l.chains[held.Replica]
		if c == nil {
			c = &Chain{}
		}
		if held.Fork > 0 && (peer.Tier < n.Tier || c.Card != nil && c.Card.Node == peer.Node) {
			l.fork(held.Replica, held.Fork) // its word is enough
			c = l.chain(held.Replica)
		}
		if peer.Tier > n.Tier {
			l.ask(g, c, held, h.Held)
		}
		if c.Fork > 0 {
			held.Receipted = min(held.Receipted, c.Fork-1)
		}
		if c.beyond(held.N) {
			g.Held[held.Replica] = ^uint64(0) // all of it that counts
			continue
		}
		known, ok := l.known[record.Dot{Replica: held.Replica, N: held.N}]
		short := held.N > c.Held && l.live(held.Replica) // somebody else writes under it
		if next, ok := l.next(c, l.waiting[held.Replica]); ok && peer.Tier < n.Tier && next.Prev != c.Hash {
			short = true // the upper side's next event follows another one than is held here
		}
		if ok && known != held.Hash || c.Held == held.N && c.Held > 0 && c.Hash != held.Hash || short {
			n.dispute(l, g, peer, c, held, l.proves(c, held))
			continue
		}
		if held.Signed != nil && l.admitHead(*held.Signed) == wire.CodeChainFork {
			g.Forks = append(g.Forks, held.Replica)
			continue
		}
		if before, ok := l.parted(held, listed); ok {
			n.dispute(l, g, peer, before, wire.Held{Replica: before.Replica, N: held.Predecessor.N}, min(l.proves(before, held), 1)*held.Predecessor.N)
			continue
		}
		g.Held[held.Replica] = held.N
		if c.beyond(held.N + 1) {
			g.Held[held.Replica] = ^uint64(0)
		}
		l.receipted(c, peer, held.N)
		// Less than a receipt, or less of its own chain than others hold: a rewound store.
		g.Rewound = g.Rewound || held.Receipted > c.Held || n.short(c, peer, held.N)
		for p, steps := held.Predecessor, 0; p.N > 0 && !listed[p.Replica] && steps < lineageMax; steps++ {
			g.Held[p.Replica] = max(g.Held[p.Replica], p.N)
			before := l.chains[p.Replica]
			if before == nil || before.Card == nil {
				break
			}
			g.Rewound = g.Rewound || n.short(before, peer, p.N)
			l.receipted(before, peer, p.N)
			p = before.Card.Predecessor
		}
	}
	for _, c := range chains {
		// A chain that is missing may be covered by one whose cards are not known here yet,
		// unless it is this node's own: those are all known.
		held, told := g.Held[c.Replica]
		own := c.Card != nil && c.Card.Node == n.ID()
		if now := l.chains[c.Replica]; now != nil && now.Fork > 0 {
			c.Receipted = min(c.Receipted, now.Fork-1)
		}
		if (told || own) && c.Receipted > held && !slices.Contains(g.Forks, c.Replica) {
			g.Rewound = true // the peer gave a receipt for more than it holds now
		}
	}
}

// receipted notes what the upper tier says that it holds of a chain. Its word in a hello of
// an authenticated session is as good as the receipt that may have been lost with the last
// one; without it this node would wait for that receipt for ever (SPEC R13).
func (l *ledger) receipted(c *Chain, peer Peer, n uint64) {
	if n = min(n, c.Held); peer.Tier < l.node.Tier && n > c.Receipted {
		c.Receipted = n
		l.changed(c.Replica)
	}
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

// short reports whether one side holds less of a chain that it wrote than the other.
func (n *Node) short(c *Chain, peer Peer, theirs uint64) bool {
	if c.Card == nil {
		return false
	}
	return c.Card.Node == peer.Node && theirs < c.Held || c.Card.Node == n.ID() && theirs > c.Held
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
	p.Heads, err = n.heads(ctx, building, replicas, cited)
	return p, err
}

// heads collects the signed heads of chains whose events a page carries, and of those that
// its records cite beyond what this node holds: a phone's transaction may be here while the
// events before it still travel, and the receiver's gate asks for its number's signature.
func (n *Node) heads(ctx context.Context, building record.ID, carried []record.ReplicaID, cited map[record.ReplicaID]bool) ([]record.Head, error) {
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
		gap := c.Signed != nil && c.Signed.N > c.Held
		if h := n.head(building, c); h != nil && (gap || slices.Contains(carried, r)) {
			out = append(out, *h)
			if p := n.proof(building, c); p != nil {
				out = append(out, *p)
			}
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
	rows, err := n.Store.Events(ctx, building, w.Replica, w.From, to, wire.PageItemsMax/4)
	if err != nil {
		return wire.Page{}, fmt.Errorf("read events: %w", err)
	}
	p := wire.Page{Generation: n.Boot()}
	size := 0
	for _, r := range rows {
		if size += len(r.Body) + len(r.Details); size > wire.PageBytesGoal && len(p.Events) > 0 {
			break
		}
		p.Events = append(p.Events, wire.EventItem{Body: r.Body, Details: r.Details, Replica: r.Replica, N: r.N})
	}
	p.Heads, err = n.heads(ctx, building, []record.ReplicaID{w.Replica}, nil)
	if last := len(p.Events); last > 0 && slices.ContainsFunc(p.Heads, func(h record.Head) bool { return h.Verify(building, n.PublicKey()) == nil }) {
		// Its own chain it signs where these events end, so that they prove themselves.
		p.Heads = append(p.Heads, record.SignHead(n.Key, building, w.Replica, rows[last-1].N, rows[last-1].Hash))
	}
	return p, err
}

var _ merge.Lineage = (*ledger)(nil)
