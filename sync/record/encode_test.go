package record_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/record"
)

func equalRecords(a, b record.Record) bool {
	return slices.EqualFunc(a.Fields, b.Fields, func(x, y record.Field) bool {
		return x.Name == y.Name && slices.EqualFunc(x.Siblings, y.Siblings, func(s, o record.Sibling) bool {
			return s.CompareIdentity(o) == 0 && s.Stamp == o.Stamp && s.Class == o.Class
		})
	}) && slices.Equal(a.Context.Vector, b.Context.Vector) && slices.Equal(a.Context.Dots, b.Context.Dots)
}

// TestRecordRoundTrip: Decode undoes Encode, and a record built in another order has the
// same bytes. Cites SPEC R18.
func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := record.Decode(b)
		if err != nil || !equalRecords(r, back) {
			t.Fatalf("Decode(%x) = %v, %v; want %v", b, back, err, r)
		}
		var again record.Record
		for _, f := range slices.Backward(r.Fields) {
			s := slices.Clone(f.Siblings)
			slices.Reverse(s)
			again = again.With(f.Name, s)
		}
		again.Context = r.Context
		if b2, err := again.Encode(); err != nil || !bytes.Equal(b, b2) {
			t.Fatalf("equal records, other bytes: %x and %x, %v", b, b2, err)
		}
	})
}

// TestRecordMutated: any changed byte either fails or is another canonical record.
// Cites SPEC R18.
func TestRecordMutated(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, err := drawRecord(t).Encode()
		if err != nil {
			t.Fatal(err)
		}
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[i] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		for _, changed := range [][]byte{b, b[:i], append(slices.Clone(b), 0)} {
			canonicalRecord(t, changed)
			sameRecord(t, changed)
		}
	})
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func canonicalRecord(t fataler, b []byte) {
	t.Helper()
	r, err := record.Decode(b)
	if err != nil {
		if !errors.Is(err, record.ErrRecord) {
			t.Fatalf("Decode(%x): %v is not ErrRecord", b, err)
		}
		return
	}
	if again, err := r.Encode(); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("accepted %x, re-encoded %x, %v", b, again, err)
	}
}

var (
	one = record.ID{1}
	two = record.ID{2}
)

func small() record.Record {
	r := record.Record{}.With("f", []record.Sibling{{Dot: record.Dot{Replica: one, N: 1}, Stamp: 5, Class: record.Person, Value: record.Int(1)}})
	r.Context.Vector = []record.Dot{{Replica: one, N: 1}, {Replica: two, N: 2}}
	return r
}

// TestDecodeRefuses lists forms that decode as CBOR and mean a record, yet are not the one
// way to write it. Cites SPEC R18.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good, err := small().Encode()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, fresh string) []byte {
		if bytes.Count(good, []byte(old)) != 1 {
			t.Fatalf("%x is not once in %x", old, good)
		}
		return bytes.Replace(good, []byte(old), []byte(fresh), 1)
	}
	ids := string(one[:]) + string(two[:])
	for name, b := range map[string][]byte{
		"Empty":              nil,
		"Version":            append([]byte{good[0], 2}, good[2:]...),
		"LongNumber":         replace("\x85\x00\x01\x05", "\x85\x00\x18\x01\x05"),
		"LongArray":          replace("\x81\x82\x61f", "\x98\x01\x82\x61f"),
		"TableOutOfOrder":    replace("\x82\x82\x00\x01\x82\x01\x02", "\x82\x82\x01\x01\x82\x00\x02"),
		"TableNotSorted":     bytes.Replace(replace(ids, string(two[:])+string(one[:])), []byte("\x85\x00\x01\x05"), []byte("\x85\x01\x01\x05"), 1),
		"TableUncited":       replace("\x82\x82\x00\x01\x82\x01\x02", "\x81\x82\x00\x01"),
		"IndexOutOfRange":    replace("\x82\x01\x02", "\x82\x02\x02"),
		"NumberZero":         replace("\x82\x01\x02", "\x82\x01\x00"),
		"ClassUnknown":       replace("\x05\x01\x01", "\x05\x03\x01"),
		"FieldNameEmpty":     replace("\x61f", "\x60"),
		"FieldNameNotUTF8":   replace("\x61f", "\x61\xff"),
		"NullForList":        append(slices.Clone(good[:len(good)-1]), 0xf6),
		"TrailingByte":       append(slices.Clone(good), 0),
		"IndefiniteLength":   append(slices.Clone(good[:len(good)-1]), 0x9f, 0xff),
		"BeyondTheSizeLimit": make([]byte, record.RecordBytesMax+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r, err := record.Decode(b); !errors.Is(err, record.ErrRecord) {
				t.Errorf("Decode(%x) = %v, %v; want ErrRecord", b, r, err)
			}
		})
	}
}

// TestEncodeRefuses: what Decode would refuse is never written. Cites SPEC R18, SPEC R28.
func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	with := func(change func(*record.Record)) record.Record {
		r := small()
		change(&r)
		return r
	}
	many := make([]record.Sibling, record.SiblingsMax+1)
	for i := range many {
		many[i] = record.Sibling{Dot: record.Dot{Replica: one, N: uint64(i + 1)}, Class: record.Person, Value: record.Int(1)}
	}
	big := record.Record{}
	for i := range record.RecordBytesMax/record.ValueBytesMax + 1 {
		big = big.With(strings.Repeat("f", i+1), []record.Sibling{{Dot: record.Dot{Replica: one, N: 1}, Class: record.Person, Value: record.Bytes(make([]byte, record.ValueBytesMax-8))}})
	}
	for name, r := range map[string]record.Record{
		"NoClass":  with(func(r *record.Record) { r.Fields[0].Siblings[0].Class = 0 }),
		"NoValue":  with(func(r *record.Record) { r.Fields[0].Siblings[0].Value = nil }),
		"NoNumber": with(func(r *record.Record) { r.Fields[0].Siblings[0].Dot.N = 0 }),
		"ValueTooLong": with(func(r *record.Record) {
			r.Fields[0].Siblings[0].Value = record.Bytes(make([]byte, record.ValueBytesMax))
		}),
		"FieldNameLong":    with(func(r *record.Record) { r.Fields[0].Name = strings.Repeat("f", record.FieldNameMax+1) }),
		"FieldNameNotUTF8": with(func(r *record.Record) { r.Fields[0].Name = "\xff" }),
		"ValueMalformed":   with(func(r *record.Record) { r.Fields[0].Siblings[0].Value = record.Value{0x62, 0x61} }),
		"ValueTwoItems":    with(func(r *record.Record) { r.Fields[0].Siblings[0].Value = record.Value{0x01, 0x02} }),
		"ValueTooDeep":     with(func(r *record.Record) { r.Fields[0].Siblings[0].Value = append(bytes.Repeat([]byte{0x81}, 9), 1) }),
		"FieldEmpty":       with(func(r *record.Record) { r.Fields[0].Siblings = nil }),
		"VectorUnsorted":   with(func(r *record.Record) { slices.Reverse(r.Context.Vector) }),
		"DotTwice":         with(func(r *record.Record) { r.Context.Dots = make([]record.FieldDot, 2) }),
		"TooManySiblings":  record.Record{}.With("f", many),
		"TooManyBytes":     big,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if b, err := r.Encode(); !errors.Is(err, record.ErrRecord) {
				t.Errorf("Encode = %d bytes, %v; want ErrRecord", len(b), err)
			}
		})
	}
}
