package schema_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"estate/schema"
	"estate/sync/record"
	"estate/sync/wire"
)

// sample is a value of each form that a field could be sent.
var samples = map[string]record.Value{
	"text":          record.Text("new"),
	"empty text":    record.Text(""),
	"no UTF-8":      {0x61, 0xff},
	"zero byte":     record.Text("a\x00b"),
	"int":           record.Int(-1),
	"float":         record.Float(1.5),
	"NaN":           {0xf9, 0x7e, 0x00},
	"infinity":      {0xf9, 0x7c, 0x00},
	"null":          {0xf6},
	"bool":          record.Bool(true),
	"id":            record.IDValue(record.ID{1}),
	"15 bytes":      record.Bytes(make([]byte, 15)),
	"32 bytes":      record.Bytes(make([]byte, 32)),
	"33 bytes":      record.Bytes(make([]byte, 33)),
	"array":         {0x81, 0x01},
	"map":           {0xa0},
	"nothing":       nil,
	"two items":     append(record.Int(1), record.Int(1)...),
	"long form":     {0x18, 0x01},
	"tag":           {0xc1, 0x01},
	"beyond int64":  {0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	"endless bytes": {0x5f, 0x41, 0x01, 0xff},
}

// TestValidateTypes: a field takes the values of its type in their one encoding, and no
// other (SPEC R18).
func TestValidateTypes(t *testing.T) {
	t.Parallel()
	for typ, takes := range map[schema.Type][]string{
		schema.Text:   {"text", "empty text"},
		schema.Enum:   {"text"},
		schema.Int:    {"int"},
		schema.Time:   {"int"},
		schema.Float:  {"int", "float"},
		schema.Bool:   {"bool"},
		schema.ID:     {"id"},
		schema.Digest: {"32 bytes"},
		schema.Blob:   {"id", "15 bytes", "32 bytes"},
		"no_such":     {},
	} {
		table := schema.NewTable([]schema.Kind{{Name: "k", Fields: []schema.Field{{Name: "f", Type: typ, Max: 32, Values: []string{"new", "old"}}}}})
		want := map[string]bool{}
		for _, name := range takes {
			want[name] = true
		}
		for name, v := range samples {
			code := table.Validate("k", "f", v)
			if (code == "") != want[name] || code != "" && code != wire.CodeValueInvalid {
				t.Errorf("%s takes %s: %q", typ, name, code)
			}
		}
	}
}

// TestValidateLimits: each limit holds at its edge (SPEC R28).
func TestValidateLimits(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	for _, c := range []struct {
		kind, field string
		value       record.Value
		ok          bool
	}{
		{"ticket", "title", record.Text(strings.Repeat("x", 200)), true},
		{"ticket", "title", record.Text(strings.Repeat("x", 201)), false},
		{"ticket", "title", record.Text(strings.Repeat("\U0001F6B0", 200)), true}, // characters, not bytes
		{"ticket", "title", record.Text(strings.Repeat("\U0001F6B0", 201)), false},
		{"ticket", "description", record.Text(strings.Repeat("\U0001F6B0", 8000)), true},
		{"ticket", "status", record.Text("open"), false},
		{"ticket", "status", record.Text("New"), false},
		{"ticket", "status", record.Text("new"), true},
		{"ticket", "tags", record.Text(strings.Repeat("t", 33)), false},
		{"ticket", "reported_at", record.Int(253_402_300_799_999), true}, // the last that RFC 3339 writes
		{"ticket", "reported_at", record.Int(253_402_300_800_000), false},
		{"ticket", "reported_at", record.Int(-62_135_596_800_000), true},
		{"ticket", "reported_at", record.Int(-62_135_596_800_001), false},
		{"ticket", "reported_at", record.Int(math.MaxInt64), false},
		{"media", "size", record.Int(math.MaxInt64), true},
		{"media", "digest", record.Bytes(make([]byte, 31)), false},
		{"node", "public_key", record.Bytes(make([]byte, 33)), false},
		{"device", "battery", record.Float(math.MaxFloat64), true},
		{"unit", "deleted", record.Text("false"), false},
	} {
		if code := table.Validate(c.kind, c.field, c.value); (code == "") != c.ok {
			t.Errorf("%s.%s %.40x: %q", c.kind, c.field, c.value, code)
		}
	}
}

// TestValidateUnknown: what this release does not know passes untouched (SPEC R20).
func TestValidateUnknown(t *testing.T) {
	t.Parallel()
	for name, v := range samples {
		if code := schema.Default().Validate("ticket", "no_such", v); code != "" {
			t.Errorf("unknown field: %s: %s", name, code)
		}
		if code := schema.Default().Validate("no_such", "title", v); code != "" {
			t.Errorf("unknown kind: %s: %s", name, code)
		}
	}
}

// TestValidateBytes: whatever bytes come, what passes is a value that every store can
// hold: canonical, bounded and, for texts, without a zero byte.
func TestValidateBytes(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	type place struct {
		kind  string
		field schema.Field
	}
	var places []place
	for _, k := range schema.Kinds() {
		for _, f := range k.Fields {
			places = append(places, place{k.Name, f})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(places).Draw(t, "field")
		v := rapid.OneOf(
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) record.Value { return b }),
			rapid.Map(rapid.String(), record.Text),
			rapid.Map(rapid.Int64(), record.Int),
			rapid.Map(rapid.Float64Range(-1e300, 1e300), record.Float),
		).Draw(t, "value")
		if table.Validate(p.kind, p.field.Name, v) != "" {
			return
		}
		if err := v.Validate(); err != nil {
			t.Fatalf("%s.%s took %x: %v", p.kind, p.field.Name, v, err)
		}
		if s, ok := v.AsText(); ok && (strings.ContainsRune(s, 0) || p.field.Type != schema.Text && p.field.Type != schema.Enum) {
			t.Fatalf("%s.%s took %q", p.kind, p.field.Name, s)
		}
		if b, ok := v.AsBytes(); ok && bytes.Equal(v, record.Bytes(b)) && p.field.Type != schema.ID && p.field.Type != schema.Digest && p.field.Type != schema.Blob {
			t.Fatalf("%s.%s took bytes %x", p.kind, p.field.Name, b)
		}
	})
}
