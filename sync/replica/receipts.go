package replica

import (
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
)

// receipts signs, after commit, what this node now holds of the chains that the page moved.
func (a *application) receipts(ctx context.Context) error {
	ids := slices.Clone(a.phones)
	for i, e := range a.events {
		if i == 0 || a.events[i-1].row.Replica != e.row.Replica {
			ids = append(ids, e.row.Replica)
		}
	}
	if !a.signs(ids) {
		receipts, err := a.node.receipts(ctx, a.building, ids)
		if err != nil {
			return err
		}
		a.out.Ack.Receipts = receipts
	}
	a.out.Held = map[record.ReplicaID]uint64{}
	if a.page.To == 0 {
		return nil // answers to a want: the peer may hold them behind a gap of its own
	}
	for i, e := range a.events {
		if i+1 < len(a.events) && a.events[i+1].row.Replica == e.row.Replica && a.events[i+1].row.N > e.row.N {
			continue
		}
		a.out.Held[e.row.Replica] = max(a.out.Held[e.row.Replica], e.row.N)
	}
	return nil
}

// signs gives receipts for what the page's own transaction knows, and reports whether it knows
// all: what of a phone's chain is settled is to be looked up.
func (a *application) signs(ids []record.ReplicaID) bool {
	if a.chains == nil || a.cuts {
		return false
	}
	slices.SortFunc(ids, record.ID.Compare)
	var out []record.Receipt
	for _, id := range slices.Compact(ids) {
		c, ok := a.chains[id]
		if !ok {
			return false
		}
		if c.Held > 0 {
			out = append(out, a.node.receipt(a.building, c, c.Held))
		}
	}
	a.out.Ack.Receipts = out
	return true
}

// receipt states what this node holds of a chain. The cloud says up to where it is settled,
// too.
func (n *Node) receipt(building record.ID, c Chain, settled uint64) record.Receipt {
	r := record.Receipt{Replica: c.Replica, N: c.Held, Hash: c.Hash}
	if n.Tier == record.TierCloud {
		r.Settled = min(settled, c.Held)
	}
	return record.SignReceipt(n.Key, building, r)
}

// receipts states what this node holds of chains, signed. The cloud also says up to where
// a phone's transactions are settled: every part is in its record's context here, or was
// refused (SPEC R13).
func (n *Node) receipts(ctx context.Context, building record.ID, ids []record.ReplicaID) ([]record.Receipt, error) {
	slices.SortFunc(ids, record.ID.Compare)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return nil, nil
	}
	have, err := n.Store.Load(ctx, building, Need{Chains: ids, Unsettled: ids})
	if err != nil {
		return nil, fmt.Errorf("load chains for receipts: %w", err)
	}
	var out []record.Receipt
	for _, id := range ids {
		c, ok := have.Chains[id]
		if !ok || c.Held == 0 {
			continue
		}
		settled := c.Held
		if lowest, open := have.Unsettled[id]; open {
			settled = lowest - 1
		}
		out = append(out, n.receipt(building, c, settled))
	}
	return out, nil
}

// ofServers is the chains that are not phones', as the decision leaves them.
func (l *ledger) ofServers() map[record.ReplicaID]Chain {
	out := map[record.ReplicaID]Chain{}
	for id, c := range l.chains {
		if c.Card != nil && c.Card.Tier != record.TierPhone {
			out[id] = *c
		}
	}
	return out
}
