package projection_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"estate/internal/projection"
	"estate/schema"
	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
)

func drawValue(t *rapid.T) record.Value {
	return rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"", "new", "closed", "über", "a\"b"}), record.Text),
		rapid.Map(rapid.Int64(), record.Int),
		rapid.Map(rapid.Float64Range(-1e9, 1e9), record.Float),
		rapid.Map(rapid.Bool(), record.Bool),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 15, 17), record.Bytes),
		rapid.SampledFrom([]record.Value{{0x80}, {0x61, 0xff}, {0xf6}, record.Bytes(make([]byte, 32))}),
	).Draw(t, "value")
}

// drawRecord draws fields of a kind, and others, with some siblings each.
func drawRecord(t *rapid.T, k schema.Kind) record.Record {
	names := []string{"a_field", "no_such", "zz_field"}
	for _, f := range k.Fields {
		names = append(names, f.Name)
	}
	var r record.Record
	for range rapid.IntRange(0, len(names)).Draw(t, "fields") {
		var siblings []record.Sibling
		for n := range rapid.IntRange(1, 3).Draw(t, "siblings") {
			siblings = append(siblings, record.Sibling{Dot: record.Dot{Replica: record.DerivedID("a"), N: uint64(n + 1)}, Stamp: hlc.Stamp(rapid.Uint64Range(1, 3).Draw(t, "stamp")),
				Class: rapid.SampledFrom([]record.Class{record.Person, record.Automation}).Draw(t, "class"), Value: drawValue(t)})
		}
		r = r.With(rapid.SampledFrom(names).Draw(t, "field"), siblings)
	}
	return r
}

// shown reads a field the long way: what it shows, each value as its type.
func shown(f schema.Field, r record.Record) any {
	scalar := func(v record.Value) (out any, ok bool) {
		switch f.Type {
		case schema.Text, schema.Enum:
			return reading(v.AsText())
		case schema.Int, schema.Time:
			return reading(v.AsInt())
		case schema.Float:
			return reading(v.AsFloat())
		case schema.Bool:
			return reading(v.AsBool())
		case schema.ID:
			return reading(v.AsID())
		case schema.Digest, schema.Blob:
			return reading(v.AsBytes())
		}
		return nil, false
	}
	siblings := f.Policy.Shown(r.Siblings(f.Name))
	if len(siblings) == 0 {
		return nil
	}
	if f.Policy.Kind != merge.Set {
		if v, ok := scalar(siblings[0].Value); ok {
			return v
		}
		return nil
	}
	members := []any{}
	for _, s := range siblings {
		v, ok := scalar(s.Value)
		switch b, isBytes := v.([]byte); {
		case !ok:
		case isBytes && f.Type == schema.Digest:
			members = append(members, hex.EncodeToString(b))
		case isBytes:
			members = append(members, base64.StdEncoding.EncodeToString(b))
		default:
			members = append(members, v)
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		return nil
	}
	return string(b)
}

func reading[T any](v T, ok bool) (any, bool) { return v, ok }

// TestRows: a row has what each field of the record shows, whatever fields are beside it and
// whatever row its room held before. Cites SPEC R3.
func TestRows(t *testing.T) {
	t.Parallel()
	kinds := append(schema.Kinds(), schema.Kind{Name: "all", Fields: []schema.Field{
		{Name: "z_set", Type: schema.Digest, Policy: merge.Policy{Kind: merge.Set}}, {Name: "a_set", Type: schema.Blob, Policy: merge.Policy{Kind: merge.Set}},
		{Name: "m_float", Type: schema.Float, Policy: merge.Policy{Kind: merge.Max}}, {Name: "b_blob", Type: schema.Blob},
	}})
	tables := map[string]projection.Table{}
	for _, table := range projection.Tables(kinds) {
		tables[table.Kind] = table
	}
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(kinds).Draw(t, "kind")
		table, ok := tables[k.Name]
		if !ok {
			return // of the chains
		}
		room := table.Cells(new(drawRecord(t, k)), nil)
		r := drawRecord(t, k)
		row := table.Row(r)
		for i, f := range k.Fields {
			if want := shown(f, r); !reflect.DeepEqual(row[i], want) {
				t.Fatalf("%s.%s of %v: %#v, want %#v", k.Name, f.Name, r, row[i], want)
			}
		}
		if fresh, again := table.Cells(&r, nil), table.Cells(&r, room); !reflect.DeepEqual(fresh, again) {
			t.Fatalf("in used room: %v, in new: %v", again, fresh)
		}
	})
}
