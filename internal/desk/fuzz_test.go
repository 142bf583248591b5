package desk

import (
	"context"
	"testing"

	"estate/internal/lab/fuzztest"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// FuzzCursor reads any text as the cursor of a list: it is refused with its code, or names a
// place that comes back from its own text.
func FuzzCursor(f *testing.F) {
	shape := Shapes()[0].Name
	for _, p := range []Place{{ID: record.DerivedID("x")}, {Value: record.Text("Leak"), ID: record.DerivedID("y")}, {Value: record.Int(-7)}} {
		text, err := encodeCursor(shape, p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add("nonsense")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := (Page{Cursor: text}).normalise(); err != nil {
			if len(text) <= cursorBytesMax {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		var p *Place
		var err error
		fuzztest.Bounded(t, len(text), 64, func() { p, err = decodeCursor(shape, text) })
		if err != nil {
			if problem.From(err).Code != problem.InvalidInput {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := encodeCursor(shape, *p)
		if err != nil {
			t.Fatalf("%q names %+v, which has no text: %v", text, p, err)
		}
		if back, err := decodeCursor(shape, again); err != nil || back.ID != p.ID || string(back.Value) != string(p.Value) {
			t.Fatalf("%q names %+v, again %+v, %v", text, p, back, err)
		}
	})
}

// FuzzSeen reads any text as what an author was shown: refused with its code, or a context
// whose own token is the same text.
func FuzzSeen(f *testing.F) {
	r := record.Record{Context: record.Context{Vector: []record.Dot{{Replica: record.DerivedID("r"), N: 7}},
		Dots: []record.FieldDot{{Field: "title", Dot: record.Dot{Replica: record.DerivedID("s"), N: 1}}}}}
	f.Add(seen(r))
	f.Add(seen(record.Record{}))
	f.Add("nonsense")
	d := New(Config{Node: &replica.Node{Store: memstore.New(), Rules: schema.Default()}, Table: schema.Default()})
	f.Fuzz(func(t *testing.T, text string) {
		var s *shown
		var err error
		fuzztest.Bounded(t, len(text), 512, func() { s, err = d.shown(context.Background(), record.DerivedID("b"), text) })
		switch {
		case err != nil:
			if problem.From(err).Code != problem.InvalidInput {
				t.Fatalf("%q: %v", text, err)
			}
		case text == "":
			if s != nil {
				t.Fatal("no token is read as one")
			}
		case seen(record.Record{Context: s.context}) != text:
			t.Fatalf("%q was read as %v", text, s.context)
		}
	})
}

// FuzzValue reads any JSON as a value of each type: refused, or a value that every store and
// peer takes.
func FuzzValue(f *testing.F) {
	for _, s := range []string{`"x"`, `7`, `1.5`, `true`, `null`, `"2026-03-01T12:00:00Z"`, `"0192b5c4-7a00-7000-8000-000000000001"`, `"AQI="`, `"ff"`, `1e999`, `"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, kind := range []schema.Type{schema.Text, schema.Enum, schema.Int, schema.Float, schema.Bool, schema.Time, schema.ID, schema.Blob, schema.Digest} {
			v, err := parseValue(schema.Field{Name: "f", Type: kind}, raw)
			if err != nil {
				if problem.From(err).Code != problem.InvalidInput {
					t.Fatalf("%q: %v", raw, err)
				}
				continue
			}
			if err := v.Validate(); err != nil && len(raw) < record.ValueBytesMax/2 {
				t.Fatalf("%q becomes %x: %v", raw, []byte(v), err)
			}
		}
	})
}
