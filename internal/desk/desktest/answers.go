package desktest

import (
	"reflect"
	"testing"
	"time"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// What a write answers is what its author reads next: it is made of what was written, not
// read again.
func testAnswers(t *testing.T, open Opener) {
	w := populated(t, open)
	same := func(what string, c desk.Caller, got desk.Ticket) desk.Ticket {
		t.Helper()
		want := must(w.Ticket(ctx(), c, w.home, got.ID))(t)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s answered\n%+v\nand reads\n%+v", what, got, want)
		}
		return got
	}
	device := must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: "plain:1", Name: "Cellar"}))(t)
	all := desk.NewTicket{IdempotencyKey: "once", Title: "Everything", Description: "at once", Category: "plumbing", Priority: "high", Unit: w.unitA,
		Assignee: w.tess.Person, Device: device.ID, Tags: []string{"wet", "cellar", "urgent"}, ReportedAt: ptr(noon.Add(-time.Hour))}
	full := same("create", w.boss, w.ticket(w.boss, all))
	equal(t, "unit", full.UnitName, "A 1")
	equal(t, "assignee", full.Assignee.Name, "tess")
	w.tick(time.Minute)
	equal(t, "the position of the same again", same("create again", w.boss, w.ticket(w.boss, all)).Position, full.Position)
	same("create of nothing else", w.tess, w.ticket(w.tess, desk.NewTicket{Title: "Bare"}))

	leak := same("report", w.ann, w.ticket(w.ann, desk.NewTicket{Title: "Leak", Category: "heating", Unit: w.unitA}))
	w.member(w.home, w.bob, "bob", schema.Tenant, w.unitA)
	report := desk.NewTicket{IdempotencyKey: "bob's", Title: "It drips", Description: "from the ceiling", Category: "heating", Unit: w.unitA}
	for range 2 {
		joined := must(w.CreateTicket(ctx(), w.bob, w.home, report))(t)
		if !joined.Joined || joined.Ticket.ID != leak.ID || len(joined.Ticket.Reports) != 1 || joined.Ticket.Reports[0].Name != "bob" {
			t.Fatalf("the report made %+v", joined)
		}
		same("join", w.bob, joined.Ticket)
	}
	changed := must(w.UpdateTicket(ctx(), w.boss, w.home, full.ID, desk.TicketChange{Seen: full.Seen, Status: ptr("in_progress"), Assignee: &w.boss.Person,
		Unit: &w.unitB, RemoveTags: []string{"wet"}, AddTags: []string{"dry", "done"}}))(t)
	if same("update", w.boss, changed); changed.Position <= full.Position || changed.UnitName != "B 2" || changed.Assignee.Name != "boss" {
		t.Fatalf("the change made %+v", changed)
	}
	equal(t, "position after no change", same("update to the same", w.boss, must(w.UpdateTicket(ctx(), w.boss, w.home, full.ID,
		desk.TicketChange{Status: ptr("in_progress")}))(t)).Position, changed.Position)

	said := must(w.AddMessage(ctx(), w.ann, w.home, leak.ID, desk.NewMessage{IdempotencyKey: "m", Text: "Still wet"}))(t)
	again := must(w.AddMessage(ctx(), w.ann, w.home, leak.ID, desk.NewMessage{IdempotencyKey: "m", Text: "Still wet"}))(t)
	list := must(w.Messages(ctx(), w.ann, w.home, leak.ID, desk.Page{}))(t).Items
	if read := list[len(list)-1]; !reflect.DeepEqual(said, read) || !reflect.DeepEqual(again, read) || said.Person.Name != "ann" {
		t.Fatalf("the message answered\n%+v\n%+v\nand reads\n%+v", said, again, read)
	}
	if err := w.DeleteTicket(ctx(), w.boss, w.home, full.ID, ""); err != nil {
		t.Fatal(err)
	}
	_, err := w.CreateTicket(ctx(), w.boss, w.home, all)
	wantCode(t, err, problem.NotFound)
}

// The very next request of a person whose role changed or ended is decided by what holds
// then, however often they asked before.
func testRightsChange(t *testing.T, open Opener) {
	w := populated(t, open)
	create := func(c desk.Caller, in desk.NewTicket) error { return second(w.CreateTicket(ctx(), c, w.home, in)) }
	for range 3 {
		if err := create(w.tess, desk.NewTicket{Title: "In good standing", ExternalRef: w.newID().String()}); err != nil {
			t.Fatal(err)
		}
	}
	assigned := desk.NewTicket{Title: "Not a tenant's to say", Assignee: w.boss.Person}
	if err := create(w.tess, assigned); err != nil {
		t.Fatal(err)
	}
	w.member(w.home, w.tess, "tess", schema.Tenant, w.unitB)
	wantCode(t, create(w.tess, assigned), problem.Forbidden)
	wantCode(t, second(w.CreateTicket(ctx(), w.tess, w.home, desk.NewTicket{Title: "Elsewhere", Unit: w.unitA})), problem.InvalidInput)
	if err := create(w.tess, desk.NewTicket{Title: "My own", Unit: w.unitB}); err != nil {
		t.Fatal(err)
	}
	ended := desk.Member{Person: w.tess.Person, Name: "tess", Email: "tess@example.org", Role: string(schema.Tenant), Units: []record.ID{w.unitB}}
	if err := w.ProjectMember(ctx(), w.home, ended); err != nil {
		t.Fatal(err)
	}
	wantCode(t, create(w.tess, desk.NewTicket{Title: "After the end", Unit: w.unitB}), problem.NotFound)
	_, err := w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{}, desk.Page{})
	wantCode(t, err, problem.NotFound)
	w.member(w.home, w.tess, "tess", schema.Technician)
	if err := create(w.tess, assigned); err != nil {
		t.Fatal(err)
	}
}
