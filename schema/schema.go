// Package schema says what the data looks like: one table of kinds with their fields,
// types, policies and rights. Stores derive their projections from it, the API its
// validation, and replication its admission rules.
//
// It must never do I/O and never import anything but sync: it is the part that phones,
// edges and the cloud must agree on.
package schema

import (
	"slices"

	"estate/sync/merge"
	"estate/sync/replica"
)

// Version of the table of kinds, sent in handshakes. It rises by one with each release
// that adds kinds or fields; nothing is ever removed or changes its meaning.
const Version = 1

// Type is a field's value type.
type Type string

// The field types. Times are Unix milliseconds; ids are 16 bytes on the wire and UUID text
// in JSON.
const (
	Text   Type = "text"
	Enum   Type = "enum"
	Int    Type = "int"
	Float  Type = "float"
	Bool   Type = "bool"
	Time   Type = "time"
	ID     Type = "id"
	Digest Type = "digest" // 32 bytes, hex in JSON
	Blob   Type = "blob"   // short byte string, base64 in JSON
)

// Role is what a person may do in one building.
type Role string

// The roles. Admin is a person of the operator, with manager's rights in every building.
const (
	Tenant     Role = "tenant"
	Technician Role = "technician"
	Manager    Role = "manager"
	Admin      Role = "admin"
	// Automation is not a person's role: it marks fields that programs may write.
	Automation Role = "automation"
)

// Roles lists the persons' roles.
func Roles() []Role { return []Role{Tenant, Technician, Manager, Admin} }

// Scope says which records of a kind a role may read.
type Scope string

// The scopes. Unit: records whose unit is one of the reader's, or whose person field is
// the reader. Parent: as the ticket that the record belongs to. Own: the person field is
// the reader.
const (
	Nothing Scope = ""
	All     Scope = "all"
	Unit    Scope = "unit"
	Parent  Scope = "parent"
	Own     Scope = "own"
)

// Field describes one field of a kind.
type Field struct {
	Name   string
	Type   Type
	Doc    string
	Policy merge.Policy
	// Max is the longest text in characters, or the longest byte string.
	Max int
	// Values lists an Enum's values.
	Values []string
	// Writers may write the field at any time; Creators only while it has no value.
	Writers  []Role
	Creators []Role
	// ValuesOf narrows what a role may write into an Enum.
	ValuesOf map[Role][]string
	// Indexed fields have an indexed column in the projection, others a plain one. An index
	// pays where a look-up by the field finds few of many records, and costs every write.
	Indexed bool
}

// Kind describes one kind of record.
type Kind struct {
	Name   string
	Doc    string
	Fields []Field
	// Readers maps a role to the records of this kind that it may read. A role that is
	// not named reads nothing; servers replicate every kind.
	Readers map[Role]Scope
	// EdgeWrites says that an edge may write records of the kind; others are the cloud's.
	EdgeWrites bool
	// Immutable kinds are additive facts: each field is written once.
	Immutable bool
	// Secret kinds go to edge and cloud only, and audit details never hold their values.
	Secret bool
	// Deletable kinds have a field "deleted"; a person's edit writes it false.
	Deletable bool
	// ServerOnly kinds are written by use cases at edge and cloud; no phone pushes them.
	ServerOnly bool
	// Chain marks the audit event, which lies in the chains and not among the records.
	Chain bool
}

// Field finds a field by name.
func (k Kind) Field(name string) (Field, bool) {
	i := slices.IndexFunc(k.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return k.Fields[i], true
}

// Table is an immutable index over kinds. It implements replica.Rules and is safe for
// concurrent use.
type Table struct {
	kinds  []Kind
	byName map[string]Kind
	fields map[string]map[string]*Field
}

// NewTable indexes kinds. Production code uses Default; tests build tables of older and
// newer releases.
func NewTable(kinds []Kind) *Table {
	t := &Table{kinds: kinds, byName: map[string]Kind{}, fields: map[string]map[string]*Field{}}
	for _, k := range kinds {
		t.byName[k.Name] = k
		t.fields[k.Name] = make(map[string]*Field, len(k.Fields))
		for i := range k.Fields {
			t.fields[k.Name][k.Fields[i].Name] = &k.Fields[i]
		}
	}
	return t
}

// Default is the table of this release.
func Default() *Table { return NewTable(Kinds()) }

// Kinds lists the kinds in order.
func (t *Table) Kinds() []Kind { return t.kinds }

// Lookup finds a kind by name.
func (t *Table) Lookup(kind string) (Kind, bool) {
	k, ok := t.byName[kind]
	return k, ok
}

// Kind implements replica.Rules.
func (t *Table) Kind(kind string) (replica.KindRule, bool) {
	k, ok := t.byName[kind]
	if !ok || k.Chain {
		return replica.KindRule{}, false
	}
	return replica.KindRule{EdgeWrites: k.EdgeWrites, Immutable: k.Immutable, Secret: k.Secret, Deletable: k.Deletable}, true
}

// Field implements replica.Rules.
func (t *Table) Field(kind, field string) (replica.FieldRule, bool) {
	f, ok := t.fields[kind][field]
	if !ok {
		return replica.FieldRule{}, false
	}
	return replica.FieldRule{Policy: f.Policy}, true
}

var _ replica.Rules = (*Table)(nil)
