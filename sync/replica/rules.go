package replica

import (
	"estate/sync/merge"
	"estate/sync/record"
)

// Rules is what the replica needs to know of the table of kinds. Implementations are
// immutable.
type Rules interface {
	// Kind returns a kind's rule; ok is false for a kind that this release does not know.
	Kind(kind string) (rule KindRule, ok bool)
	// Field returns a field's rule; ok is false for an unknown field.
	Field(kind, field string) (rule FieldRule, ok bool)
	// Validate returns the wire code of what is wrong with a value, empty if nothing is or
	// the field is unknown.
	Validate(kind, field string, value record.Value) string
	// Parent names the record whose readers may read this one; ok is false for none.
	Parent(key record.Key, r record.Record) (parent record.Key, ok bool)
}

// KindRule is what replication needs to know of a kind.
type KindRule struct {
	EdgeWrites bool
	Immutable  bool
	Secret     bool
	Deletable  bool
}

// FieldRule is what replication needs to know of a field.
type FieldRule struct {
	Policy merge.Policy
}

// Admit decides on one field of a phone's transaction with the rights that the authority
// knows now. It returns the wire code of the refusal, empty to admit.
type Admit func(key record.Key, field string, values []record.Value, current, parent record.Record) string
