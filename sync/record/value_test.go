package record_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/record"
)

// reads says which of the helpers take a value, in a fixed order.
func reads(v record.Value) string {
	var out []string
	note := func(name string, ok bool) {
		if ok {
			out = append(out, name)
		}
	}
	_, ok := v.AsText()
	note("text", ok)
	_, ok = v.AsInt()
	note("int", ok)
	_, ok = v.AsFloat()
	note("float", ok)
	_, ok = v.AsBool()
	note("bool", ok)
	_, ok = v.AsBytes()
	note("bytes", ok)
	_, ok = v.AsID()
	note("id", ok)
	return strings.Join(out, " ")
}

// TestValueTypes: each helper reads its own type and no other; Validate takes exactly the
// canonical forms of the allowed types. Cites SPEC R18.
func TestValueTypes(t *testing.T) {
	t.Parallel()
	deep := func(n int) record.Value { return append(record.Value(strings.Repeat("\x81", n)), 0x01) }
	for name, c := range map[string]struct {
		v     record.Value
		reads string
		valid bool
	}{
		"Text":              {record.Text("häuser"), "text", true},
		"TextEmpty":         {record.Text(""), "text", true},
		"TextNotUTF8":       {record.Text("a\xff"), "", false},
		"Int":               {record.Int(-7), "int float", true},
		"IntMin":            {record.Int(math.MinInt64), "int float", true},
		"IntBeyond64":       {record.Value{0x1b, 255, 255, 255, 255, 255, 255, 255, 255}, "", true},
		"NegativeBeyond64":  {record.Value{0x3b, 255, 255, 255, 255, 255, 255, 255, 255}, "", false},
		"IntLongForm":       {record.Value{0x18, 0x01}, "int float", false},
		"Float":             {record.Float(1.5), "float", true},
		"FloatLongForm":     {record.Value{0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0}, "float", false},
		"NaN":               {record.Float(math.NaN()), "", false},
		"Infinity":          {record.Float(math.Inf(-1)), "", false},
		"Bool":              {record.Bool(true), "bool", true},
		"False":             {record.Bool(false), "bool", true},
		"BoolLongForm":      {record.Value{0xf8, 0xf5}, "", false},
		"Bytes":             {record.Bytes([]byte{1, 2}), "bytes", true},
		"BytesNil":          {record.Bytes(nil), "bytes", true},
		"ID":                {record.IDValue(one), "bytes id", true},
		"Null":              {record.Value{0xf6}, "", false},
		"Undefined":         {record.Value{0xf7}, "", false},
		"Simple":            {record.Value{0xe0}, "", false},
		"SimpleLong":        {record.Value{0xf8, 0xff}, "", false},
		"Array":             {record.Value{0x82, 0x01, 0x61, 0x61}, "", true},
		"ArrayOfNull":       {record.Value{0x81, 0xf6}, "", false},
		"Map":               {record.Value{0xa2, 0x61, 0x61, 0x01, 0x61, 0x62, 0x02}, "", true},
		"MapUnsorted":       {record.Value{0xa2, 0x61, 0x62, 0x02, 0x61, 0x61, 0x01}, "", false},
		"MapKeyTwice":       {record.Value{0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x01}, "", false},
		"MapKeyNull":        {record.Value{0xa1, 0xf6, 0x01}, "", false},
		"Tag":               {record.Value{0xc1, 0x01}, "", false},
		"Indefinite":        {record.Value{0x9f, 0xff}, "", false},
		"TwoItems":          {record.Value{0x01, 0x02}, "", false},
		"CutShort":          {record.Value{0x62, 0x61}, "", false},
		"Empty":             {nil, "", false},
		"NestedToTheLimit":  {deep(8), "", true},
		"NestedBeyond":      {deep(9), "", false},
		"BytesAtTheLimit":   {record.Bytes(make([]byte, record.ValueBytesMax-3)), "bytes", true},
		"BytesBeyond":       {record.Bytes(make([]byte, record.ValueBytesMax)), "bytes", false},
		"ArrayClaimsTooBig": {record.Value{0x9b, 0, 0, 0, 1, 0, 0, 0, 0}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := reads(c.v); got != c.reads {
				t.Errorf("read as %q, want %q", got, c.reads)
			}
			err := c.v.Validate()
			if (err == nil) != c.valid || err != nil && !errors.Is(err, record.ErrValue) {
				t.Errorf("Validate: %v", err)
			}
			if c.valid {
				travels(t, c.v)
			}
		})
	}
}

// travels: a valid value can be written and read in every place that holds values.
func travels(t fataler, v record.Value) {
	t.Helper()
	r := record.Record{}.With("f", []record.Sibling{{Dot: record.Dot{Replica: one, N: 1}, Class: record.Person, Value: v}})
	b, err := r.Encode()
	if err != nil {
		t.Fatalf("valid value in a record: %v", err)
	}
	if back, err := record.Decode(b); err != nil || !slices.Equal(back.Siblings("f")[0].Value, v) {
		t.Fatalf("valid value back from a record: %v", err)
	}
	d := record.Details{{Salt: make([]byte, record.SaltBytes), Old: []record.Value{v}}}
	if b, err = d.Encode(); err != nil {
		t.Fatalf("valid value in details: %v", err)
	}
	if back, err := record.DecodeDetails(b); err != nil || !slices.Equal(back[0].Old[0], v) {
		t.Fatalf("valid value back from details: %v", err)
	}
}

func TestValueRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "int")
		if got, ok := record.Int(n).AsInt(); !ok || got != n {
			t.Fatalf("int %d: %d, %v", n, got, ok)
		}
		f := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "float")
		if got, ok := record.Float(f).AsFloat(); !ok || got != f {
			t.Fatalf("float %v: %v, %v", f, got, ok)
		}
		s := rapid.String().Draw(t, "text")
		if got, ok := record.Text(s).AsText(); !ok || got != s {
			t.Fatalf("text %q: %q, %v", s, got, ok)
		}
		v := drawValue(t)
		if err := v.Validate(); err != nil {
			t.Fatalf("%x: %v", []byte(v), err)
		}
		travels(t, v)
	})
}

func TestIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := drawID(t, "id")
		if back, err := record.ParseID(id.String()); err != nil || back != id {
			t.Fatalf("%s: %s, %v", id, back, err)
		}
		if back, err := record.ParseID(strings.ToUpper(id.String())); err != nil || back != id {
			t.Fatalf("upper case %s: %s, %v", id, back, err)
		}
	})
	for _, s := range []string{"", "x", strings.Repeat("0", 36), "0000000g-0000-0000-0000-000000000000", "{0000000-0000-0000-0000-000000000000}"} {
		if _, err := record.ParseID(s); !errors.Is(err, record.ErrID) {
			t.Errorf("ParseID(%q): %v", s, err)
		}
	}
	v7, err := record.NewID(1_800_000_000_000, strings.NewReader(strings.Repeat("\xff", 10)))
	if got := fmt.Sprint(v7, err); got != "01a3185c-5000-7fff-bfff-ffffffffffff <nil>" {
		t.Errorf("NewID = %s", got)
	}
	if _, err := record.NewID(0, strings.NewReader("short")); err == nil {
		t.Error("NewID without enough random bytes succeeded")
	}
	if record.DerivedID("ab", "c") == record.DerivedID("a", "bc") || record.DerivedID("a")[6]>>4 != 8 {
		t.Error("DerivedID is not a UUIDv8 of its parts")
	}
}
