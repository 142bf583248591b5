package schema_test

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"estate/schema"
	"estate/sync/merge"
)

var plainName = regexp.MustCompile(`^[a-z][a-z_]*[a-z]$`)

// TestTableNames: kinds and fields have unique plain names, which become those of tables
// and columns, and say what they are.
func TestTableNames(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for _, k := range schema.Kinds() {
		if kinds[k.Name] || !plainName.MatchString(k.Name) {
			t.Errorf("kind %q: its name is taken or not plain", k.Name)
		}
		kinds[k.Name] = true
		if k.Doc == "" {
			t.Errorf("%s has no doc", k.Name)
		}
		if k.Chain != (len(k.Fields) == 0) {
			t.Errorf("%s: %d fields, chain %t", k.Name, len(k.Fields), k.Chain)
		}
		fields := map[string]bool{}
		for _, f := range k.Fields {
			// A projection has columns of its own by these names.
			if fields[f.Name] || !plainName.MatchString(f.Name) || slices.Contains([]string{"id", "building", "position", "body"}, f.Name) {
				t.Errorf("%s.%s: its name is taken or not plain", k.Name, f.Name)
			}
			fields[f.Name] = true
		}
	}
}

// TestTableFields: each field has a type with its limits, and a policy that fits it
// (SPEC R3).
func TestTableFields(t *testing.T) {
	t.Parallel()
	types := []schema.Type{schema.Text, schema.Enum, schema.Int, schema.Float, schema.Bool, schema.Time, schema.ID, schema.Digest, schema.Blob}
	policies := []merge.Kind{merge.Latest, merge.Furthest, merge.First, merge.Max, merge.Min, merge.Set}
	for _, k := range schema.Kinds() {
		for _, f := range k.Fields {
			name := k.Name + "." + f.Name
			if !slices.Contains(types, f.Type) || !slices.Contains(policies, f.Policy.Kind) {
				t.Errorf("%s: type %q, policy %q", name, f.Type, f.Policy.Kind)
			}
			if (f.Type == schema.Enum) != (len(f.Values) > 0) {
				t.Errorf("%s: %s with %d values", name, f.Type, len(f.Values))
			}
			if (f.Type == schema.Text || f.Type == schema.Blob) != (f.Max > 0) || f.Max > 16000 {
				t.Errorf("%s: %s of at most %d", name, f.Type, f.Max) // 16,000 characters fit the wire's value in any script
			}
			if (f.Policy.Kind == merge.Furthest) != (len(f.Policy.Order) > 0) {
				t.Errorf("%s: policy %s with %d states", name, f.Policy.Kind, len(f.Policy.Order))
			}
			if f.Policy.Kind == merge.Set && (f.Indexed || f.Policy.PersonFirst) {
				t.Errorf("%s: a set is neither indexed nor ranked", name)
			}
			if f.Policy.Kind == merge.Furthest {
				want := slices.Clone(f.Values)
				if f.Type == schema.Bool {
					want = []string{"false", "true"}
				}
				sameSet(t, name+": order of states", f.Policy.Order, want)
			}
			for _, list := range append([][]string{f.Values}, values(f.ValuesOf)...) {
				sameSet(t, name+": twice in a list", slices.Compact(slices.Sorted(slices.Values(list))), list)
			}
		}
	}
}

func values(of map[schema.Role][]string) [][]string {
	var out [][]string
	for _, v := range of {
		out = append(out, v)
	}
	return out
}

func sameSet(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("%s: %q, want those of %q", what, got, want)
	}
}

// TestTableRights: rights name known roles and scopes, can be used, and secret kinds are
// nobody's.
func TestTableRights(t *testing.T) {
	t.Parallel()
	scopes := []schema.Scope{schema.Nothing, schema.All, schema.Unit, schema.Parent, schema.Own}
	for _, k := range schema.Kinds() {
		for role, s := range k.Readers {
			if !slices.Contains(schema.Roles(), role) || !slices.Contains(scopes, s) {
				t.Errorf("%s: readers %s: %s", k.Name, role, s)
			}
		}
		if k.Secret && len(k.Readers) > 0 {
			t.Errorf("%s is secret and has readers", k.Name)
		}
		for _, f := range k.Fields {
			fieldRights(t, k, f)
		}
	}
}

func fieldRights(t *testing.T, k schema.Kind, f schema.Field) {
	t.Helper()
	name := k.Name + "." + f.Name
	if len(f.Writers)+len(f.Creators) == 0 {
		t.Errorf("%s: nobody writes it", name)
	}
	if k.Immutable && len(f.Writers) > 0 {
		t.Errorf("%s: a fact with writers", name)
	}
	writers := slices.Concat(f.Writers, f.Creators)
	for i, role := range writers {
		if role != schema.Automation && !slices.Contains(schema.Roles(), role) || slices.Contains(writers[:i], role) {
			t.Errorf("%s: writer %q is unknown or listed twice", name, role)
		}
		if role == schema.Automation {
			continue
		}
		if k.Secret {
			t.Errorf("%s: a %s may write a secret", name, role)
		}
		// Own: whom a record is about does not write it.
		if s := k.Readers[role]; s == schema.Nothing || s == schema.Own {
			t.Errorf("%s: a %s may write what they may not read", name, role)
		}
	}
	for role, list := range f.ValuesOf {
		if !slices.Contains(writers, role) || len(list) == 0 || f.Type != schema.Enum {
			t.Errorf("%s: values of %s, who does not write it, or none", name, role)
		}
		for _, v := range list {
			if !slices.Contains(f.Values, v) {
				t.Errorf("%s: %s may write %q, which is no value of it", name, role, v)
			}
		}
	}
}

// TestTableShapes: what the rules look for by name is there, with its type.
func TestTableShapes(t *testing.T) {
	t.Parallel()
	for _, k := range schema.Kinds() {
		want := map[string]schema.Type{}
		switch k.Readers[schema.Tenant] {
		case schema.Parent:
			want["ticket"], want["person"] = schema.ID, schema.ID
			if !k.Immutable {
				t.Errorf("%s could be moved to another ticket", k.Name)
			}
		case schema.Own:
			want["person"] = schema.ID
		case schema.Unit:
			if k.Name != "unit" {
				want["unit"] = schema.ID
			}
		case schema.All, schema.Nothing:
		}
		for _, s := range []schema.Role{schema.Technician, schema.Manager, schema.Admin} {
			if scope := k.Readers[s]; scope != schema.All && scope != schema.Nothing {
				t.Errorf("%s: %s reads by %s, which looks for tenants' fields", k.Name, s, scope)
			}
		}
		if k.Deletable {
			want["deleted"] = schema.Bool
		}
		for name, typ := range want {
			if f, ok := k.Field(name); !ok || f.Type != typ {
				t.Errorf("%s: field %s is %+v, want a %s", k.Name, name, f, typ)
			}
		}
		if f, ok := k.Field("deleted"); ok && (!k.Deletable || !slices.Equal(f.Policy.Order, []string{"true", "false"})) {
			t.Errorf("%s: an edit must win over a deletion that had not seen it (SPEC R6)", k.Name)
		}
	}
}

// TestTableLookup: the index answers for what is there and for nothing else; the audit
// event is no record's kind.
func TestTableLookup(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	for _, k := range schema.Kinds() {
		got, ok := table.Lookup(k.Name)
		if !ok || got.Doc != k.Doc {
			t.Errorf("Lookup(%s) = %v, %t", k.Name, got.Name, ok)
		}
		rule, ok := table.Kind(k.Name)
		if ok == k.Chain {
			t.Errorf("Kind(%s) is known: %t", k.Name, ok)
		}
		if ok && (rule.EdgeWrites != k.EdgeWrites || rule.Immutable != k.Immutable || rule.Secret != k.Secret || rule.Deletable != k.Deletable) {
			t.Errorf("Kind(%s) = %+v", k.Name, rule)
		}
		for _, f := range k.Fields {
			if r, ok := table.Field(k.Name, f.Name); !ok || r.Policy.Kind != f.Policy.Kind {
				t.Errorf("Field(%s, %s) = %+v, %t", k.Name, f.Name, r, ok)
			}
		}
		if _, ok := table.Field(k.Name, "no_such"); ok {
			t.Errorf("%s has a field no_such", k.Name)
		}
	}
	if _, ok := table.Lookup("no_such"); ok {
		t.Error("there is a kind no_such")
	}
	if _, ok := table.Kind("no_such"); ok {
		t.Error("there is a rule for no_such")
	}
}

// TestMigrations: both engines have numbered migrations, each number once.
func TestMigrations(t *testing.T) {
	t.Parallel()
	number := regexp.MustCompile(`^\d{4}_[a-z_]+\.sql$`)
	for engine, migrations := range map[string]fs.FS{"sqlite": schema.SQLiteMigrations(), "postgres": schema.PostgresMigrations()} {
		names, err := fs.Glob(migrations, "*")
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d migrations, %v", engine, len(names), err)
		}
		seen := map[string]bool{}
		for _, n := range names {
			before, _, _ := strings.Cut(n, "_")
			if !number.MatchString(n) || seen[before] {
				t.Errorf("%s: %s is not a migration of its own number", engine, n)
			}
			seen[before] = true
		}
	}
}
