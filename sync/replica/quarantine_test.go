package replica_test

import (
	"context"
	"errors"
	"testing"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// alter rewrites a page's record for a key.
func alter(t *testing.T, p *wire.Page, k record.Key, change func(record.Record) record.Record) {
	t.Helper()
	for i, item := range p.Records {
		if item.Kind != k.Kind || item.ID != k.ID {
			continue
		}
		r, err := record.Decode(item.Body)
		if err != nil {
			t.Fatal(err)
		}
		if p.Records[i].Body, err = change(r).Encode(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no record %s in the page", k)
}

// SPEC R9, SPEC R14, SPEC R16, SPEC R25: what an upper tier refuses of a lower one's record
// is held back by itself, and the rest of the page goes on.
func TestHeldBack(t *testing.T) {
	sibling := func(r record.Record, field string, change func(*record.Sibling)) record.Record {
		s := r.Siblings(field)[0]
		change(&s)
		return r.With(field, []record.Sibling{s})
	}
	for name, c := range map[string]struct {
		code   string
		change func(record.Record) record.Record
	}{
		"forged context (trace t02)": {wire.CodeContextUnsigned, func(r record.Record) record.Record {
			r.Context.Vector[0].N += 1000
			return r
		}},
		"unknown replica": {wire.CodeReplicaUnknown, func(r record.Record) record.Record {
			r.Context.Vector = append(r.Context.Vector, record.Dot{Replica: record.ID{0xff}, N: 1})
			return r
		}},
		"value of no type": {wire.CodeValueInvalid, func(r record.Record) record.Record {
			return sibling(r, "note", func(s *record.Sibling) { s.Value = record.Int(5) })
		}},
		"clock ahead": {wire.CodeClockAhead, func(r record.Record) record.Record {
			return sibling(r, "note", func(s *record.Sibling) { s.Stamp = hlc.At(noon + hlc.AheadMax + 1) })
		}},
		"sibling outside its context": {wire.CodeRecordMalformed, func(r record.Record) record.Record {
			r.Context.Vector[0].N--
			return r
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			edge.write(ticket(2), text("note", "good"))
			edge.write(ticket(1), text("note", "bad"))
			page := edge.read(0, nil)
			alter(t, &page, ticket(1), c.change)
			applied := cloud.apply(edge, page)
			want(t, "quarantined", applied.Ack.Quarantined, []wire.Quarantined{{Kind: sim.Ticket, ID: ticket(1).ID, Code: c.code}})
			want(t, "good", values(cloud.record(ticket(2)), "note"), []string{"good"})
			want(t, "bad", len(cloud.record(ticket(1)).Fields), 0)
			want(t, "cursor", edge.greet(cloud).From, page.To)
			if err := edge.ApplyAck(context.Background(), home, cloud.peer(), wire.Ack{Quarantined: applied.Ack.Quarantined[:0]}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A record of a kind that only the cloud writes comes back to it unchanged, or not at all.
func TestKindNotYours(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	setting := record.Key{Building: home, Kind: sim.Setting, ID: ticket(1).ID}
	cloud.write(setting, text("value", "9"))
	edge.write(ticket(1), text("note", "n"))
	edge.sync(cloud)
	page := edge.read(0, nil)
	want(t, "unchanged", len(cloud.apply(edge, page).Ack.Quarantined), 0)
	mine := edge.record(ticket(1)).Siblings("note")[0]
	alter(t, &page, setting, func(r record.Record) record.Record {
		r.Context.Vector = append(r.Context.Vector, mine.Dot)
		if r.Context.Vector[0].Replica.Compare(mine.Dot.Replica) > 0 {
			r.Context.Vector[0], r.Context.Vector[1] = r.Context.Vector[1], r.Context.Vector[0]
		}
		return r.With("value", []record.Sibling{mine})
	})
	want(t, "quarantined", cloud.apply(edge, page).Ack.Quarantined, []wire.Quarantined{{Kind: sim.Setting, ID: setting.ID, Code: wire.CodeKindNotYours}})
	want(t, "value", values(cloud.record(setting), "value"), []string{"9"})
}

// SPEC R9: a node that nobody enrolled may not act as an edge.
func TestForgedEdge(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "n"))
	delete(l.known, edge.ID())
	applied := cloud.apply(edge, edge.read(0, nil))
	want(t, "alarm", applied.Alarms[0], wire.CodeNodeUnknown)
	want(t, "held back", applied.Ack.Quarantined[0].Code, wire.CodeReplicaUnknown)
	l.known[edge.ID()] = record.TierEdge
	edge.write(ticket(1), text("note", "m"))
	edge.sync(cloud)
	same(t, edge, cloud)
}

// What is released from the quarantine joins what is stored, also where no page names it:
// it never takes its place.
func TestReleaseJoins(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.skew = 2 * hlc.AheadMax
	edge.write(ticket(1), text("note", "edge's"))
	page := edge.read(0, nil)
	want(t, "held back", cloud.apply(edge, page).Ack.Quarantined[0].Code, wire.CodeClockAhead)
	cloud.write(ticket(1), text("title", "cloud's"))
	l.now += 2 * hlc.AheadMax
	edge.skew = 0
	edge.write(ticket(2), text("note", "other"))
	want(t, "released", len(cloud.apply(edge, edge.read(page.To, cloud.heldMap())).Ack.Released), 1)
	want(t, "title", values(cloud.record(ticket(1)), "title"), []string{"cloud's"})
	want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"edge's"})
}

// What a rewound edge sends takes nothing out of the quarantine that only lives there.
func TestQuarantineKeepsWhatIsNowhereElse(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "old"))
	edge.sync(cloud)
	snapshot := edge.store.Snapshot()
	edge.write(ticket(1), text("title", "only in quarantine"))
	page := edge.read(0, nil)
	signed := page
	page.Events, page.Heads = nil, nil
	want(t, "held back", len(cloud.apply(edge, page).Ack.Quarantined), 1)
	edge.restore(snapshot)
	edge.write(ticket(1), text("status", "done"))
	edge.sync(cloud)
	want(t, "status", values(cloud.record(ticket(1)), "status"), []string{"done"})
	want(t, "still held back", len(cloud.held(edge)), 1)
	signed.Records, signed.From, signed.To = nil, 0, 0
	want(t, "released", len(cloud.apply(edge, signed).Ack.Released), 1)
	want(t, "title", values(cloud.record(ticket(1)), "title"), []string{"only in quarantine"})
	want(t, "status", values(cloud.record(ticket(1)), "status"), []string{"done"})
}

// SPEC R14: a page that fails is split down to the bad record; later pages do not fail for
// it, and it is merged when the store can take it.
func TestSplit(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	for n := range 7 {
		edge.write(ticket(n), text("note", "v"))
	}
	cloud.fault.bad = ticket(3)
	applied := edge.send(cloud)
	want(t, "quarantined", applied.Ack.Quarantined, []wire.Quarantined{{Kind: sim.Ticket, ID: ticket(3).ID, Code: wire.CodeStoreFailed}})
	for n := range 7 {
		if _, ok := cloud.load(replica.Need{Keys: []record.Key{ticket(n)}}).Records[ticket(n)]; ok == (n == 3) {
			t.Errorf("ticket %d stored: %v", n, ok)
		}
	}
	edge.write(ticket(8), text("note", "later"))
	edge.write(ticket(9), text("note", "later"))
	want(t, "later pages", len(edge.send(cloud).Ack.Quarantined), 0)
	cloud.fault.bad = record.Key{}
	edge.write(ticket(10), text("note", "later still"))
	want(t, "released", len(edge.send(cloud).Ack.Released), 1)
	want(t, "theirs", len(edge.held(cloud)), 0)
	edge.sync(cloud)
	same(t, edge, cloud)
}

// SPEC R19: a split page still brings its cards before the records that cite them.
func TestSplitKeepsOrder(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("note", "v"))
	cloud.sync(edge)
	for range 3 {
		cloud.restart()
		cloud.write(ticket(1), text("title", "t"+cloud.boot.String()))
	}
	cloud.write(ticket(2), text("note", "breaks"))
	edge.fault.bad = ticket(2)
	cloud.send(edge)
	want(t, "vector", edge.record(ticket(1)).Context, cloud.record(ticket(1)).Context)
}

// SPEC R14: a busy store takes nothing and says so.
func TestBusy(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "v"))
	cloud.fault.busy = true
	_, err := cloud.ApplyPage(context.Background(), home, edge.peer(), edge.read(0, nil))
	if err != replica.ErrBusy { //nolint:errorlint // as it is
		t.Fatalf("got %v", err)
	}
	cloud.fault.busy = false
	edge.sync(cloud)
	same(t, edge, cloud)
}

// SPEC R9: a phone may have seen what its edge lost; its transaction names a number that
// nobody can sign any more, and the record still reaches the cloud.
func TestNumberThatNobodyHoldsAnyMore(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("title", "t"))
	edge.sync(cloud)
	snapshot := edge.store.Snapshot()
	edge.restart()
	edge.write(ticket(1), text("note", "seen by the phone only"))
	p := l.phone("phone")
	edge.pull(p)
	edge.restore(snapshot)
	l.edit(p, p.Set(ticket(1), "note", "phone's"))
	edge.push(p, yes)
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"phone's"})
	want(t, "held back", len(cloud.held(edge)), 0)
}

// SPEC R14, SPEC R21: a split that breaks off half-way has not moved the cursor.
func TestSplitBreaksOff(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	for n := range 8 {
		edge.write(ticket(n), text("note", "v"))
	}
	page := edge.read(0, nil)
	cloud.fault.bad, cloud.fault.busyAfter = ticket(0), 3
	if _, err := cloud.ApplyPage(context.Background(), home, edge.peer(), page); !errors.Is(err, replica.ErrBusy) {
		t.Fatalf("got %v, want busy", err)
	}
	want(t, "cursor", edge.greet(cloud).From, 0)
	cloud.fault.bad, cloud.fault.busyAfter = record.Key{}, 0
	cloud.apply(edge, page)
	edge.sync(cloud)
	same(t, edge, cloud)
}

// A record that is held back twice, before and after a rewind of its sender, is held back
// with both states.
func TestQuarantineJoins(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "old"))
	edge.sync(cloud)
	snapshot := edge.store.Snapshot()
	var bare []wire.Page
	for _, field := range []string{"title", "status"} {
		edge.write(ticket(1), text(field, field))
		page := edge.read(0, nil)
		bare = append(bare, wire.Page{Events: page.Events, Heads: page.Heads})
		page.Events, page.Heads = nil, nil
		want(t, field, len(cloud.apply(edge, page).Ack.Quarantined), 1)
		edge.restore(snapshot)
	}
	for _, page := range bare {
		cloud.apply(edge, page)
	}
	r := cloud.record(ticket(1))
	want(t, "values", [][]string{values(r, "note"), values(r, "title"), values(r, "status")}, [][]string{{"old"}, {"title"}, {"status"}})
	want(t, "held back", len(cloud.held(edge)), 0)
}

// What is held back again has replaced what was held back, also where its sender started anew
// in between: only the card tells, and the record that the store cannot take needs it, too.
func TestQuarantineJoinsAcrossRuns(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.fault.bad = ticket(1)
	edge.write(ticket(1), text("note", "old"))
	edge.sync(cloud)
	edge.restart()
	edge.write(ticket(1), text("note", "new"))
	edge.sync(cloud)
	want(t, "held back", len(cloud.held(edge)), 1)
	cloud.fault.bad = record.Key{}
	edge.write(ticket(2), text("note", "another"))
	edge.sync(cloud)
	want(t, "held back", len(cloud.held(edge)), 0)
	want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"new"})
	same(t, edge, cloud)
}
