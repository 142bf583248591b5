package record

import (
	"errors"
	"math"

	"estate/sync/cborhead"
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
	b     []byte
	at    int
	err   error
	names *names // nil for a lone item
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
	major, n, size := cborhead.Parse(r.b[r.at:])
	if !cborhead.Shortest(n, size) {
		r.fail()
		return 0, 0
	}
	r.at += size
	return major, n
}

// number reads the head of an item of one major type. Nearly all are of one byte.
func (r *reader) number(major byte) uint64 {
	if r.at < len(r.b) {
		if n := r.b[r.at] ^ major; n < cborhead.Small {
			r.at++
			return uint64(n)
		}
	}
	return r.longer(major)
}

func (r *reader) longer(major byte) uint64 {
	got, n := r.head()
	if got != major {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) uint() uint64 { return r.number(cborhead.Uint) }

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
	if n > math.MaxInt64 || major != cborhead.Uint && major != cborhead.Negative {
		r.fail()
		return 0
	}
	if major == cborhead.Negative {
		return -1 - int64(n)
	}
	return int64(n)
}

// list reads the head of an array whose items take at least bytesMin each, and no more of
// them than limit.
func (r *reader) list(limit, bytesMin int) int {
	n := r.number(cborhead.Array)
	if n > uint64(limit) || n > uint64((len(r.b)-r.at)/bytesMin) {
		r.fail()
		return 0
	}
	return int(n)
}

// tuple reads the head of an array of exactly so many parts.
func (r *reader) tuple(parts uint64) {
	if r.number(cborhead.Array) != parts {
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

func (r *reader) bytes() []byte { return r.string(cborhead.Bytes) }

func (r *reader) text() string {
	s, ok := r.names.text(r.string(cborhead.Text))
	if !ok {
		r.fail()
	}
	return s
}

func (r *reader) id() (id ID) {
	b := r.b[r.at:]
	if len(b) < 1+len(id) || b[0] != cborhead.Bytes|byte(len(id)) {
		r.fail()
		return ID{}
	}
	r.at += 1 + len(id)
	return ID(b[1:])
}

func (r *reader) hash() (h Hash) {
	b := r.b[r.at:]
	if len(b) < 2+len(h) || b[0] != cborhead.Bytes|cborhead.Small || b[1] != byte(len(h)) {
		r.fail()
		return Hash{}
	}
	r.at += 2 + len(h)
	return Hash(b[2:])
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
	major, n, size := cborhead.Parse(b)
	if size == 0 {
		return 0
	}
	switch major {
	case cborhead.Bytes, cborhead.Text:
		if n > uint64(len(b)-size) {
			return 0
		}
		return size + int(n)
	case cborhead.Array:
		if n > arrayItemsMax {
			return 0
		}
		return itemsSize(b, size, n, nesting-1)
	case cborhead.Map:
		if n > mapPairsMax {
			return 0
		}
		return itemsSize(b, size, 2*n, nesting-1)
	case cborhead.Tag:
		return 0
	case cborhead.Simple:
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
