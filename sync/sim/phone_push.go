package sim

import (
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// Outbox lists the replicas that have open transactions, ordered.
func (p *Phone) Outbox() []record.ReplicaID {
	var out []record.ReplicaID
	for _, t := range p.State.Log {
		out = append(out, t.Event.Replica)
	}
	slices.SortFunc(out, record.ID.Compare)
	return slices.Compact(out)
}

// Push is the next push for one of the phone's replicas: its card and the open
// transactions, at most limit of them.
func (p *Phone) Push(r record.ReplicaID, limit int) wire.Push {
	c := p.State.Chains[r]
	push := wire.Push{Head: c.Head, Transactions: []wire.EventItem{c.Events[0]}}
	for _, t := range p.State.Log {
		if t.Event.Replica == r && t.Event.N > 1 && len(push.Transactions) <= limit {
			push.Transactions = append(push.Transactions, c.Events[t.Event.N-1])
		}
	}
	p.headOf(c, &push)
	p.prove(&push)
	return push
}

// headOf signs what is pushed of a chain and no more: a head proves what comes with it, and
// what is not sent yet may be written again elsewhere (SPEC R33).
func (p *Phone) headOf(c *PhoneChain, push *wire.Push) {
	n := push.Transactions[len(push.Transactions)-1].N
	push.Head = record.SignHead(p.Key, p.Building, push.Head.Replica, n, c.Hashes[n-1])
}

// prove adds the heads and cards of the replicas whose numbers a push replaces.
func (p *Phone) prove(push *wire.Push) {
	var events []record.Event
	for _, item := range push.Transactions {
		if e, err := record.DecodeEvent(item.Body); err == nil {
			events = append(events, e)
		}
	}
	p.State.Proofs.Prove(push, replica.Replaced(events), p.own)
	replica.Follow(push, func(d record.Dot) (record.Head, bool) {
		c := p.State.Chains[d.Replica]
		if c == nil || c.Head.N < d.N {
			return record.Head{}, false
		}
		return record.SignHead(p.Key, p.Building, d.Replica, d.N, c.Hashes[d.N-1]), true
	})
}

// own proves a number of one of the phone's own replicas.
func (p *Phone) own(d record.Dot) (record.Head, wire.EventItem, bool) {
	c := p.State.Chains[d.Replica]
	if c == nil || c.Head.N < d.N || p.State.Copies.Doubted(d) {
		return record.Head{}, wire.EventItem{}, false
	}
	return record.SignHead(p.Key, p.Building, d.Replica, d.N, c.Hashes[d.N-1]), c.Events[0], true
}

// Answer is what the phone pushes next to a server that wants events of its chain. Where it
// has let go of them, what it writes from now on goes under a replica that does not stand on
// them (SPEC R13).
func (p *Phone) Answer(w wire.Want) (wire.Push, bool) {
	c := p.State.Chains[w.Replica]
	if c == nil || w.From == 0 || w.To > uint64(len(c.Events)) {
		return wire.Push{}, false
	}
	if len(c.Events[w.From-1].Body) == 0 {
		p.leave(record.Dot{Replica: w.Replica, N: w.From - 1})
		return wire.Push{}, false
	}
	for n := w.From; n <= w.To; n++ {
		if len(c.Events[n-1].Body) == 0 {
			w.To = n - 1
		}
	}
	push := wire.Push{Head: c.Head, Transactions: slices.Clone(c.Events[w.From-1 : w.To])}
	p.headOf(c, &push)
	p.prove(&push)
	return push, true
}

// leave starts a new replica at the next write, on the last number that a server holds of an
// unbroken chain.
func (p *Phone) leave(last record.Dot) {
	s := &p.State
	lost := s.Replica == last.Replica
	for r := s.Replica; !lost && !r.IsZero(); {
		r = s.Cards[r].Predecessor.Replica
		lost = r == last.Replica
	}
	if lost && (s.Base.N == 0 || last.Compare(s.Base) < 0) {
		s.Base, s.Replica = last, record.ReplicaID{}
	}
}
