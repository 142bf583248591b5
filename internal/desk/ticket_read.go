package desk

import (
	"context"

	"estate/schema"
	"estate/sync/record"
)

// OpenStates are those in which a ticket waits for work, in the order of its life.
func OpenStates() []string {
	return []string{"new", "triaged", "assigned", "in_progress", "waiting"}
}

func isOpen(status string) bool {
	for _, s := range OpenStates() {
		if s == status {
			return true
		}
	}
	return false
}

// Tickets lists a building's tickets, the latest reported first.
func (d *Desk) Tickets(ctx context.Context, c Caller, building record.ID, f TicketFilter, p Page) (List[Ticket], error) {
	v, err := d.Viewer(ctx, c, building)
	if err != nil {
		return List[Ticket]{}, err
	}
	filters, err := f.filters()
	if err != nil {
		return List[Ticket]{}, err
	}
	s := Selection{Shape: shapeTickets, Building: building, Filters: filters, Scope: scope(v), Text: f.Query}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, record.Record{}) }
	return list(ctx, d, s, p, keep, d.ticketViews)
}

func (f TicketFilter) filters() (map[string][]record.Value, error) {
	m := map[string][]record.Value{}
	for field, values := range map[string][]string{"status": f.Status, "priority": f.Priority, "category": f.Category} {
		if len(values) > filterValuesMax {
			return nil, invalid(field, "at most %d values", filterValuesMax)
		}
		for _, s := range values {
			m[field] = append(m[field], record.Text(s))
		}
	}
	for field, id := range map[string]record.ID{"unit": f.Unit, "assignee": f.Assignee, "reporter": f.Reporter, "device": f.Device, "asset": f.Asset} {
		if !id.IsZero() {
			m[field] = []record.Value{record.IDValue(id)}
		}
	}
	if f.ExternalRef != "" {
		m["external_ref"] = []record.Value{record.Text(f.ExternalRef)}
	}
	if f.Open && len(f.Status) == 0 {
		for _, s := range OpenStates() {
			m["status"] = append(m["status"], record.Text(s))
		}
	}
	return m, nil
}

// filterValuesMax is more than any list of values has.
const filterValuesMax = 32

// Ticket reads one ticket; not_found where the caller may not see it or it is deleted.
func (d *Desk) Ticket(ctx context.Context, c Caller, building, id record.ID) (Ticket, error) {
	_, it, err := d.openTicket(ctx, c, building, id)
	if err != nil {
		return Ticket{}, err
	}
	return d.ticketView(ctx, it)
}

// openTicket reads a ticket that the caller may see.
func (d *Desk) openTicket(ctx context.Context, c Caller, building, id record.ID) (schema.Viewer, item, error) {
	k := key(building, "ticket", id)
	v, have, err := d.open(ctx, c, building, k)
	if err != nil {
		return v, item{}, err
	}
	it, err := d.mayOpen(v, have, k)
	return v, it, err
}

// mayOpen gives a ticket that was read to those who may see it.
func (d *Desk) mayOpen(v schema.Viewer, have found, k record.Key) (item, error) {
	it := have.item(k)
	if !hasContent(it) || !d.table.MayRead(v, k, it.record, record.Record{}) || d.fields(it).bool("deleted") {
		return it, notFound("ticket")
	}
	return it, nil
}

// writtenTicket is a ticket as its author's transaction left it, which read it.
func (d *Desk) writtenTicket(ctx context.Context, o outcome, k record.Key) (Ticket, error) {
	it, err := d.mayOpen(o.viewer, o.found, k)
	if err != nil {
		return Ticket{}, err
	}
	return first(d.ticketViewsAmong(ctx, []item{it}, o.found))
}

func (d *Desk) ticketView(ctx context.Context, it item) (Ticket, error) {
	return first(d.ticketViews(ctx, []item{it}))
}

// ticketViews turns records into what screens show, with the names of people, units and assets.
func (d *Desk) ticketViews(ctx context.Context, items []item) ([]Ticket, error) {
	return d.ticketViewsAmong(ctx, items, nil)
}

// ticketViewsAmong reads only what is not known.
func (d *Desk) ticketViewsAmong(ctx context.Context, items []item, known found) ([]Ticket, error) {
	if len(items) == 0 {
		return nil, nil
	}
	names := d.refsAmong(items[0].key.Building, known)
	for _, it := range items {
		f := d.fields(it)
		names.wantPerson(f.id("reporter"), f.id("assignee"))
		names.wantPerson(f.ids("reports")...)
		names.want("unit", f.id("unit"))
		names.want("asset", f.id("asset"))
	}
	if err := names.read(ctx); err != nil {
		return nil, err
	}
	out := make([]Ticket, 0, len(items))
	for _, it := range items {
		out = append(out, d.oneTicket(it, names))
	}
	return out, nil
}

func (d *Desk) oneTicket(it item, names *refs) Ticket {
	f := d.fields(it)
	t := Ticket{
		ID: it.key.ID, Building: it.key.Building, Code: f.text("code"), Title: f.text("title"), Description: f.text("description"),
		Status: f.text("status"), Priority: f.text("priority"), AIPriority: f.text("ai_priority"), Category: f.text("category"),
		Unit: f.id("unit"), UnitName: names.name("unit", f.id("unit")), Reporter: names.person(f.id("reporter")), Assignee: names.person(f.id("assignee")),
		Device: f.id("device"), Asset: f.id("asset"), AssetName: names.name("asset", f.id("asset")), Alarm: f.id("alarm"), Tags: f.texts("tags"), ReportedAt: f.time("reported_at"), StartedAt: f.time("started_at"),
		Resolution: f.text("resolution"), ExternalRef: f.text("external_ref"), Conflicts: f.conflicts(), Seen: seen(it.record), Position: it.position,
	}
	if t.Status == "resolved" || t.Status == "closed" {
		t.ResolvedAt = f.time("resolved_at") // a reopened ticket keeps the old time as history only
	}
	for _, id := range f.ids("reports") {
		t.Reports = append(t.Reports, *names.person(id))
	}
	return t
}
