package replica

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// What the cloud itself gave records that no lower tier may write is in none of its records once it
// was set back to an image, or copied. Values that edges may write come back with their records; of
// the other kinds an edge's word is worth nothing, and what proves them are the cloud's own events
// under its own signature (SPEC R33). Such a head is noted when a hello or page brings it, and done
// once its whole branch is here:
//
//	noted ──events asked for, kept beside the chain──▶ whole ──what stands nowhere, written again──▶ done

// Limits of the branches of one own chain.
const (
	// besideMax bounds the heads that are kept of them: each is a copy of the cloud's memory, or an
	// edge that was shown less of it than others. What is beyond waits for an operator.
	besideMax = 64
	// besideEventsMax bounds what is read to find a branch: far more transactions than a building
	// has between two images of a server, and far less than memory.
	besideEventsMax = 1 << 16
)

// claim is a value that an event of this node's other branch gave, and nothing in that branch
// took away again.
type claim struct {
	by       *record.Event
	change   change
	dot      record.Dot
	replaced []record.Dot
}

// astray notes heads that the cloud signed beyond the fork of a chain of its own: what they prove
// may stand nowhere.
func (l *ledger) astray(heads ...*record.Head) {
	for _, h := range heads {
		if h == nil || l.node.Tier != record.TierCloud || !l.mine(h.Replica) {
			continue
		}
		c := l.chain(h.Replica)
		if !c.beyond(h.N) || h.Verify(l.building, l.node.PublicKey()) != nil {
			continue
		}
		if i := c.besideAt(*h); i >= 0 {
			if len(c.Beside[i].Signature) > 0 {
				l.forks.astray = append(l.forks.astray, *h)
			}
		} else if len(c.Beside) < besideMax {
			c.Beside = append(slices.Clip(c.Beside), *h)
			l.changed(h.Replica)
			l.forks.astray = append(l.forks.astray, *h)
		}
	}
}

// besideAt finds a head of a branch; -1 where it is not known.
func (c *Chain) besideAt(h record.Head) int {
	return slices.IndexFunc(c.Beside, func(o record.Head) bool { return o.N == h.N && o.Hash == h.Hash })
}

// reclaimed notes that nothing is left to be written of the branch under a head.
func (l *ledger) reclaimed(c *Chain, h record.Head) {
	c.Beside = slices.Clone(c.Beside)
	done := record.Head{Replica: h.Replica, N: h.N, Hash: h.Hash}
	if i := c.besideAt(h); i >= 0 {
		c.Beside[i] = done
	} else {
		c.Beside = append(c.Beside, done)
	}
	l.changed(c.Replica)
}

// reclaim writes again what stands nowhere of the branches under heads, as far as their events are
// here, and says which events are missing. seen is up to where the events of each replica came that
// a peer has just sent: an answer ends where it is full.
func (n *Node) reclaim(ctx context.Context, building record.ID, heads []record.Head, seen map[record.ReplicaID]uint64) ([]wire.Want, error) {
	var wants []wire.Want
	for _, h := range heads {
		missing, err := n.reclaimBranch(ctx, building, h)
		if err != nil {
			return nil, fmt.Errorf("write again what %s says up to %d: %w", h.Replica, h.N, err)
		}
		if missing == 0 {
			continue
		}
		w := window(h.Replica, missing)
		if last := seen[h.Replica]; last < missing {
			w.From = max(w.From, last)
		}
		if !slices.Contains(wants, w) {
			wants = append(wants, w)
		}
	}
	return wants, nil
}

// reclaimBranch does so for one branch, and returns the highest number that is missing.
func (n *Node) reclaimBranch(ctx context.Context, building record.ID, h record.Head) (missing uint64, err error) {
	have, err := n.Store.Load(ctx, building, Need{Chains: []record.ReplicaID{h.Replica}})
	if err != nil {
		return 0, fmt.Errorf("load chain: %w", err)
	}
	c := have.Chains[h.Replica]
	if !c.awaits(h) {
		return 0, nil
	}
	rows, err := n.beside(ctx, building, h.Replica, c.Fork, ^uint64(0), besideEventsMax)
	if err != nil {
		return 0, err
	}
	run, missing := branch(rows, h, c.Fork)
	if missing > 0 {
		return missing, nil
	}
	done := map[record.Hash]bool{}
	for _, other := range c.Beside {
		if len(other.Signature) == 0 {
			events, _ := branch(rows, other, c.Fork)
			for _, row := range events {
				done[row.Hash] = true
			}
		}
	}
	claims := n.claims(building, slices.DeleteFunc(run, func(row EventRow) bool { return done[row.Hash] }))
	for part := range slices.Chunk(claims, cutPortion) {
		if err := n.reclaimSome(ctx, building, h, part); err != nil {
			return 0, err
		}
	}
	return 0, n.step(ctx, building, Need{}, []record.ReplicaID{h.Replica}, func(l *ledger) error {
		if c := l.chain(h.Replica); c.awaits(h) {
			l.reclaimed(c, h)
		}
		return nil
	})
}

// awaits reports whether a branch is still to be looked at.
func (c *Chain) awaits(h record.Head) bool {
	i := c.besideAt(h)
	return c.beyond(h.N) && i >= 0 && len(c.Beside[i].Signature) > 0
}

// beside reads events that lie beside a chain, by number and hash.
func (n *Node) beside(ctx context.Context, building record.ID, r record.ReplicaID, from, to uint64, limit int) (out []EventRow, err error) {
	after := EventRow{Replica: r, N: max(from, 1) - 1}
	for i := range after.Hash {
		after.Hash[i] = 0xff
	}
	for len(out) < limit {
		rows, err := n.Store.Branches(ctx, building, after, min(evidencePortion, limit-len(out)))
		if err != nil {
			return nil, fmt.Errorf("read events beside %s: %w", r, err)
		}
		for _, row := range rows {
			if row.Replica != r || row.N > to {
				return out, nil
			}
			out = append(out, row)
		}
		if len(rows) == 0 {
			break
		}
		after = rows[len(rows)-1]
	}
	return out, nil
}

// branch follows the links from a head back to a number, ascending. missing is the highest number
// that the rows lack, zero for none.
func branch(rows []EventRow, h record.Head, from uint64) (run []EventRow, missing uint64) {
	n, hash := h.N, h.Hash
	for ; n >= from; n-- {
		i, _ := slices.BinarySearchFunc(rows, n, func(r EventRow, n uint64) int { return cmp.Compare(r.N, n) })
		for i < len(rows) && rows[i].N == n && rows[i].Hash != hash {
			i++
		}
		if i == len(rows) || rows[i].N != n {
			return run, n
		}
		e, err := record.DecodeEvent(rows[i].Body)
		if err != nil {
			return run, n // of a newer release: it counts when this one understands it
		}
		run, hash = append(run, rows[i]), e.Prev
	}
	slices.Reverse(run)
	return run, 0
}

// claims lists what stands at the end of a run of events, of kinds that only the cloud writes.
func (n *Node) claims(building record.ID, run []EventRow) []claim {
	var out []claim
	for _, row := range run {
		e, err := record.DecodeEvent(row.Body)
		if err != nil {
			return out // never: the run was read
		}
		details, err := record.DecodeDetails(row.Details)
		if err != nil {
			details = nil // withheld, or erased: there is nothing to write
		}
		for i, t := range e.Touches {
			out = slices.DeleteFunc(out, func(o claim) bool {
				return o.change.key.Kind == t.Kind && o.change.key.ID == t.ID && o.change.field == t.Field && slices.Contains(t.Replaced, o.dot)
			})
			kind, known := n.Rules.Kind(t.Kind)
			if !known || kind.EdgeWrites || kind.Secret || i >= len(details) {
				continue
			}
			for _, v := range details[i].New {
				k := record.Key{Building: building, Kind: t.Kind, ID: t.ID}
				if n.Rules.Validate(t.Kind, t.Field, v) == "" {
					out = append(out, claim{by: &e, dot: e.Dot(), replaced: t.Replaced, change: change{key: k, field: t.Field, values: []record.Value{v}}})
				}
			}
		}
	}
	return out
}

// reclaimSome writes claims again whose values stand nowhere.
func (n *Node) reclaimSome(ctx context.Context, building record.ID, h record.Head, claims []claim) error {
	var need Need
	for _, o := range claims {
		need.Keys = append(need.Keys, o.change.key)
	}
	slices.SortFunc(need.Keys, record.Key.Compare)
	need.Keys = slices.Compact(need.Keys)
	return n.step(ctx, building, need, []record.ReplicaID{h.Replica}, func(l *ledger) error {
		if !l.chain(h.Replica).awaits(h) {
			return nil // another process was here
		}
		for _, o := range claims {
			if l.shows(o.change.key, o.change.field, o.change.values[0]) {
				continue
			}
			for _, s := range l.work(o.change.key).record.Siblings(o.change.field) {
				if slices.Contains(o.replaced, s.Dot) && !l.chains[s.Dot.Replica].beyond(s.Dot.N) {
					o.change.replaced = append(o.change.replaced, s) // its author saw it
				}
			}
			if _, err := l.commit(Intent{Actor: o.by.Actor, Action: "reissue", EventTime: o.by.EventTime}, []change{o.change}); err != nil {
				return err
			}
		}
		return nil
	})
}

// reclaimKnown looks at all branches of chains that are noted, whoever told of them.
func (n *Node) reclaimKnown(ctx context.Context, building record.ID, replicas []record.ReplicaID) error {
	have, err := n.Store.Load(ctx, building, Need{Chains: replicas})
	if err != nil {
		return fmt.Errorf("load chains: %w", err)
	}
	for _, r := range replicas {
		if _, err := n.reclaim(ctx, building, have.Chains[r].Beside, nil); err != nil {
			return err
		}
	}
	return nil
}

// lastOf is up to where the events of each replica go.
func lastOf(events []*incoming) map[record.ReplicaID]uint64 {
	out := map[record.ReplicaID]uint64{}
	for _, e := range events {
		out[e.row.Replica] = max(out[e.row.Replica], e.row.N)
	}
	return out
}
