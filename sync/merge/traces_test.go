package merge_test

import (
	"slices"
	"testing"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
)

func base() record.Record {
	return write(record.Record{}, dot("E", 1), values{"status": {"new"}, "note": {"v0"}, "internal": {"secret"}})
}

// TestTraces holds the minimal counter-examples to the tempting alternatives, first
// series: each shows that the alternative loses and that the rule keeps. Cites SPEC R1,
// SPEC R2, SPEC R4, SPEC R7, SPEC R8, SPEC R16, SPEC R25.
func TestTraces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"t01_partial_view_deletes_hidden", t01}, {"t02_forged_context_kills_future_writes", t02},
		{"t03_removal_without_sibling", t03}, {"t04_compensation_resurrects_and_loses", t04},
		{"t05_two_compensators", t05}, {"t06_compensation_loses_concurrent", t06},
		{"t07_set_add_replaces_all", t07}, {"t08_set_two_elements_one_dot", t08},
		{"t09_restamp_same_dot", t09}, {"t10_rewound_edge_reuses_dots", t10},
		{"t11_restamp_after_fork_keeps_poisoned_context", t11}, {"t12_stale_read_same_replica", t12},
		{"t13_refused_by_one_admitted_by_other", t13}, {"t13b_record_level_delta", t13b},
		{"t14_unknown_kind_id_clash", t14}, {"t15_hlc_livelock", t15}, {"t16_cross_path_dup_delta", t16},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t) })
	}
}

// t01: a tenant's phone holds the record without "internal" and pushes it whole.
func t01(t *testing.T) {
	e := base()
	p := without(e, "internal")
	stands(t, "whole record pushed", join(e, write(p, dot("P", 1), values{"status": {"confirmed"}})), "internal")
	ours := join(e, push(p, dot("P", 1), values{"status": {"confirmed"}}))
	stands(t, "transaction pushed", ours, "internal", "secret")
	stands(t, "transaction pushed", ours, "status", "confirmed")
}

// phoneDelta builds what a receiver takes of a phone's event under its rights.
func phoneDelta(d record.Dot, touched map[string][]record.Dot, value string, may ...string) record.Record {
	key := record.Key{Kind: "ticket", ID: rid("ticket")}
	e := record.Event{Replica: d.Replica, N: d.N, Actor: record.Actor{Class: record.Person}}
	var details record.Details
	for _, f := range []string{"internal", "note", "status", "w"} {
		gone, ok := touched[f]
		if !ok {
			continue
		}
		detail := record.Detail{Salt: make([]byte, record.SaltBytes)}
		if value != "" {
			detail.New = []record.Value{record.Text(value)}
		}
		e.Touches = append(e.Touches, record.Touch{Kind: key.Kind, ID: key.ID, Field: f, Replaced: gone, New: record.HashValues(detail.Salt, record.LabelNew, detail.New)})
		details = append(details, detail)
	}
	return record.Delta(e, details, key, func(f string) bool { return slices.Contains(may, f) })
}

// t02: a phone may write "status" only and claims context E:1000.
func t02(t *testing.T) {
	e, c := base(), base()
	e2 := write(e, dot("E", 2), values{"note": {"GAS LEAK"}})
	stands(t, "context believed", join(claiming(c, dot("E", 1000)), e2), "note")
	d := phoneDelta(dot("P", 1), map[string][]record.Dot{"status": {dot("E", 1)}, "note": {dot("E", 1), dot("E", 2)}}, "x", "status")
	stands(t, "own dots, own fields", join(c, d, e2), "note", "GAS LEAK")
	stands(t, "own dots, own fields", join(c, d, e2), "status", "x")
}

// t03: a phone pushes the record with "note" simply absent.
func t03(t *testing.T) {
	e := base()
	forged := claiming(without(without(e, "note"), "internal"), dot("P", 1))
	stands(t, "only new siblings checked", join(e, forged), "note")
	d := phoneDelta(dot("P", 1), map[string][]record.Dot{"status": {dot("E", 1)}, "note": {dot("E", 1)}}, "", "status")
	stands(t, "removals are rights too", join(e, d), "note", "v0")
}

// t04: E writes v1 over v0; a phone that saw v1 writes what it may not, at the cloud, which
// still has v0 and restores "the previous value".
func t04(t *testing.T) {
	c := base()
	e2 := write(base(), dot("E", 2), values{"note": {"v1"}})
	m := join(c, write(e2, dot("P", 1), values{"note": {"forbidden"}}))
	compensated := write(m, dot("C", 1), values{"note": {"v0"}})
	stands(t, "undo after merge", join(e2, compensated), "note", "v0")
	refused := phoneDelta(dot("P", 1), map[string][]record.Dot{"note": {dot("E", 2)}}, "forbidden", "status")
	stands(t, "refused before merge", join(e2, join(c, refused)), "note", "v1")
}

// t05: the same forbidden write reaches the edge (v1) and the cloud (v0); both undo it.
func t05(t *testing.T) {
	c := base()
	e2 := write(base(), dot("E", 2), values{"note": {"v1"}})
	p2 := write(e2, dot("P", 1), values{"note": {"forbidden"}})
	ec := write(join(e2, p2), dot("E", 3), values{"note": {"v1"}})
	cc := write(join(c, p2), dot("C", 1), values{"note": {"v0"}})
	stands(t, "two undoers make a conflict", join(ec, cc), "note", "v0", "v1")
	refused := phoneDelta(dot("P", 1), map[string][]record.Dot{"note": {dot("E", 2)}}, "forbidden", "status")
	stands(t, "refused before merge", join(join(e2, refused), join(c, refused)), "note", "v1")
}

// t06: the field held a conflict {x, y}, and "the previous value" is one value.
func t06(t *testing.T) {
	m := join(write(base(), dot("X", 1), values{"note": {"x"}}), write(base(), dot("Y", 1), values{"note": {"y"}}))
	p2 := write(m, dot("P", 1), values{"note": {"forbidden"}})
	stands(t, "undo after merge", write(join(m, p2), dot("E", 2), values{"note": {"x"}}), "note", "x")
	refused := phoneDelta(dot("P", 1), map[string][]record.Dot{"note": {dot("X", 1), dot("Y", 1)}}, "forbidden", "status")
	stands(t, "refused before merge", join(m, refused), "note", "x", "y")
}

func named(r record.Record, field, value string) shown {
	var out []record.Sibling
	for _, s := range r.Siblings(field) {
		if v, _ := s.Value.AsText(); v == value {
			out = append(out, s)
		}
	}
	return shown{field: out}
}

// t07: an add to a set that replaces all it saw erases the other members.
func t07(t *testing.T) {
	r := write(record.Record{}, dot("E", 1), values{"w": {"ann"}})
	stands(t, "add replaces all", write(r, dot("E", 2), values{"w": {"cy"}}), "w", "cy")

	q := txn{dot: dot("E", 2), values: values{"w": {"bob"}}, replaced: shown{}}.local(r, alone)
	cy := txn{dot: dot("E", 3), values: values{"w": {"cy"}}, replaced: shown{}}.local(q, alone)
	removed := txn{dot: dot("P", 1), values: values{"w": nil}, replaced: named(q, "w", "bob")}.delta(q)
	added := txn{dot: dot("X", 1), values: values{"w": {"bob"}}, replaced: named(q, "w", "bob")}.delta(q)
	stands(t, "remove alone", join(cy, removed), "w", "ann", "cy")
	stands(t, "add wins over a concurrent remove", join(cy, removed, added), "w", "ann", "bob", "cy")
}

// t08: two elements added in one transaction share the dot.
func t08(t *testing.T) {
	q := write(record.Record{}, dot("E", 1), values{"w": {"ann", "bob"}})
	byDot := map[record.Dot]record.Sibling{}
	for _, s := range q.Siblings("w") {
		byDot[s.Dot] = s
	}
	if len(byDot) != 1 {
		t.Errorf("keyed by dot: %d siblings, want the loss", len(byDot))
	}
	stands(t, "keyed by (dot, value)", join(q, q), "w", "ann", "bob")
}

// mergeBy is the merge rule with another notion of a sibling's identity.
func mergeBy(identity func(record.Sibling) string, a, b record.Record, field string) []record.Sibling {
	have := func(r record.Record, id string) bool {
		return slices.ContainsFunc(r.Siblings(field), func(s record.Sibling) bool { return identity(s) == id })
	}
	var out []record.Sibling
	for _, s := range a.Siblings(field) {
		if have(b, identity(s)) || !merge.Covers(b.Context, field, s.Dot, alone) {
			out = append(out, s)
		}
	}
	for _, s := range b.Siblings(field) {
		if !have(a, identity(s)) && !merge.Covers(a.Context, field, s.Dot, alone) {
			out = append(out, s)
		}
	}
	return out
}

// t09: the phone corrects a refused stamp under the same dot.
func t09(t *testing.T) {
	early := txn{dot: dot("P", 1), values: values{"note": {"x"}}, stamp: 9999}.local(record.Record{}, alone)
	again := txn{dot: dot("P", 1), values: values{"note": {"x"}}, stamp: 10}.local(record.Record{}, alone)
	whole := func(s record.Sibling) string { return s.Dot.Replica.String() + s.Stamp.String() + string(s.Value) }
	if kept := mergeBy(whole, early, again, "note"); len(kept) != 0 {
		t.Errorf("identity with stamp: %v, want the loss", kept)
	}
	byDot := func(s record.Sibling) string { return s.Dot.Replica.String() }
	if a, b := mergeBy(byDot, early, again, "note"), mergeBy(byDot, again, early, "note"); a[0].Stamp == b[0].Stamp {
		t.Errorf("identity by dot: both sides show stamp %s, want divergence", a[0].Stamp)
	}
	ours := join(early, txn{dot: dot("P", 2), values: values{"note": {"x"}}, stamp: 10}.local(early, alone))
	stands(t, "re-issued as P:2", ours, "note", "x")
	if s := ours.Siblings("note")[0]; s.Stamp != 10 || s.Dot != dot("P", 2) {
		t.Errorf("re-issued: %v", s)
	}
	// A liar that restamps all the same makes nobody diverge, and wins nothing.
	if a, b := join(early, again), join(again, early); bytesOf(t, a) != bytesOf(t, b) || a.Siblings("note")[0].Stamp != 10 {
		t.Errorf("restamped sibling: %v and %v", a, b)
	}
}

// t10: E at 1 is snapshotted, writes E:2 "a" seen by a phone, is restored, writes E:2 "b".
func t10(t *testing.T) {
	p := write(base(), dot("E", 2), values{"note": {"a"}})
	p2 := write(p, dot("P", 1), values{"status": {"p"}})
	reused := join(base(), write(base(), dot("E", 2), values{"status": {"b"}}), p2)
	stands(t, "dot reused", reused, "status", "p")
	ours := join(base(), write(base(), dot("E2", 1), values{"status": {"b"}}), p2)
	stands(t, "fresh replica", ours, "status", "b", "p")
	stands(t, "fresh replica", ours, "note", "a")
}

// t11: as t10, detected at once; b is issued again, the contexts keep the poisoned entry.
func t11(t *testing.T) {
	p := write(base(), dot("E", 2), values{"note": {"a"}})
	eb := write(base(), dot("E", 2), values{"status": {"b"}})
	stands(t, "restamped", join(eb, write(eb, dot("F", 1), values{"status": {"b"}}), p), "note")
	fresh := write(base(), dot("F", 1), values{"status": {"b"}})
	stands(t, "no dot reused", join(fresh, p), "note", "a")
	stands(t, "no dot reused", join(fresh, p), "status", "b")
}

// t12: two cloud processes read v0; C:1 writes x; C:2 replaces what its stale read showed.
func t12(t *testing.T) {
	r := base()
	r1 := write(r, dot("C", 1), values{"note": {"x"}})
	stands(t, "stale read", join(r1, write(r, dot("C", 2), values{"note": {"y"}})), "note", "y")
	ours := txn{dot: dot("C", 2), values: values{"note": {"y"}}, replaced: shown{"note": r.Siblings("note")}}.local(r1, alone)
	stands(t, "read again under the lock", join(r1, ours), "note", "x", "y")
}

// t13: transaction 2 is refused at the edge and admitted at the cloud, 3 is taken by both.
func t13(t *testing.T) {
	p1 := push(base(), dot("P", 1), values{"status": {"s1"}})
	p2 := push(base(), dot("P", 2), values{"note": {"n2"}})
	p3 := push(join(base(), p1), dot("P", 3), values{"status": {"s3"}})
	c, e := join(base(), p1, p2, p3), join(base(), p1, p3)
	stands(t, "vector passes a refusal", join(c, claiming(e, dot("P", 3))), "note")
	stands(t, "single dots", join(c, e), "note", "n2")
	stands(t, "single dots", join(c, e), "status", "s3")
}

// t13b: a delta whose single dots do not name the field, E:1 being shared by three.
func t13b(t *testing.T) {
	e := base()
	d := push(e, dot("P", 1), values{"status": {"s"}})
	wide := d
	wide.Context.Dots = slices.Clone(d.Context.Dots)
	for _, f := range []string{"internal", "note"} {
		wide.Context.Dots = append(wide.Context.Dots, record.FieldDot{Field: f, Dot: dot("E", 1)})
	}
	slices.SortFunc(wide.Context.Dots, record.FieldDot.Compare)
	stands(t, "dots without field", join(e, wide), "note")
	stands(t, "dots of a field", join(e, d), "note", "v0")
	stands(t, "dots of a field", join(e, d), "internal", "secret")
}

// t14: building B's edge sends a record with the id of building A's ticket.
func t14(t *testing.T) {
	a, b := base(), write(record.Record{}, dot("EB", 1), values{"note": {"from B"}})
	ka, kb := record.Key{Building: rid("A"), Kind: "ticket", ID: rid("t")}, record.Key{Building: rid("B"), Kind: "ticket", ID: rid("t")}
	byID, byKey := map[record.ID]record.Record{}, map[record.Key]record.Record{}
	byID[ka.ID], byKey[ka] = a, a
	byID[kb.ID], byKey[kb] = join(byID[kb.ID], b), join(byKey[kb], b)
	stands(t, "keyed by id", byID[ka.ID], "note", "from B", "v0")
	stands(t, "keyed by (building, kind, id)", byKey[ka], "note", "v0")
	if ka.Compare(kb) == 0 {
		t.Error("keys of two buildings are equal")
	}
}

// t15: a clock three hours ahead is corrected; the HLC never goes back by itself.
func t15(t *testing.T) {
	const minute, start = 60_000, int64(1_000_000_000_000)
	refused := func(last hlc.Stamp) (n int) {
		for wall := start; wall < start+180*minute; wall += minute {
			next, err := hlc.Next(last, wall)
			if err != nil {
				t.Fatal(err)
			}
			if last = next; hlc.Ahead(last, wall) {
				n++
			}
		}
		return n
	}
	if n := refused(hlc.At(start + 180*minute)); n < 170 {
		t.Errorf("clock kept: %d of 180 writes refused, want the livelock", n)
	}
	if n := refused(hlc.At(start)); n != 0 {
		t.Errorf("clock restarted at the corrected time: %d of 180 writes refused", n)
	}
}

// t16: transactions by two paths, duplicated, in every order: one outcome. Whole records
// of a phone with gaps have no such property (t01, t13).
func t16(t *testing.T) {
	cur, deltas := base(), []record.Record{}
	for n, v := range []values{{"status": {"s1"}, "note": {"n1"}}, {"note": {"n2"}}, {"status": {"s3"}}} {
		d := push(cur, dot("P", uint64(n+1)), v)
		cur, deltas = join(cur, d), append(deltas, d)
	}
	deltas = append(deltas, deltas[0])
	want, orders := bytesOf(t, cur), 0
	permute(deltas, func(order []record.Record) {
		orders++
		if got := bytesOf(t, join(append([]record.Record{base()}, order...)...)); got != want {
			t.Errorf("order %d: another outcome", orders)
		}
	})
	if orders != 24 {
		t.Errorf("%d orders tried", orders)
	}
}

func permute[T any](s []T, visit func([]T)) {
	var rec func(int)
	rec = func(k int) {
		if k == len(s) {
			visit(slices.Clone(s))
			return
		}
		for i := k; i < len(s); i++ {
			s[k], s[i] = s[i], s[k]
			rec(k + 1)
			s[k], s[i] = s[i], s[k]
		}
	}
	rec(0)
}
