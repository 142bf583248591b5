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

// SPEC R2, SPEC R11, SPEC R22: both ways, byte-identical; a page that comes twice moves
// nothing; what was taken as it came is listed as an echo.
func TestExchange(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "e"), text("status", "new"))
	cloud.write(ticket(1), text("note", "c"))
	edge.write(ticket(2), text("note", "only here"))
	page := edge.read(0, nil)
	applied := cloud.apply(edge, page)
	want(t, "echo", applied.Echoes, []uint64{cloud.stored(ticket(2)).Position})
	before := cloud.position()
	cloud.apply(edge, page)
	want(t, "position after a duplicate", cloud.position(), before)
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"c", "e"})
}

// SPEC R12, SPEC R21: only a page that follows the cursor moves it; after a restart of the
// sender the cursor means nothing.
func TestCursor(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "1"))
	first := edge.read(0, nil)
	edge.write(ticket(2), text("note", "2"))
	second := edge.read(first.To, nil)
	_, err := cloud.ApplyPage(context.Background(), home, edge.peer(), second)
	code(t, err, wire.CodeFrameUnexpected)
	cloud.apply(edge, first)
	cloud.apply(edge, second)
	want(t, "from", edge.greet(cloud).From, second.To)
	cloud.apply(edge, first) // late, from zero: it must not take the cursor back
	want(t, "from", edge.greet(cloud).From, second.To)
	edge.restart()
	want(t, "from after a restart", edge.greet(cloud).From, 0)
}

// SPEC R17, SPEC R9: events in any order wait and link; records whose cards are missing are
// held back and released when they come.
func TestEventsOutOfOrder(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	for _, v := range []string{"1", "2", "3"} {
		edge.write(ticket(1), text("note", v))
	}
	page := edge.read(0, nil)
	want(t, "events", len(page.Events), 4)
	late := wire.Page{ID: 9, Events: page.Events[:2], Heads: page.Heads}
	early := page
	early.Events = page.Events[2:]
	applied := cloud.apply(edge, early)
	r := page.Events[0].Replica
	want(t, "wants", applied.Wants, []wire.Want{{Replica: r, From: 1, To: 2}})
	want(t, "held back", applied.Ack.Quarantined[0].Code, wire.CodeReplicaUnknown)
	applied = cloud.apply(edge, late)
	want(t, "held", cloud.chain(r).Held, 4)
	want(t, "wants", len(applied.Wants), 0)
	want(t, "released", len(applied.Ack.Released), 1)
	want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"3"})
	want(t, "quarantine", len(cloud.held(edge)), 0)
}

// SPEC R17: what waits since an earlier session is asked for at the next greeting.
func TestGapIsAskedAtGreeting(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "1"))
	edge.write(ticket(1), text("note", "2"))
	page := edge.read(0, nil)
	page.Events = page.Events[2:]
	cloud.apply(edge, page)
	want(t, "wants", cloud.greet(edge).Wants, []wire.Want{{Replica: page.Events[0].Replica, From: 1, To: 2}})
}

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

// SPEC R25: a page names no building, its events do.
func TestWrongBuilding(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	foreign := record.Key{Building: other, Kind: sim.Ticket, ID: ticket(1).ID}
	edge.write(foreign, text("note", "theirs"))
	page, err := edge.ReadPage(context.Background(), other, 0, nil, func(uint64) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	applied := cloud.apply(edge, page)
	want(t, "alarm", applied.Alarms[0], wire.CodeWrongBuilding)
	want(t, "record", len(cloud.record(ticket(1)).Fields), 0)
	if _, err := edge.try(record.Key{Building: home, Kind: sim.Ticket, ID: ticket(1).ID}, text("note", "ours")); err != nil {
		t.Fatal(err)
	}
	h, err := edge.Hello(context.Background(), other, cloud.peer())
	if err != nil {
		t.Fatal(err)
	}
	_, err = cloud.Greet(context.Background(), home, edge.peer(), h)
	code(t, err, wire.CodeWrongBuilding)
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

// An event that waited links when the gap is filled; the records that it names are not
// those of the page.
func TestWaitingEventsOfOtherRecords(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	p := l.phone("phone")
	for n := range 3 {
		l.edit(p, p.Set(ticket(n), "note", "v"))
	}
	all := p.Push(p.Outbox()[0], 100)
	some := all
	some.Transactions = []wire.EventItem{all.Transactions[0], all.Transactions[2], all.Transactions[3]}
	answer := edge.take(p, yes, some)
	want(t, "wants", answer.Wants, []wire.Want{{Replica: all.Head.Replica, From: 2, To: 2}})
	want(t, "a gap holds up nothing", values(edge.record(ticket(2)), "note"), []string{"v"})
	want(t, "single dot", len(edge.record(ticket(2)).Context.Dots), 1)
	fill, _ := p.Answer(answer.Wants[0])
	edge.take(p, yes, fill)
	for n := range 3 {
		want(t, "note", values(edge.record(ticket(n)), "note"), []string{"v"})
		want(t, "raised", len(edge.record(ticket(n)).Context.Dots), 0)
	}
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

// SPEC R19: cards of several starts that come in one page are one lineage with those that
// are stored.
func TestLineageAcrossStarts(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "v"))
	edge.sync(cloud)
	for range 3 {
		edge.restart()
		edge.write(ticket(2), text("note", edge.boot.String()))
	}
	edge.sync(cloud)
	edge.restart()
	edge.write(ticket(1), text("title", "t"))
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "entries", len(cloud.record(ticket(1)).Context.Vector), 1)
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

// SPEC R16 (traces t09, t15): a refused stamp corrects the sender's clock, and its values
// are written again with author and event time kept.
func TestClockAhead(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.skew = 3 * 3600_000
	edge.write(ticket(1), text("note", "fast"))
	happened := edge.events(edge.load(replica.Need{}).State.Replica)[1].EventTime
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "offset", edge.load(replica.Need{}).State.ClockOffset, -edge.skew)
	s := cloud.record(ticket(1)).Siblings("note")
	want(t, "values", values(cloud.record(ticket(1)), "note"), []string{"fast"})
	if hlc.Ahead(s[0].Stamp, noon) {
		t.Fatal("the stamp is still ahead")
	}
	events := cloud.events(s[0].Dot.Replica)
	again := events[s[0].Dot.N-1]
	want(t, "event time", again.EventTime, happened)
	want(t, "author", again.Actor.Person, ann)
	want(t, "quarantine", len(cloud.held(edge))+len(edge.held(cloud)), 0)
	edge.write(ticket(1), text("note", "right"))
	want(t, "not refused again", len(edge.send(cloud).Ack.Quarantined), 0)
}

// SPEC R20: unknown kinds and fields pass through an older release and come back as they
// were; its own writes leave unknown fields alone.
func TestOlderRelease(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.Rules = sim.Rules{Old: true}
	survey := record.Key{Building: home, Kind: sim.Survey, ID: ticket(1).ID}
	cloud.write(survey, text("answer", "yes"))
	cloud.write(ticket(1), text("mood", "fine"), text("note", "n"))
	cloud.sync(edge)
	same(t, edge, cloud)
	edge.write(ticket(1), text("note", "m"))
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "mood", values(cloud.record(ticket(1)), "mood"), []string{"fine"})
	want(t, "answer", values(cloud.record(survey), "answer"), []string{"yes"})
	page, err := edge.ReadView(context.Background(), home, replica.View{May: everything}, wire.Pull{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "records for a phone", len(page.Records), 1)
	second := l.node("cloud2", record.TierCloud)
	delete(l.known, second.ID())
	second.Rules = sim.Rules{Old: true}
	edge.Rules = sim.Rules{}
	edge.write(survey, text("answer", "no"))
	l.known[second.ID()] = record.TierCloud
	edge.sync(second)
	same(t, edge, second)
}

// SPEC R22: what a page shows that the peer holds is no more than what it sent.
func TestHeldOfThePage(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "1"))
	edge.push(p, yes)
	l.edit(p, p.Set(ticket(1), "note", "2"))
	cloud.push(p, yes)
	r := p.Outbox()[0]
	applied := cloud.apply(edge, edge.read(0, nil))
	want(t, "the edge holds", applied.Held[r], 2)
	want(t, "the cloud holds", cloud.chain(r).Held, 3)
}

// SPEC R17, SPEC R19: a predecessor that is not held as far as its successor's card says is
// still sent.
func TestMissingPredecessorIsSent(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "1"))
	first := p.Outbox()[0]
	edge.push(p, yes)
	p.Restart()
	l.edit(p, p.Set(ticket(1), "note", "2"))
	for _, r := range p.Outbox() {
		if r != first {
			cloud.take(p, yes, p.Push(r, 10))
		}
	}
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "held", cloud.chain(first).Held, 2)
}

// SPEC R12, SPEC R15: a restored store is reported by both sides, offered everything, and
// loses nothing that the other holds.
func TestRewound(t *testing.T) {
	for _, side := range []string{"edge", "cloud"} {
		t.Run(side, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			a, b := edge, cloud
			if side == "cloud" {
				a, b = cloud, edge
			}
			a.write(ticket(1), text("note", "old"))
			a.sync(b)
			snapshot := a.store.Snapshot()
			a.write(ticket(1), text("note", "new"))
			lost := a.write(ticket(2), text("note", "new"))
			a.sync(b)
			a.restore(snapshot)
			want(t, "seen by the other", b.greet(a).Rewound, true)
			want(t, "seen by itself", a.greet(b).Rewound, true)
			again := a.write(ticket(1), text("title", "after"))
			if again.Replica == lost.Replica {
				t.Fatal("a rewound node writes under its old replica")
			}
			a.sync(b)
			same(t, a, b)
			want(t, "note", values(a.record(ticket(1)), "note"), []string{"new"})
			want(t, "note", values(a.record(ticket(2)), "note"), []string{"new"})
			want(t, "title", values(a.record(ticket(1)), "title"), []string{"after"})
			want(t, "over", b.greet(a).Rewound || a.greet(b).Rewound, false)
		})
	}
}

// SPEC R15: an edge that is new, slow or one of two is not a rewound one.
func TestNotRewound(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	second := l.node("edge2", record.TierEdge)
	cloud.write(ticket(1), text("note", "v"))
	edge.sync(cloud)
	want(t, "empty second edge", cloud.greet(second).Rewound || second.greet(cloud).Rewound, false)
	for range 3 {
		edge.restart()
		edge.write(ticket(2), text("note", edge.boot.String()))
	}
	want(t, "three starts offline", cloud.greet(edge).Rewound || edge.greet(cloud).Rewound, false)
	second.sync(cloud)
	edge.sync(cloud)
	second.sync(cloud)
	same(t, second, cloud)
}

// SPEC R23: two hashes at one number are a fork.
func TestFork(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "v"))
	edge.sync(cloud)
	boot, snapshot := edge.boot, edge.store.Snapshot()
	r := edge.write(ticket(1), text("note", "a")).Replica
	edge.sync(cloud)
	edge.restore(snapshot)
	edge.boot = boot // a copied key in one run: what must never happen
	edge.write(ticket(1), text("note", "b"))
	want(t, "forks", cloud.greet(edge).Forks, []record.ReplicaID{r})
	want(t, "alarm", cloud.apply(edge, edge.read(0, nil)).Alarms[0], wire.CodeChainFork)
}

// SPEC R16: a clock that is slow, or that was corrected and then set right, follows the
// upper tier at the next greeting; the upper tier never follows.
func TestClockFlowsDown(t *testing.T) {
	for name, skew := range map[string]int64{"slow": -7200_000, "fast": 7200_000} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			edge.skew = skew
			edge.write(ticket(1), text("note", "v"))
			edge.greet(cloud)
			cloud.greet(edge)
			want(t, "offset", edge.load(replica.Need{}).State.ClockOffset, -skew)
			want(t, "the cloud's", cloud.load(replica.Need{}).State.ClockOffset, 0)
			edge.skew = 0
			edge.greet(cloud)
			edge.write(ticket(2), text("note", "w"))
			at := edge.record(ticket(2)).Siblings("note")[0].Stamp
			want(t, "stamp", at.Millis(), noon)
			edge.skew = 30_000
			edge.greet(cloud)
			want(t, "a little is left alone", edge.load(replica.Need{}).State.ClockOffset, 0)
		})
	}
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

// SPEC R16: what is refused for its stamp is told until the sender has heard it.
func TestClockAheadIsToldAgain(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.skew = 2 * hlc.AheadMax
	edge.write(ticket(1), text("note", "v"))
	page := edge.read(0, nil)
	cloud.apply(edge, page) // the answer is lost
	again := cloud.apply(edge, edge.read(page.To, cloud.heldMap()))
	want(t, "told", again.Ack.Quarantined[0].Code, wire.CodeClockAhead)
	want(t, "with the time", again.Ack.Time, noon)
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
