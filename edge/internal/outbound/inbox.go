package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

// The kinds of messages in an inbox.
const (
	// InboxAssignment is a ticket that is assigned to the person, as it is now.
	InboxAssignment = "assignment"
	// InboxAlarm is an alarm that began, was acknowledged or ended.
	InboxAlarm = "alarm"
	// InboxSync says that there is more to fetch, up to a position.
	InboxSync = "sync"
)

// Inbox is one message in a person's inbox. It may come again: Position and ID tell it from
// others.
type Inbox struct {
	What     string    `json:"what"`
	Position uint64    `json:"position"`
	ID       record.ID `json:"id,omitempty,omitzero"`
	// Ticket and Alarm are as their lists show them to the person.
	Ticket *desk.Ticket `json:"ticket,omitempty"`
	Alarm  *desk.Alarm  `json:"alarm,omitempty"`
}

// summaryMax bounds the tickets of a summary: more than one person has open.
const summaryMax = 200

// SummaryDesk is what Summary needs of desk.Desk.
type SummaryDesk interface {
	Tickets(ctx context.Context, c desk.Caller, building record.ID, f desk.TicketFilter, p desk.Page) (desk.List[desk.Ticket], error)
	OpenAlarms(ctx context.Context, building record.ID) ([]desk.Alarm, error)
	Position(ctx context.Context, building record.ID) (uint64, error)
}

// Summary is what an inbox begins with: what is assigned to the person and open, the alarms that
// last, and up to where they are told by that.
func Summary(ctx context.Context, d SummaryDesk, building record.ID, code string, person record.ID) (list []Message, position uint64, err error) {
	if position, err = d.Position(ctx, building); err != nil { // first: what changes meanwhile is told again
		return nil, 0, err
	}
	tickets, err := d.Tickets(ctx, desk.Caller{Person: person}, building, desk.TicketFilter{Open: true, Assignee: person}, desk.Page{PerPage: summaryMax})
	if err != nil {
		return nil, 0, err
	}
	alarms, err := d.OpenAlarms(ctx, building)
	if err != nil {
		return nil, 0, err
	}
	var inbox []Inbox
	for _, ticket := range tickets.Items {
		inbox = append(inbox, Inbox{What: InboxAssignment, Position: position, ID: ticket.ID, Ticket: &ticket})
	}
	for _, alarm := range alarms {
		inbox = append(inbox, Inbox{What: InboxAlarm, Position: position, ID: alarm.ID, Alarm: &alarm})
	}
	for _, m := range inbox {
		text, err := json.Marshal(m)
		if err != nil {
			return nil, 0, fmt.Errorf("write to an inbox: %w", err)
		}
		list = append(list, Message{Topic: "estate/v1/" + code + "/" + inboxOf(person), Payload: text, QoS: 1})
	}
	return list, position, nil
}

// inboxOf is a person's inbox below the building.
func inboxOf(person record.ID) string { return "tech/" + person.String() + "/inbox" }

// tellPeople brings each inbox up to date.
func (o *Outbound) tellPeople(ctx context.Context) error {
	people, err := o.cfg.Local.Inboxes(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for person, after := range people {
		errs = append(errs, o.tellPerson(ctx, person, after))
	}
	return errors.Join(errs...)
}

// tellPerson tells what changed since, as far as the person may see it.
func (o *Outbound) tellPerson(ctx context.Context, person record.ID, after uint64) error {
	for ctx.Err() == nil {
		changes, err := o.cfg.Desk.Changes(ctx, desk.Caller{Person: person}, o.cfg.Building, after)
		if problem.HasCode(err, problem.NotFound) || problem.HasCode(err, problem.Forbidden) {
			o.cfg.Lost(person)
			return nil
		}
		if err != nil {
			return err
		}
		if changes.Position == after {
			return nil
		}
		for _, m := range messagesOf(person, changes) {
			text, err := json.Marshal(m)
			if err != nil {
				return fmt.Errorf("write to an inbox: %w", err)
			}
			if err := o.publish(ctx, Message{Topic: o.topic(inboxOf(person)), Payload: text, QoS: 1}); err != nil {
				return err
			}
		}
		after = changes.Position
		if err := o.cfg.Local.Told(ctx, person, after); err != nil || !changes.More {
			return err
		}
	}
	return ctx.Err()
}

// messagesOf are the messages about changes: each assignment and alarm, and one about the rest.
func messagesOf(person record.ID, changes desk.Changes) []Inbox {
	var out []Inbox
	rest := false
	for _, c := range changes.Items {
		switch item := c.Item.(type) {
		case desk.Ticket:
			if item.Assignee != nil && item.Assignee.ID == person {
				out = append(out, Inbox{What: InboxAssignment, Position: c.Position, ID: c.ID, Ticket: &item})
				continue
			}
		case desk.Alarm:
			out = append(out, Inbox{What: InboxAlarm, Position: c.Position, ID: c.ID, Alarm: &item})
			continue
		}
		rest = true
	}
	if rest {
		out = append(out, Inbox{What: InboxSync, Position: changes.Position})
	}
	return out
}
