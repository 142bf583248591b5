package schema

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"unicode/utf8"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// setMembersMax bounds a set field.
const setMembersMax = 256

// Viewer is a person in one building, with the rights that the authority knows now.
type Viewer struct {
	Person   record.ID
	Building record.ID
	Role     Role
	Units    []record.ID
	Active   bool
}

// ViewHash identifies what the viewer may see. A feed cursor is bound to it: when role,
// units or the table's version change, the reader starts from zero.
func (v Viewer) ViewHash() record.Hash {
	units := slices.Clone(v.Units)
	slices.SortFunc(units, record.ID.Compare)
	return sha256.Sum256(fmt.Appendf(nil, "estate view %d %s %s %s %v %t", Version, v.Person, v.Building, v.Role, units, v.Active))
}

// Shown reads the value that a record shows for a field; nil where there is none.
func (t *Table) Shown(kind, field string, r record.Record) record.Value {
	shown := t.fields[kind][field].Policy.Shown(r.Siblings(field))
	if len(shown) == 0 {
		return nil
	}
	return shown[0].Value
}

// Members reads the values of a set field.
func (t *Table) Members(kind, field string, r record.Record) []record.Value {
	var out []record.Value
	for _, s := range t.fields[kind][field].Policy.Shown(r.Siblings(field)) {
		out = append(out, s.Value)
	}
	return out
}

// Parent is the key of the ticket whose readers may read a record of a Parent scope; ok is
// false for kinds without one.
func (t *Table) Parent(k record.Key, r record.Record) (record.Key, bool) {
	if t.byName[k.Kind].Readers[Tenant] != Parent {
		return record.Key{}, false
	}
	id, ok := t.Shown(k.Kind, "ticket", r).AsID()
	return record.Key{Building: k.Building, Kind: "ticket", ID: id}, ok
}

// MayRead reports whether the viewer may see a record. For kinds with a parent, parent is
// the ticket's record; a missing one hides the child.
func (t *Table) MayRead(v Viewer, k record.Key, r, parent record.Record) bool {
	if !v.Active || v.Building != k.Building {
		return false
	}
	kind, ok := t.byName[k.Kind]
	if !ok || kind.Secret {
		return false
	}
	switch kind.Readers[v.Role] {
	case All:
		return true
	case Own:
		return t.isPerson(v, k.Kind, "person", r)
	case Unit:
		return t.inUnit(v, k, r)
	case Parent:
		return !parent.IsZero() && t.inUnit(v, record.Key{Building: k.Building, Kind: "ticket"}, parent)
	case Nothing:
	}
	return false
}

func (t *Table) inUnit(v Viewer, k record.Key, r record.Record) bool {
	if k.Kind == "unit" {
		return slices.Contains(v.Units, k.ID)
	}
	if unit, ok := t.Shown(k.Kind, "unit", r).AsID(); ok && slices.Contains(v.Units, unit) {
		return true
	}
	if t.isPerson(v, k.Kind, "reporter", r) {
		return true
	}
	person := record.IDValue(v.Person)
	return slices.ContainsFunc(t.Members(k.Kind, "reports", r), func(m record.Value) bool { return bytes.Equal(m, person) })
}

func (t *Table) isPerson(v Viewer, kind, field string, r record.Record) bool {
	id, ok := t.Shown(kind, field, r).AsID()
	return ok && id == v.Person
}

// Validate implements replica.Rules: it returns the code of what is wrong with a value,
// empty if nothing is. Unknown kinds and fields pass: they are siblings like any other.
func (t *Table) Validate(kind, field string, value record.Value) string {
	f, ok := t.fields[kind][field]
	if !ok {
		return ""
	}
	if value.Validate() != nil || !f.accepts(value) {
		return wire.CodeValueInvalid
	}
	return ""
}

func (f Field) accepts(v record.Value) bool {
	switch f.Type {
	case Text:
		s, ok := v.AsText()
		return ok && utf8.ValidString(s) && utf8.RuneCountInString(s) <= f.Max
	case Enum:
		s, ok := v.AsText()
		return ok && slices.Contains(f.Values, s)
	case Int, Time:
		_, ok := v.AsInt()
		return ok
	case Float:
		_, ok := v.AsFloat()
		return ok
	case Bool:
		_, ok := v.AsBool()
		return ok
	case ID:
		_, ok := v.AsID()
		return ok
	case Digest:
		b, ok := v.AsBytes()
		return ok && len(b) == sha256.Size
	case Blob:
		b, ok := v.AsBytes()
		return ok && len(b) <= f.Max
	}
	return false
}

// MayWrite returns the code of why the viewer may not write these values into a field of a
// record, empty if they may. current is the record as stored (zero for a new one) and
// parent the ticket of a child record.
func (t *Table) MayWrite(v Viewer, k record.Key, field string, values []record.Value, current, parent record.Record) string {
	if v.Building != k.Building {
		return wire.CodeWrongBuilding
	}
	if !v.Active {
		return wire.CodeAuthorRevoked
	}
	kind, ok := t.byName[k.Kind]
	if !ok || kind.Chain {
		return wire.CodeKindUnknown
	}
	f, ok := t.fields[k.Kind][field]
	if !ok {
		return wire.CodeFieldUnknown
	}
	// Whoever may edit a record at all says with each edit that it is not deleted, so that
	// the edit wins over a deletion that had not seen it (SPEC R6).
	kept := field == "deleted" && kind.Deletable && allEqual(values, record.Bool(false)) && len(values) == 1 && kind.Readers[v.Role] != Nothing
	if kind.Secret || !kept && !f.writable(v.Role, len(current.Siblings(field)) == 0) {
		return wire.CodeFieldForbidden
	}
	if !t.mayTouch(v, k, field, values, current, parent) {
		return wire.CodeRecordForbidden
	}
	for _, value := range values {
		if code := t.Validate(k.Kind, field, value); code != "" {
			return code
		}
		if s, _ := value.AsText(); f.ValuesOf[v.Role] != nil && !slices.Contains(f.ValuesOf[v.Role], s) {
			return wire.CodeFieldForbidden
		}
	}
	if f.Policy.Kind == merge.Set && len(current.Siblings(field)) >= setMembersMax && len(values) > 0 {
		return wire.CodeValueInvalid
	}
	return ""
}

func (f Field) writable(role Role, empty bool) bool {
	return slices.Contains(f.Writers, role) || empty && slices.Contains(f.Creators, role)
}

// mayTouch holds the record-level rights: a person writes only records that they may see,
// creates them only where they will see them, and signs only with their own name.
func (t *Table) mayTouch(v Viewer, k record.Key, field string, values []record.Value, current, parent record.Record) bool {
	if field == "reporter" || field == "person" && t.byName[k.Kind].Immutable {
		if v.Role == Tenant && !allEqual(values, record.IDValue(v.Person)) {
			return false
		}
	}
	if field == "unit" && v.Role == Tenant && !isOneOf(values, v.Units) {
		return false
	}
	if field == "reports" && v.Role == Tenant && !allEqual(values, record.IDValue(v.Person)) {
		return false
	}
	switch t.byName[k.Kind].Readers[v.Role] {
	case All:
		return true
	case Parent:
		return !parent.IsZero() && t.inUnit(v, record.Key{Building: k.Building, Kind: "ticket"}, parent)
	case Unit:
		return len(current.Fields) == 0 || t.inUnit(v, k, current)
	case Own, Nothing:
	}
	return false
}

func allEqual(values []record.Value, want record.Value) bool {
	return !slices.ContainsFunc(values, func(v record.Value) bool { return !bytes.Equal(v, want) })
}

func isOneOf(values []record.Value, ids []record.ID) bool {
	return !slices.ContainsFunc(values, func(v record.Value) bool {
		id, ok := v.AsID()
		return !ok || !slices.Contains(ids, id)
	})
}

// Admit returns the admission rule of one author for replica.ApplyPush.
func (t *Table) Admit(v Viewer) replica.Admit {
	return func(k record.Key, field string, values []record.Value, current, parent record.Record) string {
		return t.MayWrite(v, k, field, values, current, parent)
	}
}

// MembershipID is the id of a person's membership record in a building, derived so that
// two jobs that project one account make one record.
func MembershipID(building, person record.ID) record.ID {
	return record.DerivedID("membership", building.String(), person.String())
}

// CredentialID is the id of a person's credential record in a building.
func CredentialID(building, person record.ID) record.ID {
	return record.DerivedID("credential", building.String(), person.String())
}
