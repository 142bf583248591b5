package decode

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzMembers: an object is parted as the standard library parts it.
func FuzzMembers(f *testing.F) {
	for _, text := range []string{`{}`, ` { } `, `{"a":1}`, `{"a":"}","b":[{"c":"\\\""},[]],"d":null , "e" : -1.5e3}`, `{"\u0061":1,"a":2}`, `{"a":{"a":{}}}`,
		`[]`, `null`, `"x"`, `{"a":true,"a":false}`, "{\"a\":\t[1,2]\r\n}", `{"":""}`, `{"\ud800":1}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !utf8.Valid(raw) {
			return
		}
		var want map[string]json.RawMessage
		isObject := json.Unmarshal(raw, &want) == nil && want != nil
		got, err := object(raw)
		if (err == nil) != isObject {
			t.Fatalf("%s: %v", raw, err)
		}
		if isObject && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: parted as %s, wanted %s", raw, got, want)
		}
	})
}

func BenchmarkPlain(b *testing.B) {
	d := New(Config{Building: "oak"})
	m := Message{Topic: "estate/v1/oak/dev/s1/state", Payload: []byte(`{"ts":"2026-03-01T11:59:00.123Z","energy":1234567,"note":"........................................."}`)}
	m.Arrival = earliest.AddDate(11, 3, 0)
	b.ReportAllocs()
	for b.Loop() {
		if r := d.Decode(m); len(r.Observations) != 1 {
			b.Fatal(r)
		}
	}
}
