package schema_test

import (
	"strings"
	"testing"

	"estate/schema"
	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/wire"
)

var (
	home      = record.ID{0xb1}
	elsewhere = record.ID{0xb2}
	tess      = record.ID{0xa1}
	tom       = record.ID{0xa2}
	flat      = record.ID{0xf1} // tess's
	attic     = record.ID{0xf2} // tom's
)

// rec builds a record of persons' values, one transaction a pair of field and value.
func rec(pairs ...any) record.Record {
	var r record.Record
	for i := 0; i < len(pairs); i += 2 {
		n := uint64(i/2 + 1)
		var v record.Value
		switch x := pairs[i+1].(type) {
		case record.ID:
			v = record.IDValue(x)
		case string:
			v = record.Text(x)
		case record.Value:
			v = x
		}
		name := pairs[i].(string)
		r = r.With(name, append(r.Siblings(name), record.Sibling{Dot: record.Dot{Replica: record.ID{9}, N: n}, Stamp: hlc.Stamp(n), Class: record.Person, Value: v}))
	}
	return r
}

func viewer(role schema.Role) schema.Viewer {
	return schema.Viewer{Person: tess, Building: home, Role: role, Units: []record.ID{flat}, Active: true}
}

// scene is one column of a matrix.
type scene struct {
	viewer          schema.Viewer
	key             record.Key
	current, parent record.Record
}

// sceneOf sets a record of a kind in its relation to tess. Of children it is the ticket
// that stands in the relation.
func sceneOf(table *schema.Table, kind string, role schema.Role, column string) scene {
	s := scene{viewer: viewer(role), key: record.Key{Building: home, Kind: kind, ID: record.ID{1}}}
	if kind == "unit" {
		s.key.ID = flat
	}
	k, _ := table.Lookup(kind)
	subject := rec("unit", flat, "title", "t", "person", tess)
	switch column {
	case "elsewhere":
		s.key.Building = elsewhere
	case "inactive":
		s.viewer.Active = false
	case "other", "reporter", "reports":
		subject = rec("unit", attic, "title", "t", "person", tom)
		if column != "other" {
			subject = rec("unit", attic, "title", "t", "person", tom, column, tess, column, tom)
		}
		if column == "reporter" {
			subject = rec("unit", attic, "title", "t", "person", tom, column, tess)
		}
		if kind == "unit" {
			s.key.ID = attic
		}
	case "missing", "new":
		subject = record.Record{}
		if kind == "unit" {
			s.key.ID = record.ID{0xf3}
		}
	}
	if k.Readers[schema.Tenant] == schema.Parent || kind == "note" {
		s.parent = subject
		if column == "new" {
			s.parent = rec("unit", flat)
		}
		return s
	}
	s.current = subject
	return s
}

// rows reads a matrix: kind, role and one cell for each column.
func rows(t *testing.T, matrix string, fn func(kind string, role schema.Role, column, want string)) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(matrix), "\n")
	columns := strings.Fields(lines[0])[2:]
	seen := map[string]bool{}
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		if len(cells) != len(columns)+2 {
			t.Fatalf("row %q", line)
		}
		roles := []schema.Role{schema.Role(cells[1])}
		switch cells[1] {
		case "everyone":
			roles = schema.Roles()
		case "staff":
			roles = schema.Roles()[1:]
		case "managers":
			roles = schema.Roles()[2:]
		}
		for _, role := range roles {
			seen[cells[0]+" "+string(role)] = true
			for i, column := range columns {
				fn(cells[0], role, column, cells[i+2])
			}
		}
	}
	if want := len(schema.Kinds()) * len(schema.Roles()); len(seen) != want {
		t.Errorf("the matrix has %d kinds and roles, the table %d", len(seen), want)
	}
}

const readMatrix = `
kind        role        own other elsewhere inactive reporter reports missing
building    everyone    r   r     -         -        r        r       r
unit        tenant      r   -     -         -        -        -       -
unit        staff       r   r     -         -        r        r       r
membership  tenant      r   -     -         -        -        -       -
membership  staff       r   r     -         -        r        r       r
credential  everyone    -   -     -         -        -        -       -
node        everyone    -   -     -         -        -        -       -
ticket      tenant      r   -     -         -        r        r       -
ticket      staff       r   r     -         -        r        r       r
message     tenant      r   -     -         -        r        r       -
message     staff       r   r     -         -        r        r       r
note        tenant      -   -     -         -        -        -       -
note        staff       r   r     -         -        r        r       r
media       tenant      r   -     -         -        r        r       -
media       staff       r   r     -         -        r        r       r
asset       tenant      r   -     -         -        -        -       -
asset       staff       r   r     -         -        r        r       r
device      tenant      -   -     -         -        -        -       -
device      staff       r   r     -         -        r        r       r
control     tenant      -   -     -         -        -        -       -
control     staff       r   r     -         -        r        r       r
action      tenant      -   -     -         -        -        -       -
action      staff       r   r     -         -        r        r       r
rule        tenant      -   -     -         -        -        -       -
rule        staff       r   r     -         -        r        r       r
alarm       tenant      r   -     -         -        -        -       -
alarm       staff       r   r     -         -        r        r       r
setting     tenant      -   -     -         -        -        -       -
setting     staff       r   r     -         -        r        r       r
audit_event tenant      -   -     -         -        -        -       -
audit_event technician  -   -     -         -        -        -       -
audit_event managers    r   r     -         -        r        r       r
`

// TestMayReadMatrix: roles × kinds × relations to the reader (SPEC R25).
func TestMayReadMatrix(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	rows(t, readMatrix, func(kind string, role schema.Role, column, want string) {
		s := sceneOf(table, kind, role, column)
		if got := table.MayRead(s.viewer, s.key, s.current, s.parent); got != (want == "r") {
			t.Errorf("%s, %s, %s: readable %t, want %s", kind, role, column, got, want)
		}
	})
}

// A cell is + for admitted, else the code's initial. Of a fact, "exists" says that it was
// written before, and the columns after it are new facts on tickets in that relation.
const writeMatrix = `
kind        role        new exists other elsewhere inactive reporter reports missing
building    tenant      F   F      F     B         A        F        F       F
building    technician  F   F      F     B         A        F        F       F
building    manager     F   F      F     B         A        F        F       F
building    admin       +   +      +     B         A        +        +       +
unit        tenant      F   F      F     B         A        F        F       F
unit        technician  F   F      F     B         A        F        F       F
unit        managers    +   +      +     B         A        +        +       +
membership  tenant      F   F      F     B         A        F        F       F
membership  technician  F   F      F     B         A        F        F       F
membership  managers    +   +      +     B         A        +        +       +
credential  everyone    F   F      F     B         A        F        F       F
node        everyone    F   F      F     B         A        F        F       F
ticket      tenant      +   +      R     B         A        +        +       +
ticket      staff       +   +      +     B         A        +        +       +
message     tenant      +   I      R     B         A        +        +       R
message     staff       +   I      +     B         A        +        +       +
note        tenant      F   F      F     B         A        F        F       F
note        staff       +   I      +     B         A        +        +       +
media       tenant      +   I      R     B         A        +        +       R
media       staff       +   I      +     B         A        +        +       +
asset       tenant      F   F      F     B         A        F        F       F
asset       staff       +   +      +     B         A        +        +       +
device      tenant      F   F      F     B         A        F        F       F
device      staff       +   +      +     B         A        +        +       +
control     everyone    F   F      F     B         A        F        F       F
action      tenant      F   F      F     B         A        F        F       F
action      staff       +   +      +     B         A        +        +       +
rule        tenant      F   F      F     B         A        F        F       F
rule        technician  F   F      F     B         A        F        F       F
rule        managers    +   +      +     B         A        +        +       +
alarm       tenant      F   F      F     B         A        F        F       F
alarm       staff       +   +      +     B         A        +        +       +
setting     tenant      F   F      F     B         A        F        F       F
setting     technician  F   F      F     B         A        F        F       F
setting     managers    +   +      +     B         A        +        +       +
audit_event everyone    K   K      K     B         A        K        K       K
`

// probes are a field of each kind with a value that its writers may write.
var probes = map[string]struct {
	field string
	value record.Value
}{
	"building": {"name", record.Text("Oak")}, "unit": {"name", record.Text("3B")}, "asset": {"name", record.Text("Lift")}, "membership": {"active", record.Bool(true)},
	"credential": {"disabled", record.Bool(true)}, "node": {"name", record.Text("phone")}, "ticket": {"status", record.Text("new")},
	"message": {"text", record.Text("hello")}, "note": {"text", record.Text("hm")}, "media": {"name", record.Text("leak.jpg")},
	"device": {"name", record.Text("meter")}, "control": {"state", record.Text("on")}, "action": {"state", record.Text("asked")},
	"rule": {"definition", record.Text("{}")}, "alarm": {"state", record.Text("acknowledged")},
	"setting": {"value", record.Text("on")}, "audit_event": {"action", record.Text("x")},
}

var codeOf = map[string]string{"+": "", "F": wire.CodeFieldForbidden, "R": wire.CodeRecordForbidden, "B": wire.CodeWrongBuilding,
	"A": wire.CodeAuthorRevoked, "K": wire.CodeKindUnknown, "I": wire.CodeImmutable}

// TestMayWriteMatrix: roles × kinds × relations to the writer (SPEC R7).
func TestMayWriteMatrix(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	rows(t, writeMatrix, func(kind string, role schema.Role, column, want string) {
		s := sceneOf(table, kind, role, column)
		k, _ := table.Lookup(kind)
		if column == "exists" && k.Immutable {
			s.current = rec("ticket", record.ID{2}, "person", tess)
		}
		p := probes[kind]
		got := table.MayWrite(s.viewer, s.key, p.field, []record.Value{p.value}, s.current, s.parent)
		if got != codeOf[want] {
			t.Errorf("%s, %s, %s: %q, want %q", kind, role, column, got, codeOf[want])
		}
		wanted := got
		if k.ServerOnly {
			wanted = wire.CodeKindNotYours
		}
		if admitted := table.Admit(s.viewer)(s.key, p.field, []record.Value{p.value}, s.current, s.parent); admitted != wanted {
			t.Errorf("%s, %s, %s: a phone's is %q, the server's %q", kind, role, column, admitted, got)
		}
	})
}
