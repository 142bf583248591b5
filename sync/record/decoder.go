package record

import (
	"crypto/sha256"
	"unicode/utf8"
)

// Decoder reads the records and events of one page. What it returns lies in a few large
// pieces of memory that all of the page shares, and in the page's own bytes: it is made for
// what is read together, used together and let go together. Whoever keeps one record for
// long reads it with Decode. The zero Decoder allocates for each by itself, as Decode does. A
// Decoder is for one goroutine.
type Decoder struct {
	chunk    int // how many items are allocated at once; zero for as many as are needed
	names    *names
	fields   slab[Field]
	siblings slab[Sibling]
	dots     slab[Dot]
	touches  slab[Touch]
	room     []byte // for what is hashed
}

// A record or event has about chunkOfItem fields or touches; a page of many gets its memory in
// pieces of chunkMax of them, some ten kilobytes each.
const (
	chunkOfItem = 10
	chunkMax    = 512
)

// NewDecoder makes a decoder for a page of so many records and events.
func NewDecoder(items int) *Decoder {
	return &Decoder{chunk: min(items*chunkOfItem, chunkMax), names: &names{}}
}

// HashEvent is the chain hash over an event's canonical bytes.
func (d *Decoder) HashEvent(encoded []byte) Hash {
	d.room = append(append(d.room[:0], hashEventLabel...), encoded...)
	return sha256.Sum256(d.room)
}

// slab hands out slices of one allocation after the other.
type slab[T any] struct{ free []T }

// take is an empty slice with room for n items.
func (s *slab[T]) take(n, chunk int) []T {
	if n > len(s.free) {
		s.free = make([]T, max(n, chunk))
	}
	out := s.free[:0:n]
	s.free = s.free[n:]
	return out
}

// names keeps one string of each name that came lately: a page repeats the same few kinds
// and fields thousands of times. A name whose place another one took is only made again.
type names [64]string

// text is the string of some bytes, empty where they are not one.
func (n *names) text(b []byte) (s string, ok bool) {
	if n == nil || len(b) == 0 || len(b) > FieldNameMax {
		return validText(b)
	}
	at := &n[(len(b)*5+int(b[0])+int(b[len(b)/2])*3+int(b[len(b)-1])*7)%len(n)]
	if *at == string(b) {
		return *at, true
	}
	if s, ok = validText(b); ok {
		*at = s
	}
	return s, ok
}

func validText(b []byte) (string, bool) {
	if !utf8.Valid(b) {
		return "", false
	}
	return string(b), true
}
