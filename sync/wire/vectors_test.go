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
