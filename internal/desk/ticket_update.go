package desk

import (
	"context"
	"slices"
	"time"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/hlc"
	"estate/sync/record"
)

// The life-cycle of a ticket:
//
//	new ──▶ triaged ──▶ assigned ──▶ in_progress ◀──▶ waiting
//	 │          │           │            │  ▲            │
//	 └──────────┴───────────┴────────────┴──┼────────────┴──▶ resolved ──▶ closed
//	 │                                      │ reopen            │           │
//	 └──▶ cancelled (any open state)        └───────────────────┴───────────┘
//
// An open ticket may skip forward and fall back, for work does not always wait for the
// desk; what has ended only moves by reopening or closing. Roles are narrowed further by
// the table of kinds.
func followers(status string) []string {
	switch status {
	case "resolved":
		return []string{"closed", "new", "triaged", "assigned", "in_progress", "waiting"}
	case "closed", "cancelled":
		return []string{"new", "triaged", "assigned", "in_progress"}
	}
	return []string{"new", "triaged", "assigned", "in_progress", "waiting", "resolved", "cancelled"}
}

// UpdateTicket changes a ticket. Only what the author was shown is replaced: what somebody
// else wrote meanwhile stands beside it, as a conflict that everyone sees.
func (d *Desk) UpdateTicket(ctx context.Context, c Caller, building, id record.ID, in TicketChange) (Ticket, error) {
	shown, err := d.shown(ctx, building, in.Seen)
	if err != nil {
		return Ticket{}, err
	}
	if len(in.AddTags) > tagsMax || len(in.RemoveTags) > tagsMax {
		return Ticket{}, invalid("tags", "at most %d", tagsMax)
	}
	k := key(building, "ticket", id)
	reads := []record.Key{k}
	if in.Unit != nil {
		reads = append(reads, key(building, "unit", *in.Unit))
	}
	if in.Asset != nil {
		reads = append(reads, key(building, "asset", *in.Asset))
	}
	if in.Assignee != nil {
		reads = append(reads, memberKey(building, *in.Assignee))
	}
	done, err := d.decide(ctx, c, building, "ticket.update", in.At, reads, func(x *draft) error {
		x.seen[k] = shown
		return x.updateTicket(k, in)
	})
	if err != nil {
		return Ticket{}, err
	}
	return d.writtenTicket(ctx, done, k)
}

func (x *draft) updateTicket(k record.Key, in TicketChange) error {
	if err := x.editable(k); err != nil {
		return err
	}
	if err := x.checkRefs(named{unit: or(in.Unit), asset: or(in.Asset), assignee: or(in.Assignee)}); err != nil {
		return err
	}
	if in.Title != nil && *in.Title == "" {
		return invalid("title", "must not be empty")
	}
	if err := x.changeAll(k, nil, text{"title", in.Title}, text{"description", in.Description}, text{"priority", in.Priority},
		text{"category", in.Category}, text{"resolution", in.Resolution}); err != nil {
		return err
	}
	if err := x.changeRefs(k, ref{"unit", in.Unit}, ref{"asset", in.Asset}, ref{"assignee", in.Assignee}); err != nil {
		return err
	}
	if err := x.members(k, "tags", texts(in.AddTags), texts(in.RemoveTags)); err != nil {
		return err
	}
	return x.moveTicket(k, in)
}

// editable returns nil where the caller may see a record, or saw it before somebody
// deleted it: an edit made without knowledge of a deletion wins over it.
func (x *draft) editable(k record.Key) error {
	it := x.item(k)
	if !hasContent(it) || !x.desk.table.MayRead(x.viewer, k, it.record, record.Record{}) {
		return notFound(k.Kind)
	}
	if !x.desk.fields(it).bool("deleted") {
		return nil
	}
	if slices.ContainsFunc(it.record.Siblings("deleted"), func(s record.Sibling) bool { return x.covers(k, "deleted", s.Dot) }) {
		return notFound(k.Kind)
	}
	return nil
}

// moveTicket writes the status and the times that go with it.
func (x *draft) moveTicket(k record.Key, in TicketChange) error {
	f := x.fields(k)
	started, resolved := in.StartedAt, in.ResolvedAt
	status := in.Status
	if status == nil && in.Assignee != nil && !in.Assignee.IsZero() && slices.Contains([]string{"new", "triaged"}, f.text("status")) {
		assigned := "assigned"
		status = &assigned
	}
	if status != nil {
		if err := x.mayMove(k, *status); err != nil {
			return err
		}
		if err := x.set(k, "status", record.Text(*status)); err != nil {
			return err
		}
		now := x.eventTime()
		known := f.time("started_at")
		if *status == "in_progress" && started == nil && isStaff(x.viewer.Role) && (known == nil || now.Before(*known)) {
			started = &now
		}
		if *status == "resolved" && resolved == nil && isStaff(x.viewer.Role) && f.text("status") != "resolved" {
			resolved = &now
		}
	}
	for field, at := range map[string]*time.Time{"started_at": started, "resolved_at": resolved} {
		if at != nil && (at.UnixMilli() <= 0 || at.UnixMilli() > x.current.Now+hlc.AheadMax) {
			return invalid(field, "must be a time in the past")
		}
	}
	return x.setAll(k, timePair("started_at", started), timePair("resolved_at", resolved))
}

// mayMove holds the life-cycle against the status that the author was shown. A status that
// the author has not seen stands beside theirs, and the table's order picks what is shown.
func (x *draft) mayMove(k record.Key, to string) error {
	var shown []record.Sibling
	for _, s := range x.current.Record(k).Siblings("status") {
		if x.covers(k, "status", s.Dot) {
			shown = append(shown, s)
		}
	}
	kind, _ := x.desk.table.Lookup("ticket")
	field, _ := kind.Field("status")
	if shown = field.Policy.Shown(shown); len(shown) == 0 {
		return nil
	}
	from, _ := shown[0].Value.AsText()
	if from != to && !slices.Contains(followers(from), to) {
		return problem.New(problem.Conflict, "a ticket cannot go from %s to %s", from, to)
	}
	if x.viewer.Role != schema.Tenant || from == to {
		return nil
	}
	reporter := x.fields(k).id("reporter") == x.viewer.Person
	switch {
	case to == "cancelled" && (!reporter || !isOpen(from)):
		return problem.New(problem.Forbidden, "tenants cancel only their own open tickets")
	case to == "new" && from != "resolved" && (from != "cancelled" || !reporter):
		return problem.New(problem.Forbidden, "tenants reopen only resolved tickets")
	}
	return nil
}

// DeleteTicket hides a ticket from lists; its record and history stay.
func (d *Desk) DeleteTicket(ctx context.Context, c Caller, building, id record.ID, seenToken string) error {
	shown, err := d.shown(ctx, building, seenToken)
	if err != nil {
		return err
	}
	k := key(building, "ticket", id)
	return d.write(ctx, c, building, "ticket.delete", []record.Key{k}, func(x *draft) error {
		it := x.item(k)
		if !hasContent(it) || !d.table.MayRead(x.viewer, k, it.record, record.Record{}) {
			return notFound("ticket")
		}
		if d.fields(it).bool("deleted") {
			return nil
		}
		x.seen[k] = shown
		return x.set(k, "deleted", record.Bool(true))
	})
}
