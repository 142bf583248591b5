package replica_test

import (
	"context"
	"testing"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// SPEC R1, SPEC R10, SPEC R17, SPEC R19: the first write mints a replica, a restart mints
// the next, whose card names the last, and the entry of the last goes from contexts.
func TestIdentity(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	a := edge.write(ticket(1), text("note", "one"))
	b := edge.write(ticket(1), text("note", "two"))
	if a.Replica != b.Replica || a.N != 2 || b.N != 3 {
		t.Fatalf("dots %v, %v: want 2 and 3 of one replica, after its card", a, b)
	}
	edge.restart()
	c := edge.write(ticket(1), text("title", "three"))
	if c.Replica == a.Replica || c.N != 2 {
		t.Fatalf("after a restart the write has dot %v", c)
	}
	events := edge.events(c.Replica)
	want(t, "predecessor", events[0].Card.Predecessor, b)
	want(t, "its hash", events[0].Card.PredecessorHash, edge.chain(a.Replica).Hash)
	want(t, "vector", edge.record(ticket(1)).Context.Vector, []record.Dot{c})
	for _, r := range []record.ReplicaID{a.Replica, c.Replica} {
		var prev record.Hash
		for i, e := range edge.events(r) {
			if e.N != uint64(i)+1 || e.Prev != prev {
				t.Fatalf("event %d of %s does not follow", e.N, r)
			}
			body, _ := e.Encode()
			prev = record.HashEvent(body)
		}
	}
}

// SPEC R10: a write replaces what its author was shown, and nothing else (trace t12).
func TestSeenToken(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	edge.write(ticket(1), text("note", "v0"))
	seen := replica.Seen(edge.record(ticket(1)))
	edge.write(ticket(1), text("note", "x"))
	_, err := edge.Write(context.Background(), home, []record.Key{ticket(1)}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: person(), Action: "edit", Writes: []replica.RecordWrite{{Key: ticket(1), Fields: []replica.FieldWrite{text("note", "y")}, Seen: seen}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"x", "y"})
	want(t, "conflict", len(replica.Conflicts(sim.Rules{}, sim.Ticket, edge.record(ticket(1)))["note"]), 2)
	edge.write(ticket(1), text("note", "z"))
	want(t, "resolved", values(edge.record(ticket(1)), "note"), []string{"z"})
}

func add(v string) replica.FieldWrite {
	return replica.FieldWrite{Field: "tags", Add: []record.Value{record.Text(v)}}
}

func remove(v string) replica.FieldWrite {
	return replica.FieldWrite{Field: "tags", Remove: []record.Value{record.Text(v)}}
}

// SPEC R4 (traces t07, t08): adding replaces equal elements only, a concurrent add wins.
func TestSet(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), add("ann"))
	edge.write(ticket(1), add("bob"))
	edge.sync(cloud)
	edge.write(ticket(1), remove("bob"))
	cloud.write(ticket(1), add("bob"))
	edge.write(ticket(1), add("cy"))
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "tags", values(edge.record(ticket(1)), "tags"), []string{"ann", "bob", "cy"})
	edge.write(ticket(1), remove("bob"))
	want(t, "tags", values(edge.record(ticket(1)), "tags"), []string{"ann", "cy"})
}

// SPEC R4: elements added together can be removed one by one by a phone, whose transaction
// names nothing but dots.
func TestSetElementsHaveDotsOfTheirOwn(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	edge.write(ticket(1), text("note", "n"), replica.FieldWrite{Field: "tags", Add: []record.Value{record.Text("ann"), record.Text("bob")}})
	p := l.phone("phone")
	edge.pull(p)
	for _, s := range p.View(ticket(1)).Siblings("tags") {
		if v, _ := s.Value.AsText(); v == "bob" {
			l.edit(p, sim.Put{Key: ticket(1), Field: "tags", Replaced: []record.Sibling{s}})
		}
	}
	edge.push(p, yes)
	want(t, "tags", values(edge.record(ticket(1)), "tags"), []string{"ann"})
}

// SPEC R6: a person's edit writes deleted = false, and wins over a deletion made without
// knowing of it.
func TestEditBringsBack(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "v0"))
	edge.sync(cloud)
	cloud.write(ticket(1), replica.FieldWrite{Field: "deleted", Value: record.Bool(true)})
	l.now++
	edge.write(ticket(1), text("note", "v1"))
	edge.sync(cloud)
	shown := merge.Policy{}.Shown(cloud.record(ticket(1)).Siblings("deleted"))
	if v, ok := shown[0].Value.AsBool(); !ok || v {
		t.Fatal("the edited ticket is still deleted")
	}
}

func TestWriteRules(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	message := record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("m", "1")}
	edge.write(message, text("text", "hello"))
	for name, c := range map[string]struct {
		key   record.Key
		field replica.FieldWrite
		code  string
	}{
		"immutable":        {message, text("text", "other"), wire.CodeImmutable},
		"kind not ours":    {record.Key{Building: home, Kind: sim.Setting, ID: message.ID}, text("value", "v"), wire.CodeKindNotYours},
		"unknown kind":     {record.Key{Building: home, Kind: "nothing", ID: message.ID}, text("value", "v"), wire.CodeKindUnknown},
		"unknown field":    {ticket(1), text("nothing", "v"), wire.CodeFieldUnknown},
		"value of no type": {ticket(1), replica.FieldWrite{Field: "note", Value: record.Int(7)}, wire.CodeValueInvalid},
	} {
		before := edge.position()
		_, err := edge.try(c.key, c.field)
		if replica.RefusalCode(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
		want(t, name+": position", edge.position(), before)
	}
	if _, err := edge.try(record.Key{Building: home, Kind: sim.Message, ID: message.ID}, text("text", "hello")); err != nil {
		t.Errorf("the same value again is no change: %v", err)
	}
	want(t, "events", edge.chain(edge.load(replica.Need{}).State.Replica).Held, 2)
}

// A write that touches a record which it did not ask to read would replace it unseen.
func TestWriteOfAnUnreadRecord(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	edge.write(ticket(1), text("note", "v0"))
	_, err := edge.Write(context.Background(), home, nil, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: person(), Action: "edit", Writes: []replica.RecordWrite{{Key: ticket(1), Fields: []replica.FieldWrite{text("title", "t")}}}}, nil
	})
	if err == nil {
		t.Error("the write was taken")
	}
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"v0"})
}

// SPEC R10: a field that a transaction names twice is written twice, in that order: the later
// value replaces what was stored before, as the earlier does, and elements of a set join.
func TestFieldNamedTwice(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	edge.write(ticket(1), text("note", "stored"), text("title", "one"))
	dot := edge.write(ticket(1), text("note", "x"), text("title", "two"), text("note", "y"))
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"x", "y"})
	want(t, "title", values(edge.record(ticket(1)), "title"), []string{"two"})
	want(t, "vector", edge.record(ticket(1)).Context.Vector, []record.Dot{dot})
	touches := edge.events(dot.Replica)[dot.N-1].Touches
	want(t, "touches", len(touches), 4) // a person writes "deleted", too
}
