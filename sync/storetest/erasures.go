package storetest

import (
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

// erasures: the details of the events named go, wherever they lie, those that the same
// transaction saved as well; hashes stay, and the store remembers by what (SPEC R32).
func erasures(t *testing.T, s replica.Store) {
	from, other := id("replica", 1), id("replica", 2)
	dot := func(n uint64) record.Dot { return record.Dot{Replica: from, N: n} }
	by := record.Dot{Replica: other, N: 9}
	row := func(n uint64, body string, position uint64) replica.EventRow {
		return replica.EventRow{Replica: from, N: n, Hash: record.HashEvent([]byte(body)), Body: []byte(body), Details: []byte("values of " + body), Position: position}
	}
	branch := row(2, "branch", 0)
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.Events = []replica.EventRow{row(1, "one", w.position()), row(2, "two", w.position()), row(3, "three", w.position())}
		w.effects.Branches = []replica.EventRow{branch}
	})
	mustUpdate(t, s, building2, func(w *writer) { w.effects.Events = []replica.EventRow{row(2, "elsewhere", w.position())} })
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.Events = []replica.EventRow{row(4, "four", w.position()), row(7, "waiting", 0)}
		for _, n := range []uint64{2, 4, 7, 8} { // 8 is not here yet
			w.effects.Erasures = append(w.effects.Erasures, replica.Erasure{Dot: dot(n), By: by})
		}
	})
	later := record.Dot{Replica: other, N: 10}
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.Erasures = []replica.Erasure{{Dot: dot(2), By: later}, {Dot: dot(3), By: later}}
	})

	details := func(building record.ID) map[uint64]string {
		rows, err := s.Events(testContext(t), building, from, 1, 100, 100)
		if err != nil {
			t.Fatal(err)
		}
		out := map[uint64]string{}
		for _, r := range rows {
			if out[r.N] = string(r.Details); r.Hash != record.HashEvent(r.Body) {
				t.Errorf("hash of %d", r.N)
			}
		}
		return out
	}
	equal(t, "details", details(building1), map[uint64]string{1: "values of one", 2: "", 3: "", 4: "", 7: ""})
	equal(t, "details of another building", details(building2), map[uint64]string{2: "values of elsewhere"})
	for _, item := range mustFeed(t, s, building1, 0).Items {
		if want := item.Event.N == 1; want != (len(item.Event.Details) > 0) {
			t.Errorf("the feed has details %q of event %d", item.Event.Details, item.Event.N)
		}
	}
	have := mustLoad(t, s, building1, replica.Need{Events: []record.Dot{dot(1), dot(2), dot(3), dot(7), dot(8)}, Waiting: []record.ReplicaID{from}})
	equal(t, "erased", have.Erased, map[record.Dot]record.Dot{dot(2): by, dot(3): later, dot(7): by, dot(8): by})
	branch.Details = nil
	equal(t, "branches", mustBranches(t, s, building1, replica.EventRow{}, 10), []replica.EventRow{branch})
	for _, r := range have.Waiting[from] {
		if r.N == 7 && len(r.Details) > 0 {
			t.Error("a waiting event kept its details")
		}
	}
	equal(t, "erased in another building", len(mustLoad(t, s, building2, replica.Need{Events: []record.Dot{dot(2)}}).Erased), 0)
}
