package record_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"estate/internal/lab/fuzztest"
	"estate/sync/record"
)

// The fuzz targets share three properties: no panic and memory in proportion to the input;
// what is accepted is canonical; the reference decoder accepts the same and reads the same.
// The golden vectors are their seeds. Cite SPEC R18, SPEC R28.

// perByte is what a decoder may allocate for a byte of its input: the smallest item that
// becomes a value of Go is an entry of two bytes.
const perByte = 256

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

// sameRecord holds the decoder against the reference.
func sameRecord(t fataler, b []byte) {
	t.Helper()
	got, err := record.Decode(b)
	want, wantErr := referenceDecode(b)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Decode(%x): %v; the reference says %v", b, err, wantErr)
	}
	if err == nil && !equalRecords(got, want) {
		t.Fatalf("Decode(%x) = %v; the reference reads %v", b, got, want)
	}
}

// drawn are seeds that the generators of the properties make: the same in every run.
const drawn = 24

func addDrawn(f *testing.F, draw func(*rapid.T) []byte) {
	f.Helper()
	for i := range drawn {
		f.Add(rapid.Custom(draw).Example(i))
	}
}

func FuzzDecode(f *testing.F) {
	seed(f, func(v vectors) []vector { return v.Records })
	addDrawn(f, func(t *rapid.T) []byte { b, _ := drawRecord(t).Encode(); return b })
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bounded(t, len(b), perByte, func() { _, _ = record.Decode(b) })
		canonicalRecord(t, b)
		sameRecord(t, b)
		record.Replicas(b)
	})
}

func sameEvent(t fataler, b []byte) {
	t.Helper()
	got, err := record.DecodeEvent(b)
	want, wantErr := referenceEvent(b)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("DecodeEvent(%x): %v; the reference says %v", b, err, wantErr)
	}
	if err == nil && (got.N != want.N || uint64(got.Stamp) != want.Stamp || got.EventTime != want.EventTime || got.Action != want.Action ||
		!bytes.Equal(got.Prev[:], want.Prev) || len(got.Touches) != want.touches() || len(got.Refusals) != len(want.Refusals) || got.Actor.Name != want.Actor.Name) {
		t.Fatalf("DecodeEvent(%x) = %v; the reference reads %v", b, got, want)
	}
}

func FuzzDecodeEvent(f *testing.F) {
	seed(f, func(v vectors) []vector { return v.Events })
	addDrawn(f, func(t *rapid.T) []byte { e, _ := drawEvent(t); b, _ := e.Encode(); return b })
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bounded(t, len(b), perByte, func() { _, _ = record.DecodeEvent(b) })
		canonicalEvent(t, b)
		sameEvent(t, b)
	})
}

func sameDetails(t fataler, b []byte) {
	t.Helper()
	got, err := record.DecodeDetails(b)
	want, wantErr := referenceDetails(b)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("DecodeDetails(%x): %v; the reference says %v", b, err, wantErr)
	}
	for i := range got {
		if err == nil && (len(got) != len(want) || !bytes.Equal(got[i].Salt, want[i].Salt) || len(got[i].Old) != len(want[i].Old) || len(got[i].New) != len(want[i].New)) {
			t.Fatalf("DecodeDetails(%x) = %v; the reference reads %v", b, got, want)
		}
	}
}

func FuzzDecodeDetails(f *testing.F) {
	seed(f, func(v vectors) []vector { return v.Details })
	addDrawn(f, func(t *rapid.T) []byte { _, d := drawEvent(t); b, _ := d.Encode(); return b })
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bounded(t, len(b), perByte, func() { _, _ = record.DecodeDetails(b) })
		canonicalDetails(t, b)
		sameDetails(t, b)
	})
}

func FuzzValueValidate(f *testing.F) {
	seed(f, func(v vectors) []vector { return v.Values })
	addDrawn(f, func(t *rapid.T) []byte { return drawValue(t) })
	f.Fuzz(func(t *testing.T, b []byte) {
		v := record.Value(b)
		fuzztest.Bounded(t, len(b), perByte, func() { _ = v.Validate() })
		reads(v)
		if err := v.Validate(); err == nil {
			travels(t, v)
		} else if !errors.Is(err, record.ErrValue) {
			t.Fatalf("%v is not ErrValue", err)
		}
	})
}

// FuzzProofs reads what nodes sign: cards, heads and receipts, as they lie in stores and
// messages. Nothing that is not signed by its node verifies, and what decodes stays itself.
func FuzzProofs(f *testing.F) {
	head := record.SignHead(nodeKey(1), two, one, 7, record.Hash{7})
	receipt := record.SignReceipt(nodeKey(1), two, record.Receipt{Replica: one, N: 7, Settled: 5})
	for _, v := range []any{head, receipt, *first().Card} {
		b, err := record.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, into := range []any{new(record.Card), new(record.Head), new(record.Receipt)} {
			var err error
			fuzztest.Bounded(t, len(b), perByte, func() { err = record.Unmarshal(b, into) })
			if err != nil {
				continue
			}
			checkProof(t, into, head, receipt)
			again, err := record.Marshal(into)
			if err != nil {
				t.Fatalf("%x was read as %v, which cannot be written: %v", b, into, err)
			}
			back := reflect.New(reflect.TypeOf(into).Elem()).Interface()
			if err := record.Unmarshal(again, back); err != nil {
				t.Fatalf("%x was read, its own form %x is refused: %v", b, again, err)
			}
			if third, err := record.Marshal(back); err != nil || !bytes.Equal(third, again) {
				t.Fatalf("%x, then %x, %v", again, third, err)
			}
		}
	})
}

func checkProof(t *testing.T, p any, head record.Head, receipt record.Receipt) {
	t.Helper()
	switch x := p.(type) {
	case *record.Card:
		if x.Validate() == nil && (len(x.PublicKey) != ed25519.PublicKeySize || record.NodeID(x.PublicKey) != x.Node) {
			t.Fatalf("card %v passes", x)
		}
	case *record.Head:
		if x.Verify(two, public(1)) == nil && !reflect.DeepEqual(*x, head) {
			t.Fatalf("head %v was never signed", x)
		}
	case *record.Receipt:
		if x.Verify(two, public(1)) == nil && !reflect.DeepEqual(*x, receipt) {
			t.Fatalf("receipt %v was never signed", x)
		}
	}
}
