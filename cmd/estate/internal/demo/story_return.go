package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/sync/errgroup"

	"estate/internal/apiclient"
	"estate/internal/audit"
	"estate/internal/desk"
)

const (
	technicianPriority = "high"
	managerPriority    = "normal"
	managerNote        = "The riser was replaced last year; ask the contractor for the warranty."
)

// glimpse lets the ticket cross and cuts the line again.
func (t *tale) glimpse(ctx context.Context) error {
	t.edge.Line.Restore()
	if err := t.same(ctx, "the ticket to cross"); err != nil {
		return err
	}
	ticket, _, err := t.atCloud[manager].Ticket(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	t.holds("%s is at the cloud: %s, %s", ticket.Code, ticket.Status, ticket.Priority)
	t.edge.Line.Cut()
	return nil
}

// same waits until both sides answer with the same bytes, but for the position in each
// store's own feed.
func (t *tale) same(ctx context.Context, what string) error {
	return until(ctx, what, func() error {
		edge, err := view(ctx, t.atEdge[technician], t)
		if err != nil {
			return err
		}
		cloud, err := view(ctx, t.atCloud[manager], t)
		if err != nil {
			return err
		}
		if !bytes.Equal(edge, cloud) {
			return fmt.Errorf("they differ:\nedge  %s\ncloud %s", edge, cloud)
		}
		return nil
	})
}

// view is a ticket with its messages and notes as one server answers.
func view(ctx context.Context, client *apiclient.Client, t *tale) ([]byte, error) {
	_, text, err := client.Ticket(ctx, t.id, t.ticket)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	delete(fields, "position")
	delete(fields, "$schema")
	if fields["messages"], err = listed(client.Messages(ctx, t.id, t.ticket)); err != nil {
		return nil, err
	}
	if fields["notes"], err = listed(client.Notes(ctx, t.id, t.ticket)); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

func listed(items []desk.Message, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(items)
}

// diverge lets two people change the same field with no link between them.
func (t *tale) diverge(ctx context.Context) error {
	status, high, normal := "in_progress", technicianPriority, managerPriority
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		client := t.atEdge[technician]
		ticket, _, err := client.Ticket(both, t.id, t.ticket)
		if err == nil {
			_, err = client.UpdateTicket(both, t.id, t.ticket, apiclient.TicketChange{Seen: ticket.Seen, Status: &status, Priority: &high})
		}
		return err
	})
	group.Go(func() error {
		client := t.atCloud[manager]
		ticket, _, err := client.Ticket(both, t.id, t.ticket)
		if err == nil {
			_, err = client.UpdateTicket(both, t.id, t.ticket, apiclient.TicketChange{Seen: ticket.Seen, Priority: &normal})
		}
		if err == nil {
			_, err = client.AddNote(both, t.id, t.ticket, managerNote)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	edge, _, err := t.atEdge[technician].Ticket(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	cloud, _, err := t.atCloud[manager].Ticket(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	if edge.Priority != high || edge.Status != status || cloud.Priority != normal || cloud.Status == status {
		return fmt.Errorf("edge shows %s and %s, cloud %s and %s", edge.Status, edge.Priority, cloud.Status, cloud.Priority)
	}
	t.holds("edge: the technician started it, priority %s", edge.Priority)
	t.holds("cloud: status still %s, the manager's priority %s and a note", cloud.Status, cloud.Priority)
	return nil
}

// converge gives the link back and compares.
func (t *tale) converge(ctx context.Context) error {
	t.edge.Line.Restore()
	if err := t.same(ctx, "both sides to hold the same ticket"); err != nil {
		return err
	}
	if err := t.synced(ctx); err != nil {
		return err
	}
	ticket, _, err := t.atCloud[manager].Ticket(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	edge, _, err := t.atEdge[technician].Ticket(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	notes, err := t.atEdge[technician].Notes(ctx, t.id, t.ticket)
	if err != nil {
		return err
	}
	if ticket.Status != "in_progress" || ticket.Seen != edge.Seen || len(notes) != 1 || notes[0].Text != managerNote {
		return fmt.Errorf("status %s, tokens equal: %t, notes %+v", ticket.Status, ticket.Seen == edge.Seen, notes)
	}
	t.holds("the same answer and the same token on both sides, byte for byte (%.16s…)", ticket.Seen)
	t.holds("status %s from the edge and the note from the cloud, merged", ticket.Status)
	return nil
}

// conflict looks at the standing conflict on both sides.
func (t *tale) conflict(ctx context.Context) error {
	for where, client := range map[string]*apiclient.Client{"edge": t.atEdge[manager], "cloud": t.atCloud[manager]} {
		conflicts, err := client.Conflicts(ctx, t.id)
		if err != nil {
			return err
		}
		if len(conflicts) != 1 || conflicts[0].Field != "priority" || conflicts[0].ID != t.ticket {
			return fmt.Errorf("%s: one conflict over the priority was expected: %+v", where, conflicts)
		}
		var values []string
		for _, s := range conflicts[0].Siblings {
			author := "?"
			if s.Author != nil {
				author = s.Author.Name
			}
			values = append(values, fmt.Sprintf("%v by %s at the %s", s.Value, author, s.Where))
		}
		slices.Sort(values)
		if len(values) != 2 {
			return fmt.Errorf("%s: two values were expected: %v", where, values)
		}
		t.holds("%s: %s, and %s", where, values[0], values[1])
	}
	return nil
}

// whole fetches the photo from the cloud.
func (t *tale) whole(ctx context.Context) error {
	var got []byte
	err := until(ctx, "the photo to arrive", func() (err error) {
		got, err = t.atCloud[manager].Download(ctx, t.id, t.photoID)
		return err
	})
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != t.digest {
		return fmt.Errorf("the photo at the cloud hashes to %x, not to its name %s", sum, t.digest)
	}
	t.holds("%d bytes downloaded from the cloud; SHA-256 is %s", len(got), t.digest)
	return nil
}

// resolve settles the conflict at the cloud with one call.
func (t *tale) resolve(ctx context.Context) error {
	conflicts, err := t.atCloud[manager].Conflicts(ctx, t.id)
	if err != nil || len(conflicts) != 1 {
		return fmt.Errorf("one conflict was expected, there are %d: %w", len(conflicts), errors.Join(err))
	}
	if err := t.atCloud[manager].Resolve(ctx, t.id, conflicts[0], technicianPriority); err != nil {
		return err
	}
	err = until(ctx, "the conflict to be gone on both sides", func() error {
		for where, client := range map[string]*apiclient.Client{"edge": t.atEdge[manager], "cloud": t.atCloud[manager]} {
			left, err := client.Conflicts(ctx, t.id)
			if err != nil {
				return err
			}
			ticket, _, err := client.Ticket(ctx, t.id, t.ticket)
			if err != nil {
				return err
			}
			if len(left) != 0 || len(ticket.Conflicts) != 0 || ticket.Priority != technicianPriority {
				return fmt.Errorf("%s: %d conflicts, priority %s", where, len(left), ticket.Priority)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.same(ctx, "both sides to hold the same ticket"); err != nil {
		return err
	}
	t.holds("one call at the cloud; priority %s and no conflict on both sides", technicianPriority)
	return nil
}

// audit verifies the cloud's export offline and follows the ticket through the chains.
func (t *tale) audit(ctx context.Context) error {
	if err := t.synced(ctx); err != nil {
		return err
	}
	var export bytes.Buffer
	if err := t.atCloud[manager].ExportAudit(ctx, t.id, &export); err != nil {
		return err
	}
	var peer bytes.Buffer
	if err := t.atEdge[manager].ExportAudit(ctx, t.id, &peer); err != nil {
		return err
	}
	heads, err := audit.ReadClaims(&peer)
	if err != nil {
		return fmt.Errorf("read the edge's heads: %w", err)
	}
	report, err := audit.Verify(bytes.NewReader(export.Bytes()), heads)
	if err != nil {
		return fmt.Errorf("verify the export: %w", err)
	}
	t.holds("export of the cloud verified offline: %d events in %d chains, %d signed heads, %d heads that the edge swears to", report.Events, report.Chains, report.Heads, report.Claims)
	events, err := t.atCloud[manager].Audit(ctx, t.id, url.Values{"kind": {"ticket"}, "id": {t.ticket.String()}})
	if err != nil {
		return err
	}
	slices.Reverse(events)
	var path []string
	for _, e := range events {
		who := e.Automation
		if e.Actor != nil {
			who = e.Actor.Name
		}
		path = append(path, fmt.Sprintf("%s by %s (%s)", e.Action, who, e.Where))
	}
	for _, wanted := range []string{"alarm.raise", "ticket.join", "ticket.update", "conflict.resolve"} {
		if !slices.ContainsFunc(events, func(e desk.AuditEvent) bool { return e.Action == wanted }) {
			return fmt.Errorf("no event %s in the ticket's history: %v", wanted, path)
		}
	}
	for _, line := range path {
		t.holds("%s", line)
	}
	alarms, err := t.atCloud[manager].Alarms(ctx, t.id)
	if err != nil {
		return err
	}
	if len(alarms) != 1 {
		return fmt.Errorf("%d alarms in the end, one was expected", len(alarms))
	}
	state, err := t.atCloud[manager].SyncState(ctx, t.id)
	if err != nil {
		return err
	}
	if len(state.Quarantine) != 0 {
		return fmt.Errorf("records are held back: %+v", state.Quarantine)
	}
	t.holds("still one alarm and one ticket, and nothing is held back in quarantine")
	return nil
}

// dashboard checks what the manager's WebSocket at the cloud was sent.
func (t *tale) dashboard(ctx context.Context) error {
	wanted := map[string]func(apiclient.Event) bool{
		"the alarm":    func(e apiclient.Event) bool { return e.Kind == "alarm" },
		"the ticket":   func(e apiclient.Event) bool { return e.Kind == "ticket" && e.ID == t.ticket },
		"the report":   func(e apiclient.Event) bool { return e.Kind == "message" && e.Ticket == t.ticket },
		"the photo":    func(e apiclient.Event) bool { return e.Kind == "media" && e.Ticket == t.ticket },
		"the note":     func(e apiclient.Event) bool { return e.Kind == "note" && e.Ticket == t.ticket },
		"the conflict": func(e apiclient.Event) bool { return conflicting(e, "priority") },
		"and its resolution": func(e apiclient.Event) bool {
			return e.Kind == "ticket" && bytes.Contains(e.Record, []byte(`"priority":"`+technicianPriority+`"`)) && !conflicting(e, "priority")
		},
	}
	return until(ctx, "the dashboard to be told", func() error {
		for what, match := range wanted {
			if !t.seen.saw(match) {
				return fmt.Errorf("the WebSocket was not told of %s", what)
			}
		}
		t.holds("its WebSocket was sent the alarm, the ticket, the report, the photo, the note, the conflict and its resolution, unasked")
		return nil
	})
}

// conflicting reports whether an event shows a ticket with a conflict over a field.
func conflicting(e apiclient.Event, field string) bool {
	var ticket desk.Ticket
	return e.Kind == "ticket" && json.Unmarshal(e.Record, &ticket) == nil && slices.Contains(ticket.Conflicts, field)
}
