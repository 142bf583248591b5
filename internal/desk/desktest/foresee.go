package desktest

import (
	"strings"
	"testing"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// What a create foresees of a building and its caller's rights is looked at again under the
// lock: whatever changed since counts at once.
func testForeseen(t *testing.T, open Opener) {
	w := populated(t, open)
	for range 2 {
		if got := w.ticket(w.tess, desk.NewTicket{Title: "As foreseen"}); !strings.HasPrefix(got.Code, "OAK-") {
			t.Fatalf("code %s", got.Code)
		}
	}
	home := record.Key{Building: w.home, Kind: "building", ID: w.home}
	must(w.node.Write(ctx(), w.home, []record.Key{home}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: record.Actor{Class: record.Person, Person: w.root.Person}, Action: "building.code", Writes: []replica.RecordWrite{
			{Key: home, Fields: []replica.FieldWrite{{Field: "code", Value: record.Text("ASH")}}}}}, nil
	}))(t)
	if got := w.ticket(w.tess, desk.NewTicket{Title: "Under another code"}); !strings.HasPrefix(got.Code, "ASH-") {
		t.Errorf("code %s, and the building's is ASH", got.Code)
	}
	leak := w.ticket(w.bob, desk.NewTicket{Title: "Leak", Category: "plumbing", Unit: w.unitB})
	w.member(w.home, w.tess, "tess", schema.Tenant, w.unitB)
	got := must(w.CreateTicket(ctx(), w.tess, w.home, desk.NewTicket{Title: "Water", Category: "plumbing", Unit: w.unitB}))(t)
	if !got.Joined || got.Ticket.ID != leak.ID {
		t.Errorf("the report of a new tenant joined nothing: %+v", got)
	}
	ended := desk.Member{Person: w.tess.Person, Name: "tess", Email: "tess@example.org", Role: string(schema.Technician)}
	if err := w.ProjectMember(ctx(), w.home, ended); err != nil {
		t.Fatal(err)
	}
	for _, in := range []desk.NewTicket{{Title: "After the end"}, {}, {ID: record.DerivedID("no", "v7"), Title: "x"}} {
		wantCode(t, second(w.CreateTicket(ctx(), w.tess, w.home, in)), problem.NotFound)
	}
}
