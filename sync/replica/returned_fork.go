package replica

import (
	"bytes"
	"slices"

	"estate/sync/merge"
	"estate/sync/record"
)

// foreign reports whether a number of a returned record may name another transaction here than
// the phone was shown: it lies beyond a fork, what is known of its chain contradicts what the
// phone brings, or the phone says so of its own.
func (r *returning) foreign(l *ledger, d record.Dot) bool {
	c := l.chains[d.Replica]
	return c.beyond(d.N) || l.forks.proven[d.Replica] && d.N > 1 || l.live(d.Replica) && d.N > l.state.N ||
		slices.ContainsFunc(r.doubts, func(first record.Dot) bool {
			return d.Replica == first.Replica && d.N >= first.N && (c == nil || c.Card == nil || c.Card.Node == r.phone)
		})
}

// certain is the highest number that an entry covers whatever was written beyond a fork: the
// last common one, where that is known.
func (r *returning) certain(l *ledger, d record.Dot) uint64 {
	n := d.N
	for _, first := range r.doubts {
		if one := (record.Dot{Replica: d.Replica, N: first.N}); first.Replica == d.Replica && first.N > 0 && r.foreign(l, one) {
			n = min(n, first.N-1)
		}
	}
	if c := l.chains[d.Replica]; c.beyond(d.N) {
		n = min(n, c.Fork-1)
	} else if r.foreign(l, record.Dot{Replica: d.Replica, N: n}) {
		n = 0
	}
	return n
}

// here reports whether a sibling is what the event of its number gave to this field here: then
// there is no doubt about it.
func (r *returning) here(l *ledger, i *returned, field string, s record.Sibling) bool {
	e := r.own[s.Dot]
	return e != nil && !l.chains[s.Dot.Replica].beyond(s.Dot.N) && e.Stamp == s.Stamp && e.Actor.Class == s.Class &&
		slices.ContainsFunc(e.Touches, func(t record.Touch) bool { return t.Kind == i.key.Kind && t.ID == i.key.ID && t.Field == field })
}

// valuesOf takes a record that reaches such numbers. They take nothing away; values under
// them that stand nowhere here are written again as this node's own, for nobody else may have
// them: the seal says that a server held them (SPEC R30, R33).
func (r *returning) valuesOf(l *ledger, i *returned) string {
	kind, _ := l.node.Rules.Kind(i.key.Kind)
	clean := i.candidate
	clean.body, clean.record.Context = nil, record.Context{}
	for _, d := range i.record.Context.Vector {
		if d.N = r.certain(l, d); d.N > 0 {
			clean.record.Context.Vector = append(clean.record.Context.Vector, d)
		}
	}
	for _, d := range i.record.Context.Dots {
		if !r.foreign(l, d.Dot) {
			clean.record.Context.Dots = append(clean.record.Context.Dots, d)
		}
	}
	var lost []change
	classes := map[record.Dot]record.Class{}
	for _, f := range i.record.Fields {
		var kept []record.Sibling
		for _, s := range f.Siblings {
			switch same := func(o record.Sibling) bool { return bytes.Equal(o.Value, s.Value) }; {
			case !r.foreign(l, s.Dot):
				kept = append(kept, s)
			case r.here(l, i, f.Name, s):
				kept = append(kept, s)
				clean.record.Context.Dots = append(clean.record.Context.Dots, record.FieldDot{Field: f.Name, Dot: s.Dot})
			case !slices.ContainsFunc(l.work(i.key).record.Siblings(f.Name), same):
				if code := l.node.Rules.Validate(i.key.Kind, f.Name, s.Value); code != "" {
					return code
				}
				classes[s.Dot] = s.Class
				lost = append(lost, change{key: i.key, field: f.Name, secret: kind.Secret, replaced: []record.Sibling{s}, values: []record.Value{s.Value}})
			}
		}
		clean.record = clean.record.With(f.Name, kept)
	}
	slices.SortFunc(clean.record.Context.Dots, record.FieldDot.Compare)
	clean.record.Context.Dots = slices.Compact(clean.record.Context.Dots)
	clean.record.Context = merge.Normalise(clean.record.Context, l)
	if code := r.check(l, &clean); code != "" {
		return code
	}
	l.join(i.key, clean.record, nil)
	l.brings(i.key, &clean.record)
	l.observe(&i.record)
	slices.SortStableFunc(lost, func(a, b change) int { return a.replaced[0].Dot.Compare(b.replaced[0].Dot) })
	for len(lost) > 0 {
		d, n := lost[0].replaced[0].Dot, 1
		for n < len(lost) && lost[n].replaced[0].Dot == d {
			n++
		}
		in := Intent{Actor: record.Actor{Class: classes[d], Name: actionFork}, Action: "reissue"}
		changes := joinChanges(lost[:n])
		for c := range changes {
			changes[c].replaced = nil // another transaction may have that number
		}
		if _, err := l.commit(in, changes); err != nil {
			l.fail(err)
			return ""
		}
		lost = lost[n:]
	}
	return ""
}
