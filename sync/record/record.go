// Package record holds the values that replicas exchange: records (fields of siblings
// under a context), events of the audit chain, cards and signed heads, with one
// deterministic CBOR encoding for wire, hashes and signatures.
//
// It is pure: values in, values out. It must never read a clock, touch a store or know
// what a field means; that is package schema's.
package record

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"estate/sync/hlc"
)

// Key names a record. Building and kind never change, and every look-up uses the whole
// key: two buildings may hold the same id without meeting (trace t14).
type Key struct {
	Building ID
	Kind     string
	ID       ID
}

// Compare orders keys by building, kind and id.
func (k Key) Compare(o Key) int {
	if c := k.Building.Compare(o.Building); c != 0 {
		return c
	}
	if c := strings.Compare(k.Kind, o.Kind); c != 0 {
		return c
	}
	return k.ID.Compare(o.ID)
}

// String prints the key for logs and errors.
func (k Key) String() string { return k.Building.String() + "/" + k.Kind + "/" + k.ID.String() }

// Dot names one transaction: number n of a replica. It is never reused.
type Dot struct {
	_       struct{} `cbor:",toarray"`
	Replica ReplicaID
	N       uint64
}

// Compare orders dots by replica, then number.
func (d Dot) Compare(o Dot) int {
	if c := d.Replica.Compare(o.Replica); c != 0 {
		return c
	}
	return cmp.Compare(d.N, o.N)
}

// Class says who wrote a value: a person or automation. Persons rank first where the kind
// says so, and only persons' siblings make a conflict.
type Class uint8

// Author classes. The zero class is invalid on purpose: a writer must say which it is.
const (
	Person     Class = 1
	Automation Class = 2
)

// Sibling is one value of a field. It is identified by (dot, value) and never changes.
type Sibling struct {
	Dot   Dot
	Stamp hlc.Stamp
	Class Class
	Value Value
}

// CompareIdentity orders siblings by (dot, value), the order in which they are stored.
func (s Sibling) CompareIdentity(o Sibling) int {
	if c := s.Dot.Compare(o.Dot); c != 0 {
		return c
	}
	return bytes.Compare(s.Value, o.Value)
}

// CompareRank orders siblings by (stamp, replica, number, value): the total order that
// policies use to pick what is shown.
func (s Sibling) CompareRank(o Sibling) int {
	return cmp.Or(cmp.Compare(s.Stamp, o.Stamp), s.Dot.Compare(o.Dot), bytes.Compare(s.Value, o.Value))
}

// Field is a named set of siblings, ordered by identity. A field without siblings is not
// kept.
type Field struct {
	Name     string
	Siblings []Sibling
}

// Record is the replicated state of one key: fields ordered by name, and the context that
// says what the state includes. Values of a Record are shared between copies and must not
// be modified in place.
type Record struct {
	Fields  []Field
	Context Context
}

// Siblings returns the siblings of a field, nil where there are none.
func (r Record) Siblings(field string) []Sibling {
	if i, ok := slices.BinarySearchFunc(r.Fields, field, compareFieldName); ok {
		return r.Fields[i].Siblings
	}
	return nil
}

// IsZero reports whether the record holds neither fields nor context.
func (r Record) IsZero() bool { return len(r.Fields) == 0 && r.Context.IsZero() }

// With returns the record with one field's siblings replaced; none removes the field. The
// siblings are sorted and deduplicated by identity.
func (r Record) With(field string, siblings []Sibling) Record {
	siblings = slices.Clone(siblings)
	slices.SortFunc(siblings, Sibling.CompareIdentity)
	siblings = slices.CompactFunc(siblings, func(a, b Sibling) bool { return a.CompareIdentity(b) == 0 })
	fields := slices.Clone(r.Fields)
	i, ok := slices.BinarySearchFunc(fields, field, compareFieldName)
	switch {
	case ok && len(siblings) == 0:
		fields = slices.Delete(fields, i, i+1)
	case ok:
		fields[i] = Field{Name: field, Siblings: siblings}
	case len(siblings) > 0:
		fields = slices.Insert(fields, i, Field{Name: field, Siblings: siblings})
	}
	r.Fields = fields
	return r
}

// WithAll is With for several fields, each named once and in the order of names: a record
// that is written as a whole is put together once. It sorts siblings in place.
func (r Record) WithAll(changed []Field) Record {
	fields := make([]Field, 0, len(r.Fields)+len(changed))
	i := 0
	for _, f := range changed {
		for i < len(r.Fields) && r.Fields[i].Name < f.Name {
			fields = append(fields, r.Fields[i])
			i++
		}
		if i < len(r.Fields) && r.Fields[i].Name == f.Name {
			i++
		}
		slices.SortFunc(f.Siblings, Sibling.CompareIdentity)
		f.Siblings = slices.CompactFunc(f.Siblings, func(a, b Sibling) bool { return a.CompareIdentity(b) == 0 })
		if len(f.Siblings) > 0 {
			fields = append(fields, f)
		}
	}
	r.Fields = append(fields, r.Fields[i:]...)
	return r
}

func compareFieldName(f Field, name string) int { return cmp.Compare(f.Name, name) }

// FieldDot is a single dot of one field: what a context includes above its vector. It
// names the field, because one transaction's dot is shared by several (trace t13b).
type FieldDot struct {
	Field string
	Dot   Dot
}

// Compare orders single dots by field, then dot.
func (d FieldDot) Compare(o FieldDot) int {
	if c := strings.Compare(d.Field, o.Field); c != 0 {
		return c
	}
	return d.Dot.Compare(o.Dot)
}

// Context says what a record's state includes: a version vector that covers all fields,
// ordered by replica, plus single dots above it, ordered by (field, dot).
type Context struct {
	Vector []Dot
	Dots   []FieldDot
}

// IsZero reports whether the context includes nothing.
func (c Context) IsZero() bool { return len(c.Vector) == 0 && len(c.Dots) == 0 }

// Entry is the vector's own number for a replica, lineage aside; zero where it has none.
func (c Context) Entry(r ReplicaID) uint64 {
	if len(c.Vector) <= entriesFew {
		for i := range c.Vector {
			if c.Vector[i].Replica == r {
				return c.Vector[i].N
			}
		}
		return 0
	}
	if i, ok := slices.BinarySearchFunc(c.Vector, r, compareEntry); ok {
		return c.Vector[i].N
	}
	return 0
}

// entriesFew is up to how many entries are looked through faster than searched.
const entriesFew = 8

// HasDot reports whether the single dots hold this one.
func (c Context) HasDot(d FieldDot) bool {
	_, ok := slices.BinarySearchFunc(c.Dots, d, FieldDot.Compare)
	return ok
}

func compareEntry(d Dot, r ReplicaID) int { return d.Replica.Compare(r) }

// Reaches lists the highest number of every replica that the context names, in its vector
// or its single dots, ordered by replica. It is what the signed-number gate checks.
func (c Context) Reaches() []Dot {
	out := slices.Clone(c.Vector)
	for _, d := range c.Dots {
		i, ok := slices.BinarySearchFunc(out, d.Dot.Replica, compareEntry)
		if !ok {
			out = slices.Insert(out, i, d.Dot)
		} else if out[i].N < d.Dot.N {
			out[i].N = d.Dot.N
		}
	}
	return out
}
