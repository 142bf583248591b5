package schema_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/schema"
	"estate/sync/hlc"
	"estate/sync/record"
)

// Each draw has a generator of its own: rapid writes into one that is printed, and these
// tests run side by side.
func people() *rapid.Generator[record.ID] {
	return rapid.SampledFrom([]record.ID{tess, tom, {0xa3}, {}})
}

func units() *rapid.Generator[record.ID] {
	return rapid.SampledFrom([]record.ID{flat, attic, {0xf3}, {}})
}

func buildings() *rapid.Generator[record.ID] {
	return rapid.SampledFrom([]record.ID{home, home, home, elsewhere, {}})
}

func someRoles() *rapid.Generator[schema.Role] {
	return rapid.SampledFrom(append(schema.Roles(), schema.Tenant, schema.Tenant, schema.Automation, ""))
}

func drawViewer(t *rapid.T) schema.Viewer {
	return schema.Viewer{Person: people().Draw(t, "person"), Building: buildings().Draw(t, "of"), Role: someRoles().Draw(t, "role"),
		Units: rapid.SliceOfN(units(), 0, 3).Draw(t, "units"), Active: rapid.IntRange(0, 4).Draw(t, "active") > 0}
}

// drawValue draws mostly values of the field's type.
func drawValue(t *rapid.T, f schema.Field) record.Value {
	id := func(g *rapid.Generator[record.ID]) record.Value { return record.IDValue(g.Draw(t, f.Name)) }
	switch {
	case rapid.IntRange(0, 9).Draw(t, "odd") == 0:
		return rapid.SampledFrom([]record.Value{record.Text("x"), record.Int(1), record.IDValue(tess), record.Bytes([]byte{1})}).Draw(t, f.Name)
	case f.Type == schema.ID && (f.Name == "unit" || f.Name == "units"):
		return id(units())
	case f.Type == schema.ID:
		return id(people())
	case f.Type == schema.Enum:
		return record.Text(rapid.SampledFrom(f.Values).Draw(t, f.Name))
	case f.Type == schema.Bool:
		return record.Bool(rapid.Bool().Draw(t, f.Name))
	}
	return valueFor(f)
}

// drawRecord draws some fields of a kind, some with several siblings of either class.
func drawRecord(t *rapid.T, k schema.Kind) record.Record {
	var r record.Record
	for _, f := range k.Fields {
		var siblings []record.Sibling
		for range rapid.SampledFrom([]int{0, 1, 1, 2}).Draw(t, "siblings of "+f.Name) {
			n := rapid.Uint64Range(1, 9).Draw(t, "n")
			class := rapid.SampledFrom([]record.Class{record.Person, record.Automation}).Draw(t, "class")
			siblings = append(siblings, record.Sibling{Dot: record.Dot{Replica: record.ID{9}, N: n}, Stamp: hlc.Stamp(n), Class: class, Value: drawValue(t, f)})
		}
		r = r.With(f.Name, siblings)
	}
	return r
}

// attempt is somebody at a record.
type attempt struct {
	scene
	kind schema.Kind
}

func drawAttempt(t *rapid.T, table *schema.Table) attempt {
	ticket, _ := table.Lookup("ticket")
	kind := rapid.SampledFrom(slices.Concat(table.Kinds(), []schema.Kind{ticket, ticket})).Draw(t, "kind")
	a := attempt{kind: kind}
	a.viewer = drawViewer(t)
	a.key = record.Key{Building: buildings().Draw(t, "building"), Kind: kind.Name, ID: units().Draw(t, "id")}
	if rapid.Bool().Draw(t, "stored") {
		a.current = drawRecord(t, kind)
	}
	if rapid.Bool().Draw(t, "with parent") {
		a.parent = drawRecord(t, ticket)
	}
	return a
}

// concerns says in the words of the table's documentation whether a ticket, alarm, asset or unit
// is a tenant's to see. It shares no code with the rules.
func concerns(table *schema.Table, v schema.Viewer, k record.Key, r record.Record) bool {
	shown := func(field string) record.ID {
		f, _ := table.Lookup(k.Kind)
		d, ok := f.Field(field)
		if !ok {
			return record.ID{}
		}
		for _, s := range d.Policy.Shown(r.Siblings(field)) {
			id, _ := s.Value.AsID()
			return id
		}
		return record.ID{}
	}
	unit := shown("unit")
	if k.Kind == "unit" {
		unit = k.ID
	}
	joined := slices.ContainsFunc(r.Siblings("reports"), func(s record.Sibling) bool { return bytes.Equal(s.Value, record.IDValue(v.Person)) })
	return unit != record.ID{} && slices.Contains(v.Units, unit) || shown("reporter") == v.Person || joined
}

// TestMayReadProperties: whoever reads is active in the building, no secret is read, and a
// tenant reads what concerns them (SPEC R25).
func TestMayReadProperties(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	rapid.Check(t, func(t *rapid.T) {
		a := drawAttempt(t, table)
		may := table.MayRead(a.viewer, a.key, a.current, a.parent)
		known := a.viewer.Active && a.viewer.Building == a.key.Building && a.viewer.Building != record.ID{} && a.viewer.Person != record.ID{}
		if may && (!known || a.kind.Secret || !slices.Contains(schema.Roles(), a.viewer.Role)) {
			t.Fatalf("%+v reads %s", a.viewer, a.key)
		}
		if a.viewer.Role != schema.Tenant || !known {
			return
		}
		switch a.kind.Name {
		case "ticket", "alarm", "asset", "unit":
			if want := concerns(table, a.viewer, a.key, a.current); may != want {
				t.Fatalf("%+v reads %s: %t, concerned: %t", a.viewer, a.key, may, want)
			}
		case "message", "media":
			ticket := record.Key{Building: a.key.Building, Kind: "ticket"}
			if want := concerns(table, a.viewer, ticket, a.parent); may != want {
				t.Fatalf("%+v reads a %s of a ticket: %t, concerned: %t", a.viewer, a.kind.Name, may, want)
			}
		}
	})
}

// TestMayWriteProperties: whoever writes may read what stands, and a tenant writes no
// staff's field, no other's name and no other's unit (SPEC R7, R25).
func TestMayWriteProperties(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	rapid.Check(t, func(t *rapid.T) {
		a := drawAttempt(t, table)
		if len(a.kind.Fields) == 0 {
			if table.MayWrite(a.viewer, a.key, "action", nil, a.current, a.parent) == "" {
				t.Fatalf("%+v writes an audit event", a.viewer)
			}
			return
		}
		f := rapid.SampledFrom(a.kind.Fields).Draw(t, "field")
		var values []record.Value
		for range rapid.SampledFrom([]int{1, 1, 1, 0, 2}).Draw(t, "values") {
			values = append(values, drawValue(t, f))
		}
		admitted := table.Admit(a.viewer)(a.key, f.Name, values, a.current, a.parent) == ""
		may := table.MayWrite(a.viewer, a.key, f.Name, values, a.current, a.parent) == ""
		if admitted && !may {
			t.Fatalf("a phone may write %s.%s and the server may not", a.kind.Name, f.Name)
		}
		if may {
			wrote(t, table, a, f, values)
		}
	})
}

// wrote checks an admitted write.
func wrote(t *rapid.T, table *schema.Table, a attempt, f schema.Field, values []record.Value) {
	v := a.viewer
	fail := func(why string) { t.Fatalf("%+v writes %x into %s.%s: %s", v, values, a.kind.Name, f.Name, why) }
	switch {
	case !v.Active || v.Building != a.key.Building || v.Person == record.ID{}:
		fail("nobody here")
	case a.kind.Secret:
		fail("secret")
	case len(a.current.Fields) > 0 && !table.MayRead(v, a.key, a.current, a.parent):
		fail("not theirs to read")
	case len(a.current.Fields) > 0 && a.kind.Immutable:
		fail("a fact that stands")
	}
	own := func(field string, allowed ...record.ID) {
		if f.Name == field && (len(values) == 0 || slices.ContainsFunc(values, func(x record.Value) bool {
			id, ok := x.AsID()
			return !ok || !slices.Contains(allowed, id)
		})) {
			fail("another's " + field)
		}
	}
	if a.kind.Immutable {
		own("person", v.Person)
	}
	if v.Role != schema.Tenant {
		return
	}
	if !slices.Contains([]string{"ticket", "message", "media"}, a.kind.Name) {
		fail("tenants write none of these")
	}
	if slices.Contains([]string{"priority", "ai_priority", "assignee", "device", "alarm", "tags", "started_at", "resolved_at", "resolution", "external_ref"}, f.Name) {
		fail("staff's field")
	}
	own("reporter", v.Person)
	own("reports", v.Person)
	own("unit", v.Units...)
	if f.Name == "deleted" && slices.ContainsFunc(values, func(x record.Value) bool { return !bytes.Equal(x, record.Bool(false)) }) {
		fail("tenants delete nothing")
	}
	if a.kind.Name != "ticket" && !concerns(table, v, record.Key{Building: home, Kind: "ticket"}, a.parent) {
		fail("on a ticket that they cannot see")
	}
}

// TestWriteGivesNoSight: no write of a tenant makes a stored record that they could not
// see one that they can.
func TestWriteGivesNoSight(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	ticket, _ := table.Lookup("ticket")
	rapid.Check(t, func(t *rapid.T) {
		v := viewer(schema.Tenant)
		k := record.Key{Building: home, Kind: "ticket", ID: record.ID{1}}
		r := drawRecord(t, ticket)
		if len(r.Fields) == 0 || table.MayRead(v, k, r, record.Record{}) {
			return
		}
		for _, f := range ticket.Fields {
			value := []record.Value{valueFor(f)}
			if code := table.MayWrite(v, k, f.Name, value, r, record.Record{}); code == "" {
				t.Fatalf("ticket.%s of a ticket that they cannot see", f.Name)
			}
		}
	})
}

// TestViewHash: it changes with all that rights are decided on, and not with the order of
// units (SPEC R12).
func TestViewHash(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	ticket, _ := table.Lookup("ticket")
	rapid.Check(t, func(t *rapid.T) {
		v, o := drawViewer(t), drawViewer(t)
		set := func(ids []record.ID) []record.ID {
			return slices.Compact(slices.SortedFunc(slices.Values(ids), record.ID.Compare))
		}
		same := v.Person == o.Person && v.Building == o.Building && v.Role == o.Role && v.Active == o.Active && slices.Equal(set(v.Units), set(o.Units))
		if (v.ViewHash() == o.ViewHash()) != same {
			t.Fatalf("%+v and %+v: same view %t", v, o, same)
		}
		k := record.Key{Building: home, Kind: "ticket", ID: record.ID{1}}
		if r := drawRecord(t, ticket); v.ViewHash() == o.ViewHash() && table.MayRead(v, k, r, r) != table.MayRead(o, k, r, r) {
			t.Fatalf("%+v and %+v see differently under one hash", v, o)
		}
		before := slices.Clone(v.Units)
		moved := v
		moved.Units = append(rapid.Permutation(v.Units).Draw(t, "order"), v.Units...)
		if moved.ViewHash() != v.ViewHash() || !slices.Equal(before, v.Units) {
			t.Fatalf("%v and %v", v.Units, moved.Units)
		}
	})
}
