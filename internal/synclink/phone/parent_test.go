package phone_test

import (
	"testing"

	"estate/internal/synclink/phone"
	"estate/sync/record"
	"estate/sync/replica"
)

// SPEC R7: with the rights of the real table, a tenant's message on a ticket that went by the
// cloud is not lost at an edge that lacks the ticket: it is decided there when the ticket has
// come, by an exchange that sends nothing new, or at the cloud.
func TestMessageBeforeItsTicket(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"edge", "cloud"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			d := w.install("tenant's phone", "tom", tom)
			d.report(leak, "leak")
			d.exchange(w.cloud)
			said := record.DerivedID("message", "1")
			if _, err := d.app.Write("message.create", phone.Change{Kind: "message", ID: said, Fields: []replica.FieldWrite{
				{Field: "ticket", Value: record.IDValue(leak)}, {Field: "person", Value: record.IDValue(tom)}, text("text", "it drips")}}); err != nil {
				t.Fatal(err)
			}
			d.exchange(w.edge)
			if r := d.refusals(); len(r) != 0 {
				t.Fatalf("refused at an edge without the ticket: %+v", r)
			}
			at := w.cloud
			if way == "edge" {
				at = w.edge
				w.reconcile()
			}
			d.exchange(at)
			have, err := at.node.Store.Load(t.Context(), building, replica.Need{Keys: []record.Key{{Building: building, Kind: "message", ID: said}}})
			if err != nil {
				t.Fatal(err)
			}
			if len(have.Records) != 1 || len(d.refusals()) != 0 {
				t.Fatalf("%d messages at the %s, refused %+v", len(have.Records), way, d.refusals())
			}
			w.reconcile()
			d.exchange(w.cloud)
			if kept, unsettled := d.kept(); kept+unsettled != 0 {
				t.Fatalf("keeps %d, %d unsettled", kept, unsettled)
			}
		})
	}
}
