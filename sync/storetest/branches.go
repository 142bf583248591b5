package storetest

import (
	"cmp"
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

// branches moves events of a forked chain beside it (SPEC R33).
func branches(t *testing.T, s replica.Store) {
	from, other := id("replica", 1), id("replica", 2)
	event := func(r record.ReplicaID, n uint64, body string) replica.EventRow {
		return replica.EventRow{Replica: r, N: n, Hash: record.HashEvent([]byte(body)), Body: []byte(body)}
	}
	ours, theirs := event(from, 2, "ours"), event(from, 2, "theirs")
	theirs.Details = []byte("details")
	beyond := event(other, 2, "another chain")
	mustUpdate(t, s, building1, func(w *writer) {
		w.event(from, 1, "one", w.position())
		w.event(from, 2, "ours", w.position())
		w.event(from, 3, "three", w.position())
	})
	move := func(w *writer) {
		w.effects.EventsGone = []record.Dot{{Replica: from, N: 2}, {Replica: from, N: 9}}
		w.effects.Branches = []replica.EventRow{ours, theirs, beyond}
	}
	mustUpdate(t, s, building1, move)
	mustUpdate(t, s, building1, move) // again changes nothing
	mustUpdate(t, s, building2, func(w *writer) { w.effects.Branches = []replica.EventRow{event(from, 2, "another building")} })
	equal(t, "feed", positions(mustFeed(t, s, building1, 0)), []uint64{1, 3})
	have := mustLoad(t, s, building1, replica.Need{Events: []record.Dot{{Replica: from, N: 2}, {Replica: from, N: 3}}})
	equal(t, "events", have.Events, map[record.Dot]record.Hash{{Replica: from, N: 3}: record.HashEvent([]byte("three"))})
	want := []replica.EventRow{ours, theirs}
	slices.SortFunc(want, func(a, b replica.EventRow) int { return cmp.Compare(string(a.Hash[:]), string(b.Hash[:])) })
	if other.Compare(from) > 0 {
		want = append(want, beyond)
	} else {
		want = append([]replica.EventRow{beyond}, want...)
	}
	equal(t, "all branches", mustBranches(t, s, building1, replica.EventRow{}, 10), want)
	for i := range want {
		equal(t, "one behind another", mustBranches(t, s, building1, want[i], 1), want[i+1:min(i+2, len(want))])
	}
	equal(t, "none asked for", len(mustBranches(t, s, building1, replica.EventRow{}, 0)), 0)
}

func mustBranches(t *testing.T, s replica.Store, building record.ID, after replica.EventRow, limit int) []replica.EventRow {
	t.Helper()
	rows, err := s.Branches(testContext(t), building, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
