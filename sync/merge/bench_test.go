package merge_test

import (
	"fmt"
	"testing"

	"estate/sync/merge"
	"estate/sync/record"
)

// ticket is a record of about 1 KB: sixteen fields, four nodes with a few starts each.
func ticket(t testing.TB) (record.Record, cards) {
	t.Helper()
	lin, r := cards{}, record.Record{}
	var last record.Dot
	for i := range 12 {
		name := fmt.Sprintf("node%d", i%4)
		d := dot(fmt.Sprintf("r%02d", i), 5)
		lin[d.Replica] = record.Card{Node: rid(name)}
		if i >= 8 {
			last = dot(fmt.Sprintf("r%02d", i-4), 5)
			lin[d.Replica] = record.Card{Node: rid(name), Predecessor: last}
		}
		v := values{fmt.Sprintf("field_%02d", i): {"a value of a ticket's field, thirty"}}
		if i < 4 {
			v[fmt.Sprintf("field_%02d", 12+i)] = []string{"another value"}
		}
		r = txn{dot: d, values: v, stamp: 1 << 50}.local(r, lin)
	}
	return r, lin
}

func BenchmarkMerge(b *testing.B) {
	r, lin := ticket(b)
	newer := txn{dot: dot("r12", 2), values: values{"field_00": {"newer"}}, stamp: 2 << 50}.local(r, lin)
	b.Run("newer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			merge.Merge(r, newer, lin)
		}
	})
	b.Run("equal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			merge.Merge(r, r, lin)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	r, _ := ticket(b)
	enc, err := r.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(enc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	r, _ := ticket(b)
	enc, err := r.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(enc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.Decode(enc); err != nil {
			b.Fatal(err)
		}
	}
}
