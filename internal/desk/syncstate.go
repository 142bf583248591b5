package desk

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
)

// quarantineMax bounds what one answer lists; more than that is a fault of the software.
const quarantineMax = 200

// SyncState says what this node holds of every chain, what waits to be told upwards, and
// what is held back. Staff may see it: it is what a technician asks first when something
// seems missing.
func (d *Desk) SyncState(ctx context.Context, c Caller, building record.ID) (SyncState, error) {
	v, err := d.Viewer(ctx, c, building)
	if err == nil && !isStaff(v.Role) {
		err = problem.New(problem.Forbidden, "only staff see this")
	}
	if err != nil {
		return SyncState{}, err
	}
	have, err := d.node.Store.Load(ctx, building, replica.Need{})
	if err != nil {
		return SyncState{}, translate(fmt.Errorf("load state: %w", err))
	}
	chains, err := d.node.Store.Chains(ctx, building)
	if err != nil {
		return SyncState{}, translate(fmt.Errorf("list chains: %w", err))
	}
	out := SyncState{Building: building, Position: have.State.Position, ClockOffset: have.State.ClockOffset, Chains: []Chain{}, Quarantine: []Quarantined{}, Notices: []Notice{}}
	for _, chain := range chains {
		out.Chains = append(out.Chains, d.chainView(chain))
		if err := d.addBacklog(ctx, building, chain, &out); err != nil {
			return SyncState{}, err
		}
	}
	slices.SortFunc(out.Chains, func(a, b Chain) int { return a.Replica.Compare(b.Replica) })
	rows, err := d.query.Quarantine(ctx, building, quarantineMax)
	if err != nil {
		return SyncState{}, translate(fmt.Errorf("list quarantine: %w", err))
	}
	for _, q := range rows {
		out.Quarantine = append(out.Quarantine, Quarantined{Kind: q.Key.Kind, ID: q.Key.ID, Peer: q.Peer, Theirs: q.Theirs, Code: q.Code, Detail: q.Detail,
			Remedy: replica.Remedy(q.Code), Since: shownTime(q.Since)})
	}
	return out, nil
}

func (d *Desk) chainView(c replica.Chain) Chain {
	v := Chain{Replica: c.Replica, Held: c.Held, Receipted: c.Receipted, Settled: c.Settled()}
	if c.Held > 0 {
		v.Hash = hex.EncodeToString(c.Hash[:])
	}
	if c.Card != nil {
		v.Node, v.Tier, v.Own = c.Card.Node, c.Card.Tier.String(), c.Card.Node == d.node.ID()
	}
	if c.Signed != nil {
		v.Signed = c.Signed.N
	}
	if v.Own {
		v.Signed = c.Held // the node signs its own chains as they stand, whenever asked
	}
	return v
}

// addBacklog counts what the tier above has given no receipt for. The cloud has none above
// it, and its own chains need no receipt.
func (d *Desk) addBacklog(ctx context.Context, building record.ID, c replica.Chain, out *SyncState) error {
	if d.node.Tier == record.TierCloud || c.Held <= c.Receipted || c.Card == nil || c.Card.Tier == record.TierCloud {
		return nil
	}
	out.Outbox += c.Held - c.Receipted
	rows, err := d.node.Store.Events(ctx, building, c.Replica, c.Receipted+1, c.Receipted+1, 1)
	if err != nil {
		return translate(fmt.Errorf("read event: %w", err))
	}
	for _, row := range rows {
		e, err := record.DecodeEvent(row.Body)
		if err != nil {
			return fmt.Errorf("event %d of %s: %w", row.N, row.Replica, err)
		}
		if at := shownTime(e.Stamp.Millis()); out.OutboxSince == nil || at.Before(*out.OutboxSince) {
			out.OutboxSince = &at
		}
	}
	return nil
}
