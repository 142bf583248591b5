package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"estate/sync/wire"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/frames.json anew")

// A vector is one frame in decoded form (byte strings in base64, hashes as lists of
// numbers) beside its bytes. The client in TypeScript reads the same file.
type vector struct {
	Name    string       `json:"name"`
	Type    wire.Type    `json:"type"`
	Decoded wire.Message `json:"decoded"`
	Hex     string       `json:"hex"`
}

type vectorRead struct {
	Name string `json:"name"`
	Hex  string `json:"hex"`
}

var framesFile = filepath.Join("testdata", "frames.json")

func readFrames(t testing.TB) []vectorRead {
	t.Helper()
	b, err := os.ReadFile(framesFile)
	if err != nil {
		t.Fatal(err)
	}
	var v []vectorRead
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVectors: the golden file is what this code writes. Cites SPEC R28.
func TestVectors(t *testing.T) {
	t.Parallel()
	var all []vector
	for _, s := range messages() {
		b, err := wire.Encode(s.m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, vector{Name: s.name, Type: wire.Type(b[1]), Decoded: s.m, Hex: hex.EncodeToString(b)})
	}
	want, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *rewrite {
		if err := os.WriteFile(framesFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(framesFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what the code writes; explain the difference, then run with -rewrite", framesFile)
	}
	samples := messages()
	for i, v := range readFrames(t) {
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := wire.Decode(b); err != nil || !reflect.DeepEqual(m, samples[i].m) {
			t.Errorf("%s: %#v, %v", v.Name, m, err)
		}
	}
}

// The golden file has every type of message that this release reads, and every field of them
// set somewhere: what is not in it, another language's client was never held to.
func TestVectorsAreComplete(t *testing.T) {
	t.Parallel()
	types, set, known := map[wire.Type]bool{}, map[string]bool{}, map[reflect.Type]bool{}
	for _, s := range messages() {
		types[wire.TypeOf(s.m)] = true
		seen(reflect.ValueOf(s.m), set, known)
	}
	const emptyMap = 0xa0
	for i := range 256 {
		if _, err := wire.DecodePayload(wire.Type(i), []byte{emptyMap}); err == nil && !types[wire.Type(i)] {
			t.Errorf("no frame of type %d", i)
		}
	}
	for k := range known {
		for i := range k.NumField() {
			if f := k.Field(i); f.IsExported() && f.Tag.Get("cbor") != "-" && !set[k.String()+"."+f.Name] {
				t.Errorf("%s.%s is set in no frame", k, f.Name)
			}
		}
	}
	if len(types) < 15 || len(known) < 20 {
		t.Errorf("%d types of messages and %d structures", len(types), len(known))
	}
}

// seen notes which fields of which structures are set, however deep.
func seen(v reflect.Value, set map[string]bool, known map[reflect.Type]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			seen(v.Elem(), set, known)
		}
	case reflect.Slice:
		for i := range v.Len() {
			seen(v.Index(i), set, known)
		}
	case reflect.Struct:
		known[v.Type()] = true
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				set[v.Type().String()+"."+v.Type().Field(i).Name] = true
			}
			seen(v.Field(i), set, known)
		}
	default:
	}
}
