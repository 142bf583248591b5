package replica_test

import (
	"context"
	"testing"

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

// SPEC R22: of the positions that a page takes, those are told apart that hold nothing but
// what the peer sent.
func TestStretch(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "e"))
	edge.write(ticket(2), text("note", "e"))
	first := edge.read(0, nil)
	applied := cloud.apply(edge, first)
	want(t, "all of it", []uint64{applied.Since, applied.Until}, []uint64{0, cloud.position()})
	applied = cloud.apply(edge, first)
	want(t, "a duplicate takes none", applied.Since, applied.Until)
	cloud.write(ticket(1), text("note", "c"))
	edge.write(ticket(1), text("status", "new"))
	edge.write(ticket(2), text("status", "new"))
	applied = cloud.apply(edge, edge.read(first.To, nil))
	want(t, "echo", applied.Echoes, []uint64{cloud.stored(ticket(2)).Position})
	want(t, "merged with what the peer does not hold", []uint64{applied.Since, applied.Until}, []uint64{0, 0})
}

// SPEC R14: a page whose content was read ahead is applied as any other, and so are two that
// follow each other as one; the content of another page, or building, counts for nothing.
func TestContentReadAhead(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "1"))
	first := edge.read(0, nil)
	edge.write(ticket(2), text("note", "2"))
	second := edge.read(first.To, nil)
	for _, content := range []*replica.Content{replica.ReadContent(home, first), replica.ReadContent(ticket(1).ID, first), replica.ReadContent(home, second), nil} {
		_, err := cloud.ApplyContent(context.Background(), home, edge.peer(), first, content, nil)
		want(t, "error", err, nil)
	}
	_, err := cloud.ApplyContent(context.Background(), home, edge.peer(), second, replica.ReadContent(home, second), nil)
	want(t, "error", err, nil)
	same(t, edge, cloud)
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

// SPEC R25: a page names no building, its events do.
func TestWrongBuilding(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	foreign := record.Key{Building: other, Kind: sim.Ticket, ID: ticket(1).ID}
	edge.write(foreign, text("note", "theirs"))
	page, err := edge.ReadPage(context.Background(), other, 0, 0, nil, func(uint64) bool { return false })
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

// SPEC R8, SPEC R19: a phone's entry rises also where its new replica writes a record that
// the one before never saw.
func TestPhoneLineageAcrossRecords(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "1"))
	edge.push(p, yes)
	p.Restart()
	l.edit(p, p.Set(ticket(2), "note", "2"))
	edge.push(p, yes)
	want(t, "single dots", len(edge.record(ticket(2)).Context.Dots), 0)
}

// SPEC R22: a page that left out echoes is nothing for a run of the store that may have lost
// them.
func TestPageForAnEarlierRun(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("note", "v"))
	cloud.sync(edge)
	snapshot := edge.store.Snapshot()
	edge.write(ticket(1), text("note", "w"))
	g := cloud.greet(edge)
	applied := cloud.apply(edge, edge.read(edge.greet(cloud).From, nil))
	late, err := cloud.ReadPage(context.Background(), home, g.From, 0, nil, replica.DoReadPage{Skip: applied.Echoes}.Skips)
	if err != nil {
		t.Fatal(err)
	}
	late.Reader = edge.boot
	edge.restore(snapshot)
	_, err = edge.ApplyPage(context.Background(), home, cloud.peer(), late)
	code(t, err, wire.CodeFrameUnexpected)
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"w"})
}
