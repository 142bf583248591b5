package record

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

// reader walks one canonical encoding from front to back. It takes each item only in its
// one canonical form (shortest heads, definite lengths, valid UTF-8), so that what it read
// to the end needs no second encoding to be known canonical. The first failure sticks, and
// every later read returns zero; nothing is allocated on the word of a length that the
// remaining bytes could not hold.
//
// Records, events and details are read by hand rather than by reflection because every
// page, merge and look-up does it. The library stays the oracle in tests.
type reader struct {
	b   []byte
	at  int
	err error
}

// errForm says that the bytes are not in the one form. Callers wrap it with their own error.
var errForm = errors.New("not canonical")

func (r *reader) fail() {
	if r.err == nil {
		r.err = errForm
	}
	r.at = len(r.b)
}

// done reports a failure or bytes left over.
func (r *reader) done() error {
	if r.err == nil && r.at != len(r.b) {
		r.fail()
	}
	return r.err
}

// head reads an item's major type and number, in its shortest form.
func (r *reader) head() (major byte, n uint64) {
	major, n, size := parseHead(r.b[r.at:])
	if size == 0 || size > 1 && n < shortest(size) {
		r.fail()
		return 0, 0
	}
	r.at += size
	return major, n
}

// shortest is the least number that needs a head of so many bytes.
func shortest(size int) uint64 {
	switch size {
	case 2:
		return 24
	case 3:
		return math.MaxUint8 + 1
	case 5:
		return math.MaxUint16 + 1
	}
	return math.MaxUint32 + 1
}

// parseHead reads the head of an item of definite length; size is 0 where there is none.
func parseHead(b []byte) (major byte, n uint64, size int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	major, n = b[0]&^0x1f, uint64(b[0]&0x1f)
	switch {
	case n < 24:
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

func (r *reader) number(major byte) uint64 {
	got, n := r.head()
	if got != major {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) uint() uint64 { return r.number(cborUint) }

// small reads an unsigned number of one byte.
func (r *reader) small() uint8 {
	n := r.uint()
	if n > math.MaxUint8 {
		r.fail()
		return 0
	}
	return uint8(n)
}

// int reads a signed number of 64 bits.
func (r *reader) int() int64 {
	major, n := r.head()
	if n > math.MaxInt64 || major != cborUint && major != cborNegative {
		r.fail()
		return 0
	}
	if major == cborNegative {
		return -1 - int64(n)
	}
	return int64(n)
}

// list reads the head of an array whose items take at least bytesMin each, and no more of
// them than limit.
func (r *reader) list(limit, bytesMin int) int {
	n := r.number(cborArray)
	if n > uint64(limit) || n > uint64((len(r.b)-r.at)/bytesMin) {
		r.fail()
		return 0
	}
	return int(n)
}

// tuple reads the head of an array of exactly so many parts.
func (r *reader) tuple(parts uint64) {
	if r.number(cborArray) != parts {
		r.fail()
	}
}

// string reads the content of a byte or text string. It shares the reader's memory.
func (r *reader) string(major byte) []byte {
	n := r.number(major)
	if n > uint64(len(r.b)-r.at) {
		r.fail()
		return nil
	}
	s := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return s
}

func (r *reader) bytes() []byte { return r.string(cborBytes) }

func (r *reader) text() string {
	s := r.string(cborText)
	if !utf8.Valid(s) {
		r.fail()
		return ""
	}
	return string(s)
}

// fixed reads a byte string of exactly the length of into.
func (r *reader) fixed(into []byte) {
	s := r.bytes()
	if len(s) != len(into) {
		r.fail()
		return
	}
	copy(into, s)
}

func (r *reader) id() (id ID) {
	r.fixed(id[:])
	return id
}

func (r *reader) hash() (h Hash) {
	r.fixed(h[:])
	return h
}

func (r *reader) dot() Dot {
	r.tuple(2)
	return Dot{Replica: r.id(), N: r.uint()}
}

// value reads one well-formed item as it is, nested no deeper than nesting. It shares the
// reader's memory.
func (r *reader) value(nesting int) Value {
	size := itemSize(r.b[r.at:], nesting)
	if size == 0 || size > ValueBytesMax {
		r.fail()
		return nil
	}
	v := r.b[r.at : r.at+size : r.at+size]
	r.at += size
	return v
}

// Limits of the containers inside a value.
const (
	arrayItemsMax = 1 << 17
	mapPairsMax   = 1 << 12
)

// itemSize is the length of the well-formed item at the front of b, 0 where there is none:
// definite lengths, no tags, no reserved forms. It does not ask for the canonical form.
func itemSize(b []byte, nesting int) int {
	major, n, size := parseHead(b)
	if size == 0 {
		return 0
	}
	switch major {
	case cborBytes, cborText:
		if n > uint64(len(b)-size) {
			return 0
		}
		return size + int(n)
	case cborArray:
		if n > arrayItemsMax {
			return 0
		}
		return itemsSize(b, size, n, nesting-1)
	case cborMap:
		if n > mapPairsMax {
			return 0
		}
		return itemsSize(b, size, 2*n, nesting-1)
	case cborTag:
		return 0
	case cborSimple:
		if size == 2 && n < 32 {
			return 0
		}
	}
	return size
}

// itemsSize adds the sizes of n items that begin at b[at:].
func itemsSize(b []byte, at int, n uint64, nesting int) int {
	if nesting < 0 {
		return 0
	}
	for range n {
		size := itemSize(b[at:], nesting)
		if size == 0 {
			return 0
		}
		at += size
	}
	return at
}
