package record_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/record"
)

// item is one CBOR item of an encoding: where its head and its end are, and the way to it.
type item struct {
	path            []int
	major           byte
	n               uint64
	at, body, after int
}

// items lists the items of a well-formed encoding of this package, without looking into
// the values of fields, which are bytes to it: skip says which are.
func items(b []byte, skip func(path []int) bool) []item {
	var out []item
	var walk func(at int, path []int, inValue bool) int
	walk = func(at int, path []int, inValue bool) int {
		it := item{path: slices.Clone(path), major: b[at] >> 5, n: uint64(b[at] & 0x1f), at: at, body: at + 1}
		if info := b[at] & 0x1f; info >= 24 {
			size := 1 << (info - 24)
			var wide [8]byte
			copy(wide[8-size:], b[at+1:at+1+size])
			it.n, it.body = binary.BigEndian.Uint64(wide[:]), at+1+size
		}
		inValue = inValue || skip(path)
		it.after = it.body
		parts := 0
		switch it.major {
		case 2, 3:
			it.after += int(it.n)
		case 4:
			parts = int(it.n)
		case 5:
			parts = 2 * int(it.n)
		}
		for i := range parts {
			it.after = walk(it.after, append(slices.Clone(path), i), inValue)
		}
		if !inValue {
			out = append(out, it)
		}
		return it.after
	}
	walk(0, nil, false)
	return out
}

// otherForms writes one item of an encoding in the ways that CBOR has beside the shortest.
func otherForms(b []byte, it item) map[string][]byte {
	splice := func(fresh []byte, upTo int) []byte {
		return slices.Concat(b[:it.at], fresh, b[upTo:])
	}
	out := map[string][]byte{
		"tagged":         splice([]byte{0xc0 | 23, b[it.at]}, it.at+1),
		"null":           splice([]byte{0xf6}, it.after),
		"undefined":      splice([]byte{0xf7}, it.after),
		"false":          splice([]byte{0xf4}, it.after),
		"twice":          splice(b[it.at:it.after], it.at),
		"left out":       splice(nil, it.after),
		"cut before":     b[:it.at],
		"cut at the end": b[:it.after-1],
	}
	if b[it.at] == 0xf6 {
		delete(out, "null") // the card of an event that has none
	}
	if it.major < 6 { // longer numbers and lengths
		short := it.body - it.at - 1
		for size := 1; size <= 8; size *= 2 {
			if size > short {
				wide := binary.BigEndian.AppendUint64(nil, it.n)
				info := map[int]byte{1: 24, 2: 25, 4: 26, 8: 27}[size]
				out[fmt.Sprint("length in ", size)] = splice(append([]byte{it.major<<5 | info}, wide[8-size:]...), it.body)
			}
		}
	}
	if it.major >= 2 && it.major <= 5 {
		out["indefinite"] = slices.Concat(b[:it.at], []byte{it.major<<5 | 31}, b[it.body:it.after], []byte{0xff}, b[it.after:])
	}
	if it.major == 0 {
		out["float"] = splice([]byte{0xf9, 0x3c, 0x00}, it.after)
	}
	if it.major == 3 {
		out["bytes for text"] = splice(append([]byte{b[it.at] ^ 0x20}, b[it.at+1:it.body]...), it.body)
	}
	if it.major == 4 {
		out["map for array"] = splice(append([]byte{b[it.at] ^ 0x20}, b[it.at+1:it.body]...), it.body)
	}
	return out
}

// TestEveryOtherFormIsRefused writes each item of valid encodings in every other way that
// CBOR has; none may pass, for hashes and signatures are over bytes. Cites SPEC R18.
func TestEveryOtherFormIsRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, d := drawEvent(t)
		encode := func(b []byte, err error) []byte {
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		for _, c := range []struct {
			name  string
			body  []byte
			skip  func(path []int) bool
			check func([]byte) error
			kind  error
		}{
			{"record", encode(drawRecord(t).Encode()), func(p []int) bool { return len(p) == 5 && p[0] == 2 && p[2] == 1 && p[4] == 4 },
				func(b []byte) error { _, err := record.Decode(b); return err }, record.ErrRecord},
			{"event", encode(e.Encode()), func([]int) bool { return false }, func(b []byte) error { _, err := record.DecodeEvent(b); return err }, record.ErrEvent},
			{"card", encode(first().Encode()), func([]int) bool { return false }, func(b []byte) error { _, err := record.DecodeEvent(b); return err }, record.ErrEvent},
			{"details", encode(d.Encode()), func(p []int) bool { return len(p) == 3 && p[1] > 0 },
				func(b []byte) error { _, err := record.DecodeDetails(b); return err }, record.ErrEvent},
		} {
			if err := c.check(c.body); err != nil {
				t.Fatalf("%s: the canonical form is refused: %v", c.name, err)
			}
			for _, it := range items(c.body, c.skip) {
				for form, b := range otherForms(c.body, it) {
					if err := c.check(b); !errors.Is(err, c.kind) {
						t.Fatalf("%s: item %v as %q: %v is not refused\n%x\n%x", c.name, it.path, form, err, b, c.body)
					}
				}
			}
		}
	})
}
