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
	if (l.forked || l.forks.marked || len(a.suspects) > 0) && slices.ContainsFunc(numbers(c.record), func(d record.Dot) bool {
		return l.chains[d.Replica].beyond(d.N) || a.suspects[d.Replica] && d.N > 1
	}) {
		return wire.CodeChainFork
	}
	if a.peer.Tier <= l.node.Tier {
		// Of what is written under the running replica nobody knows more than this node.
		if slices.ContainsFunc(numbers(c.record), func(d record.Dot) bool { return l.live(d.Replica) && d.N > l.state.N }) {
			return wire.CodeChainFork
		}
		return ""
	}
	kind, known := l.node.Rules.Kind(c.key.Kind)
	for _, d := range numbers(c.record) {
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

// numbers lists what must be signed of a record: all that its context reaches, or a number
// claimed today would take away the value that its owner writes tomorrow, and those of its
// standing values.
func numbers(r record.Record) []record.Dot {
	out := r.Context.Reaches()
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
