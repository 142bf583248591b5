package merge_test

import (
	"slices"
	"testing"

	"estate/sync/merge"
	"estate/sync/record"
)

// TestTraces2 holds the counter-examples of the second series (pruning, queues, forks,
// seals, version skew, two automations) and our own v01. Cites SPEC R1, SPEC R4, SPEC R5,
// SPEC R8, SPEC R19, SPEC R20, SPEC R27.
func TestTraces2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"u01_new_box_reads_the_closing_first", u01}, {"u02_closed_while_a_value_waits", u02},
		{"u03_chain_held_is_not_applied", u03}, {"u04_fork_of_one_replica", u04},
		{"u05_seal_without_unknown_fields", u05}, {"u06_old_node_relays_and_writes", u06},
		{"u07_policy_changed_to_set", u07}, {"u08_two_escalations", u08},
		{"u09_two_automations_make_a_conflict", u09}, {"u10_lineage_and_restore", u10},
		{"v01_set_delta_removes_a_neighbour", v01},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t) })
	}
}

// u01: a replica is "closed" and left out of contexts; an empty edge reads that first.
func u01(t *testing.T) {
	r := write(record.Record{}, dot("P", 1), values{"note": {"live"}})
	pruned := record.Record{Fields: r.Fields}
	stands(t, "closed replicas count as covered", join(claiming(record.Record{}, dot("P", 1)), pruned), "note")
	stands(t, "nothing omitted that the record does not cover", join(record.Record{}, r), "note", "live")
}

// u02: P is revoked and closed up to 2 while P:2 waits in the manager's queue.
func u02(t *testing.T) {
	r := write(record.Record{}, dot("E", 1), values{"note": {"v0"}})
	late := push(r, dot("P", 2), values{"note": {"late"}})
	stands(t, "approved under the old dot", join(claiming(r, dot("P", 2)), late), "note")
	approved := txn{dot: dot("C", 1), values: values{"note": {"late"}}, replaced: shown{"note": r.Siblings("note")}}.local(claiming(r, dot("P", 2)), alone)
	stands(t, "approved as a new transaction", join(r, approved), "note", "late")
}

// u03: the cloud holds the events P:1..2 before the record that 2 changed, then takes P:3.
func u03(t *testing.T) {
	d1 := push(record.Record{}, dot("P", 1), values{"status": {"s1"}})
	d2 := push(d1, dot("P", 2), values{"note": {"n2"}})
	d3 := push(join(d1, d2), dot("P", 3), values{"status": {"s3"}})
	e, c := join(d1, d2), join(d3)
	stands(t, "entry follows the chain", join(e, claiming(c, dot("P", 3))), "note")
	stands(t, "entry follows the record's own dots", join(e, c), "note", "n2")
	stands(t, "entry follows the record's own dots", join(e, c), "status", "s3")
}

// u04: a copied key: P:2 is "a" at the edge and "b" at the cloud.
func u04(t *testing.T) {
	r := write(record.Record{}, dot("P", 1), values{"note": {"v"}})
	e, c := write(r, dot("P", 2), values{"note": {"a"}}), write(r, dot("P", 2), values{"note": {"b"}})
	stands(t, "branches merged", join(e, c), "note")
	remedy := func(q record.Record, by record.Dot, value string) record.Record {
		kept := slices.DeleteFunc(slices.Clone(q.Siblings("note")), func(s record.Sibling) bool { return s.Dot.N >= 2 })
		q = q.With("note", kept)
		q.Context = vector(dot("P", 1))
		return txn{dot: by, values: values{"note": {value}}, replaced: shown{}}.local(q, alone)
	}
	e2, c2 := remedy(e, dot("E", 1), "a"), remedy(c, dot("C", 1), "b")
	stands(t, "each side re-issues and cuts first", join(e2, c2), "note", "a", "b")
}

// u05: a sealed record was served without a field that the server did not know.
func u05(t *testing.T) {
	r := write(record.Record{}, dot("C", 1), values{"status": {"s"}, "z": {"new"}})
	stands(t, "served without z", join(r, without(r, "z")), "z")
	stands(t, "served whole", join(r, r), "z", "new")
}

// u06: an older edge merges a record with an unknown field, writes, and sends it on.
func u06(t *testing.T) {
	r := write(record.Record{}, dot("C", 1), values{"status": {"s"}, "z": {"new"}})
	dropped := write(without(r, "z"), dot("E", 1), values{"status": {"t"}})
	stands(t, "decoder skips z", join(r, dropped), "z")
	relayed, err := record.Decode([]byte(bytesOf(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	ours := join(write(r, dot("C", 2), values{"z": {"newer"}}), write(relayed, dot("E", 1), values{"status": {"t"}}))
	stands(t, "opaque siblings", ours, "z", "newer")
	stands(t, "opaque siblings", ours, "status", "t")
}

// u07: a release turns "latest" into "set"; an old node writes as it always did.
func u07(t *testing.T) {
	r := write(record.Record{}, dot("C", 1), values{"w": {"ann", "bob"}})
	stands(t, "same field", join(r, write(r, dot("E", 1), values{"w": {"cy"}})), "w", "cy")
	stands(t, "a new field", join(r, write(r, dot("E", 1), values{"w2": {"cy"}})), "w", "ann", "bob")
}

// u08: edge and cloud, cut off from each other, both escalate step 1 of one ticket.
func u08(t *testing.T) {
	store := map[record.ID]record.Record{}
	put := func(id record.ID, d record.Dot) {
		w := txn{dot: d, values: values{"step": {"1"}}, class: record.Automation}.local(record.Record{}, alone)
		store[id] = join(store[id], w)
	}
	put(rid("uuid-e"), dot("E", 1))
	put(rid("uuid-c"), dot("C", 1))
	if len(store) != 2 {
		t.Errorf("ids of their own: %d records, want two", len(store))
	}
	clear(store)
	cause := func() record.ID { return record.DerivedID("escalation", rid("ticket").String(), "response", "1") }
	put(cause(), dot("E", 1))
	put(cause(), dot("C", 1))
	if len(store) != 1 {
		t.Errorf("ids derived from the cause: %d records", len(store))
	}
	siblings := store[cause()].Siblings("step")
	if p := (merge.Policy{Kind: merge.Latest}); len(siblings) != 2 || p.Conflict(siblings) != nil || len(p.Shown(siblings)) != 1 {
		t.Errorf("equal siblings of two automations: %v", siblings)
	}
}

// u09: edge and cloud both reprioritise; no person wrote.
func u09(t *testing.T) {
	auto := func(d record.Dot, v string) record.Record {
		return txn{dot: d, values: values{"ai_priority": {v}}, class: record.Automation}.local(record.Record{}, alone)
	}
	m := join(auto(dot("E", 1), "high"), auto(dot("C", 1), "urgent"))
	stands(t, "both stand, which 'any differing siblings' would call a conflict", m, "ai_priority", "high", "urgent")
	if c := (merge.Policy{Kind: merge.Latest}).Conflict(m.Siblings("ai_priority")); c != nil {
		t.Errorf("a conflict nobody made: %v", c)
	}
}

// u10: E1 wrote 1..3 with a snapshot at 2; the restored node goes on as E2 and names (E1,2).
func u10(t *testing.T) {
	lin := cards{
		rid("E1"): {Node: rid("edge")},
		rid("E2"): {Node: rid("edge"), Predecessor: dot("E1", 2)},
		rid("E3"): {Node: rid("edge"), Predecessor: dot("E1", 3)},
	}
	all := cards{rid("E1"): lin[rid("E1")], rid("E2"): {Node: rid("edge"), Predecessor: dot("E1", ^uint64(0))}}
	r := txn{dot: dot("E1", 2), values: values{"note": {"v2"}}}.local(record.Record{}, lin)
	lost := txn{dot: dot("E1", 3), values: values{"note": {"v3"}}}.local(r, lin)
	e2 := txn{dot: dot("E2", 1), values: values{"status": {"x"}}}.local(r, lin)
	stands(t, "a successor covers all of its predecessor", merge.Merge(lost, e2, all), "note")
	ours := merge.Merge(lost, e2, lin)
	stands(t, "a successor covers what its card names", ours, "note", "v3")
	stands(t, "a successor covers what its card names", ours, "status", "x")
	e3 := txn{dot: dot("E3", 1), values: values{"status": {"y"}}}.local(lost, lin)
	if both := merge.Merge(ours, e3, lin); len(both.Context.Vector) != 2 {
		t.Errorf("entries that successors cover are left out: %v", both.Context.Vector)
	}
}

// v01: one transaction adds two elements to a set, so its single dot cannot name one.
func v01(t *testing.T) {
	empty := record.Record{}
	both := txn{dot: dot("P", 1), values: values{"w": {"ann", "bob"}}, replaced: shown{}}.delta(empty)
	removal := txn{dot: dot("Q", 1), values: values{"w": nil}, replaced: named(both, "w", "bob")}.delta(both)
	stands(t, "two elements under one dot", join(both, removal), "w")

	ann := txn{dot: dot("P", 1), values: values{"w": {"ann"}}, replaced: shown{}}.delta(empty)
	bob := txn{dot: dot("P", 2), values: values{"w": {"bob"}}, replaced: shown{}}.delta(empty)
	two := join(ann, bob)
	stands(t, "one element a transaction", join(two, txn{dot: dot("Q", 1), values: values{"w": nil}, replaced: named(two, "w", "bob")}.delta(two)), "w", "ann")
}
