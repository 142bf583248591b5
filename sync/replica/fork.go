package replica

import (
	"fmt"
	"maps"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// A fork is two events of one number, both under heads that the replica's node signed: the
// key was copied, or a running node was. What a number beyond the fork means depends on who
// says it, so from there on none counts (SPEC R33):
//
//	disputed ──events below, heads──▶ decided ──▶ marked ──▶ records cut ──▶ events beside ──▶ done
//	 (the session holds its records)   (cloud)    (Fork)     (in portions)   (in portions)     (Cut)
//
// The cloud decides, on two signed branches that it holds itself, and every node for its own
// chains. The others believe the cloud's word, and everybody's on his own chains: in a
// hello, or as the event that says so.

// forkWindow is how many events below a difference are looked at at once: one answer to a
// want. A longer branch takes a few more.
const forkWindow = 256

// firstBranch is the lowest number that two branches may differ from: event 1 is the card.
const firstBranch = 2

// actionFork is the event by which a node tells that a chain has two branches: its touch
// names the replica, and the first number of which there are two.
const (
	actionFork = "fork"
	chainKind  = "chain"
	forkField  = "fork"
)

// conflict is the lowest event of a page that is another than the one held.
type conflict struct {
	n     uint64
	root  bool // the event before it is the same
	other map[uint64]EventRow
}

// forks is what a decision learns of forked chains.
type forks struct {
	conflicts map[record.ReplicaID]*conflict
	proven    map[record.ReplicaID]bool // a head contradicts what is held
	ahead     map[record.ReplicaID]bool // of those, by a number beyond what is held
	heads     []record.Head             // all that verified: each proves the branch that leads to it
	from      record.ID                 // who sends the events, where it is of the tier below
	rumours   []rumour
	astray    []record.Head // see astray
	marked    bool
	ends      bool // the session is to begin anew: a fork was decided here, or is to be by its hellos
}

// beyond reports whether a number lies where its chain has two branches.
func (c *Chain) beyond(n uint64) bool { return c != nil && c.Fork > 0 && n >= c.Fork }

// beside keeps an event of a forked chain as evidence.
func (l *ledger) beside(row EventRow) {
	row.Position = 0
	l.out.Branches = append(l.out.Branches, row)
}

// differs notes an event that is another than the one held under its number.
func (l *ledger) differs(in *incoming) string {
	r, n := in.row.Replica, in.row.N
	if n < 2 || in.unreadable {
		return wire.CodeChainFork // a card: two replicas of one id have nothing in common
	}
	c := l.forks.conflicts[r]
	if c == nil {
		c = &conflict{n: n, other: map[uint64]EventRow{}}
		l.forks.conflicts[r] = c
	}
	if n <= c.n {
		before, held := l.known[record.Dot{Replica: r, N: n - 1}]
		if end := l.chain(r); n == end.Held+1 {
			before, held = end.Hash, true
		}
		c.n, c.root = n, held && before == in.event.Prev
	}
	c.other[n] = in.row
	l.beside(in.row)
	return wire.CodeChainFork
}

// judge looks at what differs once events and heads of a page are in. Where both branches
// are signed, the cloud decides, or asks for what lies below; so does an edge for its own
// chains. For others it ends the session, so that its hellos say what differs: the pages
// that follow must not be merged. It returns the replicas of which nothing of this page may
// be.
func (l *ledger) judge(out *Applied, feed bool) map[record.ReplicaID]bool {
	suspects := maps.Clone(l.forks.proven)
	for r := range l.forks.conflicts {
		suspects[r] = true
	}
	for r, rows := range l.waiting {
		if next, ok := l.next(l.chain(r), rows); ok && next.Prev != l.chain(r).Hash {
			suspects[r] = true
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(suspects), record.ID.Compare) {
		c, at := l.chain(r), l.forks.conflicts[r]
		if at == nil && l.live(r) && l.forks.ahead[r] {
			l.decide(r, c.Held+1) // somebody else writes under it
			delete(suspects, r)
			continue
		}
		if at == nil {
			at = &conflict{n: c.Held + 1}
		}
		own := c.Card != nil && c.Card.Node == l.self
		if l.node.Tier != record.TierCloud && !own {
			l.forks.ends = l.forks.ends || c.proof() >= min(at.n, c.Held)
			continue
		}
		if l.node.Tier == record.TierCloud && !l.forks.proven[r] && !l.signedRun(c, at) {
			continue
		}
		if at.root {
			l.decide(r, at.n)
			delete(suspects, r) // what is beyond is held back for the fork itself
			continue
		}
		l.forks.ends = l.forks.ends || feed
		if at.n > 2 {
			out.Wants = append(out.Wants, window(r, at.n-1))
		}
	}
	return suspects
}

// window asks for the events up to a number.
func window(r record.ReplicaID, to uint64) wire.Want {
	return wire.Want{Replica: r, From: max(to, forkWindow) - forkWindow + 1, To: to}
}

// next is the event that waits for its place at the end of a chain.
func (l *ledger) next(c *Chain, rows []EventRow) (record.Event, bool) {
	i := slices.IndexFunc(rows, func(row EventRow) bool { return row.N == c.Held+1 })
	if i < 0 || c.Held == 0 || c.beyond(c.Held+1) {
		return record.Event{}, false
	}
	e, err := record.DecodeEvent(rows[i].Body)
	return e, err == nil
}

// signedRun reports whether the events from a difference on lead, link by link, to a head
// that the replica's node signed: not only to the highest, which may be of a branch whose end
// nobody was sent.
func (l *ledger) signedRun(c *Chain, at *conflict) bool {
	rows := maps.Clone(at.other)
	if rows == nil {
		rows = map[uint64]EventRow{}
	}
	for _, row := range l.waiting[c.Replica] {
		rows[row.N] = row
	}
	for row, ok := rows[at.n]; ok; {
		if c.Signed != nil && c.Signed.N == row.N && c.Signed.Hash == row.Hash || slices.ContainsFunc(l.forks.heads, func(h record.Head) bool {
			return h.Replica == c.Replica && h.N == row.N && h.Hash == row.Hash
		}) {
			return true
		}
		next, follows := rows[row.N+1]
		if e, err := record.DecodeEvent(next.Body); !follows || err != nil || e.Prev != row.Hash {
			return false
		}
		row = next
	}
	return false
}

// decide marks a fork on this node's own evidence and tells the others.
func (l *ledger) decide(r record.ReplicaID, first uint64) {
	if !l.fork(r, first) {
		return
	}
	l.forks.ends = true
	if err := l.announce(r, first); err != nil {
		l.fail(err)
	}
}

// fork marks a chain: from its first number with two branches on none counts. A node whose
// own replica it is goes on under a new one at once. It reports whether that was news.
func (l *ledger) fork(r record.ReplicaID, first uint64) bool {
	c := l.chain(r)
	if first < 2 || c.Fork > 0 && c.Fork <= first {
		return false
	}
	c.Fork = first
	if c.Held >= first {
		hash, ok := l.known[record.Dot{Replica: r, N: first - 1}]
		if !ok {
			l.fail(fmt.Errorf("replica: fork of %s at %d, of which event %d was not read", r, first, first-1))
			return false
		}
		if l.node.Tier == record.TierCloud && l.mine(r) {
			l.reclaimed(c, record.Head{Replica: r, N: c.Held, Hash: c.Hash}) // what stands of it is written again
		}
		c.Held, c.Hash = first-1, hash
	}
	c.Receipted = min(c.Receipted, first-1)
	if c.Proof != nil && c.Proof.N >= first {
		c.Signed, c.Proof = c.Proof, nil // whoever asks for that branch asks by this
	}
	c.Ahead = slices.DeleteFunc(slices.Clone(c.Ahead), func(h record.Head) bool { return h.N >= first })
	l.changed(r)
	l.forks.marked = true
	if r != l.state.Replica {
		return true
	}
	l.state.N, l.state.Head = c.Held, c.Hash
	if l.state.Boot == l.boot {
		l.renewed, l.boot = true, record.ID{} // not the run's any more: mint names the new one
		l.fail(l.mint())
	}
	return true
}

// fail makes the decision fail; the first error stays.
func (l *ledger) fail(err error) {
	if l.unread == nil {
		l.unread = err
	}
}

// below lists, for each chain, the number before the lowest of these events: whether it is
// the same on both sides tells where a fork begins.
func below(in []*incoming) []record.Dot {
	lowest := map[record.ReplicaID]uint64{}
	for i, e := range in {
		if i > 0 && in[i-1].row.Replica == e.row.Replica && in[i-1].row.N < e.row.N {
			continue
		}
		if n, ok := lowest[e.row.Replica]; !ok || e.row.N < n {
			lowest[e.row.Replica] = e.row.N
		}
	}
	var out []record.Dot
	for r, n := range lowest {
		if n > 1 {
			out = append(out, record.Dot{Replica: r, N: n - 1})
		}
	}
	return out
}

// uncut reports whether a fork is marked of which the store is not rid yet.
func (l *ledger) uncut() bool {
	for _, c := range l.chains {
		if c.Fork != c.Cut {
			return true
		}
	}
	return false
}

// dispute is what a hello that contradicts a signed chain of this node leads to: the
// session holds its records until the cloud has decided on the events of both. proof is up to
// where the peer has a signed head of its branch.
func (n *Node) dispute(l *ledger, g *Greeting, peer Peer, c *Chain, held wire.Held, proof uint64) {
	g.Forks = append(g.Forks, held.Replica)
	at := min(held.N, c.Held)
	switch {
	case c.Card == nil:
	case peer.Tier < n.Tier && c.Card.Node == l.self:
		g.Disputed = true
		g.Wants = append(g.Wants, window(held.Replica, min(held.N, c.Held+1)))
	case peer.Tier < n.Tier && c.proof() >= at:
		g.Disputed = true
		offer := window(held.Replica, at)
		offer.To = c.proof()
		g.Offers = append(g.Offers, offer)
	case n.Tier == record.TierCloud && proof >= at:
		g.Disputed = true
		want := window(held.Replica, at)
		want.To = max(at, min(held.N, proof))
		g.Wants = append(g.Wants, want)
	}
}

// parted is the chain that a peer left out of its hello because a card covers it, where the
// card names another event than is held here.
func (l *ledger) parted(held wire.Held, listed map[record.ReplicaID]bool) (*Chain, bool) {
	p := held.Predecessor
	c := l.chains[p.Replica]
	if p.N == 0 || listed[p.Replica] || held.PredecessorHash == (record.Hash{}) || c == nil || c.beyond(p.N) {
		return nil, false
	}
	hash, known := l.known[p]
	if c.Held == p.N {
		hash, known = c.Hash, true
	}
	return c, known && hash != held.PredecessorHash
}

// proof is up to where a signed head proves the branch that is held, zero for nowhere.
func (c *Chain) proof() uint64 {
	switch {
	case c.Proof != nil:
		return c.Proof.N
	case c.Signed != nil:
		return c.Signed.N
	}
	return 0
}

// proves is up to where a peer says it has a signed head of its branch.
func (l *ledger) proves(c *Chain, held wire.Held) uint64 {
	h := held.Proof
	if h == nil {
		h = held.Signed
	}
	if h == nil || c.Card == nil || h.Verify(l.building, c.Card.PublicKey) != nil {
		return 0
	}
	return h.N
}

// live reports whether a replica is the one that this node writes under now.
func (l *ledger) live(r record.ReplicaID) bool {
	return r == l.state.Replica && l.state.Boot == l.boot
}
