package wire

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/record"
)

func drawBytes(t *rapid.T, label string) []byte {
	b := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, label)
	if n := rapid.SampledFrom([]int{0, 0, 0, 300, 70_000}).Draw(t, label+" more"); n > 0 {
		b = append(b, bytes.Repeat([]byte{7}, n)...)
	}
	if len(b) == 0 {
		return nil
	}
	return b
}

func drawID(t *rapid.T) (id record.ID) {
	id[3] = rapid.ByteRange(0, 2).Draw(t, "id")
	return id
}

func drawPage(t *rapid.T) Page {
	p := Page{ID: rapid.Uint64().Draw(t, "page"), From: rapid.Uint64Range(0, 300).Draw(t, "from"), To: rapid.Uint64Range(0, 1<<40).Draw(t, "to"),
		Last: rapid.Bool().Draw(t, "last"), Generation: drawID(t), Reader: drawID(t), View: record.Hash{rapid.ByteRange(0, 1).Draw(t, "view")}, Issuer: drawBytes(t, "issuer")}
	for range rapid.IntRange(0, 30).Draw(t, "events") {
		p.Events = append(p.Events, EventItem{Body: drawBytes(t, "body"), Details: drawBytes(t, "details"), Replica: drawID(t), N: rapid.Uint64().Draw(t, "n")})
	}
	for range rapid.IntRange(0, 30).Draw(t, "records") {
		item := RecordItem{Kind: rapid.SampledFrom([]string{"", "ticket", "größe"}).Draw(t, "kind"), ID: drawID(t), Body: drawBytes(t, "record")}
		if rapid.IntRange(0, 9).Draw(t, "sealed") == 0 {
			item.Seal, item.Tag = &Seal{Node: drawID(t), Time: 5, Signature: []byte{1}}, drawBytes(t, "tag")
		}
		p.Records = append(p.Records, item)
	}
	if rapid.Bool().Draw(t, "head") {
		p.Heads = []record.Head{{Replica: drawID(t), N: 3, Signature: []byte{2}}}
		p.Receipts = []record.Receipt{{Replica: drawID(t), N: 3, Signature: []byte{2}}}
	}
	return p
}

// TestPageCodec: the hand-written form is the library's, both ways, and what is changed on
// its way is read as the library reads it. Cites SPEC R28.
func TestPageCodec(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPage(t)
		want, err := record.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := appendPage([]byte("before"), p)
		if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Fatalf("page %+v: %v\n got %x\nwant %x", p, err, got, want)
		}
		sealed := false
		for _, r := range p.Records {
			sealed = sealed || r.Seal != nil
		}
		if _, ok := decodePage(want); !ok && !sealed {
			t.Fatalf("not read: %x", want)
		}
		if rapid.Bool().Draw(t, "changed") && len(want) > 1 {
			at := rapid.IntRange(0, min(len(want), 400)-1).Draw(t, "at")
			want = bytes.Clone(want)
			want[at] = rapid.Byte().Draw(t, "to")
		}
		oracle(t, want)
	})
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func oracle(t fataler, payload []byte) {
	fast, ok := decodePage(payload)
	if !ok {
		return
	}
	slow, err := decode[Page](payload)
	if err != nil {
		t.Fatalf("the library refuses it (%v): %x", err, payload)
	}
	if !reflect.DeepEqual(normal(fast), normal(slow.(Page))) {
		t.Fatalf("read differently: %x\n got %+v\nwant %+v", payload, fast, slow)
	}
}

// normal has one form for a list or string that is empty.
func normal(p Page) Page {
	if len(p.Events) == 0 {
		p.Events = nil
	}
	if len(p.Records) == 0 {
		p.Records = nil
	}
	for i := range p.Events {
		p.Events[i].Body, p.Events[i].Details = append([]byte{}, p.Events[i].Body...), append([]byte{}, p.Events[i].Details...)
	}
	for i := range p.Records {
		p.Records[i].Body = append([]byte{}, p.Records[i].Body...)
	}
	return p
}

// TestItemsHaveNoOtherFields: who adds a field to an item adds it to the codec.
func TestItemsHaveNoOtherFields(t *testing.T) {
	t.Parallel()
	if e, r := reflect.TypeFor[EventItem]().NumField(), reflect.TypeFor[RecordItem]().NumField(); e != 4 || r != 5 {
		t.Fatalf("an event has %d fields and a record %d, the codec knows 4 and 5", e, r)
	}
}

func FuzzPageCodec(f *testing.F) {
	f.Add([]byte{0xa1, 0x06, 0x81, 0xa1, 0x04, 0x05})
	f.Add([]byte{0xa2, 0x01, 0x02, 0x07, 0x81, 0xa1, 0x01, 0x61, 0x61})
	f.Fuzz(func(t *testing.T, payload []byte) { oracle(t, payload) })
}
