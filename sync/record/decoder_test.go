package record_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/record"
)

// changed flips a byte now and then.
func changed(t *rapid.T, b []byte) []byte {
	b = slices.Clone(b)
	if len(b) > 0 && rapid.IntRange(0, 3).Draw(t, "broken") == 0 {
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
	}
	return b
}

// TestDecoderOfPages: what a page's decoder reads is what each reads by itself, also once all
// of the page was read, broken ones between them. Cites SPEC R18.
func TestDecoderOfPages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "items")
		d := record.NewDecoder(rapid.IntRange(0, n).Draw(t, "expected"))
		var check []func()
		for range n {
			r := drawRecord(t)
			body, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			body = changed(t, body)
			got, err := d.Record(body)
			want, wantErr := record.Decode(body)
			readable, decodes := err == nil, wantErr == nil
			check = append(check, func() {
				if readable != decodes || !reflect.DeepEqual(got, want) {
					t.Fatalf("Record(%x) = %v, %v; Decode reads %v, %v", body, got, readable, want, decodes)
				}
			})
			e, _ := drawEvent(t)
			event, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			event = changed(t, event)
			var gotEvent record.Event
			err = d.Event(&gotEvent, event)
			wantEvent, wantErr := record.DecodeEvent(event)
			eventReadable, eventDecodes := err == nil, wantErr == nil
			check = append(check, func() {
				if eventReadable != eventDecodes || eventDecodes && !reflect.DeepEqual(gotEvent, wantEvent) {
					t.Fatalf("Event(%x) = %v, %v; DecodeEvent reads %v, %v", event, gotEvent, eventReadable, wantEvent, eventDecodes)
				}
			})
			if got, want := d.HashEvent(event), record.HashEvent(event); got != want {
				t.Fatalf("HashEvent of %d bytes: %x, by itself %x", len(event), got, want)
			}
		}
		for _, holds := range check {
			holds()
		}
	})
}

// sameCheck holds the check of a page's details against reading and checking them.
func sameCheck(t fataler, event, details []byte) {
	t.Helper()
	e, err := record.DecodeEvent(event)
	if err != nil {
		return
	}
	d, want := record.DecodeDetails(details)
	if want == nil {
		want = d.Check(e)
	}
	if got := new(record.Decoder).CheckDetails(&e, details); (got == nil) != (want == nil) {
		t.Fatalf("CheckDetails(%x, %x) = %v; read and checked: %v", event, details, got, want)
	}
}

// TestCheckDetails: a page's details pass if and only if they can be read and are the ones
// that the event hashed: whole, erased, of others, with a byte or a salt changed.
// Cites SPEC R18, SPEC R24.
func TestCheckDetails(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, d := drawEvent(t)
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			for i := range d {
				if rapid.Bool().Draw(t, "erased") {
					d[i] = record.Detail{}
				}
			}
		case 1:
			_, d = drawEvent(t)
		case 2:
			for i := range d {
				d[i].Salt = d[i].Salt[:rapid.IntRange(0, len(d[i].Salt)).Draw(t, "salt")]
			}
		case 3:
			e.Refusals = append(e.Refusals, record.Refused{Dot: e.Dot(), Kind: "ticket", ID: e.Building, Field: "title", Code: "x"})
			d = append(d, record.Detail{Salt: bytes.Repeat([]byte{1}, record.SaltBytes), New: []record.Value{drawValue(t)}})
		}
		event, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		details, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		sameCheck(t, event, details)
		sameCheck(t, event, changed(t, details))
		sameCheck(t, changed(t, event), details)
	})
}

// FuzzCheckDetails holds any two against each other. Cites SPEC R18, SPEC R28.
func FuzzCheckDetails(f *testing.F) {
	for i := range drawn {
		both := rapid.Custom(func(t *rapid.T) [2][]byte {
			e, d := drawEvent(t)
			event, _ := e.Encode()
			details, _ := d.Encode()
			return [2][]byte{event, details}
		}).Example(i)
		f.Add(both[0], both[1])
	}
	f.Fuzz(func(t *testing.T, event, details []byte) { sameCheck(t, event, details) })
}
