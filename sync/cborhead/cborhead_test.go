package cborhead_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"estate/sync/cborhead"
)

// edges are the numbers at which a head grows by some bytes.
func edges() []uint64 {
	return []uint64{0, 1, 23, 24, math.MaxUint8, math.MaxUint8 + 1, math.MaxUint16, math.MaxUint16 + 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64}
}

// TestHeads: what is written is what the library writes, is read back, and is the shortest
// form; a head that lacks a byte is none. Cites SPEC R18.
func TestHeads(t *testing.T) {
	t.Parallel()
	for _, n := range edges() {
		b := cborhead.Append(nil, cborhead.Uint, n)
		if want, err := cbor.Marshal(n); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%d: %x, the library writes %x, %v", n, b, want, err)
		}
		for major := 0; major < 256; major += 32 {
			b := cborhead.Append(nil, byte(major), n)
			gotMajor, got, size := cborhead.Parse(append(bytes.Clone(b), 0xff))
			if gotMajor != byte(major) || got != n || size != len(b) || !cborhead.Shortest(got, size) {
				t.Errorf("%x reads as %#x %d in %d bytes", b, gotMajor, got, size)
			}
			if _, _, size := cborhead.Parse(b[:len(b)-1]); size != 0 {
				t.Errorf("%x: a head without its last byte", b)
			}
		}
	}
}

// TestOtherForms: a longer form than needed is a head, and not the shortest; indefinite
// lengths and reserved forms are none. Cites SPEC R18.
func TestOtherForms(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{{0x18, 23}, {0x19, 0, 255}, {0x1a, 0, 0, 255, 255}, {0x1b, 0, 0, 0, 0, 255, 255, 255, 255}} {
		if _, n, size := cborhead.Parse(b); size != len(b) || cborhead.Shortest(n, size) {
			t.Errorf("%x: size %d, shortest %v", b, size, cborhead.Shortest(n, size))
		}
	}
	for _, first := range []byte{0x1c, 0x1d, 0x1e, 0x1f, 0x5f, 0x9f, 0xff} {
		if _, _, size := cborhead.Parse([]byte{first, 0, 0, 0, 0, 0, 0, 0, 0}); size != 0 {
			t.Errorf("%x begins a head of %d bytes", first, size)
		}
	}
}
