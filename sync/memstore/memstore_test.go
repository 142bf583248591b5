package memstore_test

import (
	"context"
	"errors"
	"testing"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) replica.Store { return memstore.New() })
}

func put(t *testing.T, s *memstore.Store, n uint64) error {
	t.Helper()
	building := record.DerivedID("building")
	return s.Update(context.Background(), building, func(tx replica.Tx) error {
		key := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket")}
		return tx.Save(context.Background(), replica.Effects{State: replica.State{Building: building, Position: n},
			Records: []replica.RecordRow{storetest.Row(key, n, storetest.MakeRecord(building, n, "x"))}})
	})
}

func end(t *testing.T, s *memstore.Store) uint64 {
	t.Helper()
	page, err := s.Feed(context.Background(), record.DerivedID("building"), 0, 10, 1<<20)
	if err != nil || len(page.Items) != 1 || page.Items[0].Position != page.End {
		t.Fatalf("feed %+v, %v", page, err)
	}
	return page.End
}

// A snapshot is what a restored disk image holds: later writes of either side stay apart.
func TestSnapshotStandsAlone(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	if err := put(t, s, 1); err != nil {
		t.Fatal(err)
	}
	image := s.Snapshot()
	if err := errors.Join(put(t, s, 2), put(t, s, 3), put(t, image, 9)); err != nil {
		t.Fatal(err)
	}
	if a, b := end(t, s), end(t, image); a != 3 || b != 9 {
		t.Fatalf("store ends at %d, image at %d", a, b)
	}
}

func TestFailCommitKeepsNothing(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	full := errors.New("disk full")
	if err := put(t, s, 1); err != nil {
		t.Fatal(err)
	}
	s.FailCommit = func(record.ID) error { return full }
	if err := put(t, s, 2); !errors.Is(err, replica.ErrBusy) || !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	if got := end(t, s); got != 1 {
		t.Fatalf("the feed ends at %d", got)
	}
	s.FailCommit = nil
	for n := uint64(2); n < 200; n++ {
		if err := put(t, s, n); err != nil {
			t.Fatal(err)
		}
	}
	if got := end(t, s); got != 199 {
		t.Fatalf("the feed ends at %d", got)
	}
}

// Two items at one position would hide one of them from every reader.
func TestPositionTakenTwice(t *testing.T) {
	t.Parallel()
	s, building := memstore.New(), record.DerivedID("building")
	err := s.Update(context.Background(), building, func(tx replica.Tx) error {
		rows := []replica.RecordRow{}
		for _, kind := range []string{"ticket", "message"} {
			key := record.Key{Building: building, Kind: kind, ID: record.DerivedID("one")}
			rows = append(rows, storetest.Row(key, 1, storetest.MakeRecord(building, 1, "x")))
		}
		return tx.Save(context.Background(), replica.Effects{State: replica.State{Building: building, Position: 1}, Records: rows})
	})
	if !errors.Is(err, replica.ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}
