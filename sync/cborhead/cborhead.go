// Package cborhead writes and reads the heads of CBOR items (RFC 8949 §3): the major type and
// the number or length that every item begins with. Records, events and pages are written and
// read by hand on top of it; all else goes through the CBOR library.
//
// It must never know what an item means, and never allocate.
package cborhead

import (
	"encoding/binary"
	"math"
)

// The major types, as the first byte of a head holds them.
const (
	Uint     = 0 << 5
	Negative = 1 << 5
	Bytes    = 2 << 5
	Text     = 3 << 5
	Array    = 4 << 5
	Map      = 5 << 5
	Tag      = 6 << 5
	Simple   = 7 << 5
)

// Small is from where on a number needs bytes beside the first one.
const Small = 24

// Append writes the head of one item in its one canonical form, the shortest.
func Append(b []byte, major byte, n uint64) []byte {
	switch {
	case n < Small:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

// Parse reads the head of the item of definite length at the front of b, in any of its forms:
// ask Shortest for the canonical one. The size is 0 where there is no such head.
func Parse(b []byte) (major byte, n uint64, size int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	major, n = b[0]&^0x1f, uint64(b[0]&0x1f)
	switch {
	case n < Small:
		return major, n, 1
	case n == 24 && len(b) >= 2:
		return major, uint64(b[1]), 2
	case n == 25 && len(b) >= 3:
		return major, uint64(binary.BigEndian.Uint16(b[1:])), 3
	case n == 26 && len(b) >= 5:
		return major, uint64(binary.BigEndian.Uint32(b[1:])), 5
	case n == 27 && len(b) >= 9:
		return major, binary.BigEndian.Uint64(b[1:]), 9
	}
	return 0, 0, 0
}

// Shortest reports whether a number needs a head of so many bytes, as Parse gave them.
func Shortest(n uint64, size int) bool {
	switch size {
	case 1:
		return true
	case 2:
		return n >= Small
	case 3:
		return n > math.MaxUint8
	case 5:
		return n > math.MaxUint16
	case 9:
		return n > math.MaxUint32
	}
	return false
}
