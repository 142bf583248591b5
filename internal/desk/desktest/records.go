package desktest

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/internal/rules"
	"estate/schema"
	"estate/sync/record"
)

func testChildren(t *testing.T, open Opener) {
	w := populated(t, open)
	leak := w.ticket(w.ann, desk.NewTicket{Title: "Leak", Unit: w.unitA})
	say := desk.NewMessage{ID: w.newID(), Text: "Still wet", SentAt: ptr(noon.Add(-time.Minute))}
	for range 2 {
		m := must(w.AddMessage(ctx(), w.ann, w.home, leak.ID, say))(t)
		equal(t, "sent at", *m.SentAt, *say.SentAt)
	}
	_, err := w.AddMessage(ctx(), w.tess, w.home, leak.ID, say)
	wantCode(t, err, problem.Conflict)
	_, err = w.AddMessage(ctx(), w.ann, w.home, leak.ID, desk.NewMessage{Text: "  "})
	wantCode(t, err, problem.InvalidInput)
	must(w.AddMessage(ctx(), w.tess, w.home, leak.ID, desk.NewMessage{IdempotencyKey: "k", Text: "On my way"}))(t)
	must(w.AddMessage(ctx(), w.tess, w.home, leak.ID, desk.NewMessage{IdempotencyKey: "k", Text: "On my way"}))(t)
	list := must(w.Messages(ctx(), w.ann, w.home, leak.ID, desk.Page{}))(t)
	equal(t, "messages", list.Total, 2)
	equal(t, "the first", list.Items[0].Text, say.Text)
	must(w.AddNote(ctx(), w.tess, w.home, leak.ID, desk.NewMessage{Text: "Valve is in the cellar"}))(t)
	equal(t, "notes", must(w.Notes(ctx(), w.boss, w.home, leak.ID, desk.Page{}))(t).Total, 1)

	file := desk.NewMedia{ID: w.newID(), Digest: record.Hash{1}, Thumbnail: record.Hash{2}, Size: 3, ContentType: "image/jpeg", Name: "wet.jpg", TakenAt: &noon}
	for range 2 {
		must(w.AddMedia(ctx(), w.ann, w.home, leak.ID, file))(t)
	}
	equal(t, "files", must(w.MediaOf(ctx(), w.tess, w.home, leak.ID, desk.Page{}))(t).Total, 1)
	for _, digest := range []record.Hash{file.Digest, file.Thumbnail} {
		equal(t, "file by digest", must(w.MayReadBlob(ctx(), w.tess, w.home, digest))(t).ID, file.ID)
	}
	_, err = w.AddMedia(ctx(), w.ann, w.home, leak.ID, desk.NewMedia{Size: 3})
	wantCode(t, err, problem.InvalidInput)
}

func testPlaces(t *testing.T, open Opener) {
	w := populated(t, open)
	in := desk.NewUnit{ID: w.newID(), Name: "C 3"}
	must(w.CreateUnit(ctx(), w.boss, w.home, in))(t)
	unit := must(w.CreateUnit(ctx(), w.boss, w.home, in))(t)
	unit = must(w.UpdateUnit(ctx(), w.boss, w.home, unit.ID, desk.UnitChange{Seen: unit.Seen, Floor: ptr("3")}))(t)
	equal(t, "floor", unit.Floor, "3")
	names := func() (out []string) {
		for _, u := range must(w.Units(ctx(), w.tess, w.home, desk.Page{}))(t).Items {
			out = append(out, u.Name)
		}
		return out
	}
	if got := names(); !slices.Equal(got, []string{"A 1", "B 2", "C 3"}) {
		t.Fatalf("units %q", got)
	}
	must(w.UpdateUnit(ctx(), w.boss, w.home, unit.ID, desk.UnitChange{Deleted: ptr(true)}))(t)
	if got := names(); len(got) != 2 {
		t.Fatalf("units %q", got)
	}
	seen := must(w.SeeDevice(ctx(), w.home, "z2m:0x01", "", "SNZB-05"))(t)
	equal(t, "adopted", seen.Adopted, false)
	_, err := w.AdoptDevice(ctx(), w.ann, w.home, seen.ID, desk.Adoption{Name: "Mine", Unit: &w.unitA})
	wantCode(t, err, problem.NotFound)
	sensor := must(w.AdoptDevice(ctx(), w.tess, w.home, seen.ID, desk.Adoption{Name: "Kitchen", Unit: &w.unitA}))(t)
	equal(t, "unit", sensor.UnitName, "A 1")
	equal(t, "name, once a person gave it", must(w.SeeDevice(ctx(), w.home, "z2m:0x01", "0x01", "SNZB-05"))(t).Name, "Kitchen")
	must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: "plain:1", Name: "Cellar"}))(t)
	if err := w.ReportDevice(ctx(), w.home, "plain:1", desk.DeviceStatus{Availability: "online", Battery: ptr(87.5)}); err != nil {
		t.Fatal(err)
	}
	equal(t, "battery", *must(w.DeviceByHardware(ctx(), w.home, "plain:1"))(t).Battery, 87.5)
	equal(t, "adopted devices", must(w.Devices(ctx(), w.tess, w.home, desk.DeviceFilter{Adopted: ptr(true)}, desk.Page{}))(t).Total, 2)
	equal(t, "by hardware", must(w.Devices(ctx(), w.tess, w.home, desk.DeviceFilter{Hardware: "plain:1"}, desk.Page{}))(t).Total, 1)
	equal(t, "all devices", len(must(w.AllDevices(ctx(), w.home))(t)), 2)
}

// One alarm and one ticket, however often and by whomever the leak is reported.
func testAlarms(t *testing.T, open Opener) {
	w := populated(t, open)
	in := desk.AlarmInput{Hardware: "leak 1", Cause: "leak", Onset: noon, Detail: "reported by the sensor"}
	_, _, err := w.RaiseAlarm(ctx(), w.home, in)
	wantCode(t, err, problem.NotFound)
	must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: in.Hardware, Name: "Bathroom", Unit: w.unitA}))(t)
	raise := func() (desk.Alarm, desk.Ticket) {
		a, ticket, err := w.RaiseAlarm(ctx(), w.home, in)
		if err != nil {
			t.Fatal(err)
		}
		return a, ticket
	}
	a, ticket := raise()
	equal(t, "title", ticket.Title, "Water leak: Bathroom")
	equal(t, "priority", ticket.Priority, "urgent")
	equal(t, "unit", ticket.Unit, w.unitA)
	if again, _ := raise(); again.Seen != a.Seen {
		t.Fatal("raised again it changed the alarm")
	}
	joined := must(w.CreateTicket(ctx(), w.ann, w.home, desk.NewTicket{Title: "Water from the ceiling", Category: "plumbing", Unit: w.unitA}))(t)
	if !joined.Joined || joined.Ticket.ID != ticket.ID {
		t.Fatalf("the tenant's report made %+v", joined)
	}
	must(w.UpdateTicket(ctx(), w.tess, w.home, ticket.ID, desk.TicketChange{Priority: ptr("normal"), Status: ptr("in_progress")}))(t)
	equal(t, "state", must(w.AcknowledgeAlarm(ctx(), w.tess, w.home, a.ID))(t).State, "acknowledged")
	equal(t, "flapping", must(w.MarkFlapping(ctx(), w.home, in))(t).Flapping, true)
	equal(t, "open alarms", len(must(w.OpenAlarms(ctx(), w.home))(t)), 1)
	end := desk.AlarmEnd{Hardware: in.Hardware, Cause: in.Cause, Onset: in.Onset, At: noon.Add(time.Minute), Detail: "dry"}
	w.tick(2 * time.Minute)
	equal(t, "cleared at", *must(w.ClearAlarm(ctx(), w.home, end))(t).ClearedAt, end.At)
	equal(t, "state after a late repetition", must(w.ClearAlarm(ctx(), w.home, end))(t).State, "cleared")
	equal(t, "acknowledged when over", must(w.AcknowledgeAlarm(ctx(), w.tess, w.home, a.ID))(t).State, "cleared")

	in.Onset = w.now()
	_, second := raise()
	equal(t, "ticket of the second leak", second.ID, ticket.ID)
	equal(t, "priority that a person set", second.Priority, "normal")
	must(w.UpdateTicket(ctx(), w.tess, w.home, ticket.ID, desk.TicketChange{Status: ptr("resolved")}))(t)
	w.tick(time.Minute)
	in.Onset = w.now()
	_, third := raise()
	if third.ID == ticket.ID {
		t.Fatal("a new leak joined a resolved ticket")
	}
	equal(t, "alarms that ann sees", must(w.Alarms(ctx(), w.ann, w.home, desk.AlarmFilter{}, desk.Page{}))(t).Total, 3)
	equal(t, "alarms that bob sees", must(w.Alarms(ctx(), w.bob, w.home, desk.AlarmFilter{}, desk.Page{}))(t).Total, 0)
	equal(t, "active alarms", must(w.Alarms(ctx(), w.tess, w.home, desk.AlarmFilter{State: []string{"active"}}, desk.Page{}))(t).Total, 2)
	endByHand(t, w, in)
}

// endByHand: a person says that an alarm is over, and what the device repeats does not bring it
// back.
func endByHand(t *testing.T, w *world, in desk.AlarmInput) {
	id := desk.AlarmID(w.home, in.Hardware, in.Cause, in.Onset)
	_, err := w.EndAlarm(ctx(), w.bob, w.home, id)
	wantCode(t, err, problem.NotFound)
	_, err = w.EndAlarm(ctx(), w.ann, w.home, id)
	wantCode(t, err, problem.Forbidden)
	over := must(w.EndAlarm(ctx(), w.tess, w.home, id))(t)
	equal(t, "ended at", *over.ClearedAt, w.now())
	equal(t, "ended twice", must(w.EndAlarm(ctx(), w.tess, w.home, id))(t).Seen, over.Seen)
	again, _, err := w.RaiseAlarm(ctx(), w.home, in)
	equal(t, "state when it is raised again", again.State, "cleared")
	equal(t, "raised again", err, nil)
}

func testRules(t *testing.T, open Opener) {
	w := populated(t, open)
	shipped := must(w.Rules(ctx(), w.tess, w.home))(t)
	if len(shipped) != len(rules.Shipped()) || !shipped[0].Shipped || shipped[0].Changed {
		t.Fatalf("%+v", shipped)
	}
	const damp = `{"name":"Damp cellar","cause":"damp","severity":"low","category":"structure","ticket":true,"when":{"threshold":{"kind":"humidity","above":80,"for":"1h"}}}`
	made := must(w.SaveRule(ctx(), w.boss, w.home, "damp", "", []byte(damp)))(t)
	equal(t, "version", made.Version, 1)
	equal(t, "shipped", made.Shipped, false)
	leak := `{"name":"Leak","cause":"leak","severity":"normal","category":"plumbing","ticket":false,"when":{"is":{"kind":"leak","value":true}}}`
	changed := must(w.SaveRule(ctx(), w.boss, w.home, "leak", "", []byte(leak)))(t)
	equal(t, "version of a shipped rule that was changed", changed.Version, 2)
	equal(t, "changed", changed.Shipped && changed.Changed, true)
	again := must(w.SaveRule(ctx(), w.boss, w.home, "leak", changed.Seen, []byte(leak)))(t)
	equal(t, "version changed again", again.Version, 3)
	equal(t, "active", len(must(w.ActiveRules(ctx(), w.home))(t)), len(shipped)+1)
	for _, id := range []string{"leak", "damp"} {
		if err := w.ResetRule(ctx(), w.boss, w.home, id); err != nil {
			t.Fatal(err)
		}
	}
	back := must(w.Rules(ctx(), w.tess, w.home))(t)
	equal(t, "set back", len(back), len(shipped))
	third := must(w.SaveRule(ctx(), w.boss, w.home, "leak", "", []byte(leak)))(t)
	equal(t, "version after it was set back", third.Version, 4)
	wantCode(t, w.ResetRule(ctx(), w.boss, w.home, "smoke"), problem.NotFound)
	for name, text := range map[string]string{"NoJSON": "leak", "List": "[]", "NoCondition": `{"name":"x","cause":"x","severity":"low","category":"other"}`, "Unknown": `{"nam":"x"}`} {
		if _, err := w.SaveRule(ctx(), w.boss, w.home, "x", "", []byte(text)); !problem.HasCode(err, problem.InvalidInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.SaveRule(ctx(), w.tess, w.home, "leak", "", []byte(leak))
	wantCode(t, err, problem.Forbidden)
	_, err = w.Rules(ctx(), w.ann, w.home)
	wantCode(t, err, problem.Forbidden)
	_, err = w.Rules(ctx(), w.boss, w.other)
	wantCode(t, err, problem.NotFound)
	_, err = w.TryRule(ctx(), w.ann, w.home, []byte(leak), time.Time{}, time.Time{})
	wantCode(t, err, problem.Forbidden)
}

func testPeople(t *testing.T, open Opener) {
	w := populated(t, open)
	equal(t, "people", must(w.Members(ctx(), w.boss, w.home, desk.Page{}))(t).Total, 4)
	a := must(w.AccountByEmail(ctx(), w.home, "ann@example.org"))(t)
	equal(t, "account", a.Person, w.ann.Person)
	equal(t, "by id", must(w.AccountByID(ctx(), w.home, a.Person))(t), a)
	_, err := w.AccountByEmail(ctx(), w.other, "ann@example.org")
	wantCode(t, err, problem.NotFound)
	before := must(w.Position(ctx(), w.home))(t)
	w.member(w.home, w.ann, "ann", schema.Tenant, w.unitA)
	equal(t, "position after nothing changed", must(w.Position(ctx(), w.home))(t), before)
	w.member(w.home, w.ann, "ann", schema.Tenant, w.unitB)
	if v := must(w.Viewer(ctx(), w.ann, w.home))(t); !slices.Equal(v.Units, []record.ID{w.unitB}) {
		t.Fatalf("units %v", v.Units)
	}
	if err := w.ProjectMember(ctx(), w.home, desk.Member{Person: w.ann.Person, Name: "ann", Role: "tenant"}); err != nil {
		t.Fatal(err)
	}
	_, err = w.Tickets(ctx(), w.ann, w.home, desk.TicketFilter{}, desk.Page{})
	wantCode(t, err, problem.NotFound) // no longer active
	disabled := desk.Member{Person: w.tess.Person, Name: "tess", Email: "tess@example.org", Role: "technician", Active: true, Disabled: true}
	if err := w.ProjectMember(ctx(), w.home, disabled); err != nil {
		t.Fatal(err)
	}
	_, err = w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{}, desk.Page{})
	wantCode(t, err, problem.NotFound) // a token from before opens nothing, where nobody asks the accounts
	_, err = w.Viewer(ctx(), desk.Caller{Person: w.root.Person}, w.home)
	wantCode(t, err, problem.NotFound) // an admin's account without the admin's sign-in

	equal(t, "buildings of boss", len(must(w.Buildings(ctx(), w.boss))(t)), 1)
	all := must(w.Buildings(ctx(), w.root))(t)
	if len(all) != 2 || all[0].Name != "Elm House" || all[1].Code != "OAK" {
		t.Fatalf("buildings of the operator %+v", all)
	}
	public := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	n := desk.Node{ID: record.NodeID(public), Tier: record.TierPhone, PublicKey: public, Person: w.bob.Person, Name: "phone"}
	for range 2 {
		if err := w.RegisterNode(ctx(), w.home, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.RevokeNode(ctx(), w.home, n.ID); err != nil {
		t.Fatal(err)
	}
	got := must(w.NodeOf(ctx(), w.home, n.ID))(t)
	if !got.Revoked || got.Tier != n.Tier || got.Person != n.Person || !got.PublicKey.Equal(public) {
		t.Fatalf("node %+v", got)
	}
	n.Person = w.ann.Person
	wantCode(t, w.RegisterNode(ctx(), w.home, n), problem.Conflict)
	n.ID = w.newID()
	wantCode(t, w.RegisterNode(ctx(), w.home, n), problem.InvalidInput)
}

func testDeletion(t *testing.T, open Opener) {
	w := populated(t, open)
	leak := w.ticket(w.ann, desk.NewTicket{Title: "Leak", Unit: w.unitA})
	for range 2 {
		if err := w.DeleteTicket(ctx(), w.boss, w.home, leak.ID, leak.Seen); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.Ticket(ctx(), w.ann, w.home, leak.ID)
	wantCode(t, err, problem.NotFound)
	equal(t, "tickets", must(w.Tickets(ctx(), w.boss, w.home, desk.TicketFilter{}, desk.Page{}))(t).Total, 0)
	_, err = w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Title: ptr("x")})
	wantCode(t, err, problem.NotFound)
	// Who did not know of the deletion wins over it: nothing that anyone saved disappears.
	back := must(w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Seen: leak.Seen, Title: ptr("Leak, started")}))(t)
	equal(t, "title", back.Title, "Leak, started")
	equal(t, "conflicts", len(back.Conflicts), 0)
}

func testAudit(t *testing.T, open Opener) {
	w := populated(t, open)
	leak := w.ticket(w.ann, desk.NewTicket{Title: "Leak", Unit: w.unitA})
	w.tick(time.Hour)
	must(w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Priority: ptr("high"), At: ptr(noon.Add(time.Minute))}))(t)
	list := must(w.Audit(ctx(), w.boss, w.home, desk.AuditFilter{Kind: "ticket", ID: leak.ID}, desk.Page{}))(t)
	equal(t, "events of the ticket", list.Total, 2)
	e := list.Items[0]
	equal(t, "actor", e.Actor.Name, "tess")
	equal(t, "where", e.Where, "cloud")
	equal(t, "event time", e.EventTime, noon.Add(time.Minute))
	i := slices.IndexFunc(e.Changes, func(c desk.AuditChange) bool { return c.Field == "priority" })
	if i < 0 || len(e.Changes[i].Old) != 0 || e.Changes[i].New[0] != "high" {
		t.Fatalf("changes %+v", e.Changes)
	}
	equal(t, "events of ann", must(w.Audit(ctx(), w.boss, w.home, desk.AuditFilter{Person: w.ann.Person}, desk.Page{}))(t).Items[0].Action, "ticket.create")
	secrets := 0
	seen := 0
	p := desk.Page{PerPage: 2}
	for {
		page := must(w.Audit(ctx(), w.boss, w.home, desk.AuditFilter{}, p))(t)
		for _, e := range page.Items {
			seen++
			for _, c := range e.Changes {
				if c.Kind == "credential" {
					secrets++
					if !c.Withheld || len(c.Old)+len(c.New) > 0 {
						t.Fatalf("a secret in the audit: %+v", c)
					}
				}
			}
		}
		if p.Cursor = page.Next; p.Cursor == "" {
			equal(t, "events by cursor", seen, page.Total)
			break
		}
	}
	if secrets == 0 {
		t.Fatal("no write of a secret was audited")
	}
	_, err := w.Audit(ctx(), w.boss, w.home, desk.AuditFilter{Kind: "ticket"}, desk.Page{})
	wantCode(t, err, problem.InvalidInput)
	_, err = w.Audit(ctx(), w.stranger, w.home, desk.AuditFilter{}, desk.Page{})
	wantCode(t, err, problem.NotFound)
}

func testChanges(t *testing.T, open Opener) {
	w := populated(t, open)
	start := must(w.Position(ctx(), w.home))(t)
	leak := w.ticket(w.ann, desk.NewTicket{Title: "Leak", Unit: w.unitA})
	must(w.AddMessage(ctx(), w.ann, w.home, leak.ID, desk.NewMessage{Text: "Wet"}))(t)
	must(w.AddNote(ctx(), w.tess, w.home, leak.ID, desk.NewMessage{Text: "Secret"}))(t)
	w.member(w.home, w.tess, "tess the second", schema.Technician)
	kinds := func(c desk.Caller) (out []string) {
		got := must(w.Changes(ctx(), c, w.home, start))(t)
		equal(t, "position", got.Position, must(w.Position(ctx(), w.home))(t))
		for _, it := range got.Items {
			out = append(out, it.Kind)
		}
		return out
	}
	for _, c := range []struct {
		who  string
		as   desk.Caller
		want []string
	}{{"ann", w.ann, []string{"ticket", "message"}}, {"bob", w.bob, nil}, {"tess", w.tess, []string{"ticket", "message", "note", "membership"}}} {
		if got := kinds(c.as); !slices.Equal(got, c.want) {
			t.Fatalf("%s sees changes of %q, want %q", c.who, got, c.want)
		}
	}
	_, err := w.Changes(ctx(), w.stranger, w.home, 0)
	wantCode(t, err, problem.NotFound)
}

// Two people, apart, set one field: both values stand with their authors until somebody
// who saw both decides.
func testConflict(t *testing.T, open Opener) {
	cloud := populated(t, open)
	edge := bare(t, open, "edge", record.TierEdge)
	edge.home = cloud.home
	leak := cloud.ticket(cloud.ann, desk.NewTicket{Title: "Leak", Unit: cloud.unitA, Category: "plumbing"})
	exchange(t, cloud, edge)
	edge.tick(time.Minute)
	must(edge.UpdateTicket(ctx(), edge.tess, edge.home, leak.ID, desk.TicketChange{Seen: leak.Seen, Priority: ptr("urgent"), Status: ptr("in_progress")}))(t)
	cloud.tick(2 * time.Minute)
	must(cloud.UpdateTicket(ctx(), cloud.boss, cloud.home, leak.ID, desk.TicketChange{Seen: leak.Seen, Priority: ptr("low")}))(t)
	equal(t, "conflicts before", must(cloud.Conflicts(ctx(), cloud.boss, cloud.home, desk.Page{}))(t).Total, 0)
	exchange(t, edge, cloud)
	exchange(t, cloud, edge)
	for name, w := range map[string]*world{"edge": edge, "cloud": cloud} {
		list := must(w.Conflicts(ctx(), w.boss, w.home, desk.Page{}))(t)
		equal(t, "conflicts at the "+name, list.Total, 1)
		c := list.Items[0]
		equal(t, "field", c.Field, "priority")
		equal(t, "shown", c.Shown, any("low"))
		equal(t, "siblings", len(c.Siblings), 2)
		equal(t, "latest author", c.Siblings[0].Author.Name, "boss")
		equal(t, "where", c.Siblings[1].Where, "edge")
		equal(t, "event time", *c.Siblings[1].EventTime, noon.Add(time.Minute))
		equal(t, "seen by the tenant", must(w.Conflicts(ctx(), w.ann, w.home, desk.Page{}))(t).Total, 1)
		equal(t, "seen by another tenant", must(w.Conflicts(ctx(), w.bob, w.home, desk.Page{}))(t).Total, 0)
		ticket := must(w.Ticket(ctx(), w.tess, w.home, leak.ID))(t)
		equal(t, "status", ticket.Status, "in_progress")
		if !slices.Equal(ticket.Conflicts, []string{"priority"}) {
			t.Fatalf("conflicts of the ticket %q", ticket.Conflicts)
		}
	}
	blind := desk.Resolution{Kind: "ticket", ID: leak.ID, Field: "priority", Value: []byte(`"urgent"`), Seen: leak.Seen}
	if err := edge.ResolveConflict(ctx(), edge.tess, edge.home, blind); err != nil {
		t.Fatal(err)
	}
	equal(t, "conflicts after a decision that saw neither value", must(edge.Conflicts(ctx(), edge.boss, edge.home, desk.Page{}))(t).Total, 1)
	c := must(edge.ConflictsOf(ctx(), edge.tess, edge.home, "ticket", leak.ID))(t)[0]
	resolve := desk.Resolution{Kind: c.Kind, ID: c.ID, Field: c.Field, Value: []byte(`"urgent"`), Seen: c.Seen}
	wantCode(t, edge.ResolveConflict(ctx(), edge.ann, edge.home, resolve), problem.Forbidden)
	for range 2 {
		if err := edge.ResolveConflict(ctx(), edge.tess, edge.home, resolve); err != nil {
			t.Fatal(err)
		}
	}
	resolve.Value = []byte(`"low"`)
	wantCode(t, edge.ResolveConflict(ctx(), edge.tess, edge.home, resolve), problem.Conflict)
	exchange(t, edge, cloud)
	equal(t, "conflicts after", must(cloud.Conflicts(ctx(), cloud.boss, cloud.home, desk.Page{}))(t).Total, 0)
	equal(t, "priority", must(cloud.Ticket(ctx(), cloud.boss, cloud.home, leak.ID))(t).Priority, "urgent")
	_, err := edge.CreateBuilding(ctx(), edge.root, desk.NewBuilding{Name: "x", Code: "XX"})
	wantCode(t, err, problem.Forbidden)
	_, err = edge.Viewer(ctx(), edge.root, edge.home)
	wantCode(t, err, problem.NotFound) // the operator's admin counts at the cloud only
}

func testSyncState(t *testing.T, open Opener) {
	cloud := populated(t, open)
	edge := bare(t, open, "edge", record.TierEdge)
	edge.home = cloud.home
	exchange(t, cloud, edge)
	equal(t, "outbox of the cloud", must(cloud.SyncState(ctx(), cloud.tess, cloud.home))(t).Outbox, 0)
	edge.tick(time.Minute)
	edge.ticket(edge.tess, desk.NewTicket{Title: "Lamp"})
	s := must(edge.SyncState(ctx(), edge.tess, edge.home))(t)
	equal(t, "outbox", s.Outbox, 2) // the card and the ticket
	equal(t, "since", *s.OutboxSince, noon.Add(time.Minute))
	equal(t, "chains", len(s.Chains), 2)
	exchange(t, edge, cloud)
	equal(t, "outbox after the exchange", must(edge.SyncState(ctx(), edge.tess, edge.home))(t).Outbox, 0)
}
