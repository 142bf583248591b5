package record_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"estate/sync/record"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/vectors.json anew")

// A vector is one value in decoded form beside its bytes. The client in TypeScript reads
// the same file.
type vector struct {
	Name    string `json:"name"`
	Decoded any    `json:"decoded"`
	Hex     string `json:"hex"`
	Hash    string `json:"hash,omitempty"`
}

type vectors struct {
	Values  []vector `json:"values"`
	Records []vector `json:"records"`
	Events  []vector `json:"events"`
	Details []vector `json:"details"`
	Derived []vector `json:"derived_ids"`
	Heads   []vector `json:"heads"`
	// Receipts are signatures too, over the building and the fields beside them.
	Receipts []vector `json:"receipts"`
}

var vectorsFile = filepath.Join("testdata", "vectors.json")

func readVectors(t testing.TB) vectors {
	t.Helper()
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVectors: the golden file is what this code writes, and decodes. Cites SPEC R18.
func TestVectors(t *testing.T) {
	t.Parallel()
	want, err := json.MarshalIndent(buildVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *rewrite {
		if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what the code writes; explain the difference, then run with -rewrite", vectorsFile)
	}
	v := readVectors(t)
	decode := func(list []vector, read func([]byte) error) {
		for _, v := range list {
			b, err := hex.DecodeString(v.Hex)
			if err == nil {
				err = read(b)
			}
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
			}
		}
	}
	decode(v.Values, func(b []byte) error { return record.Value(b).Validate() })
	decode(v.Records, func(b []byte) error { _, err := record.Decode(b); return err })
	decode(v.Events, func(b []byte) error { _, err := record.DecodeEvent(b); return err })
	decode(v.Details, func(b []byte) error { _, err := record.DecodeDetails(b); return err })
}

func mustEncode(t *testing.T, encode func() ([]byte, error)) []byte {
	t.Helper()
	b, err := encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func buildVectors(t *testing.T) vectors {
	var v vectors
	for _, x := range []struct {
		name    string
		decoded any
		value   record.Value
	}{
		{"text", "Ölfleck 🛢", record.Text("Ölfleck 🛢")}, {"text empty", "", record.Text("")}, {"zero", 0, record.Int(0)},
		{"23", 23, record.Int(23)}, {"24", 24, record.Int(24)}, {"minus one", -1, record.Int(-1)}, {"minus 2^53", int64(-1 << 53), record.Int(-1 << 53)},
		{"float 1.5", 1.5, record.Float(1.5)}, {"float 0.1", 0.1, record.Float(0.1)}, {"float 100000.5", 100000.5, record.Float(100000.5)},
		{"whole float", map[string]float64{"float": 21}, record.Float(21)},
		{"true", true, record.Bool(true)}, {"false", false, record.Bool(false)}, {"id", map[string]any{"bytes": one.String()}, record.IDValue(one)},
		{"bytes", map[string]any{"bytes_hex": "0001ff"}, record.Bytes([]byte{0, 1, 255})}, {"bytes empty", map[string]any{"bytes_hex": ""}, record.Bytes(nil)},
		{"largest integer", "9223372036854775807", record.Int(math.MaxInt64)}, {"least integer", "-9223372036854775808", record.Int(math.MinInt64)},
		{"256", 256, record.Int(256)}, {"65536", 65536, record.Int(65536)}, {"2^32", int64(1 << 32), record.Int(1 << 32)}, {"minus 257", -257, record.Int(-257)},
		{"float 1e300", 1e300, record.Float(1e300)}, {"float least half", 5.960464477539063e-08, record.Float(5.960464477539063e-08)}, {"float minus zero", "-0", record.Float(math.Copysign(0, -1))},
		{"array", []any{1, "a", true}, record.Value{0x83, 0x01, 0x61, 0x61, 0xf5}}, {"array empty", []any{}, record.Value{0x80}},
		{"map, keys by their bytes", map[string]any{"a": 1, "b": []any{}, "aa": false}, record.Value{0xa3, 0x61, 0x61, 0x01, 0x61, 0x62, 0x80, 0x62, 0x61, 0x61, 0xf4}},
	} {
		v.Values = append(v.Values, vector{Name: x.name, Decoded: x.decoded, Hex: hex.EncodeToString(x.value)})
	}
	records(t, &v)
	events(t, &v)
	for _, parts := range [][]string{{"node", "00"}, {"escalation", one.String(), "response", "1"}, {"a", "bc"}, {"ab", "c"}, {}} {
		id := record.DerivedID(parts...)
		v.Derived = append(v.Derived, vector{Name: strings.Join(parts, "/"), Decoded: parts, Hex: hex.EncodeToString(id[:])})
	}
	h := record.SignHead(nodeKey(1), two, one, 7, record.Hash{7})
	v.Heads = append(v.Heads, vector{Name: "head 7", Decoded: map[string]any{"seed": strings.Repeat("01", 32), "building": two, "replica": one, "n": 7, "chain_hash": hex.EncodeToString(h.Hash[:])}, Hex: hex.EncodeToString(h.Signature)})
	r := record.SignReceipt(nodeKey(1), two, record.Receipt{Replica: one, N: 7, Hash: record.Hash{7}, Settled: 5})
	v.Receipts = append(v.Receipts, vector{Name: "receipt 7, settled 5", Decoded: map[string]any{"seed": strings.Repeat("01", 32), "issuer": r.Issuer, "building": two, "replica": one, "n": 7, "settled": 5,
		"chain_hash": hex.EncodeToString(r.Hash[:])}, Hex: hex.EncodeToString(r.Signature)})
	return v
}

func records(t *testing.T, v *vectors) {
	conflict := record.Record{}.With("priority", []record.Sibling{
		{Dot: record.Dot{Replica: two, N: 9}, Stamp: 1 << 50, Class: record.Person, Value: record.Text("urgent")},
		{Dot: record.Dot{Replica: one, N: 4}, Stamp: 1<<50 + 1, Class: record.Automation, Value: record.Text("high")}})
	conflict = conflict.With("title", []record.Sibling{{Dot: record.Dot{Replica: one, N: 2}, Stamp: 1 << 49, Class: record.Person, Value: record.Text("Leak")}})
	conflict.Context.Vector = []record.Dot{{Replica: one, N: 4}, {Replica: two, N: 9}}
	delta := record.Delta(second(), record.Details{{Salt: make([]byte, record.SaltBytes)}}, record.Key{Kind: "ticket", ID: two}, func(string) bool { return true })
	for _, x := range []struct {
		name string
		r    record.Record
	}{{"empty", record.Record{}}, {"one field", small()}, {"conflict", conflict}, {"removal as a delta", delta}} {
		v.Records = append(v.Records, vector{Name: x.name, Decoded: recordJSON(x.r), Hex: hex.EncodeToString(mustEncode(t, x.r.Encode))})
	}
}

func recordJSON(r record.Record) any {
	dot := func(d record.Dot) map[string]any { return map[string]any{"replica": d.Replica, "n": d.N} }
	fields, vector, dots := map[string]any{}, []any{}, []any{}
	for _, f := range r.Fields {
		var siblings []any
		for _, s := range f.Siblings {
			siblings = append(siblings, map[string]any{"dot": dot(s.Dot), "stamp": uint64(s.Stamp), "class": s.Class, "value": hex.EncodeToString(s.Value)})
		}
		fields[f.Name] = siblings
	}
	for _, d := range r.Context.Vector {
		vector = append(vector, dot(d))
	}
	for _, d := range r.Context.Dots {
		dots = append(dots, map[string]any{"field": d.Field, "dot": dot(d.Dot)})
	}
	return map[string]any{"fields": fields, "vector": vector, "dots": dots}
}

func events(t *testing.T, v *vectors) {
	salt := bytes.Repeat([]byte{7}, record.SaltBytes)
	full, next := second(), first()
	full.Touches[0].Old = record.HashValues(salt, record.LabelOld, []record.Value{record.Text("v0")})
	full.Touches[0].New = record.HashValues(salt, record.LabelNew, []record.Value{record.Text("v1")})
	full.EventTime, full.Action, full.Actor.Person = 1_800_000_000_000, "note", two
	next.Card.Predecessor, next.Card.PredecessorHash = record.Dot{Replica: two, N: 3}, record.Hash{3}
	erasure := second()
	erasure.Touches, erasure.Action = nil, "erase.request"
	erasure.Erasures = []record.Dot{{Replica: one, N: 3}, {Replica: two, N: 1}}
	for _, x := range []struct {
		name string
		e    record.Event
	}{{"card", first()}, {"card of a successor", next}, {"removal", second()}, {"write", full}, {"erasure", erasure}} {
		b := mustEncode(t, x.e.Encode)
		hash := record.HashEvent(b)
		if x.e.Version = 1; len(x.e.Erasures) > 0 {
			x.e.Version = 2
		}
		v.Events = append(v.Events, vector{Name: x.name, Decoded: eventJSON(x.e), Hex: hex.EncodeToString(b), Hash: hex.EncodeToString(hash[:])})
	}
	for _, x := range []struct {
		name string
		d    record.Details
	}{{"none", nil}, {"erased", record.Details{{}}}, {"write", record.Details{{Salt: salt, Old: []record.Value{record.Text("v0")}, New: []record.Value{record.Text("v1")}}}}} {
		decoded := []any{}
		for _, d := range x.d {
			decoded = append(decoded, map[string]any{"salt": hex.EncodeToString(d.Salt), "old": hexes(d.Old), "new": hexes(d.New)})
		}
		v.Details = append(v.Details, vector{Name: x.name, Decoded: decoded, Hex: hex.EncodeToString(mustEncode(t, x.d.Encode))})
	}
}

func hexes(values []record.Value) []string {
	out := []string{}
	for _, v := range values {
		out = append(out, hex.EncodeToString(v))
	}
	return out
}

func eventJSON(e record.Event) any {
	out := map[string]any{"version": e.Version, "building": e.Building, "replica": e.Replica, "n": e.N, "prev": hex.EncodeToString(e.Prev[:]), "stamp": uint64(e.Stamp),
		"event_time": e.EventTime, "actor": map[string]any{"class": e.Actor.Class, "person": e.Actor.Person, "name": e.Actor.Name}, "action": e.Action}
	touches := []any{}
	for _, x := range e.Touches {
		replaced := []any{}
		for _, d := range x.Replaced {
			replaced = append(replaced, map[string]any{"replica": d.Replica, "n": d.N})
		}
		touches = append(touches, map[string]any{"kind": x.Kind, "id": x.ID, "field": x.Field, "replaced": replaced, "old": hex.EncodeToString(x.Old[:]), "new": hex.EncodeToString(x.New[:])})
	}
	out["touches"], out["refusals"] = touches, []any{}
	if len(e.Erasures) > 0 {
		erasures := []any{}
		for _, d := range e.Erasures {
			erasures = append(erasures, map[string]any{"replica": d.Replica, "n": d.N})
		}
		out["erasures"] = erasures
	}
	if c := e.Card; c != nil {
		out["card"] = map[string]any{"node": c.Node, "tier": c.Tier, "public_key": hex.EncodeToString(c.PublicKey),
			"predecessor": map[string]any{"replica": c.Predecessor.Replica, "n": c.Predecessor.N}, "predecessor_hash": hex.EncodeToString(c.PredecessorHash[:])}
	}
	return out
}
