package replica

import (
	"slices"

	"estate/sync/record"
)

// claim is a value that an event of this node's other branch gave, and nothing in that branch
// took away again.
type claim struct {
	by       *record.Event
	change   change
	dot      record.Dot
	replaced []record.Dot
}

// reclaim writes again what the cloud itself wrote in a branch of which it holds no record: it was
// set back to an image, or copied. Values that edges may write come back with their records; of
// the other kinds an edge's word is worth nothing, and what proves them are the cloud's own events
// under its own signature. at is where the two branches part (SPEC R33).
func (l *ledger) reclaim(c *Chain, at *conflict) {
	if l.node.Tier != record.TierCloud || !l.mine(c.Replica) {
		return
	}
	var claims []claim
	for _, row := range l.signedBranch(c, at) {
		e, err := record.DecodeEvent(row.Body)
		if err != nil {
			return
		}
		details, err := record.DecodeDetails(row.Details)
		if err != nil {
			details = nil // withheld, or erased: there is nothing to write
		}
		for i, t := range e.Touches {
			claims = slices.DeleteFunc(claims, func(o claim) bool {
				return o.change.key.Kind == t.Kind && o.change.key.ID == t.ID && o.change.field == t.Field && slices.Contains(t.Replaced, o.dot)
			})
			kind, known := l.node.Rules.Kind(t.Kind)
			if !known || kind.EdgeWrites || kind.Secret || i >= len(details) {
				continue
			}
			for _, v := range details[i].New {
				k := record.Key{Building: l.building, Kind: t.Kind, ID: t.ID}
				if l.node.Rules.Validate(t.Kind, t.Field, v) == "" {
					claims = append(claims, claim{by: &e, dot: e.Dot(), replaced: t.Replaced, change: change{key: k, field: t.Field, values: []record.Value{v}}})
				}
			}
		}
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
			l.fail(err)
			return
		}
	}
}

// signedBranch lists the events from a difference on that lead, link by link, to a head that this
// node signed.
func (l *ledger) signedBranch(c *Chain, at *conflict) []EventRow {
	var run []EventRow
	signed := 0
	for row, ok := at.other[at.n]; ok; row, ok = at.other[row.N+1] {
		if e, err := record.DecodeEvent(row.Body); err != nil || len(run) > 0 && e.Prev != run[len(run)-1].Hash {
			break
		}
		run = append(run, row)
		if slices.ContainsFunc(l.forks.heads, func(h record.Head) bool { return h.Replica == c.Replica && h.N == row.N && h.Hash == row.Hash }) {
			signed = len(run)
		}
	}
	return run[:signed]
}
