package merge_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
)

// universe is a small world of replicas in which everything may cite everything, reachable
// or not: what a forger or a bug could make of well-formed bytes.
type universe struct {
	replicas []record.ReplicaID
	lin      cards
}

// drawUniverse draws nodes of several replicas each. A card may be missing, and may name as
// predecessor any earlier replica of its node or of another. There is no circle: a card
// names the hash of what it follows.
func drawUniverse(t *rapid.T) universe {
	u := universe{lin: cards{}}
	for i := range 6 {
		id := rid(fmt.Sprint("replica ", i))
		card := record.Card{Node: rid(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "node"))}
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "successor") > 0 {
			card.Predecessor = record.Dot{Replica: rapid.SampledFrom(u.replicas).Draw(t, "predecessor"), N: rapid.Uint64Range(1, 4).Draw(t, "up to")}
		}
		if rapid.IntRange(0, 4).Draw(t, "known") > 0 {
			u.lin[id] = card
		}
		u.replicas = append(u.replicas, id)
	}
	return u
}

func (u universe) dot(t *rapid.T) record.Dot {
	return record.Dot{Replica: rapid.SampledFrom(u.replicas).Draw(t, "replica"), N: rapid.Uint64Range(1, 4).Draw(t, "n")}
}

// state draws a record: some context, and siblings that it covers. Stamps and classes may
// differ between two forms of one sibling: a node that lies about its own value.
func (u universe) state(t *rapid.T) record.Record {
	var r record.Record
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		r.Context = merge.JoinContexts(r.Context, vector(u.dot(t)), u.lin)
	}
	for range rapid.IntRange(0, 5).Draw(t, "siblings") {
		f, d := rapid.SampledFrom([]string{"f", "g"}).Draw(t, "field"), u.dot(t)
		r.Context = merge.JoinContexts(r.Context, record.Context{Dots: []record.FieldDot{{Field: f, Dot: d}}}, u.lin)
		if rapid.IntRange(0, 3).Draw(t, "replaced") == 0 {
			continue // covered, and gone
		}
		r = r.With(f, append(slices.Clone(r.Siblings(f)), record.Sibling{Dot: d, Stamp: hlc.Stamp(rapid.Uint64Range(1, 2).Draw(t, "stamp")),
			Class: rapid.SampledFrom([]record.Class{record.Person, record.Automation}).Draw(t, "class"),
			Value: record.Text(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "value"))}))
	}
	return r
}

// TestLawsOfArbitraryStates: the merge is commutative, associative and idempotent, and its
// context covers exactly what either covers, over any well-formed states under any lineage.
// Cites SPEC R2, SPEC R19.
func TestLawsOfArbitraryStates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		u := drawUniverse(t)
		a, b, c := u.state(t), u.state(t), u.state(t)
		m := func(x, y record.Record) record.Record { return merge.Merge(x, y, u.lin) }
		ab := m(a, b)
		for law, pair := range map[string][2]record.Record{
			"idempotent":  {m(a, a), a},
			"zero":        {m(a, record.Record{}), a},
			"commutative": {ab, m(b, a)},
			"associative": {m(ab, c), m(a, m(b, c))},
			"absorbing":   {m(ab, b), ab},
		} {
			if bytesOf(t, pair[0]) != bytesOf(t, pair[1]) {
				t.Fatalf("not %s: %v and %v\nof %v, %v, %v under %v", law, pair[0], pair[1], a, b, c, u.lin)
			}
		}
		for _, id := range u.replicas {
			for n := uint64(1); n <= 4; n++ {
				d := record.Dot{Replica: id, N: n}
				either := merge.Covers(a.Context, "f", d, u.lin) || merge.Covers(b.Context, "f", d, u.lin)
				if merge.Covers(ab.Context, "f", d, u.lin) != either {
					t.Fatalf("%v covers %v: want %v\nof %v and %v under %v", ab.Context, d, either, a.Context, b.Context, u.lin)
				}
			}
		}
		if n := merge.Normalise(ab.Context, u.lin); fmt.Sprint(n) != fmt.Sprint(ab.Context) {
			t.Fatalf("%v is not normal: %v", ab.Context, n)
		}
	})
}

// known is the lineage of who was sent only the cards of what some states cite, and their
// ancestors', as pages bring them.
func (h *history) known(states ...record.Record) cards {
	out := cards{}
	var add func(id record.ReplicaID)
	add = func(id record.ReplicaID) {
		if card, ok := h.lin[id]; ok {
			if _, seen := out[id]; !seen {
				out[id] = card
				add(card.Predecessor.Replica)
			}
		}
	}
	for _, r := range states {
		for _, f := range r.Fields {
			for _, s := range f.Siblings {
				add(s.Dot.Replica)
			}
		}
		for _, d := range r.Context.Reaches() {
			add(d.Replica)
		}
	}
	return out
}

// TestPartialKnowledge: who knows only the cards of what the states cite, or those of a
// random part of the world besides, merges to the same bytes as who knows all. So does who
// never merged an old state again, or merged it at another time. Cites SPEC R2, SPEC R19.
func TestPartialKnowledge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			h.step()
		}
		for _, key := range historyRecords {
			states := h.states(key)
			if len(states) < 2 {
				continue
			}
			a, b := states[h.pick("a", len(states))].rec, states[h.pick("b", len(states))].rec
			all := merge.Merge(a, b, h.lin)
			few := h.known(a, b)
			if bytesOf(t, merge.Merge(a, b, few)) != bytesOf(t, all) {
				t.Fatalf("with only the cards of what is cited: %v, with all: %v", merge.Merge(a, b, few), all)
			}
			for id, card := range h.lin {
				if h.pick("heard of", 2) == 0 {
					few[id] = card
				}
			}
			if bytesOf(t, merge.Merge(a, b, few)) != bytesOf(t, all) {
				t.Fatalf("with some more cards: %v, with all: %v", merge.Merge(a, b, few), all)
			}
			// What a merge gives cites nothing that its inputs did not: its cards suffice for
			// whoever it is sent to.
			if after := h.known(all); len(after) > len(h.known(a, b)) {
				t.Fatalf("the merge of %v and %v cites more than they: %v", a, b, all)
			}
		}
	})
}
