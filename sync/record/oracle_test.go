package record_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"estate/sync/hlc"
	"estate/sync/record"
)

// The oracle reads the same encodings with the library, by reflection: what the reader
// accepts the library understands alike, and what the library understands and writes back
// to the same bytes the reader accepts.

type wireRecord struct {
	_        struct{} `cbor:",toarray"`
	Version  uint64
	Replicas []byte
	Fields   []struct {
		_        struct{} `cbor:",toarray"`
		Name     string
		Siblings []struct {
			_       struct{} `cbor:",toarray"`
			Replica uint64
			N       uint64
			Stamp   uint64
			Class   uint8
			Value   cbor.RawMessage
		}
	}
	Vector []struct {
		_       struct{} `cbor:",toarray"`
		Replica uint64
		N       uint64
	}
	Dots []struct {
		_       struct{} `cbor:",toarray"`
		Field   string
		Replica uint64
		N       uint64
	}
}

func library(t fataler, nesting int) (cbor.EncMode, cbor.DecMode) {
	t.Helper()
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	enc, err := o.EncMode()
	if err != nil {
		t.Fatalf("%v", err)
	}
	dec, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		UTF8: cbor.UTF8RejectInvalid, MaxNestedLevels: nesting, MaxArrayElements: 1 << 17, MaxMapPairs: 1 << 12}.DecMode()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return enc, dec
}

// againstLibrary holds that bytes which the reader took as a T are what the library reads
// and writes as one.
func againstLibrary[T any](t fataler, b []byte) T {
	t.Helper()
	enc, dec := library(t, 16)
	var v T
	if err := dec.Unmarshal(b, &v); err != nil {
		t.Fatalf("accepted %x, the library says %v", b, err)
	}
	if again, err := enc.Marshal(v); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("accepted %x, the library writes %x, %v", b, again, err)
	}
	return v
}

// TestRecordOracle: the library reads what Encode wrote, sibling by sibling. Cites SPEC R18.
func TestRecordOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		w := againstLibrary[wireRecord](t, b)
		if len(w.Fields) != len(r.Fields) || len(w.Vector) != len(r.Context.Vector) || len(w.Dots) != len(r.Context.Dots) {
			t.Fatalf("%x: library reads %+v, wrote %+v", b, w, r)
		}
		for i, f := range w.Fields {
			for j, s := range f.Siblings {
				want := r.Fields[i].Siblings[j]
				if f.Name != r.Fields[i].Name || s.N != want.Dot.N || record.ReplicaID(w.Replicas[16*s.Replica:][:16]) != want.Dot.Replica ||
					s.Stamp != uint64(want.Stamp) || s.Class != uint8(want.Class) || !bytes.Equal(s.Value, want.Value) {
					t.Fatalf("library reads %+v, wrote %+v", s, want)
				}
			}
		}
	})
}

// TestEventOracle: the library reads an event and its details to the same Go values.
// Cites SPEC R18.
func TestEventOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, d := drawEvent(t)
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := record.DecodeEvent(b)
		if want := libraryEvent(t, b); err != nil || !equalEvents(got, want) {
			t.Fatalf("DecodeEvent(%x) = %+v, %v; the library reads %+v", b, got, err, want)
		}
		if b, err = d.Encode(); err != nil {
			t.Fatal(err)
		}
		details, err := record.DecodeDetails(b)
		want := againstLibrary[[]record.Detail](t, b)
		if err != nil || len(details) != len(want) {
			t.Fatalf("DecodeDetails(%x) = %+v, %v; the library reads %+v", b, details, err, want)
		}
		for i := range want {
			if !bytes.Equal(details[i].Salt, want[i].Salt) || !equalValues(details[i].Old, want[i].Old) || !equalValues(details[i].New, want[i].New) {
				t.Fatalf("detail %d: %+v, the library reads %+v", i, details[i], want[i])
			}
		}
	})
}

// wireEvent is an event as the library reads it.
type wireEvent struct {
	_                 struct{} `cbor:",toarray"`
	Version           uint64
	Building, Replica record.ID
	N                 uint64
	Prev              record.Hash
	Stamp             hlc.Stamp
	EventTime         int64
	Actor             struct {
		_      struct{} `cbor:",toarray"`
		Class  record.Class
		Person record.ID
		Name   string
	}
	Action  string
	Touched []struct {
		_       struct{} `cbor:",toarray"`
		Kind    string
		ID      record.ID
		Touches []struct {
			_        struct{} `cbor:",toarray"`
			Field    string
			Replaced []record.Dot
			Old, New []byte
		}
	}
	Refusals []struct {
		_     struct{} `cbor:",toarray"`
		Dot   record.Dot
		Kind  string
		ID    record.ID
		Field string
		Code  string
	}
	Card *record.Card
}

func (w wireEvent) event(t fataler) record.Event {
	t.Helper()
	e := record.Event{Version: w.Version, Building: w.Building, Replica: w.Replica, N: w.N, Prev: w.Prev, Stamp: w.Stamp, EventTime: w.EventTime,
		Actor: record.Actor{Class: w.Actor.Class, Person: w.Actor.Person, Name: w.Actor.Name}, Action: w.Action, Card: w.Card}
	hash := func(b []byte) (h record.Hash) {
		if len(b) != 0 && len(b) != len(h) {
			t.Fatalf("a hash of %d bytes", len(b))
		}
		copy(h[:], b)
		return h
	}
	for _, r := range w.Touched {
		for _, x := range r.Touches {
			e.Touches = append(e.Touches, record.Touch{Kind: r.Kind, ID: r.ID, Field: x.Field, Replaced: x.Replaced, Old: hash(x.Old), New: hash(x.New)})
		}
	}
	for _, x := range w.Refusals {
		e.Refusals = append(e.Refusals, record.Refused{Dot: x.Dot, Kind: x.Kind, ID: x.ID, Field: x.Field, Code: x.Code})
	}
	return e
}

// libraryEvent reads an event of either version by the library.
func libraryEvent(t fataler, b []byte) record.Event {
	t.Helper()
	if b[0] != 0x80|13 {
		return againstLibrary[wireEvent](t, b).event(t)
	}
	// The last part is the erasures: an array of its own as the library reads it.
	parts := againstLibrary[[]cbor.RawMessage](t, b)
	enc, _ := library(t, 16)
	first, err := enc.Marshal(parts[:12])
	if err != nil {
		t.Fatalf("%v", err)
	}
	e := againstLibrary[wireEvent](t, first).event(t)
	e.Erasures = againstLibrary[[]record.Dot](t, parts[12])
	return e
}

func equalEvents(a, b record.Event) bool {
	empty := func(e *record.Event) {
		for i := range e.Touches {
			if len(e.Touches[i].Replaced) == 0 {
				e.Touches[i].Replaced = nil
			}
		}
		if len(e.Touches) == 0 {
			e.Touches = nil
		}
		if len(e.Refusals) == 0 {
			e.Refusals = nil
		}
	}
	empty(&a)
	empty(&b)
	return reflect.DeepEqual(a, b)
}

func equalValues(a, b []record.Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// TestReaderRefusesLikeLibrary: bytes with one change are accepted by both or by neither,
// where the library must also write them back the same. Cites SPEC R18.
func TestReaderRefusesLikeLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[i] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		if _, err := record.Decode(b); err == nil {
			againstLibrary[wireRecord](t, b)
		}
		e, _ := drawEvent(t)
		if b, err = e.Encode(); err != nil {
			t.Fatal(err)
		}
		i = rapid.IntRange(0, len(b)-1).Draw(t, "event at")
		b[i] ^= rapid.ByteRange(1, 255).Draw(t, "event flip")
		if _, err := record.DecodeEvent(b); err == nil {
			libraryEvent(t, b)
		}
	})
}
