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

const (
	// setMembersMax bounds a set field.
	setMembersMax = 256
	// timeMin and timeMax are the first and last millisecond that RFC 3339 can write: one
	// time beyond them would make every answer that holds it unwritable as JSON.
	timeMin = -62_135_596_800_000
	timeMax = 253_402_300_799_999
)

// Viewer is a person in one building, with the rights that the authority knows now.
type Viewer struct {
	Person   record.ID
	Building record.ID
	Role     Role
	Units    []record.ID
	Active   bool
}

// ViewHash identifies what the viewer may see. A feed cursor is bound to it: when role,
// units or the table's version change, the reader starts from zero (SPEC R12).
func (v Viewer) ViewHash() record.Hash {
	units := slices.Clone(v.Units)
	slices.SortFunc(units, record.ID.Compare)
	units = slices.Compact(units)
	return sha256.Sum256(fmt.Appendf(nil, "estate view %d %s %s %q %v %t", Version, v.Person, v.Building, v.Role, units, v.Active))
}

// in reports whether the viewer is somebody in a building. The zero id is nobody and
// nowhere: what belongs to no building is not the persons' of any.
func (v Viewer) in(building record.ID) bool {
	return !v.Person.IsZero() && !building.IsZero() && v.Building == building
}

// Shown reads the value that a record shows for a field; nil where there is none.
func (t *Table) Shown(kind, field string, r record.Record) record.Value {
	shown := t.policy(kind, field).Shown(r.Siblings(field))
	if len(shown) == 0 {
		return nil
	}
	return shown[0].Value
}

// policy is the one of a field, the latest where the field is not known.
func (t *Table) policy(kind, field string) merge.Policy {
	if f, ok := t.fields[kind][field]; ok {
		return f.Policy
	}
	return merge.Policy{}
}

// Members reads the values of a set field.
func (t *Table) Members(kind, field string, r record.Record) []record.Value {
	var out []record.Value
	for _, s := range t.policy(kind, field).Shown(r.Siblings(field)) {
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
	if !v.Active || !v.in(k.Building) {
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
		return t.inUnit(v, record.Key{Building: k.Building, Kind: "ticket"}, parent)
	case Nothing:
	}
	return false
}

func (t *Table) inUnit(v Viewer, k record.Key, r record.Record) bool {
	if k.Kind == "unit" {
		return !k.ID.IsZero() && slices.Contains(v.Units, k.ID)
	}
	if unit, ok := t.Shown(k.Kind, "unit", r).AsID(); ok && !unit.IsZero() && slices.Contains(v.Units, unit) {
		return true
	}
	if t.isPerson(v, k.Kind, "reporter", r) {
		return true
	}
	if _, known := t.fields[k.Kind]["reports"]; !known {
		return false
	}
	person := record.IDValue(v.Person)
	return slices.ContainsFunc(t.Members(k.Kind, "reports", r), func(m record.Value) bool { return bytes.Equal(m, person) })
}

// isPerson reports whether a field names the viewer. A field that this release does not
// know gives nobody a right: it may mean something else.
func (t *Table) isPerson(v Viewer, kind, field string, r record.Record) bool {
	if _, known := t.fields[kind][field]; !known {
		return false
	}
	id, ok := t.Shown(kind, field, r).AsID()
	return ok && id == v.Person
}

// Validate implements replica.Rules: it returns the code of what is wrong with a value,
// empty if nothing is. Unknown kinds and fields pass: they are siblings like any other. A
// text holds no zero byte, for PostgreSQL could not store its record (SPEC R28).
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

// accepts reports whether a value that is valid as such is one of the field's.
func (f *Field) accepts(v record.Value) bool {
	switch f.Type {
	case Text:
		s, ok := v.TextBytes()
		// PostgreSQL's text holds no zero byte: such a value could never be projected there.
		return ok && bytes.IndexByte(s, 0) < 0 && (len(s) <= f.Max || utf8.RuneCount(s) <= f.Max)
	case Enum:
		s, ok := v.TextBytes()
		return ok && slices.ContainsFunc(f.Values, func(known string) bool { return known == string(s) })
	case Int:
		_, ok := v.AsInt()
		return ok
	case Time:
		ms, ok := v.AsInt()
		return ok && ms >= timeMin && ms <= timeMax
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
		b, ok := v.RawBytes()
		return ok && len(b) == sha256.Size
	case Blob:
		b, ok := v.RawBytes()
		return ok && len(b) <= f.Max
	}
	return false
}

// MayWrite returns the code of why the viewer may not write these values into a field of a
// record, empty if they may. current is the record as stored (zero for a new one) and
// parent the ticket of a child record. Whoever may not see a record learns the same of each
// field that their role writes at all, whether it has a value or not.
func (t *Table) MayWrite(v Viewer, k record.Key, field string, values []record.Value, current, parent record.Record) string {
	if !v.in(k.Building) {
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
	kept := kind.keeps(v.Role, field, values)
	if kind.Secret || !kept && !f.writable(v.Role, true) {
		return wire.CodeFieldForbidden
	}
	if !t.mayTouch(v, k, field, values, current, parent) {
		return wire.CodeRecordForbidden
	}
	if kind.Immutable && len(current.Fields) > 0 {
		// A fact is one transaction: whoever adds a field later, under a ticket of their
		// choice, would be writing on what somebody else said.
		return wire.CodeImmutable
	}
	if !kept && !f.writable(v.Role, t.mayFill(v, k.Kind, *f, values, current)) || !t.mayCancel(v, k.Kind, field, values, current) {
		return wire.CodeFieldForbidden
	}
	return t.mayHold(v, k.Kind, *f, values, current)
}

// keeps reports whether this is the word that goes with every edit, that the record is not
// deleted, so that the edit wins over a deletion that had not seen it (SPEC R6). Whoever
// may edit nothing of a kind has no such word to say.
func (k Kind) keeps(role Role, field string, values []record.Value) bool {
	if field != "deleted" || !k.Deletable || len(values) != 1 || !allEqual(values, record.Bool(false)) {
		return false
	}
	return slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Name != "deleted" && f.writable(role, true) })
}

// writable reports whether a role may write the field; fill says that it may be filled.
func (f Field) writable(role Role, fill bool) bool {
	return slices.Contains(f.Writers, role) || fill && slices.Contains(f.Creators, role)
}

// mayFill reports whether the viewer may use a creator's right: to give a field its first
// value. A tenant has it on a new record and on what they reported; else they could name
// themself as the reporter of what automation opened, and then cancel it.
func (t *Table) mayFill(v Viewer, kind string, f Field, values []record.Value, current record.Record) bool {
	if len(current.Siblings(f.Name)) > 0 || len(values) == 0 {
		return false
	}
	return v.Role != Tenant || len(current.Fields) == 0 || t.isPerson(v, kind, "reporter", current)
}

// mayCancel holds tenants to cancelling what they reported themselves: others who see the
// ticket still wait for the work.
func (t *Table) mayCancel(v Viewer, kind, field string, values []record.Value, current record.Record) bool {
	if v.Role != Tenant || kind != "ticket" || field != "status" || len(current.Fields) == 0 || t.isPerson(v, kind, "reporter", current) {
		return true
	}
	return !slices.ContainsFunc(values, func(s record.Value) bool { return bytes.Equal(s, record.Text("cancelled")) })
}

// mayHold returns the code of what is wrong with the values.
func (t *Table) mayHold(v Viewer, kind string, f Field, values []record.Value, current record.Record) string {
	narrowed := f.ValuesOf[v.Role]
	if narrowed != nil && len(values) == 0 {
		return wire.CodeFieldForbidden // no value is none of those that the role may write
	}
	for _, value := range values {
		if code := t.Validate(kind, f.Name, value); code != "" {
			return code
		}
		if s, _ := value.AsText(); narrowed != nil && !slices.Contains(narrowed, s) {
			return wire.CodeFieldForbidden
		}
	}
	if f.Policy.Kind == merge.Set && len(current.Siblings(f.Name)) >= setMembersMax && len(values) > 0 {
		return wire.CodeValueInvalid
	}
	return ""
}

// mayTouch holds the record-level rights: a person writes only records that they may see,
// creates them only where they will see them, and signs only with their own name.
func (t *Table) mayTouch(v Viewer, k record.Key, field string, values []record.Value, current, parent record.Record) bool {
	kind, own := t.byName[k.Kind], []record.ID{v.Person}
	if kind.Immutable && field == "person" && !isOneOf(values, own) {
		return false
	}
	if v.Role == Tenant {
		switch field {
		case "reporter", "reports":
			if !isOneOf(values, own) {
				return false
			}
		case "unit":
			if !isOneOf(values, v.Units) {
				return false
			}
		}
	}
	switch kind.Readers[v.Role] {
	case All:
		return true
	case Parent:
		return t.inUnit(v, record.Key{Building: k.Building, Kind: "ticket"}, parent)
	case Unit:
		return len(current.Fields) == 0 || t.inUnit(v, k, current)
	case Own, Nothing:
	}
	return false
}

func allEqual(values []record.Value, want record.Value) bool {
	return !slices.ContainsFunc(values, func(v record.Value) bool { return !bytes.Equal(v, want) })
}

// isOneOf reports whether there are values, and all of them are among the ids.
func isOneOf(values []record.Value, ids []record.ID) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(v record.Value) bool {
		id, ok := v.AsID()
		return !ok || !slices.Contains(ids, id)
	})
}

// Admit returns the admission rule of one author for replica.ApplyPush. It is told what a
// transaction adds to a set but not whom it takes out, so a tenant's phone does not write
// the one set that gives others the right to read: joining is the server's to do.
func (t *Table) Admit(v Viewer) replica.Admit {
	return func(k record.Key, field string, values []record.Value, current, parent record.Record) string {
		if v.Role == Tenant && field == "reports" {
			return wire.CodeFieldForbidden
		}
		if t.byName[k.Kind].ServerOnly {
			return wire.CodeKindNotYours
		}
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
