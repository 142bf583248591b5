package replica

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

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
	// Late are heads of the hello that are not stored yet: they are to be taken in with the
	// peer's first page, or as one.
	Late []record.Head
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
	need := greetNeed(h)
	have, err := n.Store.Load(ctx, building, need)
	if err != nil {
		return g, fmt.Errorf("load for greeting: %w", err)
	}
	chains := have.listed()
	need.AllChains, need.Peer = false, peer.Node
	// The peer can fill the gaps of these alone.
	need.Waiting = slices.DeleteFunc(need.Waiting, func(r record.ReplicaID) bool {
		return !slices.ContainsFunc(h.Held, func(held wire.Held) bool { return held.Replica == r && held.N > have.Chains[r].Held })
	})
	maps.DeleteFunc(have.Waiting, func(r record.ReplicaID, _ []EventRow) bool { return !slices.Contains(need.Waiting, r) })
	cuts, renewed := false, false
	var astray []record.Head
	decide := func(l *ledger) error {
		g = Greeting{Held: map[record.ReplicaID]uint64{}}
		n.compare(l, &g, peer, h, chains)
		if peer.Tier < n.Tier {
			l.follow(h.Time)
		}
		if !g.Rewound && h.Cursor.Generation == l.boot && h.Cursor.View.IsZero() && h.Cursor.Position <= l.state.Position {
			g.From = h.Cursor.Position
		}
		g.Wants = append(g.Wants, l.gaps()...)
		for _, held := range h.Held {
			l.astray(held.Signed, held.Proof)
		}
		astray = l.forks.astray
		cuts, renewed = l.forks.marked || l.uncut(), l.renewed
		return nil
	}
	g.Late, err = n.met(ctx, building, peer, need, have, decide)
	if err == nil {
		err = n.afterGreeting(ctx, building, cuts)
	}
	if err == nil && len(astray) > 0 {
		var wants []wire.Want
		wants, err = n.reclaim(ctx, building, astray, nil)
		g.Wants = append(g.Wants, wants...)
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

// afterGreeting does what the remedy of a fork asks for, and looks at what waits to be proven.
func (n *Node) afterGreeting(ctx context.Context, building record.ID, cuts bool) error {
	if cuts {
		return n.cut(ctx, building)
	}
	return n.settleAsides(ctx, building)
}

// met makes a greeting's decision without the lock, where that is enough.
func (n *Node) met(ctx context.Context, building record.ID, peer Peer, need Need, have Have, decide func(*ledger) error) (late []record.Head, err error) {
	if peer.Tier > n.Tier {
		if late, done := n.glance(building, need, have, decide); done {
			return late, nil
		}
	}
	return nil, n.step(ctx, building, need, nil, decide)
}

// greetNeed is what a greeting has to know.
func greetNeed(h wire.Hello) Need {
	need := Need{AllChains: true}
	for _, held := range h.Held {
		need.Events = append(need.Events, record.Dot{Replica: held.Replica, N: held.N})
		if held.Signed != nil && held.Signed.N != held.N {
			need.Events = append(need.Events, record.Dot{Replica: held.Replica, N: held.Signed.N})
		}
		need.Chains, need.Waiting = append(need.Chains, held.Replica), append(need.Waiting, held.Replica)
		if held.Fork > 1 {
			need.Events = append(need.Events, record.Dot{Replica: held.Replica, N: held.Fork - 1})
		}
		if !held.Predecessor.Replica.IsZero() {
			need.Chains, need.Events = append(need.Chains, held.Predecessor.Replica), append(need.Events, held.Predecessor)
		}
	}
	return need
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

// contradicted takes a signed head over another history than the one here. same says that the
// chain is equal as far as the peer holds it.
func (n *Node) contradicted(l *ledger, g *Greeting, peer Peer, c *Chain, held wire.Held, same bool) {
	switch {
	case !l.mine(held.Replica) && !same && c.Held > 0 && held.N > c.Held:
		n.dispute(l, g, peer, c, held, l.proves(c, held)) // its events tell where the two part
		return
	case l.mine(held.Replica):
		// A copy wrote what it signs, and may never come: what both sides hold is common.
		l.decide(held.Replica, min(held.N, c.Held)+1)
	case l.node.Tier == record.TierCloud && same && c.Card != nil:
		// The peer has no event of the other branch, and nobody may ever have: the signature is
		// enough.
		l.decide(held.Replica, held.N+1)
		g.Held[held.Replica] = ^uint64(0)
	}
	g.Forks = append(g.Forks, held.Replica)
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
		if held.Fork > 0 && (peer.Tier < n.Tier || c.Card != nil && c.Card.Node == peer.Node || c.Fork > held.Fork) {
			// Its word is enough: of a fork that is known here an edge may know a lower beginning, as
			// a cloud said that was set back since.
			l.fork(held.Replica, held.Fork)
			c = l.chain(held.Replica)
		}
		if peer.Tier > n.Tier {
			l.ask(g, c, held, h.Held)
			l.askBeyond(g, c, held)
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
		if next, ok := l.next(c, l.waiting[held.Replica]); ok && (peer.Tier < n.Tier || held.N > c.Held) && next.Prev != c.Hash {
			short = true // the next event follows another one than is held here
		}
		if ok && known != held.Hash || c.Held == held.N && c.Held > 0 && c.Hash != held.Hash || short {
			n.dispute(l, g, peer, c, held, l.proves(c, held))
			continue
		}
		if held.Signed != nil && !l.later(c, held.Signed) && l.admitHead(*held.Signed) == wire.CodeChainFork {
			n.contradicted(l, g, peer, c, held, ok)
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
		n.covered(l, g, peer, held, listed)
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

// covered notes what a peer holds of the predecessors that a card covers whole: its hello
// leaves them out.
func (n *Node) covered(l *ledger, g *Greeting, peer Peer, held wire.Held, listed map[record.ReplicaID]bool) {
	for p, steps := held.Predecessor, 0; p.N > 0 && !listed[p.Replica] && steps < lineageMax; steps++ {
		g.Held[p.Replica] = max(g.Held[p.Replica], p.N)
		before := l.chains[p.Replica]
		if before == nil || before.Card == nil {
			return
		}
		g.Rewound = g.Rewound || n.short(before, peer, p.N)
		l.receipted(before, peer, p.N)
		p = before.Card.Predecessor
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

// short reports whether one side holds less of a chain that it wrote than the other.
func (n *Node) short(c *Chain, peer Peer, theirs uint64) bool {
	if c.Card == nil {
		return false
	}
	return c.Card.Node == peer.Node && theirs < c.Held || c.Card.Node == n.ID() && theirs > c.Held
}
