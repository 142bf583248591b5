package replica

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// newCards picks, of the cards that a phone brings, those of replicas that this node does
// not know and that are genuine: the phone's own, and those that a trusted server vouched
// for. A phone's word alone makes no card: with another predecessor it would cover other
// values, and it would squat on the chain.
func (n *Node) newCards(ctx context.Context, building record.ID, peer Peer, in []wire.Vouched, heads []record.Head) ([]*incoming, error) {
	if len(in) == 0 {
		return nil, nil
	}
	var need Need
	for _, v := range in {
		need.Chains = append(need.Chains, v.Card.Replica)
	}
	have, err := n.Store.Load(ctx, building, need)
	if err != nil {
		return nil, fmt.Errorf("load chains of cards: %w", err)
	}
	trusted := &trusts{node: n, building: building, known: map[record.ID]record.Tier{}}
	var out []*incoming
	for _, v := range in {
		events, _ := decodeEvents(new(record.Decoder), building, []wire.EventItem{{Body: v.Card.Body}})
		if len(events) != 1 || events[0].event.Card == nil || events[0].event.Card.Validate() != nil {
			continue
		}
		e := events[0]
		if have.Chains[e.row.Replica].Card != nil || slices.ContainsFunc(out, func(o *incoming) bool { return o.row.Replica == e.row.Replica }) {
			continue
		}
		ok, err := trusted.card(ctx, peer, e, v, heads)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// trusts asks once for each node whether it may act in a tier.
type trusts struct {
	node     *Node
	building record.ID
	known    map[record.ID]record.Tier // zero for none
	looked   bool                      // at the chains that the node has
}

func (t *trusts) card(ctx context.Context, peer Peer, e *incoming, v wire.Vouched, heads []record.Head) (bool, error) {
	card := e.event.Card
	if card.Node == peer.Node {
		// Whoever it is that says so: the phone's key signed a head of this replica.
		signed := slices.ContainsFunc(heads, func(h record.Head) bool {
			return h.Replica == e.row.Replica && h.Verify(t.building, card.PublicKey) == nil
		})
		return card.Tier == record.TierPhone && signed, nil
	}
	r := v.Receipt
	signed := r.Verify(t.building, v.Issuer) == nil
	if !signed || r.Replica != e.row.Replica || r.N != 1 || r.Hash != e.row.Hash {
		return false, nil
	}
	issuer, err := t.tier(ctx, r.Issuer)
	if err != nil || issuer == 0 {
		return false, err
	}
	if card.Tier == record.TierPhone || card.Tier == record.TierEdge && t.node.Tier == record.TierEdge && issuer == record.TierCloud {
		return true, nil // the cloud knows them all
	}
	tier, err := t.tier(ctx, card.Node)
	return tier == card.Tier, err
}

// tier is where a server may act; zero for nowhere.
func (t *trusts) tier(ctx context.Context, node record.ID) (record.Tier, error) {
	if node == t.node.ID() {
		return t.node.Tier, nil
	}
	if tier, ok := t.known[node]; ok {
		return tier, nil
	}
	t.known[node] = 0
	for _, tier := range []record.Tier{record.TierCloud, record.TierEdge} {
		ok, err := t.node.Trusted(ctx, t.building, node, tier)
		if err != nil {
			return 0, fmt.Errorf("look up node %s: %w", node, err)
		}
		if ok {
			t.known[node] = tier
			return tier, nil
		}
	}
	if t.node.Tier != record.TierEdge {
		return 0, nil
	}
	if err := t.neighbours(ctx); err != nil {
		return 0, err
	}
	return t.known[node], nil
}

// neighbours learns, once, which other edges an edge has a card of: they came from the
// cloud, or with its receipt.
func (t *trusts) neighbours(ctx context.Context) error {
	if t.looked {
		return nil
	}
	t.looked = true
	chains, err := t.node.Store.Chains(ctx, t.building)
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	for _, c := range chains {
		if c.Card != nil && c.Card.Tier == record.TierEdge {
			t.known[c.Card.Node] = record.TierEdge
		}
	}
	return nil
}

// prove takes the cards and heads that a push brings of other replicas. What does not
// verify proves nothing, and refuses nothing either.
func (p *push) prove(l *ledger) {
	l.ownSigned = p.node.signedBy(p.building, p.heads)
	for _, c := range p.cards {
		_ = l.admitEvent(c)
	}
	for _, h := range p.heads {
		_ = l.admitHead(h)
	}
}

// proven is a phone's event less the replaced numbers that nobody is known to have signed,
// and less those under which another value stands here than its author was shown: a branch
// of a fork. The value is admitted all the same: what it was meant to replace stands beside
// it, should it ever come, and a number of the future takes nothing away (SPEC R9).
func (l *ledger) proven(e record.Event, details record.Details) record.Event {
	e.Touches = slices.Clone(e.Touches)
	for i, t := range e.Touches {
		e.Touches[i].Replaced = slices.DeleteFunc(slices.Clone(t.Replaced), func(d record.Dot) bool {
			if d.Replica == e.Replica {
				return d.N >= e.N
			}
			if l.signedTo(d) != "" || l.forks.proven[d.Replica] {
				return true
			}
			return i < len(details) && slices.ContainsFunc(l.work(record.Key{Building: l.building, Kind: t.Kind, ID: t.ID}).record.Siblings(t.Field), func(s record.Sibling) bool {
				return s.Dot == d && !slices.ContainsFunc(details[i].Old, func(v record.Value) bool { return bytes.Equal(v, s.Value) })
			})
		})
	}
	return e
}

// replacedBy lists the highest number of each replica that events replace, ordered.
func replacedBy(events []*incoming) []record.Dot {
	var all []record.Event
	for _, e := range events {
		all = append(all, e.event)
	}
	return Replaced(all)
}

// Replaced lists the highest number of each replica that transactions replace, ordered.
func Replaced(events []record.Event) []record.Dot {
	highest := map[record.ReplicaID]uint64{}
	for _, e := range events {
		for _, t := range e.Touches {
			for _, d := range t.Replaced {
				highest[d.Replica] = max(highest[d.Replica], d.N)
			}
		}
	}
	out := make([]record.Dot, 0, len(highest))
	for r, n := range highest {
		out = append(out, record.Dot{Replica: r, N: n})
	}
	slices.SortFunc(out, record.Dot.Compare)
	return out
}

// Proofs are what a phone keeps of the replicas whose values it was shown: their cards with
// a server's receipt, and heads that verified. It brings the highest of each along when it
// replaces such a value, for the server may never have seen it, or have lost it.
type Proofs struct {
	Cards map[record.ReplicaID]wire.Vouched
	Heads map[record.ReplicaID]record.Head
	// Trail are heads in the order in which they were shown. One without a number stands between
	// such that need not be of one history: another server showed them, or a lower one came
	// later. Where a head turns out to be of another history than a server's, those before it on
	// its stretch tell how far back the two agree.
	Trail map[record.ReplicaID][]record.Head
	// Shown says when, in the order of pages, a head of a replica was last news, and by whom;
	// Asked up to when each server has been told. Held is how far servers have shown to hold
	// chains: what lies beyond they cannot compare yet, and are told again. So does an app that
	// was started anew.
	Shown map[record.ReplicaID]Shown
	Asked map[record.ID]uint64
	Held  map[record.ID]map[record.ReplicaID]uint64
	asks  map[record.ID]uint64
	last  uint64
}

// Shown is the page that brought a head, and its server.
type Shown struct {
	At uint64
	By record.ID
}

// trailMax bounds the trail of one replica: heads lie the further apart the older they are.
const trailMax = 12

// Clone copies the proofs.
func (p Proofs) Clone() Proofs {
	p.Cards, p.Heads, p.Shown, p.Asked, p.asks = maps.Clone(p.Cards), maps.Clone(p.Heads), maps.Clone(p.Shown), maps.Clone(p.Asked), maps.Clone(p.asks)
	p.Held = maps.Clone(p.Held)
	for server, held := range p.Held {
		p.Held[server] = maps.Clone(held)
	}
	p.Trail = maps.Clone(p.Trail) // their lists are never changed in place
	return p
}

// Take keeps what a page of the building proves.
func (p *Proofs) Take(building record.ID, page wire.Page) {
	if p.Cards == nil {
		p.Cards, p.Heads, p.Trail = map[record.ReplicaID]wire.Vouched{}, map[record.ReplicaID]record.Head{}, map[record.ReplicaID][]record.Head{}
	}
	if p.Shown == nil {
		p.Shown, p.Asked, p.Held = map[record.ReplicaID]Shown{}, map[record.ID]uint64{}, map[record.ID]map[record.ReplicaID]uint64{}
	}
	for _, item := range page.Events {
		e, err := record.DecodeEvent(item.Body)
		if err != nil || e.Building != building || e.Card == nil || e.Card.Validate() != nil {
			continue
		}
		if known, ok := p.Cards[e.Replica]; ok && len(known.Issuer) > 0 {
			continue
		}
		v := wire.Vouched{Card: wire.EventItem{Body: item.Body, Replica: e.Replica, N: e.N}}
		for _, r := range page.Vouched {
			if r.Replica == e.Replica && r.N == e.N && r.Hash == record.HashEvent(item.Body) && r.Verify(building, page.Issuer) == nil {
				v.Issuer, v.Receipt = page.Issuer, r
			}
		}
		p.Cards[e.Replica] = v
	}
	server := record.ID{}
	if len(page.Issuer) == ed25519.PublicKeySize {
		server = record.NodeID(page.Issuer)
	}
	p.last++
	held := p.Held[server]
	if held == nil {
		held = map[record.ReplicaID]uint64{}
		p.Held[server] = held
	}
	for _, h := range page.Heads {
		card, ok := p.card(h.Replica)
		if !ok || h.Verify(building, card.PublicKey) != nil {
			continue
		}
		held[h.Replica] = max(held[h.Replica], h.N)
		if p.news(h) {
			p.keep(h, p.Shown[h.Replica].By == server)
			p.Shown[h.Replica] = Shown{At: p.last, By: server}
		}
	}
	p.Asked[server] = p.asks[server]
}

func (p *Proofs) card(r record.ReplicaID) (record.Card, bool) {
	e, err := record.DecodeEvent(p.Cards[r].Card.Body)
	if err != nil || e.Card == nil {
		return record.Card{}, false
	}
	return *e.Card, true
}

// Prove adds to a push what is kept of the replicas whose numbers it replaces, and the
// cards of their predecessors. own proves numbers of the phone itself; it may be unable to.
func (p *Proofs) Prove(push *wire.Push, replaced []record.Dot, own func(record.Dot) (record.Head, wire.EventItem, bool)) {
	replaced = slices.DeleteFunc(slices.Clone(replaced), func(d record.Dot) bool { return d.Replica == push.Head.Replica })
	push.Heads, push.Cards = p.collect(push.Heads, push.Cards, replaced, own)
}

// collect adds heads that reach numbers, and the cards of their replicas with those of the
// predecessors, which decide what an entry covers. It adds nothing twice.
func (p *Proofs) collect(heads []record.Head, cards []wire.Vouched, dots []record.Dot, own func(record.Dot) (record.Head, wire.EventItem, bool)) ([]record.Head, []wire.Vouched) {
	for _, d := range dots {
		if len(heads) == wire.PushProofsMax || len(cards) == wire.PushProofsMax {
			break
		}
		if slices.ContainsFunc(heads, func(h record.Head) bool { return h.Replica == d.Replica && h.N >= d.N }) {
			continue
		}
		head, card, ours := own(d)
		if !ours {
			if head = p.Heads[d.Replica]; head.N < d.N {
				continue
			}
		}
		heads = append(heads, head)
		for r := d.Replica; len(cards) < wire.PushProofsMax; {
			v := wire.Vouched{Card: card}
			if !ours {
				v = p.Cards[r]
			}
			e, err := record.DecodeEvent(v.Card.Body)
			if err != nil || e.Card == nil || slices.ContainsFunc(cards, func(v wire.Vouched) bool { return v.Card.Replica == r }) {
				break
			}
			cards = append(cards, v)
			if !ours && r != d.Replica && len(heads) < wire.PushProofsMax {
				if head, ok := p.Heads[r]; ok {
					// Its writer may have lost it: it takes its own card back for a head of its own only.
					heads = append(heads, head)
				}
			}
			before := e.Card.Predecessor
			r = before.Replica
			if ours {
				if head, card, ours = own(before); ours && len(heads) < wire.PushProofsMax {
					heads = append(heads, head)
				}
			}
		}
	}
	return heads, cards
}
