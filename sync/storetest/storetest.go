// Package storetest holds every replica.Store to the text of its port: one suite for the
// stores in memory, in SQLite and in PostgreSQL, and a wrapper that injects faults.
//
// It must never be linked by what ships.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
)

// patience bounds one test: a store that hangs fails, it does not stop the run.
const patience = 3 * time.Minute

// Run runs the suite. open returns a fresh empty store and cleans up after itself.
func Run(t *testing.T, open func(t *testing.T) replica.Store) {
	for name, test := range map[string]func(*testing.T, replica.Store){
		"RoundTrip": roundTrip, "Replace": replace, "Absent": absent, "BuildingsAreApart": buildingsApart, "Scope": scope,
		"RollBack": rollBack, "Overlooked": overlooked, "Panic": panics, "Idempotent": idempotent, "Lineage": lineage, "Sums": sums, "Touches": touches, "HeldBack": heldBack,
		"Waiting": waiting, "Branches": branches, "Erasures": erasures, "EventsRange": eventsRange, "FeedOrder": feedOrder, "FeedPaging": feedPaging, "LargePage": largePage,
		"LargeRecord": largeRecord, "Cancelled": cancelled, "CancelledWithin": cancelledWithin, "Watch": watches,
		"FollowFeed": followFeed, "FeedSnapshot": feedSnapshot, "PartialFailure": partialFailure, "OneBadOfMany": oneBadOfMany, "LikeMemory": likeMemory, "PagesLikeMemory": pagesLikeMemory,
		"Foreseen": foreseen, "FaultyCommit": faultyCommit, "FaultyAnswer": faultyAnswer, "FaultyLoad": faultyLoad, "FaultyTwice": faultyTwice, "FaultyLine": faultyLine,
		"NodeUnderFault": nodeUnderFault,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// RunShared runs what holds between two handles of one store. open returns both.
func RunShared(t *testing.T, open func(t *testing.T) (a, b replica.Store)) {
	t.Run("WatchAcross", func(t *testing.T) {
		t.Parallel()
		a, b := open(t)
		moved, stop := b.Watch(building1)
		defer stop()
		mustUpdate(t, a, building1, func(w *writer) { w.record("ticket", id("r", 1), "x") })
		wake(t, moved)
	})
	t.Run("WriteAcross", func(t *testing.T) {
		t.Parallel()
		a, b := open(t)
		followTwo(t, a, b)
	})
}

var (
	building1 = record.DerivedID("building", "1")
	building2 = record.DerivedID("building", "2")
	peer      = record.DerivedID("peer", "1")
)

func id(kind string, n int) record.ID { return record.DerivedID(kind, fmt.Sprint(n)) }

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// MakeRecord is a record whose field "title" shows a text, written as transaction n of a
// replica.
func MakeRecord(from record.ReplicaID, n uint64, title string) record.Record {
	dot := record.Dot{Replica: from, N: n}
	r := record.Record{Context: record.Context{Vector: []record.Dot{dot}}}
	return r.With("title", []record.Sibling{{Dot: dot, Stamp: hlc.At(int64(n)), Class: record.Person, Value: record.Text(title)}})
}

// Row is MakeRecord as a row to store.
func Row(key record.Key, position uint64, r record.Record) replica.RecordRow {
	body, err := r.Encode()
	if err != nil {
		panic(fmt.Sprintf("storetest: encode: %v", err)) // records of tests are within the limits
	}
	return replica.RecordRow{Key: key, Record: r, Body: body, Position: position}
}

// writer collects one transaction's effects the way the core does: positions and numbers
// come from the state.
type writer struct {
	have    replica.Have
	effects replica.Effects
}

var author = record.DerivedID("replica", "author")

func (w *writer) position() uint64 {
	w.effects.State.Position++
	return w.effects.State.Position
}

func (w *writer) record(kind string, id record.ID, title string) record.Key {
	key := record.Key{Building: w.effects.State.Building, Kind: kind, ID: id}
	w.effects.State.N++
	w.effects.Records = append(w.effects.Records, Row(key, w.position(), MakeRecord(author, w.effects.State.N, title)))
	return key
}

func (w *writer) event(from record.ReplicaID, n uint64, body string, position uint64) {
	w.effects.Events = append(w.effects.Events, replica.EventRow{Replica: from, N: n, Hash: record.HashEvent([]byte(body)), Body: []byte(body), Position: position})
}

// update is one transaction; fill sees the state and adds effects.
func update(ctx context.Context, s replica.Store, building record.ID, fill func(*writer)) error {
	return s.Update(ctx, building, func(tx replica.Tx) error {
		have, err := tx.Load(ctx, replica.Need{})
		if err != nil {
			return err
		}
		w := &writer{have: have, effects: replica.Effects{State: have.State}}
		fill(w)
		return tx.Save(ctx, w.effects)
	})
}

func mustUpdate(t *testing.T, s replica.Store, building record.ID, fill func(*writer)) {
	t.Helper()
	if err := update(testContext(t), s, building, fill); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func mustLoad(t *testing.T, s replica.Store, building record.ID, need replica.Need) replica.Have {
	t.Helper()
	have, err := s.Load(testContext(t), building, need)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return have
}

func mustFeed(t *testing.T, s replica.Store, building record.ID, after uint64) replica.FeedPage {
	t.Helper()
	page, err := s.Feed(testContext(t), building, after, 100_000, 1<<30)
	if err != nil {
		t.Fatalf("feed: %v", err)
	}
	return page
}

func positions(p replica.FeedPage) []uint64 {
	out := []uint64{}
	for _, i := range p.Items {
		out = append(out, i.Position)
	}
	return out
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func wake(t *testing.T, moved <-chan struct{}) {
	t.Helper()
	select {
	case <-moved:
	case <-testContext(t).Done():
		t.Fatal("the watch did not wake")
	}
}

// shown reads the title of each record of a page by id.
func shown(t *testing.T, p replica.FeedPage) map[record.ID]string {
	t.Helper()
	out := map[record.ID]string{}
	for _, i := range p.Items {
		if i.Event != nil {
			continue
		}
		r, err := record.Decode(i.Body)
		if err != nil {
			t.Fatalf("feed item %d: %v", i.Position, err)
		}
		out[i.Key.ID], _ = r.Siblings("title")[0].Value.AsText()
	}
	return out
}

func ascending(t *testing.T, list []uint64) {
	t.Helper()
	if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Fatalf("positions do not rise: %v", list)
	}
}
