package replica

import (
	"context"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// Erasure of values (SPEC R32): an event of the cloud's lists transactions; every store that
// takes the event into its chain drops their details in the same transaction, and whatever
// comes of them later. Hashes, links and what records show now stay.

// erase notes what an event erases. Only the cloud's word counts: from another tier it is a
// link like any other, or a stolen box could destroy evidence.
func (l *ledger) erase(c *Chain, e *record.Event) {
	if len(e.Erasures) == 0 || c.Card == nil || c.Card.Tier != record.TierCloud {
		return
	}
	for _, d := range e.Erasures {
		if _, done := l.erased[d]; !done {
			l.erased[d] = e.Dot()
			l.out.Erasures = append(l.out.Erasures, Erasure{Dot: d, By: e.Dot()})
		}
	}
}

// dropErased keeps what is to be stored free of details that were erased before they came.
func (l *ledger) dropErased() {
	if len(l.erased) == 0 {
		return
	}
	for _, rows := range [][]EventRow{l.out.Events, l.out.Branches} {
		for i, r := range rows {
			if _, gone := l.erased[record.Dot{Replica: r.Replica, N: r.N}]; gone {
				rows[i].Details = nil
			}
		}
	}
}

// Erased says what an erasure did.
type Erased struct {
	// Events are those that erase, this node's own: empty where all was erased before.
	Events []record.Dot
	// Dots are the transactions that were not erased before, ascending.
	Dots []record.Dot
}

// Erase has the details of transactions erased wherever they lie, as events of this node's
// in the name of an actor. Transactions that are erased already are left out. It returns a
// Refusal anywhere but at the cloud, and for more than ErasuresMax transactions.
func (n *Node) Erase(ctx context.Context, building record.ID, actor record.Actor, action string, dots []record.Dot) (Erased, error) {
	if n.Tier != record.TierCloud {
		return Erased{}, refuse(wire.CodeKindNotYours, "values are erased at the cloud")
	}
	dots = slices.Clone(dots)
	slices.SortFunc(dots, record.Dot.Compare)
	dots = slices.Compact(dots)
	if len(dots) > record.ErasuresMax {
		return Erased{}, refuse(wire.CodeFrameTooLarge, "%d transactions at once, limit %d", len(dots), record.ErasuresMax)
	}
	for _, d := range dots {
		if d.N == 0 || d.Replica.IsZero() {
			return Erased{}, refuse(wire.CodeValueInvalid, "no transaction has number %d", d.N)
		}
	}
	var out Erased
	err := n.step(ctx, building, Need{Events: dots}, nil, func(l *ledger) error {
		out = Erased{}
		for _, d := range dots {
			if _, gone := l.erased[d]; !gone {
				out.Dots = append(out.Dots, d)
			}
		}
		if len(out.Dots) == 0 {
			return nil
		}
		if err := l.identity(); err != nil {
			return err
		}
		e, err := l.append(record.Event{Actor: actor, Action: action, EventTime: l.now, Erasures: out.Dots}, nil)
		out.Events = []record.Dot{e.Dot()}
		return err
	})
	return out, err
}
