package replica

import (
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
)

// beyondMax bounds the transactions that a statement looks at: as many as may wait behind a
// gap.
const beyondMax = waitingMax

// beyond says, at the cloud, which transactions of a phone's chain are settled above the
// number up to which all are; nil where there are none. Only a number that is lost here, or
// has a part that is neither in its record nor refused, has any above it (SPEC R13).
func (n *Node) beyond(ctx context.Context, building record.ID, r record.Receipt) (*record.Beyond, error) {
	have, err := n.Store.Load(ctx, building, Need{Chains: []record.ReplicaID{r.Replica}})
	if err != nil {
		return nil, fmt.Errorf("load chain: %w", err)
	}
	c := have.Chains[r.Replica]
	signed := uint64(0)
	if c.Signed != nil {
		signed = c.Signed.N
	}
	if n.Tier != record.TierCloud || c.Card == nil || c.Card.Tier != record.TierPhone || max(signed, c.Held) <= r.Settled {
		return nil, nil
	}
	rows, err := n.Store.Events(ctx, building, r.Replica, r.Settled+1, ^uint64(0), beyondMax)
	if err != nil {
		return nil, fmt.Errorf("read events after %d: %w", r.Settled, err)
	}
	var events []record.Event
	var need Need
	for _, row := range rows {
		e, err := record.DecodeEvent(row.Body)
		if err != nil {
			continue // of a newer release: nobody can say what became of it
		}
		events = append(events, e)
		need.Keys = append(need.Keys, keysOf(building, e)...)
	}
	slices.SortFunc(need.Keys, record.Key.Compare)
	need.Keys = slices.Compact(need.Keys)
	if have, err = n.Store.Load(ctx, building, need); err != nil {
		return nil, fmt.Errorf("load records: %w", err)
	}
	if err := loadChains(ctx, func(ctx context.Context, need Need) (Have, error) { return n.Store.Load(ctx, building, need) }, &have, []record.ReplicaID{r.Replica}); err != nil {
		return nil, err
	}
	l := newLedger(n, building, record.ID{}, have, need.Keys)
	out := record.Beyond{Replica: r.Replica}
	for _, e := range events {
		if !l.isSettled(e) || len(out.Spans) == record.BeyondSpansMax {
			continue
		}
		if last := len(out.Spans) - 1; last >= 0 && out.Spans[last].To+1 == e.N {
			out.Spans[last].To = e.N
		} else {
			out.Spans = append(out.Spans, record.Span{From: e.N, To: e.N})
		}
	}
	if len(out.Spans) == 0 {
		return nil, nil
	}
	out = record.SignBeyond(n.Key, building, out)
	return &out, nil
}

// isSettled reports whether every part of a transaction is in its record here, or refused.
func (l *ledger) isSettled(e record.Event) bool {
	return !slices.ContainsFunc(e.Touches, func(t record.Touch) bool {
		return l.isOpen(record.Key{Building: l.building, Kind: t.Kind, ID: t.ID}, t.Field, e.Dot())
	})
}
