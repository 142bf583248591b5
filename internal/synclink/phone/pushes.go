package phone

import (
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// pushBytesGoal keeps one push far below the frame limit.
const pushBytesGoal = 1 << 20

// Hello opens an exchange with a server.
func (o *Outbox) Hello(now int64, schema uint64) wire.Hello {
	return wire.Hello{Protocol: wire.Protocol, Schema: schema, Building: o.config.Building, Node: o.Node(), Tier: record.TierPhone, Time: now + o.state.offset}
}

// Pushes lists what to send to a server: transactions that the cloud has not settled and
// that the server is not known to hold, in number order, at most pushesMax pushes. A
// replica with nothing to send but something unsettled sends its head alone, to be told
// how far it is settled.
func (o *Outbox) Pushes(server string, pushesMax int) []wire.Push {
	var out []wire.Push
	for _, id := range o.unsettledReplicas() {
		for _, batch := range batches(o.unsent(server, id)) {
			if len(out) == pushesMax {
				return out
			}
			p := wire.Push{ID: uint64(len(out) + 1), Transactions: batch}
			last := o.lastOf(id)
			if len(batch) > 0 {
				last = batch[len(batch)-1].N
			}
			p.Head = record.SignHead(o.config.Key, o.config.Building, id, last, o.state.hashes[record.Dot{Replica: id, N: last}])
			o.prove(&p)
			out = append(out, p)
		}
	}
	return out
}

// prove adds to a push the heads and cards of the replicas whose numbers it replaces. Of
// its own replicas the phone signs what it still has the hash and the card of.
func (o *Outbox) prove(p *wire.Push) {
	var events []record.Event
	for _, t := range o.state.transactions {
		dot := t.event.Dot()
		if slices.ContainsFunc(p.Transactions, func(i wire.EventItem) bool { return i.Replica == dot.Replica && i.N == dot.N }) {
			events = append(events, t.event)
		}
	}
	o.state.proofs.Prove(p, replica.Replaced(events), o.ownProof())
	replica.Follow(p, func(d record.Dot) (record.Head, bool) {
		hash, ours := o.state.hashes[d]
		return record.SignHead(o.config.Key, o.config.Building, d.Replica, d.N, hash), ours
	})
}

// unsent lists what a server may not hold yet of an own replica. The card goes first to
// every server that is not known to have it, settled or not: nobody can judge what follows
// without it.
func (o *Outbox) unsent(server string, id record.ReplicaID) []wire.EventItem {
	upTo := o.held[server].upTo[id]
	var out []wire.EventItem
	for _, t := range o.state.transactions {
		if t.event.Replica == id && t.event.N > upTo && (!t.settled || t.event.Card != nil) {
			out = append(out, wire.EventItem{Body: t.body, Details: t.encoded, Replica: id, N: t.event.N})
		}
	}
	return out
}

// batches cuts transactions into pushes within the limits; one empty batch for none.
func batches(items []wire.EventItem) [][]wire.EventItem {
	var out [][]wire.EventItem
	start, size := 0, 0
	for i, item := range items {
		n := len(item.Body) + len(item.Details)
		if i > start && (i-start >= wire.PushItemsMax || size+n > pushBytesGoal) {
			out = append(out, items[start:i])
			start, size = i, 0
		}
		size += n
	}
	return append(out, items[start:])
}

func (o *Outbox) lastOf(id record.ReplicaID) uint64 {
	last := uint64(0)
	for _, t := range o.state.transactions {
		if t.event.Replica == id {
			last = max(last, t.event.N)
		}
	}
	return last
}

func (o *Outbox) unsettledReplicas() []record.ReplicaID {
	var out []record.ReplicaID
	for _, t := range o.state.transactions {
		if !t.settled && !slices.Contains(out, t.event.Replica) {
			out = append(out, t.event.Replica)
		}
	}
	return out
}
