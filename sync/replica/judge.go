package replica

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// undecided is the judgement on a part whose rights are those of a record that is not here:
// it may be on its way, by the other server or after its author's clock was set right. It
// never leaves this package.
const undecided = "undecided"

// standing is the judgement on a value that the same app has given the field already and
// that still is all it holds: it counts as admitted and adds nothing. It never leaves this
// package.
const standing = "standing"

// parentWaitMax is how old a transaction grows before the cloud refuses it for a record that
// never came: longer than any edge is expected to stay without a link, so that by then the
// record was refused, or is lost. Its event and values are kept in either case, so that
// waiting takes no more room than a refusal.
const parentWaitMax = 90 * 24 * 3600 * 1000 // milliseconds

// heldMax bounds the earlier transactions that one push decides on: as many as a push of
// their own could bring.
const heldMax = wire.PushItemsMax

// waiting finds the transactions of earlier pushes with a part that is still undecided. They
// are as good as pushed again: the phone's head, which comes with each push, covers them.
func (p *push) waiting(ctx context.Context) error {
	r := p.head.Replica
	have, err := p.node.Store.Load(ctx, p.building, Need{Chains: []record.ReplicaID{r}, Unsettled: []record.ReplicaID{r}})
	if err != nil {
		return fmt.Errorf("load what waits: %w", err)
	}
	last := have.Chains[r].Held
	for next, open := have.Unsettled[r]; open && next <= last && len(p.held) < heldMax; {
		rows, err := p.node.Store.Events(ctx, p.building, r, next, min(last, next+heldMax-1), heldMax)
		if err != nil {
			return fmt.Errorf("read what waits: %w", err)
		}
		for _, row := range rows {
			if p.isChild(row) && len(p.held) < heldMax && !slices.ContainsFunc(p.events, func(e *incoming) bool { return e.row.N == row.N }) {
				e, _ := record.DecodeEvent(row.Body)
				p.held = append(p.held, &incoming{row: row, event: e})
			}
		}
		next += heldMax
	}
	return nil
}

// isChild reports whether an event names the record whose rights one that it writes shares,
// with its values at hand.
func (p *push) isChild(row EventRow) bool {
	e, err := record.DecodeEvent(row.Body)
	if err != nil || e.Actor.Person != p.peer.Person {
		return false // rights are the author's, who may have had this phone before
	}
	details, err := record.DecodeDetails(row.Details)
	if err != nil || details.Check(e) != nil {
		return false
	}
	return slices.ContainsFunc(keysOf(p.building, e), func(k record.Key) bool {
		_, ok := p.node.Rules.Parent(k, record.Delta(e, details, k, func(string) bool { return true }))
		return ok
	})
}

// roundsMax is how deep records can share the rights of each other, and one more: a part
// that waits is looked at again when something was admitted that it may wait for.
const roundsMax = 3

// admitAll decides on what was pushed and on what waited, in the order of their numbers. What
// waited is answered only where it is refused now.
func (p *push) admitAll(l *ledger, out *wire.Pushed) {
	held := slices.DeleteFunc(slices.Clone(p.held), func(e *incoming) bool { return l.chains[e.row.Replica].beyond(e.row.N) })
	all := slices.Concat(held, p.taken)
	slices.SortStableFunc(all, func(a, b *incoming) int { return a.event.Dot().Compare(b.event.Dot()) })
	results := make(map[record.Dot]wire.PushResult, len(all))
	for round, left := 0, all; round < roundsMax && len(left) > 0; round++ {
		var still []*incoming
		for _, e := range left {
			result, waits := p.admitOne(l, e)
			if before, again := results[result.Dot]; again {
				result.Refused = withOlder(before.Refused, result.Refused)
			}
			results[result.Dot] = result
			if waits {
				still = append(still, e)
			}
		}
		left = still
	}
	for _, e := range p.taken {
		out.Results = append(out.Results, results[e.event.Dot()])
	}
	for _, e := range held {
		if result := results[e.event.Dot()]; len(result.Refused) > 0 {
			out.Results = append(out.Results, result)
		}
	}
}

// withOlder adds to what was refused before what a further look refused.
func withOlder(before, now []wire.RefusedPart) []wire.RefusedPart {
	for _, part := range now {
		if !slices.ContainsFunc(before, func(o wire.RefusedPart) bool { return o.Kind == part.Kind && o.ID == part.ID && o.Field == part.Field }) {
			before = append(before, part)
		}
	}
	return before
}

// judge decides on one field of a transaction. Admitted by one authority is admitted, and
// who knows of a refusal before deciding follows it (SPEC R7).
func (p *push) judge(l *ledger, e record.Event, k record.Key, t record.Touch, values []record.Value, detailed bool) (code string, earlier bool) {
	w := l.work(k)
	if merge.Covers(w.record.Context, t.Field, e.Dot(), l) {
		return "", false
	}
	for _, known := range w.touches {
		if known.Refused && known.Field == t.Field && known.Dot == e.Dot() {
			return wire.CodeFieldForbidden, true
		}
	}
	kind, ok := l.node.Rules.Kind(k.Kind)
	if !ok {
		return wire.CodeKindUnknown, false
	}
	if !kind.EdgeWrites {
		return wire.CodeKindNotYours, false // its records are the cloud's alone, wherever a phone pushes
	}
	rule, ok := l.node.Rules.Field(k.Kind, t.Field)
	if !ok {
		return wire.CodeFieldUnknown, false
	}
	switch {
	case !detailed || !t.New.IsZero() && len(values) == 0:
		return wire.CodeEventMalformed, false // the values that the event hashed did not come
	case repeated(e, t):
		return wire.CodeEventMalformed, false // its values would share one dot, and nobody could remove one
	case e.Actor.Class != record.Person:
		return wire.CodeFieldForbidden, false
	case hlc.Ahead(e.Stamp, l.now):
		return wire.CodeClockAhead, false
	case rule.Policy.Kind == merge.Set && len(values) > 1:
		return wire.CodeSetManyElements, false
	case rule.Policy.Kind != merge.Set && len(values) > 1:
		return wire.CodeValueInvalid, false
	case kind.Immutable && p.stands(l, rule, w.record.Siblings(t.Field), t, values):
		return standing, false
	case kind.Immutable && (len(w.record.Siblings(t.Field)) > 0 || len(t.Replaced) > 0):
		parent, _ := p.parent(l, e, k, w.record)
		if p.reissued(l, rule, w.record.Siblings(t.Field), t, values) && p.admit(k, t.Field, values, record.Record{}, parent) == "" {
			return standing, false
		}
		return wire.CodeImmutable, false
	}
	parent, absent := p.parent(l, e, k, w.record)
	code = p.admit(k, t.Field, values, w.record, parent)
	if code == wire.CodeRecordForbidden && absent && !p.overdue(l, e) {
		code = undecided
	}
	if siblings := w.record.Siblings(t.Field); code == wire.CodeFieldForbidden && (p.stands(l, rule, siblings, t, values) || p.reissued(l, rule, siblings, t, values)) {
		code = standing
	}
	return code, false
}

// stands reports whether a write replaces nothing and gives a field the one value that this
// app gave it already: written again because another server refused the first for its stamp.
func (p *push) stands(l *ledger, rule FieldRule, siblings []record.Sibling, t record.Touch, values []record.Value) bool {
	return repeats(l, rule, siblings, t, values, func(c record.Card) bool { return c.Node == p.peer.Node })
}

// reissued is stands for an app that was copied while it ran: what it wrote beyond the fork
// stands under the name of the server that wrote it again (SPEC R33).
func (p *push) reissued(l *ledger, rule FieldRule, siblings []record.Sibling, t record.Touch, values []record.Value) bool {
	for _, c := range l.chains {
		if c.Fork > 0 && c.Card != nil && c.Card.Node == p.peer.Node {
			return repeats(l, rule, siblings, t, values, func(c record.Card) bool { return c.Node == p.peer.Node || c.Tier != record.TierPhone })
		}
	}
	return false
}

// repeats reports whether a write replaces nothing and gives a field the one value that it
// has of a person already, by some of these writers.
func repeats(l *ledger, rule FieldRule, siblings []record.Sibling, t record.Touch, values []record.Value, by func(record.Card) bool) bool {
	if rule.Policy.Kind == merge.Set || len(values) != 1 || len(t.Replaced) > 0 || len(siblings) == 0 {
		return false
	}
	return !slices.ContainsFunc(siblings, func(s record.Sibling) bool {
		card, ok := l.Card(s.Dot.Replica)
		return !ok || !by(card) || s.Class != record.Person || !bytes.Equal(s.Value, values[0])
	})
}

// overdue reports whether the cloud waits no longer for the record that a transaction names.
// An edge never refuses for what it lacks: the cloud may have it.
func (p *push) overdue(l *ledger, e record.Event) bool {
	return p.node.Tier == record.TierCloud && e.Stamp.Millis()+parentWaitMax < l.now
}

// parent is the record whose rights the one at hand shares: the stored one's parent, for
// nobody gives himself rights by naming another; the proposed one's only where there is
// none yet. absent says that there is such a record and that it is not here.
func (p *push) parent(l *ledger, e record.Event, k record.Key, stored record.Record) (parent record.Record, absent bool) {
	pk, ok := l.node.Rules.Parent(k, stored)
	if !ok {
		pk, ok = l.node.Rules.Parent(k, p.proposed(l, e, k, stored))
	}
	if w := l.records[pk]; ok && w != nil { // else it is none of those that the transaction was read for
		return w.record, w.record.IsZero()
	}
	return record.Record{}, ok
}

// repeated reports whether an event touches a field more than once.
func repeated(e record.Event, t record.Touch) bool {
	n := 0
	for _, o := range e.Touches {
		if o.Field == t.Field && o.ID == t.ID && o.Kind == t.Kind {
			n++
		}
	}
	return n > 1
}

// proposed is the record as it would be with the whole transaction and with what of earlier
// ones of this phone is undecided, to find its parent.
func (p *push) proposed(l *ledger, e record.Event, k record.Key, current record.Record) record.Record {
	for _, in := range slices.Concat(p.held, p.taken) {
		if in.event.N > e.N || !touches(in.event, k) {
			continue
		}
		if d, err := record.DecodeDetails(in.row.Details); err == nil {
			current = merge.Merge(current, record.Delta(in.event, d, k, func(field string) bool { return in.event.N == e.N || l.isOpen(k, field, in.event.Dot()) }), l)
		}
	}
	return current
}

// isOpen reports whether a part of a phone's transaction is neither in its record nor
// refused.
func (l *ledger) isOpen(k record.Key, field string, d record.Dot) bool {
	w := l.work(k)
	refused := slices.ContainsFunc(w.touches, func(p PhoneTouch) bool { return p.Refused && p.Field == field && p.Dot == d })
	return !refused && !merge.Covers(w.record.Context, field, d, l)
}

// parents finds the records whose rights the pushed ones share: as the transactions say,
// and as stored.
func (p *push) parents(ctx context.Context, keys []record.Key) ([]record.Key, error) {
	var out []record.Key
	have, err := p.node.Store.Load(ctx, p.building, Need{Keys: keys})
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		stored := have.Records[k].Record
		states := []record.Record{stored}
		for _, e := range slices.Concat(p.held, p.events) {
			if !touches(e.event, k) {
				continue
			}
			if d, err := record.DecodeDetails(e.row.Details); err == nil {
				delta := record.Delta(e.event, d, k, func(string) bool { return true })
				states = append(states, merge.Merge(stored, delta, merge.NoLineage{}), merge.Merge(states[len(states)-1], delta, merge.NoLineage{}))
			}
		}
		for _, state := range states {
			if parent, ok := p.node.Rules.Parent(k, state); ok {
				out = append(out, parent)
			}
		}
	}
	return out, nil
}

func touches(e record.Event, k record.Key) bool {
	return slices.ContainsFunc(e.Touches, func(t record.Touch) bool { return t.Kind == k.Kind && t.ID == k.ID })
}
