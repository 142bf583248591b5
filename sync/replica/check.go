package replica

import (
	"slices"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// check is what the upper tier asks of a lower one's record: kinds that it may write,
// schema, honest time, and that the numbers its context reaches were signed by that
// replica's own node (SPEC R9, R16). The lower tier trusts the upper.
func (a *application) check(l *ledger, c candidate) string {
	if a.peer.Tier <= l.node.Tier {
		return ""
	}
	kind, known := l.node.Rules.Kind(c.key.Kind)
	for _, d := range gated(c.record, known && !kind.EdgeWrites) {
		if code := l.signedTo(d); code != "" {
			return code
		}
	}
	stored := l.work(c.key).record
	for _, f := range c.record.Fields {
		for _, s := range f.Siblings {
			if slices.ContainsFunc(stored.Siblings(f.Name), identical(s)) {
				continue
			}
			if hlc.Ahead(s.Stamp, l.now) {
				return wire.CodeClockAhead
			}
			if !a.wrote(l, c.key, f.Name, s.Dot, known && !kind.EdgeWrites) {
				return wire.CodeContextUnsigned
			}
			if known && !kind.EdgeWrites && !l.fromCloud(s.Dot.Replica) {
				return wire.CodeKindNotYours
			}
			if !merge.Covers(c.record.Context, f.Name, s.Dot, l) {
				return wire.CodeRecordMalformed
			}
			if code := l.node.Rules.Validate(c.key.Kind, f.Name, s.Value); code != "" {
				return code
			}
		}
	}
	if known && !kind.EdgeWrites && !l.onlyCloud(c.record.Context) {
		return wire.CodeKindNotYours
	}
	return ""
}

// gated lists the numbers that must be signed: those of the vector, which cover all fields,
// and those of standing values. A single dot without its value takes away one value of one
// field, which whoever may write the field may do, and it may be the last trace of a number
// that nobody can sign any more: a phone saw it before its writer was rewound (SPEC R9).
// all asks for these as well.
func gated(r record.Record, all bool) []record.Dot {
	if all {
		return r.Context.Reaches()
	}
	out := slices.Clone(r.Context.Vector)
	for _, f := range r.Fields {
		for _, s := range f.Siblings {
			out = append(out, s.Dot)
		}
	}
	return out
}

func (l *ledger) fromCloud(r record.ReplicaID) bool {
	card, ok := l.Card(r)
	return ok && card.Tier == record.TierCloud
}

func (l *ledger) onlyCloud(c record.Context) bool {
	return !slices.ContainsFunc(c.Reaches(), func(d record.Dot) bool { return !l.fromCloud(d.Replica) })
}

// unwritten reports whether a dot names a number of this node's own replica that it has not
// written yet: nobody can have seen its value.
func (l *ledger) unwritten(d record.Dot) bool {
	return d.Replica == l.state.Replica && l.state.Boot == l.boot && d.N > l.state.N
}
