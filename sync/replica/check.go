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
func (a *application) check(l *ledger, c *candidate) string {
	if (l.forked || l.forks.marked || len(a.suspects) > 0) && anyNumber(&c.record, func(d record.Dot) bool {
		return l.chains[d.Replica].beyond(d.N) || a.suspects[d.Replica] && d.N > 1
	}) {
		return wire.CodeChainFork
	}
	if a.peer.Tier <= l.node.Tier {
		// Of what is written under the running replica nobody knows more than this node.
		if anyNumber(&c.record, func(d record.Dot) bool { return l.live(d.Replica) && d.N > l.state.N }) {
			return wire.CodeChainFork
		}
		return ""
	}
	if code := l.signed(&c.record); code != "" {
		return code
	}
	if code := a.values(l, c); code != "" {
		return code
	}
	if kind, known := l.node.Rules.Kind(c.key.Kind); known && !kind.EdgeWrites && !l.onlyCloud(c.record.Context) {
		return wire.CodeKindNotYours
	}
	return ""
}

// values checks those values of a record that are not stored yet.
func (a *application) values(l *ledger, c *candidate) string {
	kind, known := l.node.Rules.Kind(c.key.Kind)
	cloudOnly := known && !kind.EdgeWrites
	stored := &l.work(c.key).record
	// Another node's number that the vector covers passes in every field, and most are one.
	var last *record.Dot
	for i := range c.record.Fields {
		f := &c.record.Fields[i]
		var here []record.Sibling
		if len(stored.Fields) > 0 {
			here = stored.Siblings(f.Name)
		}
		for j := range f.Siblings {
			s := &f.Siblings[j]
			if len(here) > 0 && slices.ContainsFunc(here, identical(*s)) {
				continue
			}
			if hlc.Ahead(s.Stamp, l.now) {
				return wire.CodeClockAhead
			}
			if last == nil || *last != s.Dot {
				if !a.wrote(l, c.key, f.Name, s.Dot, cloudOnly) {
					return wire.CodeContextUnsigned
				}
				if cloudOnly && !l.fromCloud(s.Dot.Replica) {
					return wire.CodeKindNotYours
				}
				if !merge.Covers(c.record.Context, f.Name, s.Dot, l) {
					return wire.CodeRecordMalformed
				}
				if !l.mine(s.Dot.Replica) && s.Dot.N <= c.record.Context.Entry(s.Dot.Replica) {
					last = &s.Dot
				}
			}
			if code := l.node.Rules.Validate(c.key.Kind, f.Name, s.Value); code != "" {
				return code
			}
		}
	}
	return ""
}

// signed reports whether all numbers of a record were signed by their own nodes.
func (l *ledger) signed(r *record.Record) string {
	var last record.Dot // what is signed up to a number is signed below it, and most are one number
	passes := func(d record.Dot) bool {
		if d.Replica == last.Replica && d.N <= last.N {
			return true
		}
		last = d
		return l.signedTo(d) == ""
	}
	if !anyNumber(r, func(d record.Dot) bool { return !passes(d) }) {
		return ""
	}
	for _, d := range numbers(*r) { // the code of the first, in the order of replicas
		if code := l.signedTo(d); code != "" {
			return code
		}
	}
	return ""
}

// anyNumber asks about all that a record's context names and about its values' numbers.
func anyNumber(r *record.Record, is func(record.Dot) bool) bool {
	for _, d := range r.Context.Vector {
		if is(d) {
			return true
		}
	}
	for i := range r.Context.Dots {
		if is(r.Context.Dots[i].Dot) {
			return true
		}
	}
	for i := range r.Fields {
		for j := range r.Fields[i].Siblings {
			if is(r.Fields[i].Siblings[j].Dot) {
				return true
			}
		}
	}
	return false
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
