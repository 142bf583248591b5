package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"estate/sync/record"
)

// The fuzz targets share one property: no panic, and what is accepted is canonical. The
// golden vectors are their seeds. Cite SPEC R18.

func seed(f *testing.F, pick func(vectors) []vector) {
	f.Helper()
	for _, v := range pick(readVectors(f)) {
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0x81}, 40))
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
}

func FuzzDecode(f *testing.F) {
	seed(f, func(v vectors) []vector { return v.Records })
	f.Fuzz(func(t *testing.T, b []byte) { canonicalRecord(t, b) })
}

func FuzzDecodeEvent(f *testing.F) {
	seed(f, func(v vectors) []vector { return v.Events })
	f.Fuzz(func(t *testing.T, b []byte) { canonicalEvent(t, b) })
}

func FuzzDecodeDetails(f *testing.F) {
	seed(f, func(v vectors) []vector { return v.Details })
	f.Fuzz(func(t *testing.T, b []byte) { canonicalDetails(t, b) })
}

func FuzzValueValidate(f *testing.F) {
	seed(f, func(v vectors) []vector { return v.Values })
	f.Fuzz(func(t *testing.T, b []byte) {
		v := record.Value(b)
		reads(v)
		if err := v.Validate(); err == nil {
			travels(t, v)
		} else if !errors.Is(err, record.ErrValue) {
			t.Fatalf("%v is not ErrValue", err)
		}
	})
}
