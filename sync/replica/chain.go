package replica

import (
	"cmp"
	"slices"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/wire"
)

// incoming is an event from a peer, decoded before the building's lock is taken.
type incoming struct {
	row   EventRow
	event record.Event
	// unreadable marks a body of a newer release: it waits as a link, its content unused.
	unreadable bool
}

// decodeEvents reads the events of a page. What cannot be read keeps its place if the item
// names it; anything else is reported by code and dropped, for it is no event at all.
func decodeEvents(d *record.Decoder, building record.ID, items []wire.EventItem) (out []*incoming, codes []string) {
	out, slab := make([]*incoming, 0, len(items)), make([]incoming, len(items))
	for i := range items {
		item, in := &items[i], &slab[i]
		err := d.Event(&in.event, item.Body)
		if err != nil {
			codes = append(codes, wire.CodeEventMalformed)
			if !item.Replica.IsZero() && item.N > 0 && len(item.Body) > 0 && len(item.Body) <= record.EventBytesMax {
				*in = incoming{unreadable: true, event: record.Event{Replica: item.Replica, N: item.N},
					row: EventRow{Replica: item.Replica, N: item.N, Hash: d.HashEvent(item.Body), Body: item.Body}}
				out = append(out, in)
			}
			continue
		}
		if in.event.Building != building {
			codes = append(codes, wire.CodeWrongBuilding)
			continue
		}
		details := item.Details
		if len(details) > 0 && d.CheckDetails(&in.event, details) != nil {
			codes = append(codes, wire.CodeEventMalformed)
			details = nil
		}
		in.row = EventRow{Replica: in.event.Replica, N: in.event.N, Hash: d.HashEvent(item.Body), Body: item.Body, Details: details}
		out = append(out, in)
	}
	return out, codes
}

// admitEvent adds an event to its chain, keeps it waiting behind a gap, or reports why it
// cannot be. It returns the alarm code, empty if all is well.
func (l *ledger) admitEvent(in *incoming) string {
	c := l.chain(in.row.Replica)
	dot := record.Dot{Replica: in.row.Replica, N: in.row.N}
	known, ok := l.known[dot]
	switch {
	case ok && known == in.row.Hash:
		return ""
	case c.beyond(in.row.N):
		l.beside(in.row)
		return ""
	case ok && in.row.N <= c.Held:
		return l.differs(in)
	case ok:
		return wire.CodeChainFork
	}
	if in.row.N <= c.Held {
		return wire.CodeChainFork // the caller asked for the hash and the store has none
	}
	if code := l.disowned(c, in); code != "" {
		return code
	}
	if in.row.N != c.Held+1 || in.unreadable {
		l.wait(in)
		l.pass(c)
		return ""
	}
	return l.link(c, in)
}

// pass links an event of a newer release that this node cannot read: the next one follows
// its hash, and a head that the node signed covers both. Its content is used by nobody here.
// A phone's chain waits, for what its events name decides what may be raised (SPEC R8, R17).
func (l *ledger) pass(c *Chain) {
	waiting := l.waiting[c.Replica]
	i := slices.IndexFunc(waiting, func(r EventRow) bool { return r.N == c.Held+1 })
	j := slices.IndexFunc(waiting, func(r EventRow) bool { return r.N == c.Held+2 })
	if i < 0 || j < 0 || c.beyond(c.Held+2) || c.Card == nil || c.Card.Tier == record.TierPhone || c.Signed == nil || c.Signed.N < c.Held+2 {
		return
	}
	row := waiting[i]
	_, readable := record.DecodeEvent(row.Body)
	next, err := record.DecodeEvent(waiting[j].Body)
	if readable == nil || err != nil || next.Prev != row.Hash {
		return
	}
	in := &incoming{row: waiting[j], event: next}
	l.waiting[c.Replica] = slices.DeleteFunc(slices.Clone(waiting), func(r EventRow) bool { return r.N == row.N || r.N == row.N+1 })
	row.Position = l.position(row.Hash[:])
	l.out.Events = append(l.out.Events, row)
	c.Held, c.Hash = row.N, row.Hash
	l.changed(c.Replica)
	_ = l.link(c, in) // an alarm of what follows shows with the event itself
}

func (l *ledger) wait(in *incoming) {
	l.known[record.Dot{Replica: in.row.Replica, N: in.row.N}] = in.row.Hash
	l.waiting[in.row.Replica] = append(l.waiting[in.row.Replica], in.row)
	l.out.Events = append(l.out.Events, in.row)
}

// link appends the next event of a chain, then those that waited for it.
func (l *ledger) link(c *Chain, in *incoming) string {
	for {
		if code := l.extend(c, in); code != "" {
			return code
		}
		waiting := l.waiting[c.Replica]
		i := slices.IndexFunc(waiting, func(r EventRow) bool { return r.N == c.Held+1 })
		if i < 0 || c.beyond(c.Held+1) {
			return ""
		}
		e, err := record.DecodeEvent(waiting[i].Body)
		if err != nil {
			return "" // of a newer release: the chain goes on when this node understands it
		}
		if e.Prev != c.Hash {
			return wire.CodeChainFork // it stays where it is: it may be a branch that somebody signed
		}
		in = &incoming{row: waiting[i], event: e}
		l.waiting[c.Replica] = slices.Delete(slices.Clone(waiting), i, i+1)
	}
}

func (l *ledger) extend(c *Chain, in *incoming) string {
	if in.event.Prev != c.Hash {
		l.wait(in) // it may be a branch that its node signed
		return wire.CodeChainFork
	}
	if in.event.Card != nil {
		if code := l.crooked(c.Replica, in); code != "" {
			return code
		}
		c.Card = in.event.Card
		l.nameds()[c.Card.Predecessor.Replica] = true
	}
	if c.Signed != nil && c.Signed.N == in.row.N && c.Signed.Hash != in.row.Hash {
		return l.differs(in)
	}
	if c.Signed != nil && c.Signed.N == in.row.N || c.Proof != nil && c.Proof.N == in.row.N && c.Proof.Hash != in.row.Hash {
		c.Proof = nil
	}
	c.arrived(in.row.N, in.row.Hash)
	l.out.Events = append(l.out.Events, in.row)
	l.out.Events[len(l.out.Events)-1].Position = l.position(in.row.Hash[:])
	l.known[record.Dot{Replica: in.row.Replica, N: in.row.N}] = in.row.Hash
	c.Held, c.Hash = in.row.N, in.row.Hash
	l.changed(c.Replica)
	l.state.Stamp = hlc.Observe(l.state.Stamp, in.event.Stamp, l.now)
	l.index(c, &in.event)
	l.erase(c, &in.event)
	return ""
}

// crooked says what is wrong with a card whose lineage cannot be (SPEC R19). A node that names
// another branch of what it wrote before was copied.
func (l *ledger) crooked(r record.ReplicaID, in *incoming) string {
	card := in.event.Card
	switch {
	case card.Validate() != nil || l.circles(r, card):
		return wire.CodeEventMalformed
	case !l.otherBranch(card) || l.confessed(r, in):
		return ""
	case card.Tier == record.TierPhone:
		return wire.CodeEventMalformed
	}
	return wire.CodeChainFork
}

// otherBranch reports whether a card's predecessor has another event at the named number,
// where that is held and signed, in one branch.
func (l *ledger) otherBranch(card *record.Card) bool {
	p := card.Predecessor
	before := l.chains[p.Replica]
	if p.N == 0 || before == nil || before.Held < p.N || l.signedTo(p) != "" {
		return false
	}
	hash, known := l.known[p]
	if before.Held == p.N {
		hash, known = before.Hash, true
	}
	return known && hash != card.PredecessorHash
}

// circles reports whether a card's lineage would end in a circle. Whatever circle there is was
// named before its last card came, for nobody knows a hash of what is still to be written.
func (l *ledger) circles(r record.ReplicaID, card *record.Card) bool {
	p := card.Predecessor
	if p.N > 0 && p.Replica == r {
		return true
	}
	if p.N == 0 || !l.nameds()[r] {
		return false
	}
	at := p.Replica
	for range lineageMax {
		c := l.chains[at]
		if c == nil || c.Card == nil || c.Card.Predecessor.N == 0 {
			return false
		}
		if at = c.Card.Predecessor.Replica; at == r {
			return true
		}
	}
	return true
}

// nameds are the replicas that a card which was read names as a predecessor.
func (l *ledger) nameds() map[record.ReplicaID]bool {
	if l.named == nil {
		l.named = make(map[record.ReplicaID]bool, len(l.chains))
		for _, c := range l.chains {
			if c.Card != nil {
				l.named[c.Card.Predecessor.Replica] = true
			}
		}
	}
	return l.named
}

// predecessor is the event that a card of an earlier run's replica names, to be looked up;
// none for other events.
func predecessor(e *record.Event) []record.Dot {
	if e.Card == nil || e.Card.Predecessor.N == 0 {
		return nil
	}
	return []record.Dot{e.Card.Predecessor}
}

// index keeps what a phone's event names, for the exact rule, and what an authority's
// event refused of it.
func (l *ledger) index(c *Chain, e *record.Event) {
	if c.Card != nil && c.Card.Tier == record.TierPhone {
		for _, t := range e.Touches {
			l.note(PhoneTouch{Key: record.Key{Building: l.building, Kind: t.Kind, ID: t.ID}, Field: t.Field, Dot: e.Dot()})
		}
	}
	if c.Card != nil && c.Card.Tier != record.TierPhone {
		l.believe(c, e)
		for _, r := range e.Refusals {
			l.note(PhoneTouch{Key: record.Key{Building: l.building, Kind: r.Kind, ID: r.ID}, Field: r.Field, Dot: r.Dot, Refused: true})
		}
	}
}

// note inserts a touch or adds a refusal to one that is there.
func (l *ledger) note(t PhoneTouch) {
	w := l.touch(t.Key)
	for i := range w.touches {
		if w.touches[i].same(t) {
			w.touches[i].Refused = w.touches[i].Refused || t.Refused
			return
		}
	}
	w.touches = append(w.touches, t)
}

// admitHead takes a head that its replica's node signed. It returns the alarm code.
func (l *ledger) admitHead(h record.Head) string {
	c := l.chains[h.Replica]
	if c == nil || c.Card == nil {
		return "" // its card may come in a later page, and a head with it
	}
	if h.Verify(l.building, c.Card.PublicKey) != nil {
		return wire.CodeBadSignature
	}
	l.forks.heads = append(l.forks.heads, h)
	if c.beyond(h.N) {
		if c.Signed == nil || c.Signed.N+1 < c.Fork { // it proves to others what lies below the fork
			c.Signed = &h
			l.changed(h.Replica)
		}
		return ""
	}
	known, ok := l.known[record.Dot{Replica: h.Replica, N: h.N}]
	if ok && h.N <= c.Held && known != h.Hash || c.Held == h.N && c.Hash != h.Hash || h.N > c.Held && l.live(h.Replica) ||
		c.Signed != nil && c.Signed.N == h.N && c.Signed.Hash != h.Hash {
		l.forks.proven[h.Replica] = true
		if h.N > c.Held {
			l.forks.ahead[h.Replica] = true
		}
		return wire.CodeChainFork
	}
	if ok && known != h.Hash {
		return wire.CodeChainFork
	}
	if l.sign(c, &h, ok && known == h.Hash) {
		l.changed(h.Replica)
		l.pass(c)
	}
	return ""
}

// admitReceipt takes a peer's statement of what it holds.
func (l *ledger) admitReceipt(r record.Receipt, peer Peer) string {
	c := l.chains[r.Replica]
	if c == nil {
		return ""
	}
	if r.Verify(l.building, peer.PublicKey) != nil {
		return wire.CodeBadSignature
	}
	if known, ok := l.known[record.Dot{Replica: r.Replica, N: r.N}]; ok && known != r.Hash || c.Held == r.N && c.Hash != r.Hash {
		return wire.CodeChainFork
	}
	before := *c
	if c.beyond(r.N) {
		r.N = c.Fork - 1
	}
	if peer.Tier < l.node.Tier {
		c.Receipted = max(c.Receipted, r.N) // several lower ones hold different parts
	}
	phone := c.Card != nil && c.Card.Tier == record.TierPhone
	if peer.Tier == record.TierCloud && phone && (c.Receipt == nil || r.Settled > c.Receipt.Settled) {
		c.Receipt = &r
	}
	if c.Receipted != before.Receipted || c.Receipt != before.Receipt {
		l.changed(r.Replica)
	}
	return ""
}

// gaps lists what this node still wants of the replicas whose events wait.
func (l *ledger) gaps() []wire.Want {
	var out []wire.Want
	for r, rows := range l.waiting {
		c := l.chain(r)
		if len(rows) == 0 {
			continue
		}
		first := slices.MinFunc(rows, func(a, b EventRow) int { return cmp.Compare(a.N, b.N) }).N
		if c.Fork > 0 {
			first = min(first, c.Fork)
		}
		if first > c.Held+1 {
			out = append(out, wire.Want{Replica: r, From: c.Held + 1, To: first - 1})
		}
	}
	slices.SortFunc(out, func(a, b wire.Want) int { return a.Replica.Compare(b.Replica) })
	return out
}

// signedTo reports whether a context may reach number n of a replica: its own node signed
// a number at least as high, or it is this node's and it wrote as many (SPEC R9).
func (l *ledger) signedTo(d record.Dot) string {
	c := l.chains[d.Replica]
	if c == nil || c.Card == nil {
		return wire.CodeReplicaUnknown
	}
	if c.Fork > 0 {
		if d.N >= c.Fork {
			return wire.CodeChainFork
		}
		return ""
	}
	if c.Signed != nil && c.Signed.N >= d.N || c.Card.Node == l.self && c.Held >= d.N {
		return ""
	}
	return wire.CodeContextUnsigned
}
