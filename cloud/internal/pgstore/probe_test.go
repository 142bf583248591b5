package pgstore

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"testing"

	"estate/internal/desk"
	"estate/internal/lab/child"
	"estate/internal/lab/pglab/pgtest"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

func oak(n int) string { return fmt.Sprintf("OAK-%d", n) }

// taken looks a code up as whoever mints one does, or as whoever looks for a ticket does.
func (q *Queries) taken(t *testing.T, n int, guess bool) bool {
	t.Helper()
	got, err := q.Select(t.Context(), desk.Selection{Shape: "tickets_by_code", Building: readBuilding, Lead: record.Text(oak(n)), Limit: 2, Guess: guess})
	if err != nil {
		t.Error(err)
	}
	return len(got.Rows) > 0
}

// known reports whether a code is known to be free without a look-up.
func (q *Queries) known(n int) bool {
	free, fill := q.store.probes.absent(readBuilding, maphash.String(q.store.probes.seed, oak(n)))
	if fill != nil {
		q.store.probes.failed(fill)
	}
	return free
}

// probing asks often enough for the building to have a probe.
func probing(t *testing.T, s *Store) *Queries {
	t.Helper()
	q := NewQueries(s, schema.Kinds())
	for range 20 * probeFrom { // a comparison in between has it count anew
		q.taken(t, 9999, true)
		if slices.ContainsFunc([]int{9997, 9998, 9999}, q.known) { // a code may share its bit
			return q
		}
	}
	t.Fatal("a free code is not known to be free")
	return nil
}

// Which codes are free is known without a look-up, and those that this process gave out, or
// another one that told so, are found.
func TestFreeCodesAreKnown(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a, b := openPaced(t, url, Options{compareEvery: never}), openPaced(t, url, Options{compareEvery: never})
	if err := putTickets(t.Context(), b, 0, 3); err != nil {
		t.Fatal(err)
	}
	q := probing(t, a)
	if err := putTickets(t.Context(), a, 3, 6); err != nil {
		t.Fatal(err)
	}
	if !q.known(9998) {
		t.Error("an own commit leaves the probe behind")
	}
	if err := putTickets(t.Context(), b, 6, 9); err != nil {
		t.Fatal(err)
	}
	for n := range 9 {
		if !q.taken(t, n, false) {
			t.Errorf("%s is not found", oak(n))
		}
	}
	if err := child.Poll(t.Context(), "the other's word", func() (bool, error) { return a.marks.copy()[readBuilding] == 9, nil }); err != nil {
		t.Fatal(err)
	}
	for n := range 9 {
		if !q.taken(t, n, true) {
			t.Errorf("%s is not found by who was told of it", oak(n))
		}
	}
	if err := putTickets(t.Context(), a, 9, 12); err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		if !q.taken(t, n, true) || q.known(n) {
			t.Errorf("%s is said to be free", oak(n))
		}
	}
	if !q.known(9997) {
		t.Error("the probe is behind after all was read")
	}
}

// A process that tells nobody is noticed by comparison.
func TestProbeComparesPositions(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a, b := openPaced(t, url, Options{compareEvery: 20 * soon}), openPaced(t, url, Options{tellEvery: never})
	if err := putTickets(t.Context(), b, 0, 1); err != nil { // told at once; nothing after it
		t.Fatal(err)
	}
	q := probing(t, a)
	if err := putTickets(t.Context(), b, 1, 2); err != nil {
		t.Fatal(err)
	}
	if err := child.Poll(t.Context(), "a comparison", func() (bool, error) { return q.taken(t, 1, true), nil }); err != nil {
		t.Fatal(err)
	}
}

// Invariant of each process: who has written finds it, however many write and ask.
func TestWritersFindTheirCodes(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	q := NewQueries(s, schema.Kinds())
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 60 {
				n := 100*w + i
				q.taken(t, n, true)
				if err := putTickets(t.Context(), s, n, n+1); err != nil {
					t.Error(err)
					return
				}
				if !q.taken(t, n, true) {
					t.Errorf("writer %d does not find %s", w, oak(n))
				}
			}
		})
	}
	wg.Wait()
	probing(t, s) // it is there still, or again: a comparison drops what nobody asked for
}

// A probe that is made while a transaction is under way does not take it for read.
func TestProbeMadeMeanwhile(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	if err := putTickets(t.Context(), s, 0, 1); err != nil {
		t.Fatal(err)
	}
	var q *Queries
	err := s.Update(t.Context(), readBuilding, func(tx replica.Tx) error {
		if err := putTicketsIn(t.Context(), tx, 1, 2); err != nil {
			return err
		}
		q = probing(t, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !q.taken(t, 1, true) {
		t.Error("a code is not found that was given out while the probe was made")
	}
}

// A probe that takes longer to be filled than commits take to come is not behind for ever.
func TestProbeFilledMeanwhile(t *testing.T) {
	t.Parallel()
	const other = 9
	for name, meanwhile := range map[string]func(*probes){
		"commits": func(ps *probes) {
			ps.committed(readBuilding, 3, 4, []uint64{4})
			ps.committed(readBuilding, 4, 5, []uint64{5})
		},
		"in another order": func(ps *probes) {
			ps.committed(readBuilding, 4, 5, []uint64{5})
			ps.committed(readBuilding, 3, 4, []uint64{4})
		},
		"seen already": func(ps *probes) {
			ps.committed(readBuilding, 1, 2, []uint64{2})
			ps.committed(readBuilding, 2, 5, []uint64{5})
		},
		"heard of, too":      func(ps *probes) { ps.heard(readBuilding, 4); ps.committed(readBuilding, 3, 5, []uint64{5}) },
		"after another's":    func(ps *probes) { ps.heard(readBuilding, 2); ps.committed(readBuilding, 2, 5, []uint64{5}) },
		"another's, unknown": func(ps *probes) { ps.committed(readBuilding, 3, 4, []uint64{4}); ps.heard(readBuilding, 5) },
		"another's between": func(ps *probes) {
			ps.committed(readBuilding, 1, 2, []uint64{2})
			ps.committed(readBuilding, 4, 5, []uint64{5})
		},
	} {
		for _, first := range []bool{true, false} {
			ps := newProbes()
			var p *probe
			for range probeFrom {
				_, p = ps.absent(readBuilding, other)
			}
			if !first { // it was filled before, and fell behind
				ps.fill(p, 1, 0, []uint64{1}, false)
				ps.heard(readBuilding, 2)
				if _, p = ps.absent(readBuilding, other); p == nil {
					t.Fatal("a probe that is behind is not filled")
				}
			}
			if !ps.wants(readBuilding) {
				t.Error("leads of commits are not asked for")
			}
			_, seen := ps.behind(p)
			meanwhile(&ps)
			ps.fill(p, 3, seen, []uint64{1, 2, 3}, false)
			free, fill := ps.absent(readBuilding, other)
			if behind := strings.HasPrefix(name, "another's"); free == behind || behind != (fill != nil) {
				t.Errorf("%s, first %t: free %t, to be filled %t", name, first, free, fill != nil)
			}
		}
	}
}

func TestProbesAreBounded(t *testing.T) {
	t.Parallel()
	ps := newProbes()
	of := func(n int) record.ID { return record.DerivedID(fmt.Sprint(n)) }
	for n := range 2 * probesAsked {
		for range probeFrom {
			if _, p := ps.absent(of(n), 1); p != nil {
				ps.fill(p, 1, 0, nil, n == 0)
			}
		}
	}
	if len(ps.at) != probesMax || len(ps.asked) != probesAsked {
		t.Errorf("%d probes, %d buildings counted", len(ps.at), len(ps.asked))
	}
	if free, fill := ps.absent(of(0), 2); free || fill != nil || ps.wants(of(0)) {
		t.Error("a building with too many leads is probed")
	}
	if free, _ := ps.absent(of(1), 2); !free {
		t.Error("a free lead is not known")
	}
	ps.heard(of(1), 2)
	if free, fill := ps.absent(of(1), 2); free || fill == nil {
		t.Error("a probe answers that is behind")
	}
	ps.tick()
	ps.failed(ps.at[of(1)])
	if free, _ := ps.absent(of(2), 2); !free {
		t.Error("a tick drops what was asked for")
	}
	if left := ps.tick(); len(left) != 1 || left[0] != of(2) || len(ps.asked) != 0 {
		t.Errorf("%d probes that nobody asks are kept, %d buildings counted", len(left), len(ps.asked))
	}
	ps.listen(false)
	for range 2 * probeFrom {
		if free, fill := ps.absent(of(2), 2); free || fill != nil {
			t.Fatal("a probe is made while nobody tells what others write")
		}
	}
}
