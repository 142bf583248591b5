package merge_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/merge"
	"estate/sync/record"
)

// TestLaws holds the merge against random reachable histories: exact after every step
// (nothing lost, nothing resurrected, nothing invented), commutative, associative,
// idempotent, and convergent in any order of delivery. Cites SPEC R1, SPEC R2, SPEC R4,
// SPEC R8, SPEC R19.
func TestLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			h.step()
		}
		for _, key := range historyRecords {
			states := h.states(key)
			if len(states) == 0 {
				continue
			}
			for _, g := range states {
				h.check(key, g)
			}
			h.laws(key, states)
			h.converge(key, states)
		}
	})
}

func (h *history) laws(key string, states []ghost) {
	for range 4 {
		a, b, c := states[h.pick("a", len(states))], states[h.pick("b", len(states))], states[h.pick("c", len(states))]
		m := func(x, y record.Record) record.Record { return merge.Merge(x, y, h.lin) }
		ab := h.merge(a, b)
		h.check(key, ab)
		if bytesOf(h.t, ab.rec) != bytesOf(h.t, m(b.rec, a.rec)) {
			h.t.Fatalf("not commutative: %v and %v", a.rec, b.rec)
		}
		if bytesOf(h.t, m(ab.rec, c.rec)) != bytesOf(h.t, m(a.rec, m(b.rec, c.rec))) {
			h.t.Fatalf("not associative: %v, %v and %v", a.rec, b.rec, c.rec)
		}
		if bytesOf(h.t, m(a.rec, a.rec)) != bytesOf(h.t, a.rec) || bytesOf(h.t, m(ab.rec, a.rec)) != bytesOf(h.t, ab.rec) {
			h.t.Fatalf("not idempotent: %v and %v", a.rec, b.rec)
		}
	}
}

// converge delivers every state in two orders: one outcome, byte for byte.
func (h *history) converge(key string, states []ghost) {
	var first ghost
	for round := range 2 {
		order := slices.Clone(states)
		if round > 0 {
			order = rapid.Permutation(states).Draw(h.t, "order")
		}
		var all ghost
		for _, g := range order {
			all = h.merge(all, g)
		}
		h.check(key, all)
		if round == 0 {
			first = all
		} else if bytesOf(h.t, first.rec) != bytesOf(h.t, all.rec) {
			h.t.Fatalf("diverged: %v and %v", first.rec, all.rec)
		}
	}
}

// A node may sign cards that name each other in a circle. Nothing may hang on it.
// Cites SPEC R19.
func TestLineageInACircle(t *testing.T) {
	t.Parallel()
	lin := cards{
		rid("A"): {Node: rid("n"), Predecessor: dot("B", 5)}, rid("B"): {Node: rid("n"), Predecessor: dot("C", 5)},
		rid("C"): {Node: rid("n"), Predecessor: dot("D", 5)}, rid("D"): {Node: rid("n"), Predecessor: dot("B", 5)},
		rid("X"): {Node: rid("n")},
	}
	if n := merge.Covered(vector(dot("A", 9)), rid("X"), lin); n != 0 {
		t.Errorf("covers X up to %d", n)
	}
	if n := merge.Covered(vector(dot("A", 9)), rid("D"), lin); n != 5 {
		t.Errorf("covers D up to %d, want 5", n)
	}
	for name, want := range map[string]uint64{"B": 2, "D": 3} {
		if n := merge.Covered(merge.Normalise(vector(dot("B", 2), dot("C", 1), dot("D", 3)), lin), rid(name), lin); n < want {
			t.Errorf("covers %s up to %d, want %d", name, n, want)
		}
	}
}

// Entries of replicas whose cards name each other in a circle do not cancel out: a join
// covers the entries of its parts, and is the same in whatever order it is made. Cites SPEC R2, SPEC R19.
func TestCircleCancelsNothing(t *testing.T) {
	t.Parallel()
	names := []string{"A", "B", "C", "D"}
	rapid.Check(t, func(t *rapid.T) {
		lin := cards{}
		for _, n := range names {
			lin[rid(n)] = record.Card{Node: rid("n"), Predecessor: dot(rapid.SampledFrom(names).Draw(t, "before "+n), rapid.Uint64Range(0, 4).Draw(t, "number"))}
		}
		draw := func(label string) record.Context {
			var c record.Context
			for _, n := range names {
				if k := rapid.Uint64Range(0, 5).Draw(t, label+n); k > 0 && rapid.Bool().Draw(t, "present") {
					c.Vector = append(c.Vector, dot(n, k))
				}
			}
			slices.SortFunc(c.Vector, record.Dot.Compare)
			one := merge.Normalise(c, lin)
			for _, e := range c.Vector {
				if got := merge.Covered(one, e.Replica, lin); got < e.N {
					t.Fatalf("%v of %v is gone in %v under %v", e, c, one, lin)
				}
			}
			return one
		}
		a, b, c := draw("a"), draw("b"), draw("c")
		join := func(x, y record.Context) record.Context { return merge.JoinContexts(x, y, lin) }
		all := join(join(a, b), c)
		for _, part := range []record.Context{a, b, c} {
			for _, e := range part.Vector {
				if got := merge.Covered(all, e.Replica, lin); got < e.N {
					t.Fatalf("%v of %v is gone in %v under %v", e, part, all, lin)
				}
			}
		}
		if other := join(a, join(c, b)); !slices.Equal(other.Vector, all.Vector) {
			t.Fatalf("not associative: %v and %v of %v, %v, %v in %v", all, other, a, b, c, lin)
		}
	})
}

// A card of another node, or none, covers nothing: lineage never crosses keys.
// Cites SPEC R19.
func TestLineageStaysWithinANode(t *testing.T) {
	t.Parallel()
	lin := cards{rid("A"): {Node: rid("n"), Predecessor: dot("V", 9)}, rid("V"): {Node: rid("victim")}, rid("W"): {Node: rid("n"), Predecessor: dot("U", 9)}}
	if n := merge.Covered(vector(dot("A", 1)), rid("V"), lin); n != 0 {
		t.Errorf("another node's replica covered up to %d", n)
	}
	if n := merge.Covered(vector(dot("W", 1)), rid("U"), lin); n != 0 {
		t.Errorf("replica without card covered up to %d", n)
	}
}
