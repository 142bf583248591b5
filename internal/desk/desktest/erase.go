package desktest

import (
	"slices"
	"strconv"
	"testing"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
)

// An admin erases what the audit keeps of a ticket: the values go here and at the edge, the
// ticket stays as it is, and the audit says who erased what.
func testErasure(t *testing.T, open Opener) {
	w := populated(t, open)
	edge := bare(t, open, "edge", record.TierEdge)
	edge.home, edge.other = w.home, w.other
	leak := w.ticket(w.ann, desk.NewTicket{Title: "Leak at Mrs Miller's", Unit: w.unitA})
	must(w.UpdateTicket(ctx(), w.tess, w.home, leak.ID, desk.TicketChange{Title: ptr("Leak")}))(t)
	lamp := w.ticket(w.bob, desk.NewTicket{Title: "Lamp", Unit: w.unitB})
	exchange(t, w, edge)

	of := func(n *world, ticket record.ID) []desk.AuditEvent {
		t.Helper()
		return must(n.Audit(ctx(), w.boss, w.home, desk.AuditFilter{Kind: "ticket", ID: ticket}, desk.Page{}))(t).Items
	}
	request := desk.NewErasure{Kind: "ticket", ID: leak.ID, Reason: "request"}
	out := must(w.EraseAudit(ctx(), w.root, w.home, request))(t)
	equal(t, "transactions", out.Erased, 2)
	equal(t, "events", len(out.Events), 1)
	equal(t, "next", out.Next, "")
	exchange(t, w, edge)
	for _, n := range []*world{w, edge} {
		for _, e := range of(n, leak.ID) {
			if e.Erased == nil || e.Erased.EventRef != out.Events[0] || e.Erased.Reason != "request" || e.Erased.At.IsZero() {
				t.Fatalf("erased: %+v", e.Erased)
			}
			if slices.ContainsFunc(e.Changes, func(c desk.AuditChange) bool { return !c.Withheld || len(c.Old)+len(c.New) > 0 }) {
				t.Fatalf("values of an erased transaction: %+v", e.Changes)
			}
		}
		equal(t, "another ticket's audit", of(n, lamp.ID)[0].Erased == nil && of(n, lamp.ID)[0].Changes[0].Withheld, false)
		equal(t, "the ticket", must(n.Ticket(ctx(), w.boss, w.home, leak.ID))(t).Title, "Leak")
		last := must(n.Audit(ctx(), w.boss, w.home, desk.AuditFilter{Person: w.root.Person}, desk.Page{}))(t).Items[0]
		equal(t, "the erasure in the audit", last.Action, "erase.request")
		equal(t, "how many", last.Erases, 2)
	}
	again := must(w.EraseAudit(ctx(), w.root, w.home, request))(t)
	equal(t, "again", again.Erased+len(again.Events), 0)

	created := of(w, lamp.ID)[0]
	one := desk.NewErasure{Events: []record.Dot{{Replica: created.Replica, N: created.N}}, Reason: "mistake"}
	equal(t, "one by one", must(w.EraseAudit(ctx(), w.root, w.home, one))(t).Erased, 1)
	equal(t, "and again", must(w.EraseAudit(ctx(), w.root, w.home, one))(t).Erased, 0)

	_, err := edge.EraseAudit(ctx(), w.boss, w.home, request)
	wantCode(t, err, problem.CloudOnly)
	for _, c := range []desk.Caller{w.boss, w.tess, w.ann} {
		_, err := w.EraseAudit(ctx(), c, w.home, request)
		wantCode(t, err, problem.Forbidden)
	}
	_, err = w.EraseAudit(ctx(), w.stranger, w.home, request)
	wantCode(t, err, problem.NotFound)
	refuseErasures(t, w, created)
}

// refuseErasures sends requests that are none.
func refuseErasures(t *testing.T, w *world, held desk.AuditEvent) {
	dot := record.Dot{Replica: held.Replica, N: held.N}
	for name, in := range map[string]desk.NewErasure{
		"no reason":      {Kind: "ticket", ID: w.home},
		"another reason": {Kind: "ticket", ID: w.home, Reason: "because Mrs Miller asked"},
		"nothing":        {Reason: "request"},
		"both":           {Kind: "ticket", ID: w.home, Events: []record.Dot{dot}, Reason: "request"},
		"no kind":        {ID: w.home, Reason: "request"},
		"no id":          {Kind: "ticket", Reason: "request"},
		"too many":       {Events: make([]record.Dot, 501), Reason: "request"},
		"no number":      {Events: []record.Dot{{Replica: dot.Replica}}, Reason: "request"},
		"a bad cursor":   {Kind: "ticket", ID: w.home, Reason: "request", Cursor: "x"},
		"cursor, events": {Events: []record.Dot{dot}, Reason: "request", Cursor: "7"},
	} {
		if _, err := w.EraseAudit(ctx(), w.root, w.home, in); !problem.HasCode(err, problem.InvalidInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.EraseAudit(ctx(), w.root, w.home, desk.NewErasure{Events: []record.Dot{{Replica: dot.Replica, N: 1 << 40}}, Reason: "request"})
	wantCode(t, err, problem.NotFound)
}

// More transactions than one event erases are erased by several.
func testErasureOfMuch(t *testing.T, open Opener) {
	w := populated(t, open)
	leak := w.ticket(w.ann, desk.NewTicket{Title: "0", Unit: w.unitA})
	key := record.Key{Building: w.home, Kind: "ticket", ID: leak.ID}
	// Each new element of a set is a transaction of its own.
	const perWrite, many = 100, record.ErasuresMax + 52
	var tags []record.Value
	for from := 0; from < many; from += perWrite {
		change := replica.FieldWrite{Field: "tags", Remove: tags}
		for i := range perWrite {
			change.Add = append(change.Add, record.Text(strconv.Itoa(from+i)))
		}
		tags = change.Add
		must(w.node.Write(ctx(), w.home, []record.Key{key}, func(replica.Current) (replica.Intent, error) {
			return replica.Intent{Actor: record.Actor{Class: record.Automation, Name: "test"}, Action: "edit",
				Writes: []replica.RecordWrite{{Key: key, Fields: []replica.FieldWrite{change}}}}, nil
		}))(t)
	}
	out := must(w.EraseAudit(ctx(), w.root, w.home, desk.NewErasure{Kind: "ticket", ID: leak.ID, Reason: "retention"}))(t)
	equal(t, "transactions", out.Erased, many+1)
	equal(t, "events", len(out.Events), 2)
	equal(t, "left", must(w.EraseAudit(ctx(), w.root, w.home, desk.NewErasure{Kind: "ticket", ID: leak.ID, Reason: "retention"}))(t).Erased, 0)
}
