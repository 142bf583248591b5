package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

const (
	writers       = 16
	writesOfEach  = 25
	writesOfAll   = writers * writesOfEach
	feedLimitTest = 7 // small, so that a follower reads many pages while writers run
)

// follow reads the feed until it has seen this many positions; each page must go on where
// the last ended, with none missing: a position that shows up late is lost to a reader.
func follow(ctx context.Context, s replica.Store, until int) ([]uint64, error) {
	moved, stop := s.Watch(building1)
	defer stop()
	var got []uint64
	after := uint64(0)
	for len(got) < until {
		page, err := s.Feed(ctx, building1, after, feedLimitTest, 1<<20)
		if err != nil {
			return got, err
		}
		got = append(got, positions(page)...)
		if len(page.Items) > 0 {
			after = got[len(got)-1]
			continue
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return got, fmt.Errorf("saw %d of %d: %w", len(got), until, ctx.Err())
		}
	}
	return got, nil
}

// writeMany starts the writers, each creating records of its own.
func writeMany(ctx context.Context, stores []replica.Store, errs chan<- error) *sync.WaitGroup {
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for m := range writesOfEach {
				err := update(ctx, stores[n%len(stores)], building1, func(w *writer) { w.record("ticket", id("t", n*1000+m), "x") })
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	return &wg
}

func followFeed(t *testing.T, s replica.Store) { followTwo(t, s, s) }

// followTwo writes through both handles and follows through the second.
func followTwo(t *testing.T, a, b replica.Store) {
	ctx := testContext(t)
	errs := make(chan error, writers)
	wg := writeMany(ctx, []replica.Store{a, b}, errs)
	got, err := follow(ctx, b, writesOfAll)
	wg.Wait()
	close(errs)
	if err = errors.Join(err, <-errs); err != nil {
		t.Fatal(err)
	}
	for i, p := range got {
		if p != uint64(i+1) {
			t.Fatalf("the follower missed position %d: %v", i+1, got[max(0, i-3):min(len(got), i+4)])
		}
	}
	have := mustLoad(t, a, building1, replica.Need{})
	equal(t, "transactions", have.State.N, uint64(writesOfAll))
}

// feedSnapshot writes pairs in one transaction; a page must never show half of one.
func feedSnapshot(t *testing.T, s replica.Store) {
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	done := make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			err := update(ctx, s, building1, func(w *writer) {
				w.record("ticket", id("t", 1), strconv.Itoa(n))
				w.event(author, uint64(n+1), "e", w.position())
				w.record("message", id("t", 2), strconv.Itoa(n))
			})
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for seen := ""; seen < "5"; {
		page := mustFeed(t, s, building1, 0)
		if len(page.Items) == 0 {
			continue
		}
		values := shown(t, page)
		seen = values[id("t", 1)]
		if values[id("t", 2)] != seen {
			t.Fatalf("half a transaction: %v", values)
		}
		equal(t, "end", page.End, page.Items[len(page.Items)-1].Position)
		have := mustLoad(t, s, building1, replica.Need{Keys: []record.Key{
			{Building: building1, Kind: "ticket", ID: id("t", 1)}, {Building: building1, Kind: "message", ID: id("t", 2)}}})
		newest := uint64(0)
		for _, r := range have.Records {
			newest = max(newest, r.Position)
		}
		if newest != have.State.Position || len(have.Records) != 2 {
			t.Fatalf("load mixed two snapshots: %d, state %d", newest, have.State.Position)
		}
	}
	cancel()
	wantError(t, <-done, replica.ErrBusy)
}

// partialFailure lets every second of many concurrent calls fail after it saved.
func partialFailure(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	refused := errors.New("refused")
	results := make([]error, 64)
	var wg sync.WaitGroup
	for n := range results {
		wg.Go(func() {
			results[n] = s.Update(ctx, building1, func(tx replica.Tx) error {
				have, err := tx.Load(ctx, replica.Need{})
				if err != nil {
					return err
				}
				w := &writer{have: have, effects: replica.Effects{State: have.State}}
				w.record("ticket", id("t", n), strconv.Itoa(n))
				if err := tx.Save(ctx, w.effects); err != nil {
					return err
				}
				if n%2 == 1 {
					return refused
				}
				return nil
			})
		})
	}
	wg.Wait()
	for n, err := range results {
		if n%2 == 1 && err != refused || n%2 == 0 && err != nil { //nolint:errorlint // the port says: as it is
			t.Fatalf("call %d: %v", n, err)
		}
	}
	page := mustFeed(t, s, building1, 0)
	want := map[record.ID]string{}
	for n := 0; n < len(results); n += 2 {
		want[id("t", n)] = strconv.Itoa(n)
	}
	if !maps.Equal(shown(t, page), want) {
		t.Fatalf("kept %v", shown(t, page))
	}
	equal(t, "positions without holes", positions(page)[len(want)-1], uint64(len(want)))
	equal(t, "state", page.State.N, uint64(len(want)))
}

// oneBadOfMany lets concurrent calls share commits with one that the store itself must
// refuse: its position is taken. Only that one fails.
func oneBadOfMany(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	mustUpdate(t, s, building1, func(w *writer) { w.record("ticket", id("first", 1), "x") })
	results := make([]error, 48)
	var wg sync.WaitGroup
	for n := range results {
		wg.Go(func() {
			results[n] = update(ctx, s, building1, func(w *writer) {
				w.record("ticket", id("t", n), "x")
				if n%16 == 7 {
					w.effects.Records[0].Position = 1
				}
			})
		})
	}
	wg.Wait()
	for n, err := range results {
		if n%16 == 7 && !errors.Is(err, replica.ErrCorrupt) || n%16 != 7 && err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	page := mustFeed(t, s, building1, 0)
	equal(t, "items", len(page.Items), 1+len(results)-3)
	equal(t, "end", page.End, uint64(len(page.Items)))
}

func watches(t *testing.T, s replica.Store) {
	mine, stopMine := s.Watch(building1)
	other, stopOther := s.Watch(building2)
	all, stopAll := s.Watch(record.ID{})
	defer stopAll()
	mustUpdate(t, s, building1, func(w *writer) { w.record("ticket", id("t", 1), "x") })
	wake(t, mine)
	wake(t, all)
	mustUpdate(t, s, building2, func(w *writer) { w.record("ticket", id("t", 1), "x") })
	wake(t, other)
	wake(t, all)
	// Wake-ups arrive in commit order: all has seen both commits, so what mine and other
	// did not get by now they never will.
	for _, moved := range []<-chan struct{}{mine, other} {
		select {
		case <-moved:
			t.Fatal("woken by another building, or twice by one commit")
		default:
		}
	}
	stopMine()
	stopMine()
	stopOther()
	mustUpdate(t, s, building1, func(w *writer) { w.record("ticket", id("t", 2), "x") })
	wake(t, all)
	select {
	case <-mine:
		t.Fatal("woken after stop")
	default:
	}
}

func cancelled(t *testing.T, s replica.Store) {
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	ran := false
	calls := map[string]func() error{
		"update": func() error {
			return s.Update(ctx, building1, func(replica.Tx) error { ran = true; return nil })
		},
		"load":      func() error { _, err := s.Load(ctx, building1, replica.Need{}); return err },
		"feed":      func() error { _, err := s.Feed(ctx, building1, 0, 1, 1); return err },
		"chains":    func() error { _, err := s.Chains(ctx, building1); return err },
		"events":    func() error { _, err := s.Events(ctx, building1, author, 1, 2, 3); return err },
		"buildings": func() error { _, err := s.Buildings(ctx); return err },
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		err := calls[name]()
		if !errors.Is(err, replica.ErrBusy) || !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: %v, want ErrBusy and the context's error", name, err)
		}
	}
	if ran {
		t.Fatal("a cancelled update ran")
	}
}

// cancelledWithin cancels while the transaction runs: nothing of it is kept, and the next
// caller is not harmed.
func cancelledWithin(t *testing.T, s replica.Store) {
	ctx, cancel := context.WithCancel(testContext(t))
	err := s.Update(ctx, building1, func(tx replica.Tx) error {
		have, err := tx.Load(ctx, replica.Need{})
		if err != nil {
			return err
		}
		w := &writer{have: have, effects: replica.Effects{State: have.State}}
		w.record("ticket", id("t", 1), "x")
		if err := tx.Save(ctx, w.effects); err != nil {
			return err
		}
		cancel()
		_, err = tx.Load(ctx, replica.Need{})
		return err
	})
	wantError(t, err, replica.ErrBusy)
	wantError(t, err, context.Canceled)
	mustUpdate(t, s, building1, func(w *writer) { w.record("ticket", id("t", 2), "y") })
	equal(t, "feed", shown(t, mustFeed(t, s, building1, 0)), map[record.ID]string{id("t", 2): "y"})
}
