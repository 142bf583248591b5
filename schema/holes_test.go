package schema_test

import (
	"testing"

	"estate/schema"
	"estate/sync/record"
	"estate/sync/wire"
)

// TestHoles: one case for each way past the rights that somebody thought of (SPEC R7,
// R25). The writer is tess, tenant of the flat; the attic is tom's.
func TestHoles(t *testing.T) {
	t.Parallel()
	me, him, zero := record.IDValue(tess), record.IDValue(tom), record.ID{}
	hidden := rec("unit", attic, "reporter", tom, "status", "new")
	mine := rec("unit", flat, "reporter", tess, "status", "new")
	his := rec("unit", flat, "reporter", tom, "status", "new") // seen by tess, who lives there too
	leak := rec("unit", flat, "status", "new")                 // opened by automation
	fact := rec("ticket", record.ID{2}, "person", tom, "text", "it is dry now")
	none, no := record.Record{}, []record.Value(nil)
	one := func(v record.Value) []record.Value { return []record.Value{v} }
	for _, c := range []struct {
		name            string
		role            schema.Role
		kind, field     string
		values          []record.Value
		current, parent record.Record
		want            string
	}{
		{"joins a ticket they cannot see", schema.Tenant, "ticket", "reports", one(me), hidden, none, wire.CodeRecordForbidden},
		{"joins a ticket they see", schema.Tenant, "ticket", "reports", one(me), his, none, ""},
		{"adds somebody else to reports", schema.Tenant, "ticket", "reports", one(him), his, none, wire.CodeRecordForbidden},
		{"adds themself and somebody else", schema.Tenant, "ticket", "reports", []record.Value{me, him}, his, none, wire.CodeRecordForbidden},
		{"takes an unnamed person out of reports", schema.Tenant, "ticket", "reports", no, his, none, wire.CodeRecordForbidden},
		{"moves their ticket to the attic", schema.Tenant, "ticket", "unit", one(record.IDValue(attic)), mine, none, wire.CodeRecordForbidden},
		{"creates in the attic", schema.Tenant, "ticket", "unit", one(record.IDValue(attic)), none, none, wire.CodeRecordForbidden},
		{"gives a ticket without a unit that of the attic", schema.Tenant, "ticket", "unit", one(record.IDValue(attic)), rec("reporter", tess), none, wire.CodeRecordForbidden},
		{"gives a ticket without a unit their own", schema.Tenant, "ticket", "unit", one(record.IDValue(flat)), rec("reporter", tess), none, ""},
		{"moves a hidden ticket to their flat", schema.Tenant, "ticket", "unit", one(record.IDValue(flat)), hidden, none, wire.CodeRecordForbidden},
		{"claims a hidden ticket that has no unit", schema.Tenant, "ticket", "unit", one(record.IDValue(flat)), rec("title", "lift"), none, wire.CodeRecordForbidden},
		{"clears the unit", schema.Tenant, "ticket", "unit", no, mine, none, wire.CodeRecordForbidden},
		{"reports in another's name", schema.Tenant, "ticket", "reporter", one(him), none, none, wire.CodeRecordForbidden},
		{"names themself reporter of a hidden ticket", schema.Tenant, "ticket", "reporter", one(me), rec("unit", attic), none, wire.CodeRecordForbidden},
		{"names themself reporter of automation's ticket", schema.Tenant, "ticket", "reporter", one(me), leak, none, wire.CodeFieldForbidden},
		{"cancels automation's ticket", schema.Tenant, "ticket", "status", one(record.Text("cancelled")), leak, none, wire.CodeFieldForbidden},
		{"cancels a neighbour's ticket", schema.Tenant, "ticket", "status", one(record.Text("cancelled")), his, none, wire.CodeFieldForbidden},
		{"cancels their own", schema.Tenant, "ticket", "status", one(record.Text("cancelled")), mine, none, ""},
		{"clears the status", schema.Tenant, "ticket", "status", no, mine, none, wire.CodeFieldForbidden},
		{"resolves", schema.Tenant, "ticket", "status", one(record.Text("resolved")), mine, none, wire.CodeFieldForbidden},
		{"sets the priority", schema.Tenant, "ticket", "priority", one(record.Text("urgent")), mine, none, wire.CodeFieldForbidden},
		{"revives a hidden ticket", schema.Tenant, "ticket", "deleted", one(record.Bool(false)), hidden, none, wire.CodeRecordForbidden},
		{"edits what was deleted meanwhile", schema.Tenant, "ticket", "deleted", one(record.Bool(false)), mine, none, ""},
		{"deletes", schema.Tenant, "ticket", "deleted", one(record.Bool(true)), mine, none, wire.CodeFieldForbidden},
		{"takes the word on deletion back", schema.Tenant, "ticket", "deleted", no, mine, none, wire.CodeFieldForbidden},
		{"keeps and deletes at once", schema.Tenant, "ticket", "deleted", []record.Value{record.Bool(false), record.Bool(true)}, mine, none, wire.CodeFieldForbidden},
		{"makes a unit by saying that it is not deleted", schema.Tenant, "unit", "deleted", one(record.Bool(false)), none, none, wire.CodeFieldForbidden},
		{"revives their unit", schema.Tenant, "unit", "deleted", one(record.Bool(false)), rec("name", "3B"), none, wire.CodeFieldForbidden},
		{"a technician revives a unit", schema.Technician, "unit", "deleted", one(record.Bool(false)), rec("name", "3B"), none, wire.CodeFieldForbidden},
		{"a technician edits a device deleted meanwhile", schema.Technician, "device", "deleted", one(record.Bool(false)), rec("name", "meter"), none, ""},
		{"title of a hidden ticket's id", schema.Tenant, "ticket", "title", one(record.Text("x")), rec("unit", attic, "title", "t"), none, wire.CodeRecordForbidden},
		{"title, where the hidden ticket has none", schema.Tenant, "ticket", "title", one(record.Text("x")), hidden, none, wire.CodeRecordForbidden},
		{"message on a ticket not seen", schema.Tenant, "message", "text", one(record.Text("x")), none, hidden, wire.CodeRecordForbidden},
		{"message without a ticket", schema.Tenant, "message", "text", one(record.Text("x")), none, none, wire.CodeRecordForbidden},
		{"media names a ticket not seen", schema.Tenant, "media", "ticket", one(record.IDValue(record.ID{3})), none, hidden, wire.CodeRecordForbidden},
		{"moves a message to their ticket", schema.Tenant, "message", "ticket", one(record.IDValue(record.ID{3})), fact, mine, wire.CodeImmutable},
		{"adds to another's message under a ticket of their own", schema.Tenant, "message", "sent_at", one(record.Int(1)), fact, mine, wire.CodeImmutable},
		{"adds to another's message under its own ticket", schema.Tenant, "message", "sent_at", one(record.Int(1)), fact, hidden, wire.CodeRecordForbidden},
		{"a technician adds to another's message", schema.Technician, "message", "sent_at", one(record.Int(1)), fact, mine, wire.CodeImmutable},
		{"signs with another's name", schema.Tenant, "message", "person", one(him), none, mine, wire.CodeRecordForbidden},
		{"a technician signs with another's name", schema.Technician, "message", "person", one(him), none, mine, wire.CodeRecordForbidden},
		{"a manager signs a note with another's name", schema.Manager, "note", "person", one(him), none, mine, wire.CodeRecordForbidden},
		{"signs with nothing", schema.Tenant, "message", "person", no, none, mine, wire.CodeRecordForbidden},
		{"gives up a value before it arrives", schema.Tenant, "ticket", "title", no, none, none, wire.CodeFieldForbidden},
		{"a manager makes an admin", schema.Manager, "membership", "role", one(record.Text("admin")), none, none, wire.CodeFieldForbidden},
		{"a program's role is no person's", schema.Automation, "device", "model", one(record.Text("W")), none, none, wire.CodeRecordForbidden},
		{"no role", "", "ticket", "status", one(record.Text("new")), none, none, wire.CodeFieldForbidden},
		{"a field of a later release", schema.Manager, "ticket", "no_such", one(me), mine, none, wire.CodeFieldUnknown},
		{"a kind of a later release", schema.Manager, "no_such", "title", one(me), mine, none, wire.CodeKindUnknown},
		{"a zero byte in a title", schema.Tenant, "ticket", "title", one(record.Text("a\x00")), none, none, wire.CodeValueInvalid},
		{"no unit is nobody's", schema.Tenant, "ticket", "status", one(record.Text("new")), rec("unit", zero), none, wire.CodeRecordForbidden},
	} {
		v := viewer(c.role)
		v.Units = append(v.Units, zero)
		k := record.Key{Building: home, Kind: c.kind, ID: record.ID{1}}
		if c.kind == "unit" {
			k.ID = flat
		}
		if got := schema.Default().MayWrite(v, k, c.field, c.values, c.current, c.parent); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestPhonesDoNotJoin: admission is not told whom a transaction takes out of a set, so a
// tenant's phone leaves reports alone; staff's may write it.
func TestPhonesDoNotJoin(t *testing.T) {
	t.Parallel()
	k := record.Key{Building: home, Kind: "ticket", ID: record.ID{1}}
	current := rec("unit", flat, "reports", tom)
	for role, want := range map[schema.Role]string{schema.Tenant: wire.CodeFieldForbidden, schema.Technician: "", schema.Manager: ""} {
		got := schema.Default().Admit(viewer(role))(k, "reports", []record.Value{record.IDValue(tess)}, current, record.Record{})
		if got != want {
			t.Errorf("a %s: %q, want %q", role, got, want)
		}
	}
}

// TestNobodyNowhere: the zero person and the zero building have no rights, whatever stands
// in a record.
func TestNobodyNowhere(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	for _, role := range schema.Roles() {
		nobody, nowhere := viewer(role), viewer(role)
		nobody.Person, nowhere.Building = record.ID{}, record.ID{}
		for name, v := range map[string]schema.Viewer{"nobody": nobody, "nowhere": nowhere} {
			k := record.Key{Building: v.Building, Kind: "ticket", ID: record.ID{1}}
			r := rec("unit", flat, "reporter", record.ID{})
			if table.MayRead(v, k, r, record.Record{}) {
				t.Errorf("%s reads as %s", name, role)
			}
			if code := table.MayWrite(v, k, "status", []record.Value{record.Text("new")}, r, record.Record{}); code != wire.CodeWrongBuilding {
				t.Errorf("%s writes as %s: %q", name, role, code)
			}
		}
	}
}

// TestUnknownFieldsGiveNothing: a field of a later release may mean something else, and
// opens no record (SPEC R20).
func TestUnknownFieldsGiveNothing(t *testing.T) {
	t.Parallel()
	k := record.Key{Building: home, Kind: "alarm", ID: record.ID{1}}
	for _, field := range []string{"reporter", "reports", "person"} {
		if schema.Default().MayRead(viewer(schema.Tenant), k, rec("unit", attic, field, tess), record.Record{}) {
			t.Errorf("alarm.%s makes a reader", field)
		}
	}
}

// TestRulesNotRows: a secret stays one and a deletion is a person's to take back only where
// the kind says so, whatever readers and writers a later table lists beside it.
func TestRulesNotRows(t *testing.T) {
	t.Parallel()
	all := map[schema.Role]schema.Scope{schema.Technician: schema.All}
	table := schema.NewTable([]schema.Kind{
		{Name: "secret", Secret: true, Readers: all, Fields: []schema.Field{{Name: "name", Type: schema.Bool, Writers: schema.Roles()}}},
		{Name: "fixed", Readers: all, Fields: []schema.Field{{Name: "name", Type: schema.Bool, Writers: schema.Roles()}, {Name: "deleted", Type: schema.Bool}}},
	})
	for kind, field := range map[string]string{"secret": "name", "fixed": "deleted"} {
		k := record.Key{Building: home, Kind: kind, ID: record.ID{1}}
		if got := table.MayWrite(viewer(schema.Technician), k, field, []record.Value{record.Bool(false)}, record.Record{}, record.Record{}); got != wire.CodeFieldForbidden {
			t.Errorf("%s.%s: %q", kind, field, got)
		}
		if table.MayRead(viewer(schema.Technician), k, record.Record{}, record.Record{}) != (kind == "fixed") {
			t.Errorf("%s is readable: %t", kind, kind != "fixed")
		}
	}
	tenant := viewer(schema.Tenant)
	tenant.Units = append(tenant.Units, record.ID{})
	if schema.Default().MayRead(tenant, record.Key{Building: home, Kind: "unit"}, rec("name", "none"), record.Record{}) {
		t.Error("the zero unit is a tenant's")
	}
}

// TestSetBound: a set takes no more members than a record can hold.
func TestSetBound(t *testing.T) {
	t.Parallel()
	k := record.Key{Building: home, Kind: "ticket", ID: record.ID{1}}
	var pairs []any
	for i := range 256 {
		pairs = append(pairs, "tags", string(rune('0'+i)))
	}
	for n, want := range map[int]string{255: "", 256: wire.CodeValueInvalid} {
		if got := schema.Default().MayWrite(viewer(schema.Manager), k, "tags", []record.Value{record.Text("wet")}, rec(pairs[:2*n]...), record.Record{}); got != want {
			t.Errorf("one more than %d: %q, want %q", n, got, want)
		}
	}
	if got := schema.Default().MayWrite(viewer(schema.Manager), k, "tags", nil, rec(pairs...), record.Record{}); got != "" {
		t.Errorf("a full set cannot be made smaller: %q", got)
	}
}
