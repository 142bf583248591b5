package phone

import (
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// A running app that is copied, storage and all, writes twice under one replica: the numbers
// from the copy on name different things in each. Whichever copy comes second to a server is
// told so and remedies its own side (SPEC R33):
//
//	pushed ──chain_fork──▶ new replica, no predecessor ──▶ kept transactions written again ──▶ pushed
//
// The key stays in use until the person signs in anew: the status screen says that another
// device writes as this one.

// firstOwn is the lowest number that may be of another branch: event 1 is the card.
const firstOwn = 2

// forkedMax bounds the list for the status screen.
const forkedMax = 100

// Forked lists own replicas under which another device wrote, too, each with the first number
// that may name two transactions: this app's storage was copied. What this phone kept was
// written again under a new replica; the person should switch the other device off, or sign
// in anew on it.
func (o *Outbox) Forked() []record.Dot { return slices.Clone(o.state.forked) }

// branched looks for transactions that a server refused because it has others under their
// numbers.
func (o *Outbox) branched(now int64, results []wire.PushResult) error {
	first := map[record.ReplicaID]uint64{}
	for _, r := range results {
		refused := slices.ContainsFunc(r.Refused, func(p wire.RefusedPart) bool { return p.Kind == "" && p.Code == wire.CodeChainFork })
		if at, known := first[r.Dot.Replica]; refused && (!known || r.Dot.N < at) {
			first[r.Dot.Replica] = r.Dot.N
		}
	}
	for r, n := range first {
		if _, err := o.fork(now, record.Dot{Replica: r, N: n}); err != nil {
			return err
		}
	}
	return nil
}

// learn takes what a page says of chains with two branches, before anything else of it: of
// this phone's own, by servers that know of the fork or by heads over another history, and of
// all that it holds values of.
func (o *Outbox) learn(now int64, p wire.Page) error {
	for _, d := range p.Forks {
		if _, err := o.fork(now, record.Dot{Replica: d.Replica, N: d.N + 1}); err != nil {
			return err
		}
	}
	for _, h := range p.Heads {
		own, written := o.state.hashes[record.Dot{Replica: h.Replica, N: h.N}]
		first := record.Dot{Replica: h.Replica, N: firstOwn}
		if !written {
			first.N = o.state.n + 1
		}
		same := written && own == h.Hash || !written && (!o.minted || h.Replica != o.state.replica)
		if same || h.Verify(o.config.Building, o.public()) != nil {
			continue
		}
		if _, err := o.fork(now, first); err != nil {
			return err
		}
	}
	if o.state.copies.Learn(p) {
		for k := range o.state.copies.Held {
			o.state.pulled[k] = o.state.copies.Record(k, o)
		}
	}
	return nil
}

// abandon leaves the replicas of these pushes, one of which a server refused without saying
// which. It reports whether there was anything to leave. Of one that was left before only the
// card is there: it is the card that the server has another of.
func (o *Outbox) abandon(now int64, sent []wire.Push) (left bool, err error) {
	sent = slices.DeleteFunc(slices.Clone(sent), func(p wire.Push) bool { return len(p.Transactions) == 0 })
	before := len(o.state.transactions)
	o.state.transactions = slices.DeleteFunc(o.state.transactions, func(t transaction) bool {
		return o.wasForked(t.event.Replica) && slices.ContainsFunc(sent, func(p wire.Push) bool { return p.Head.Replica == t.event.Replica })
	})
	if len(o.state.transactions) < before {
		return true, nil
	}
	for _, p := range sent {
		wrote, err := o.fork(now, record.Dot{Replica: p.Head.Replica, N: firstOwn})
		if err != nil {
			return false, err
		}
		left = left || wrote
	}
	return left, nil
}

func (o *Outbox) wasForked(r record.ReplicaID) bool {
	return slices.ContainsFunc(o.state.forked, func(d record.Dot) bool { return d.Replica == r && d.N <= firstOwn })
}

// fork ends the use of a replica that has two branches from a number on, and writes again,
// under a new one, what this phone keeps of it from there on: value by value and in order,
// action and event time kept. What a transaction replaced it replaces again, less what is of
// the fork itself and no longer here. It reports whether there was anything to write.
func (o *Outbox) fork(now int64, first record.Dot) (wrote bool, err error) {
	if _, ours := o.state.hashes[record.Dot{Replica: first.Replica, N: 1}]; !ours {
		return false, nil
	}
	o.tell(first)
	o.state.copies.Doubt(first.Replica)
	if o.standsOn(first.Replica) {
		// Its card names no predecessor: nobody may know yet up to where both branches agree.
		o.state.replica, o.state.n, o.state.head, o.state.base, o.minted = record.ReplicaID{}, 0, record.Hash{}, record.Dot{}, false
	}
	beyond := func(d record.Dot) bool { return d.Replica == first.Replica && d.N >= first.N }
	var branch []transaction
	kept := o.state.transactions[:0:0]
	for _, t := range o.state.transactions {
		if beyond(t.event.Dot()) {
			branch = append(branch, t)
		} else {
			kept = append(kept, t)
		}
	}
	o.state.transactions = kept
	renamed := map[record.Dot]record.Dot{}
	for i, t := range branch {
		if err := o.writeAgain(now, t, beyond, renamed); err != nil {
			o.state.transactions = append(o.state.transactions, branch[i:]...) // nothing is lost by it
			return false, fmt.Errorf("write %d again under a new replica: %w", t.event.N, err)
		}
	}
	return len(branch) > 0, nil
}

// tell keeps a fork for the status screen.
func (o *Outbox) tell(first record.Dot) {
	at := slices.IndexFunc(o.state.forked, func(d record.Dot) bool { return d.Replica == first.Replica })
	switch {
	case at >= 0:
		o.state.forked[at].N = min(o.state.forked[at].N, first.N)
	case len(o.state.forked) < forkedMax:
		o.state.forked = append(o.state.forked, first)
	}
}

// writeAgain makes a transaction anew. renamed maps those that were to the new ones.
func (o *Outbox) writeAgain(now int64, t transaction, beyond func(record.Dot) bool, renamed map[record.Dot]record.Dot) error {
	var touches []record.Touch
	var details record.Details
	for i, touch := range t.event.Touches {
		key := record.Key{Building: o.config.Building, Kind: touch.Kind, ID: touch.ID}
		if o.refused(t.event.Dot(), key, touch.Field) || i >= len(t.details) {
			continue
		}
		var replaced []record.Sibling
		for j, d := range touch.Replaced {
			if again, ok := renamed[d]; ok {
				d = again
			} else if beyond(d) {
				continue
			}
			replaced = append(replaced, record.Sibling{Dot: d, Value: t.details[i].Old[j]})
		}
		slices.SortFunc(replaced, record.Sibling.CompareIdentity)
		if len(replaced)+len(t.details[i].New) == 0 {
			continue
		}
		again, detail, err := o.hashed(key, touch.Field, replaced, t.details[i].New)
		if err != nil {
			return err
		}
		touches, details = append(touches, again), append(details, detail)
	}
	if len(touches) == 0 {
		return nil
	}
	if err := o.mint(now); err != nil {
		return err
	}
	dot, err := o.append(now, record.Event{EventTime: t.event.EventTime, Actor: t.event.Actor, Action: t.event.Action, Touches: touches}, details)
	renamed[t.event.Dot()] = dot
	return err
}
