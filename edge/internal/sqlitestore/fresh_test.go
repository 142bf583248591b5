package sqlitestore

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"testing"

	"estate/sync/record"
)

// A record whose id is above all that the store had is known not to be there until it is saved,
// and never once it is, however many come.
func TestFresh(t *testing.T) {
	t.Parallel()
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "edge.db")
	building, author := record.DerivedID("building"), record.DerivedID("author")
	key := func(n int) record.Key {
		k := record.Key{Building: building, Kind: "ticket"}
		binary.BigEndian.PutUint64(k.ID[:], uint64(n))
		return k
	}
	write := func(s *Store, n int) {
		t.Helper()
		// Whoever writes a record loads it before, which must find what was written last.
		for want := uint64(1); want <= 2; want++ {
			if got, err := counter(ctx, s, building, key(n), author); err != nil || got != want {
				t.Fatalf("write of %d: %d, %v, want %d", n, got, err, want)
			}
		}
	}
	lacks := func(s *Store, n int) bool { lacks, _ := s.hot.lacks(key(n)); return lacks }
	s := openTest(t, path)
	const first = 10
	write(s, first)
	if !lacks(s, first+1) || lacks(s, first) {
		t.Error("what is there is missing for certain, or what is new is not")
	}
	write(s, first+1)
	write(s, first-1)
	if lacks(s, first+1) || !lacks(s, first+2) {
		t.Error("a new record is missing for certain, or the next is not")
	}
	s.hot.mu.Lock()
	clear(s.hot.buildings) // as after a start
	s.hot.mu.Unlock()
	if got, err := counter(ctx, s, building, key(first), author); err != nil || got != 3 {
		t.Fatalf("wrote %d, %v, want 3", got, err)
	}
	write(s, first+2)
	if lacks(s, first-2) || lacks(s, first+1) || lacks(s, first+2) || !lacks(s, first+3) {
		t.Error("after a start: what is there is missing for certain, or what is new is not")
	}
}

// However many come, in whatever order, none that came is missing for certain.
func TestFreshForgetsNone(t *testing.T) {
	t.Parallel()
	f := fresh{above: map[record.ID]struct{}{}}
	id := func(n uint32) (id record.ID) {
		binary.BigEndian.PutUint32(id[:], n)
		return id
	}
	const step, count = 7919, 8 * freshMax // a prime: all come, far apart
	for n := range uint32(count) {
		f.add(id(1 + n*step%count))
		for m := range n + 1 {
			if m%97 == n%97 && f.lacks(id(1+m*step%count)) {
				t.Fatalf("the %dth of %d is missing for certain", m, n)
			}
		}
		if len(f.above) > freshMax {
			t.Fatalf("%d are remembered, at most %d", len(f.above), freshMax)
		}
	}
	if !f.lacks(id(count+1)) || f.lacks(id(0)) {
		t.Error("what is new is not missing for certain, or what is below is")
	}
}
