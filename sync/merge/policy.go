package merge

import (
	"bytes"
	"cmp"
	"slices"

	"estate/sync/record"
)

// Kind names how a field's siblings become what is shown.
type Kind string

// The policies. Latest shows the highest rank; Furthest the value that stands last in a
// declared order of states; First the lowest rank; Max and Min compare values; Set shows
// every sibling as a member.
const (
	Latest   Kind = "latest"
	Furthest Kind = "furthest"
	First    Kind = "first"
	Max      Kind = "max"
	Min      Kind = "min"
	Set      Kind = "set"
)

// Policy picks what is shown of a field. The zero policy is Latest.
type Policy struct {
	Kind Kind
	// Order lists the states of a Furthest field, from the least to the furthest. A value
	// that is not listed ranks before all of them.
	Order []string
	// PersonFirst ranks every person's sibling before automation's.
	PersonFirst bool
}

// Shown returns the siblings that a field shows: all members of a Set ordered by value,
// one sibling otherwise, none for an empty field. It depends on nothing but its arguments,
// so equal records show equal values on every node.
func (p Policy) Shown(siblings []record.Sibling) []record.Sibling {
	switch {
	case len(siblings) == 0:
		return nil
	case p.Kind == Set:
		return members(siblings)
	}
	return []record.Sibling{*p.Best(siblings)}
}

// Best is the one sibling that a field shows, as Shown says; nil for an empty field. It is not
// for a Set, which shows many.
func (p Policy) Best(siblings []record.Sibling) *record.Sibling {
	if len(siblings) == 0 {
		return nil
	}
	best := &siblings[0]
	for i := range siblings[1:] {
		if s := &siblings[1+i]; p.before(*best, *s) {
			best = s
		}
	}
	return best
}

// members orders a set by value and keeps the highest-ranked sibling of equal values.
func members(siblings []record.Sibling) []record.Sibling {
	out := slices.Clone(siblings)
	slices.SortFunc(out, func(a, b record.Sibling) int {
		return cmp.Or(bytes.Compare(a.Value, b.Value), b.CompareRank(a))
	})
	return slices.CompactFunc(out, func(a, b record.Sibling) bool { return bytes.Equal(a.Value, b.Value) })
}

// before reports whether b is shown rather than a. The order is total: every comparison
// ends in (stamp, replica, number, value).
func (p Policy) before(a, b record.Sibling) bool {
	if p.PersonFirst && a.Class != b.Class {
		return b.Class == record.Person
	}
	rank := a.CompareRank(b)
	switch p.Kind {
	case Furthest:
		return cmp.Or(cmp.Compare(p.state(a.Value), p.state(b.Value)), rank) < 0
	case Max:
		return cmp.Or(compareValues(a.Value, b.Value), rank) < 0
	case Min:
		return cmp.Or(compareValues(b.Value, a.Value), rank) < 0
	case First:
		return rank > 0
	default:
		return rank < 0
	}
}

// state is the position of a text or boolean value in the declared order, -1 if unlisted.
func (p Policy) state(v record.Value) int {
	s, ok := v.AsText()
	if b, isBool := v.AsBool(); isBool {
		s, ok = "false", true
		if b {
			s = "true"
		}
	}
	if !ok {
		return -1
	}
	return slices.Index(p.Order, s)
}

// compareValues orders numbers by size and everything else by its bytes; numbers rank
// after other types, so that a total order holds over mixed siblings.
func compareValues(a, b record.Value) int {
	x, okX := a.AsFloat()
	y, okY := b.AsFloat()
	switch {
	case okX && okY:
		return cmp.Or(cmp.Compare(x, y), bytes.Compare(a, b))
	case okX:
		return 1
	case okY:
		return -1
	default:
		return bytes.Compare(a, b)
	}
}

// Conflict returns the differing siblings of persons that a screen must show, ordered by
// rank, the latest first; nil where there is no conflict. Only Latest and Furthest fields
// can have one, and automation's siblings never make one (SPEC R5).
func (p Policy) Conflict(siblings []record.Sibling) []record.Sibling {
	if len(siblings) < 2 || p.Kind != Latest && p.Kind != Furthest && p.Kind != "" {
		return nil
	}
	var out []record.Sibling
	for _, s := range siblings {
		if s.Class == record.Person {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b record.Sibling) int { return b.CompareRank(a) })
	for _, s := range out {
		if !bytes.Equal(s.Value, out[0].Value) {
			return out
		}
	}
	return nil
}
