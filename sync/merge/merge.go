// Package merge holds the one rule by which two states of a record become one, and the
// policies that pick what is shown. Both are pure functions of their arguments.
//
// The merge must never look at what a field means, and a policy must never change what is
// stored: policies can change without touching data (SPEC R2, R3).
package merge

import (
	"cmp"
	"slices"

	"estate/sync/record"
)

// Lineage tells how replicas of one node follow each other, as their cards say.
type Lineage interface {
	// Card returns a replica's card; ok is false where it is not known. Cards are
	// immutable, so any cached answer stays right.
	Card(record.ReplicaID) (card record.Card, ok bool)
}

// NoLineage knows no cards: every replica stands for itself.
type NoLineage struct{}

// Card reports that nothing is known.
func (NoLineage) Card(record.ReplicaID) (record.Card, bool) { return record.Card{}, false }

// reach walks the lineage from a vector entry to an earlier replica of the same node and
// returns up to which of its numbers the entry covers it; zero where it does not descend
// from it. Only replicas of one node are walked, so records of many writers stay cheap. A
// node that signed cards in a circle gains nothing: the walk stops where it meets itself.
func reach(from, to record.ReplicaID, lin Lineage) uint64 {
	a, ok := lin.Card(from)
	if !ok || a.Predecessor.N == 0 {
		return 0
	}
	if b, ok := lin.Card(to); !ok || a.Node != b.Node {
		return 0
	}
	// Brent's method: mark is a replica of the walk, moved ahead at each power of two.
	mark := from
	for step, power := 1, 1; ; step++ {
		p := a.Predecessor
		if p.N == 0 || p.Replica == from || p.Replica == mark {
			return 0
		}
		if p.Replica == to {
			return p.N
		}
		if step == power {
			mark, power = p.Replica, 2*power
		}
		next, ok := lin.Card(p.Replica)
		if !ok || next.Node != a.Node {
			return 0
		}
		a = next
	}
}

// Covered returns up to which number of a replica the vector covers it, lineage included.
func Covered(c record.Context, r record.ReplicaID, lin Lineage) uint64 {
	n := c.Entry(r)
	for _, e := range c.Vector {
		if e.Replica != r {
			n = max(n, reach(e.Replica, r, lin))
		}
	}
	return n
}

// Covers reports whether a context includes a dot of a field.
func Covers(c record.Context, field string, d record.Dot, lin Lineage) bool {
	return d.N <= c.Entry(d.Replica) || c.HasDot(record.FieldDot{Field: field, Dot: d}) || d.N <= Covered(c, d.Replica, lin)
}

// Normalise returns the context in its one canonical form under a lineage: entries that
// another entry covers are left out, and so are single dots that the vector covers.
func Normalise(c record.Context, lin Lineage) record.Context {
	if len(c.Vector) <= 1 && len(c.Dots) == 0 {
		return c // nothing can cover anything
	}
	out := record.Context{Vector: sized[record.Dot](len(c.Vector))}
	for i, e := range c.Vector {
		covered := false
		for j, o := range c.Vector {
			// Of a circle all entries stay, or they would cancel out.
			if i != j && reach(o.Replica, e.Replica, lin) >= e.N && reach(e.Replica, o.Replica, lin) == 0 {
				covered = true
				break
			}
		}
		if !covered {
			out.Vector = append(out.Vector, e)
		}
	}
	for _, d := range c.Dots {
		if d.Dot.N > Covered(out, d.Dot.Replica, lin) {
			out.Dots = append(out.Dots, d)
		}
	}
	return out
}

// sized makes an empty slice with room; nil for none, so that empty has one form in Go too.
func sized[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, 0, n)
}

// JoinContexts returns the least context that includes both.
func JoinContexts(a, b record.Context, lin Lineage) record.Context {
	out := record.Context{Vector: sized[record.Dot](max(len(a.Vector), len(b.Vector)))}
	i, j := 0, 0
	for i < len(a.Vector) || j < len(b.Vector) {
		switch {
		case j == len(b.Vector) || i < len(a.Vector) && a.Vector[i].Replica.Compare(b.Vector[j].Replica) < 0:
			out.Vector = append(out.Vector, a.Vector[i])
			i++
		case i == len(a.Vector) || a.Vector[i].Replica.Compare(b.Vector[j].Replica) > 0:
			out.Vector = append(out.Vector, b.Vector[j])
			j++
		default:
			e := a.Vector[i]
			e.N = max(e.N, b.Vector[j].N)
			out.Vector = append(out.Vector, e)
			i++
			j++
		}
	}
	if len(a.Dots)+len(b.Dots) > 0 {
		out.Dots = append(slices.Clone(a.Dots), b.Dots...)
		slices.SortFunc(out.Dots, record.FieldDot.Compare)
		out.Dots = slices.Compact(out.Dots)
	}
	return Normalise(out, lin)
}

// Merge joins two states of one record. A sibling stays if both have it, or if one has it
// and the other's context does not cover its dot for that field; the contexts are joined.
// It is commutative, associative, idempotent and convergent (SPEC R2).
func Merge(a, b record.Record, lin Lineage) record.Record {
	switch { // a state that includes nothing takes nothing away: most records of a first sync
	case a.IsZero():
		return record.Record{Fields: b.Fields, Context: Normalise(b.Context, lin)}
	case b.IsZero():
		return record.Record{Fields: a.Fields, Context: Normalise(a.Context, lin)}
	}
	out := record.Record{Fields: sized[record.Field](max(len(a.Fields), len(b.Fields)))}
	i, j := 0, 0
	for i < len(a.Fields) || j < len(b.Fields) {
		var x, y record.Field
		switch {
		case j == len(b.Fields) || i < len(a.Fields) && a.Fields[i].Name < b.Fields[j].Name:
			x = a.Fields[i]
			y.Name = x.Name
			i++
		case i == len(a.Fields) || a.Fields[i].Name > b.Fields[j].Name:
			y = b.Fields[j]
			x.Name = y.Name
			j++
		default:
			x, y = a.Fields[i], b.Fields[j]
			i++
			j++
		}
		if kept := mergeField(x, y, a.Context, b.Context, lin); len(kept) > 0 {
			out.Fields = append(out.Fields, record.Field{Name: x.Name, Siblings: kept})
		}
	}
	if len(out.Fields) == 0 {
		out.Fields = nil
	}
	out.Context = JoinContexts(a.Context, b.Context, lin)
	return out
}

func mergeField(x, y record.Field, cx, cy record.Context, lin Lineage) []record.Sibling {
	if slices.EqualFunc(x.Siblings, y.Siblings, equal) {
		return x.Siblings // most fields of most merges; siblings are never changed in place
	}
	var kept []record.Sibling
	i, j := 0, 0
	for i < len(x.Siblings) || j < len(y.Siblings) {
		order := 0
		switch {
		case j == len(y.Siblings):
			order = -1
		case i == len(x.Siblings):
			order = 1
		default:
			order = x.Siblings[i].CompareIdentity(y.Siblings[j])
		}
		switch {
		case order < 0:
			if s := x.Siblings[i]; !Covers(cy, x.Name, s.Dot, lin) {
				kept = append(kept, s)
			}
			i++
		case order > 0:
			if s := y.Siblings[j]; !Covers(cx, x.Name, s.Dot, lin) {
				kept = append(kept, s)
			}
			j++
		default:
			kept = append(kept, same(x.Siblings[i], y.Siblings[j]))
			i++
			j++
		}
	}
	return kept
}

// same picks between two forms of one sibling. They are equal unless a node lied about its
// own value; then the earlier stamp and the weaker class stay, so that all sides agree and
// the lie wins nothing.
func same(a, b record.Sibling) record.Sibling {
	if cmp.Or(cmp.Compare(a.Stamp, b.Stamp), cmp.Compare(b.Class, a.Class)) <= 0 {
		return a
	}
	return b
}

func equal(a, b record.Sibling) bool {
	return a.CompareIdentity(b) == 0 && a.Stamp == b.Stamp && a.Class == b.Class
}
