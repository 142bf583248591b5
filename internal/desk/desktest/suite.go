package desktest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"estate/internal/audit"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// Run holds a store's queries and the use cases over it to their contract.
func Run(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"Isolation": testIsolation, "Lifecycle": testLifecycle, "TenantMoves": testTenantMoves, "Joining": testJoining, "SameID": testSameID,
		"Lists": testLists, "Workload": testWorkload, "Cursors": testCursors, "Children": testChildren, "Places": testPlaces, "Alarms": testAlarms, "Assets": testAssets, "AssetDevices": testAssetDevices, "AssetAlarms": testAssetAlarms, "AssetRace": testAssetRace, "AssetMoved": testAssetMoved, "Rules": testRules,
		"People": testPeople, "Deletion": testDeletion, "Audit": testAudit, "Export": testExport, "Changes": testChanges, "Rights": testRights,
		"Conflict": testConflict, "SyncState": testSyncState, "Codes": testCodes, "LateWrite": testLateWrite, "OddTimes": testOddTimes, "ManyApps": testManyApps,
		"Erasure": testErasure, "ErasureOfMuch": testErasureOfMuch, "Answers": testAnswers, "RightsChange": testRightsChange, "Foreseen": testForeseen,
		"Actions": testActions, "ActionRefusals": testActionRefusals, "ActionDangers": testActionDangers, "ActionOverdue": testActionOverdue, "Controls": testControls,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// Two tickets whose ids give the same short code still get different ones.
func testCodes(t *testing.T, open Opener) {
	w := populated(t, open)
	byCode := map[string]record.ID{}
	for {
		id := w.newID()
		code := desk.TicketCode("OAK", id, 4)
		twin, found := byCode[code]
		if byCode[code] = id; !found {
			continue
		}
		equal(t, "code", w.ticket(w.tess, desk.NewTicket{ID: twin, Title: "first"}).Code, code)
		equal(t, "longer code", w.ticket(w.tess, desk.NewTicket{ID: id, Title: "second"}).Code, desk.TicketCode("OAK", id, 5))
		return
	}
}

// Nobody sees another unit's or building's things, by whichever way they ask.
func testIsolation(t *testing.T, open Opener) {
	w := populated(t, open)
	leak := w.ticket(w.ann, desk.NewTicket{Title: "Leak", Category: "plumbing", Unit: w.unitA})
	must(w.AddMessage(ctx(), w.ann, w.home, leak.ID, desk.NewMessage{Text: "It is wet"}))(t)
	photo := must(w.AddMedia(ctx(), w.ann, w.home, leak.ID, desk.NewMedia{Digest: record.Hash{1}, Size: 10, ContentType: "image/jpeg"}))(t)

	for name, c := range map[string]desk.Caller{"other tenant": w.bob, "other building": w.stranger, "nobody": {Person: record.DerivedID("person", "nobody")}} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Ticket(ctx(), c, w.home, leak.ID)
			wantCode(t, err, problem.NotFound)
			_, err = w.UpdateTicket(ctx(), c, w.home, leak.ID, desk.TicketChange{Status: ptr("cancelled")})
			wantCode(t, err, problem.NotFound)
			_, err = w.Messages(ctx(), c, w.home, leak.ID, desk.Page{})
			wantCode(t, err, problem.NotFound)
			_, err = w.AddMessage(ctx(), c, w.home, leak.ID, desk.NewMessage{Text: "hello"})
			wantCode(t, err, problem.NotFound)
			_, err = w.Media(ctx(), c, w.home, photo.ID)
			wantCode(t, err, problem.NotFound)
			_, err = w.MayReadBlob(ctx(), c, w.home, record.Hash{1})
			wantCode(t, err, problem.NotFound)
			wantCode(t, w.MayWriteTo(ctx(), c, w.home, leak.ID), problem.NotFound)
		})
	}
	equal(t, "tickets of bob", must(w.Tickets(ctx(), w.bob, w.home, desk.TicketFilter{}, desk.Page{}))(t).Total, 0)
	equal(t, "tickets of ann", must(w.Tickets(ctx(), w.ann, w.home, desk.TicketFilter{}, desk.Page{}))(t).Total, 1)
	equal(t, "units of bob", must(w.Units(ctx(), w.bob, w.home, desk.Page{}))(t).Total, 1)
	_, err := w.Tickets(ctx(), w.stranger, w.home, desk.TicketFilter{}, desk.Page{})
	wantCode(t, err, problem.NotFound)
	_, err = w.Ticket(ctx(), w.stranger, w.other, leak.ID) // their building, another's ticket
	wantCode(t, err, problem.NotFound)
	_, err = w.CreateTicket(ctx(), w.bob, w.home, desk.NewTicket{Title: "Leak", Unit: w.unitA})
	wantCode(t, err, problem.InvalidInput)
	_, err = w.Ticket(ctx(), desk.Caller{}, w.home, leak.ID)
	wantCode(t, err, problem.Unauthenticated)
	for _, err := range []error{
		second(w.Notes(ctx(), w.ann, w.home, leak.ID, desk.Page{})), second(w.AddNote(ctx(), w.ann, w.home, leak.ID, desk.NewMessage{Text: "x"})),
		second(w.Devices(ctx(), w.ann, w.home, desk.DeviceFilter{}, desk.Page{})), second(w.Audit(ctx(), w.tess, w.home, desk.AuditFilter{}, desk.Page{})),
		second(w.SyncState(ctx(), w.ann, w.home)), second(w.CreateUnit(ctx(), w.tess, w.home, desk.NewUnit{Name: "C"})),
		second(w.CreateBuilding(ctx(), w.boss, desk.NewBuilding{Name: "Mine", Code: "MINE"})), w.DeleteTicket(ctx(), w.tess, w.home, leak.ID, ""),
	} {
		wantCode(t, err, problem.Forbidden)
	}
	equal(t, "member's view of people", must(w.Members(ctx(), w.ann, w.home, desk.Page{}))(t).Total, 1)
}

func second[V any](_ V, err error) error { return err }

func testLifecycle(t *testing.T, open Opener) {
	w := populated(t, open)
	leak := w.ticket(w.ann, desk.NewTicket{Title: "Leak", Category: "plumbing", Unit: w.unitA})
	equal(t, "status", leak.Status, "new")
	equal(t, "code", leak.Code[:4], "OAK-")
	equal(t, "reporter", leak.Reporter.Name, "ann")

	leak = must(w.UpdateTicket(ctx(), w.boss, w.home, leak.ID, desk.TicketChange{Seen: leak.Seen, Assignee: &w.tess.Person, Priority: ptr("high")}))(t)
	equal(t, "status once assigned", leak.Status, "assigned")
	_, err := w.UpdateTicket(ctx(), w.boss, w.home, leak.ID, desk.TicketChange{Assignee: &w.ann.Person})
	wantCode(t, err, problem.InvalidInput)

	w.tick(3 * time.Hour)
	late := noon.Add(12 * time.Minute)
	leak = must(w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Seen: leak.Seen, Status: ptr("in_progress"), At: &late}))(t)
	equal(t, "started at", *leak.StartedAt, late)
	w.tick(time.Hour)
	leak = must(w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Status: ptr("waiting")}))(t)
	leak = must(w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Status: ptr("in_progress")}))(t)
	equal(t, "started at, after a wait", *leak.StartedAt, late)
	leak = must(w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Status: ptr("resolved"), Resolution: ptr("New seal")}))(t)
	equal(t, "resolved at", *leak.ResolvedAt, w.now())

	_, err = w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Status: ptr("cancelled")})
	wantCode(t, err, problem.Conflict)
	_, err = w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Status: ptr("closed")})
	wantCode(t, err, problem.Forbidden)
	leak = must(w.UpdateTicket(ctx(), w.boss, w.home, leak.ID, desk.TicketChange{Status: ptr("closed")}))(t)
	leak = must(w.UpdateTicket(ctx(), w.boss, w.home, leak.ID, desk.TicketChange{Status: ptr("in_progress")}))(t)
	if leak.ResolvedAt != nil {
		t.Fatal("a reopened ticket shows when it was resolved")
	}
	_, err = w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Status: ptr("in_progress"), At: ptr(w.now().Add(time.Hour))})
	wantCode(t, err, problem.InvalidInput)
	_, err = w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Priority: ptr("enormous")})
	wantCode(t, err, problem.InvalidInput)
	_, err = w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Title: ptr("a\x00b")})
	wantCode(t, err, problem.InvalidInput)
	_, err = w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Title: ptr("\xff")})
	wantCode(t, err, problem.InvalidInput)
	_, err = w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Seen: "rubbish", Title: ptr("x")})
	wantCode(t, err, problem.InvalidInput)
}

func testTenantMoves(t *testing.T, open Opener) {
	w := populated(t, open)
	mine := w.ticket(w.ann, desk.NewTicket{Title: "Tap drips", Category: "plumbing", Unit: w.unitA})
	theirs := w.ticket(w.tess, desk.NewTicket{Title: "Check boiler", Category: "heating", Unit: w.unitA})
	_, err := w.UpdateTicket(ctx(), w.ann, w.home, theirs.ID, desk.TicketChange{Status: ptr("cancelled")})
	wantCode(t, err, problem.Forbidden)
	_, err = w.UpdateTicket(ctx(), w.ann, w.home, mine.ID, desk.TicketChange{Priority: ptr("urgent")})
	wantCode(t, err, problem.Forbidden)
	_, err = w.UpdateTicket(ctx(), w.ann, w.home, mine.ID, desk.TicketChange{Status: ptr("resolved")})
	wantCode(t, err, problem.Forbidden)
	equal(t, "status", must(w.UpdateTicket(ctx(), w.ann, w.home, mine.ID, desk.TicketChange{Status: ptr("cancelled")}))(t).Status, "cancelled")
	must(w.UpdateTicket(ctx(), w.tess, w.home, theirs.ID, desk.TicketChange{Status: ptr("resolved")}))(t)
	equal(t, "reopened", must(w.UpdateTicket(ctx(), w.ann, w.home, theirs.ID, desk.TicketChange{Status: ptr("new")}))(t).Status, "new")
	must(w.UpdateTicket(ctx(), w.tess, w.home, theirs.ID, desk.TicketChange{Status: ptr("in_progress")}))(t)
	_, err = w.UpdateTicket(ctx(), w.ann, w.home, theirs.ID, desk.TicketChange{Status: ptr("new")})
	wantCode(t, err, problem.Forbidden)
}

func testJoining(t *testing.T, open Opener) {
	w := populated(t, open)
	w.member(w.home, w.bob, "bob", schema.Tenant, w.unitA, w.unitB)
	first := must(w.CreateTicket(ctx(), w.ann, w.home, desk.NewTicket{Title: "Leak", Category: "plumbing", Unit: w.unitA}))(t)
	report := desk.NewTicket{ID: w.newID(), Title: "Water!", Description: "In the hall", Category: "plumbing", Unit: w.unitA}
	for range 2 { // sent again it is the same report
		joined := must(w.CreateTicket(ctx(), w.bob, w.home, report))(t)
		if !joined.Joined || joined.Ticket.ID != first.Ticket.ID {
			t.Fatalf("the second report made %+v", joined)
		}
		equal(t, "reports", len(joined.Ticket.Reports), 1)
	}
	messages := must(w.Messages(ctx(), w.ann, w.home, first.Ticket.ID, desk.Page{}))(t)
	equal(t, "messages", messages.Total, 1)
	equal(t, "message", messages.Items[0].Text, "Water!\n\nIn the hall")
	equal(t, "author", messages.Items[0].Person.Name, "bob")

	for name, in := range map[string]desk.NewTicket{
		"another category": {Title: "No light", Category: "electrical", Unit: w.unitA}, "another unit": {Title: "Leak", Category: "plumbing", Unit: w.unitB},
	} {
		if got := must(w.CreateTicket(ctx(), w.bob, w.home, in))(t); got.Joined {
			t.Fatalf("%s joined", name)
		}
	}
	if got := must(w.CreateTicket(ctx(), w.tess, w.home, desk.NewTicket{Title: "Leak", Category: "plumbing", Unit: w.unitA}))(t); got.Joined {
		t.Fatal("staff's work order joined")
	}
	long := must(w.CreateTicket(ctx(), w.bob, w.home, desk.NewTicket{Title: "Water", Description: strings.Repeat("ä", 8000), Category: "plumbing", Unit: w.unitA}))(t)
	said := must(w.Messages(ctx(), w.ann, w.home, long.Ticket.ID, desk.Page{}))(t).Items
	whole := func(m desk.Message) bool { return len(m.Text) == 16000 }
	if !long.Joined || !slices.ContainsFunc(said, whole) || !slices.ContainsFunc(said, func(m desk.Message) bool { return m.Text == "Water" }) {
		t.Fatalf("a long report said %d messages", len(said))
	}
	w.tick(25 * time.Hour)
	if got := must(w.CreateTicket(ctx(), w.bob, w.home, desk.NewTicket{Title: "Leak again", Category: "plumbing", Unit: w.unitA}))(t); got.Joined {
		t.Fatal("a day later it still joined")
	}
}

func testSameID(t *testing.T, open Opener) {
	w := populated(t, open)
	in := desk.NewTicket{ID: w.newID(), Title: "Lift stuck", Category: "lift"}
	first := must(w.CreateTicket(ctx(), w.tess, w.home, in))(t)
	equal(t, "again", must(w.CreateTicket(ctx(), w.tess, w.home, in))(t).Ticket.Seen, first.Ticket.Seen)
	_, err := w.CreateTicket(ctx(), w.boss, w.home, in)
	wantCode(t, err, problem.Conflict)
	in.ID = record.DerivedID("not", "v7")
	_, err = w.CreateTicket(ctx(), w.tess, w.home, in)
	wantCode(t, err, problem.InvalidInput)
	in.ID, in.IdempotencyKey = record.ID{}, "key 1"
	a, b := must(w.CreateTicket(ctx(), w.tess, w.home, in))(t), must(w.CreateTicket(ctx(), w.tess, w.home, in))(t)
	equal(t, "by idempotency key", a.Ticket.ID, b.Ticket.ID)
	in = desk.NewTicket{Title: "Imported", ExternalRef: "HPD 7", Status: "closed", ReportedAt: ptr(noon.Add(-48 * time.Hour)), ResolvedAt: ptr(noon.Add(-time.Hour))}
	a, b = must(w.CreateTicket(ctx(), w.boss, w.home, in))(t), must(w.CreateTicket(ctx(), w.boss, w.home, in))(t)
	equal(t, "by external reference", a.Ticket.ID, b.Ticket.ID)
	equal(t, "reported at", *a.Ticket.ReportedAt, *in.ReportedAt)
	equal(t, "resolved at", *a.Ticket.ResolvedAt, *in.ResolvedAt)
	equal(t, "tickets", must(w.Tickets(ctx(), w.boss, w.home, desk.TicketFilter{}, desk.Page{}))(t).Total, 3)
}

func testLists(t *testing.T, open Opener) {
	w := populated(t, open)
	tap := w.ticket(w.tess, desk.NewTicket{Title: "Tap 50% off_centre", Category: "plumbing", Unit: w.unitA, Priority: "low", Assignee: w.tess.Person})
	w.tick(time.Minute)
	w.ticket(w.tess, desk.NewTicket{Title: "Boiler", Description: "cold WATER", Category: "heating", Unit: w.unitB, Priority: "high"})
	w.tick(time.Minute)
	lamp := w.ticket(w.tess, desk.NewTicket{Title: "Lamp", Category: "electrical"})
	must(w.UpdateTicket(ctx(), w.tess, w.home, lamp.ID, desk.TicketChange{Status: ptr("resolved")}))(t)
	for name, c := range map[string]struct {
		filter desk.TicketFilter
		want   []string
	}{
		"all":        {desk.TicketFilter{}, []string{"Lamp", "Boiler", tap.Title}},
		"open":       {desk.TicketFilter{Open: true}, []string{"Boiler", tap.Title}},
		"status":     {desk.TicketFilter{Status: []string{"resolved", "assigned"}}, []string{"Lamp", tap.Title}},
		"priority":   {desk.TicketFilter{Priority: []string{"high"}}, []string{"Boiler"}},
		"unit":       {desk.TicketFilter{Unit: w.unitA}, []string{tap.Title}},
		"assignee":   {desk.TicketFilter{Assignee: w.tess.Person}, []string{tap.Title}},
		"text":       {desk.TicketFilter{Query: "water"}, []string{"Boiler"}},
		"wildcard %": {desk.TicketFilter{Query: "0% o"}, []string{tap.Title}},
		"wildcard _": {desk.TicketFilter{Query: "a_p"}, nil},
		"code":       {desk.TicketFilter{Query: tap.Code}, []string{tap.Title}},
		"none":       {desk.TicketFilter{Category: []string{"pest"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := must(w.Tickets(ctx(), w.boss, w.home, c.filter, desk.Page{}))(t)
			var titles []string
			for _, it := range got.Items {
				titles = append(titles, it.Title)
			}
			if !slices.Equal(titles, c.want) || got.Total != len(c.want) {
				t.Fatalf("got %q of %d, want %q", titles, got.Total, c.want)
			}
		})
	}
}

// testWorkload: what is open is counted by the store; what is closed, deleted or of another
// building does not count, and a priority's time decides what is overdue.
func testWorkload(t *testing.T, open Opener) {
	w := populated(t, open)
	empty := must(w.Workload(ctx(), w.other))(t)
	base := must(w.Workload(ctx(), w.home))(t)
	for _, priority := range []string{"urgent", "urgent", "high", "normal", "low"} {
		w.ticket(w.tess, desk.NewTicket{Title: "A " + priority + " one", Priority: priority})
	}
	closed := w.ticket(w.tess, desk.NewTicket{Title: "Closed", Priority: "urgent"})
	must(w.UpdateTicket(ctx(), w.tess, w.home, closed.ID, desk.TicketChange{Status: ptr("resolved")}))(t)
	gone := w.ticket(w.tess, desk.NewTicket{Title: "Deleted", Priority: "urgent"})
	if err := w.DeleteTicket(ctx(), w.boss, w.home, gone.ID, ""); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after   time.Duration
		overdue int
	}{{0, 0}, {4 * time.Hour, 0}, {time.Second, 2}, {20 * time.Hour, 3}, {48 * time.Hour, 4}, {12 * 24 * time.Hour, 5}} {
		w.tick(step.after)
		got := must(w.Workload(ctx(), w.home))(t)
		equal(t, "workload", got, desk.Workload{Open: base.Open + 5, Urgent: base.Urgent + 2, Overdue: base.Overdue + step.overdue})
	}
	equal(t, "another building", must(w.Workload(ctx(), w.other))(t), empty)
}

func testCursors(t *testing.T, open Opener) {
	w := populated(t, open)
	var want []record.ID
	for i := range 7 {
		if i%3 == 0 {
			w.tick(time.Second) // several share a time: the id orders them
		}
		want = append(want, w.ticket(w.tess, desk.NewTicket{Title: "n"}).ID)
	}
	var got []record.ID
	p := desk.Page{PerPage: 2}
	for {
		list := must(w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{}, p))(t)
		equal(t, "total", list.Total, 7)
		for _, it := range list.Items {
			got = append(got, it.ID)
		}
		if p.Cursor = list.Next; p.Cursor == "" {
			break
		}
		w.tick(time.Second)
		w.ticket(w.tess, desk.NewTicket{Title: "new"})
		must(w.UpdateTicket(ctx(), w.boss, w.home, want[0], desk.TicketChange{Title: ptr("moved")}))(t)
		if err := w.DeleteTicket(ctx(), w.boss, w.home, must(w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{}, desk.Page{PerPage: 1}))(t).Items[0].ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(got, record.ID.Compare)
	slices.SortFunc(want, record.ID.Compare)
	if !slices.Equal(got, want) {
		t.Fatalf("by cursor came %d tickets, want each of %d once", len(got), len(want))
	}
	for _, f := range []desk.TicketFilter{{Query: "a\x00b"}, {Query: "\xff"}, {Status: []string{"\x00"}}} {
		_, err := w.Tickets(ctx(), w.tess, w.home, f, desk.Page{})
		wantCode(t, err, problem.InvalidInput)
	}
	_, err := w.AccountByEmail(ctx(), w.home, "a\x00b")
	wantCode(t, err, problem.InvalidInput)
	a := must(w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{}, desk.Page{PerPage: 3}))(t)
	b := must(w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{}, desk.Page{PerPage: 3, Page: 2}))(t)
	c := must(w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{}, desk.Page{PerPage: 3, Cursor: a.Next}))(t)
	equal(t, "page 2 by number and by cursor", b.Items[0].ID, c.Items[0].ID)
	for _, p := range []desk.Page{{PerPage: 201}, {PerPage: -1}, {Page: -1}, {Cursor: "???"}, {Cursor: string(bytes.Repeat([]byte("a"), 5000))}} {
		_, err := w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{}, p)
		wantCode(t, err, problem.InvalidInput)
	}
}

func testExport(t *testing.T, open Opener) {
	w := populated(t, open)
	w.ticket(w.ann, desk.NewTicket{Title: "Leak", Unit: w.unitA})
	var file bytes.Buffer
	if err := w.AuditExport(ctx(), w.boss, w.home, &file); err != nil {
		t.Fatal(err)
	}
	claims := must(audit.ReadClaims(bytes.NewReader(file.Bytes())))(t)
	report := must(audit.Verify(bytes.NewReader(file.Bytes()), claims))(t)
	equal(t, "building", report.Building, w.home)
	equal(t, "node", report.Node, w.node.ID())
	equal(t, "unsigned events", report.Unsigned, 0)
	if report.Events < 8 || bytes.Contains(file.Bytes(), []byte("argon2id")) {
		t.Fatalf("%d events, or a password hash in the file", report.Events)
	}
	wantCode(t, w.AuditExport(ctx(), w.tess, w.home, &file), problem.Forbidden)
}
