package desk

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/hlc"
	"estate/sync/record"
)

// joinWindow is how long a report of the same thing joins an open ticket: a day later it
// is rather a new failure, or one that was not repaired.
const joinWindow = 24 * time.Hour

// joinCandidatesMax bounds the open tickets of one unit and category, or open alarms of a
// unit, that are looked at. More than a few are a sign of trouble of another kind.
const joinCandidatesMax = 20

// CreateTicket opens a ticket. A tenant's report of what is already being dealt with joins
// the open ticket instead: the tenant is added to its reports, the text becomes a message.
func (d *Desk) CreateTicket(ctx context.Context, c Caller, building record.ID, in NewTicket) (TicketResult, error) {
	if n, ok := d.foresee(c, building, in); ok {
		result, err := n.make(ctx)
		if !errors.Is(err, errChanged) {
			return result, err
		}
	}
	v, have, err := d.open(ctx, c, building)
	if err != nil {
		return TicketResult{}, err
	}
	if err := in.check(); err != nil {
		return TicketResult{}, err
	}
	id, err := d.ticketID(building, c, v, in)
	if err != nil {
		return TicketResult{}, err
	}
	n := d.newTicket(c, building, id, in)
	n.prefix, n.tenant = d.codeOf(have.item(buildingKey(building))), v.Role == schema.Tenant
	if n.tenant {
		defer d.lockMaking(building)() // only tenants' reports look for a ticket to join
		if n.candidates, err = d.joinable(ctx, v, in); err != nil {
			return TicketResult{}, err
		}
	} else {
		d.prefixes.keep(prefixKey{building, c}, n.prefix)
	}
	return n.make(ctx)
}

// check refuses what no ticket can be made of.
func (in NewTicket) check() error {
	if in.Title == "" {
		return invalid("title", "is required")
	}
	if len(in.Tags) > tagsMax {
		return invalid("tags", "at most %d", tagsMax)
	}
	return nil
}

func (d *Desk) newTicket(c Caller, building, id record.ID, in NewTicket) newTicket {
	return newTicket{NewTicket: in, desk: d, caller: c, building: building, id: id,
		key: key(building, "ticket", id), report: key(building, "message", record.DerivedID("report", id.String())),
		more: key(building, "message", record.DerivedID("report", id.String(), "more"))}
}

// make writes the ticket and shows what came of it.
func (n *newTicket) make(ctx context.Context) (TicketResult, error) {
	d := n.desk
	var err error
	if n.code, err = d.mintCode(ctx, n.building, n.prefix, n.id); err != nil {
		return TicketResult{}, err
	}
	done, err := n.write(ctx)
	if err != nil {
		return TicketResult{}, err
	}
	result := key(n.building, "ticket", n.result)
	var t Ticket
	if _, read := done.found[result]; read {
		t, err = d.writtenTicket(ctx, done, result)
	} else { // it joined this one before
		t, err = d.Ticket(ctx, n.caller, n.building, n.result)
	}
	return TicketResult{Ticket: t, Joined: n.result != n.id}, err
}

// tagsMax bounds the tags of one request.
const tagsMax = 32

func (d *Desk) ticketID(building record.ID, c Caller, v schema.Viewer, in NewTicket) (record.ID, error) {
	if in.ExternalRef != "" && in.ID.IsZero() && isStaff(v.Role) {
		return record.DerivedID("import", building.String(), in.ExternalRef), nil
	}
	return d.newID(in.ID, c, in.IdempotencyKey, "ticket")
}

// joinable lists open tickets that a tenant's report may be about, the likeliest first: of
// an active alarm in the unit, where the report names no other category, then of the same
// unit and category.
func (d *Desk) joinable(ctx context.Context, v schema.Viewer, in NewTicket) ([]record.Key, error) {
	if in.Unit.IsZero() {
		return nil, nil
	}
	var keys []record.Key
	states := []record.Value{record.Text("active"), record.Text("acknowledged")}
	alarms, _, err := d.selectItems(ctx, Selection{Shape: shapeAlarms, Building: v.Building, Limit: joinCandidatesMax,
		Filters: map[string][]record.Value{"unit": {record.IDValue(in.Unit)}, "state": states}})
	if err != nil {
		return nil, err
	}
	for _, it := range alarms {
		f := d.fields(it)
		if id := f.id("ticket"); !id.IsZero() && (in.Category == "" || in.Category == "other" || in.Category == traitsOf(f.text("cause")).category) {
			keys = append(keys, key(v.Building, "ticket", id))
		}
	}
	if in.Category == "" {
		return keys, nil
	}
	filters, err := TicketFilter{Open: true, Unit: in.Unit, Category: []string{in.Category}}.filters()
	if err != nil {
		return nil, err
	}
	tickets, _, err := d.selectItems(ctx, Selection{Shape: shapeTickets, Building: v.Building, Filters: filters, Limit: joinCandidatesMax})
	if err != nil {
		return nil, err
	}
	for _, it := range tickets {
		keys = append(keys, it.key)
	}
	return keys, nil
}

// newTicket is one run of CreateTicket.
type newTicket struct {
	NewTicket
	desk       *Desk
	caller     Caller
	building   record.ID
	id         record.ID
	key        record.Key // of the ticket, if it becomes one
	report     record.Key // of the message, if it joins another
	more       record.Key // of a second one, where title and description do not fit one
	prefix     string     // of its code
	code       string
	tenant     bool // the caller is one, and candidates were looked for
	foreseen   bool // prefix and tenant are as they were when somebody last looked
	candidates []record.Key
	result     record.ID
}

func (n *newTicket) write(ctx context.Context) (outcome, error) {
	reads := append([]record.Key{n.key}, n.candidates...)
	if n.repeatable() || n.tenant {
		reads = append(reads, n.report, n.more)
	}
	for kind, id := range map[string]record.ID{"unit": n.Unit, "device": n.Device, "asset": n.Asset} {
		if !id.IsZero() {
			reads = append(reads, key(n.building, kind, id))
		}
	}
	if !n.Assignee.IsZero() {
		reads = append(reads, memberKey(n.building, n.Assignee))
	}
	return n.desk.decide(ctx, n.caller, n.building, "ticket.create", n.ReportedAt, reads, func(x *draft) error {
		n.result = n.id
		if n.foreseen && (x.viewer.Role == schema.Tenant || n.desk.codeOf(x.item(buildingKey(n.building))) != n.prefix) {
			return errChanged
		}
		if done, err := n.again(x); done || err != nil {
			return err
		}
		if err := x.checkRefs(named{unit: n.Unit, device: n.Device, asset: n.Asset, assignee: n.Assignee}); err != nil {
			return err
		}
		for _, k := range n.candidates {
			if n.mayJoin(x, k) {
				return n.join(x, k)
			}
		}
		return n.open(x)
	})
}

// repeatable reports whether the same request again has the same id.
func (n *newTicket) repeatable() bool {
	return !n.ID.IsZero() || n.IdempotencyKey != "" || n.ExternalRef != ""
}

// again reports whether this request was already carried out.
func (n *newTicket) again(x *draft) (bool, error) {
	if t := x.item(n.key); hasContent(t) {
		imported := n.ExternalRef != "" && isStaff(x.viewer.Role) // by whoever runs the import
		if x.desk.fields(t).id("reporter") != n.caller.Person && !imported {
			return true, problem.New(problem.Conflict, "a ticket with this id exists")
		}
		return true, nil
	}
	if m := x.item(n.report); hasContent(m) {
		n.result = x.desk.fields(m).id("ticket")
		return true, nil
	}
	return false, nil
}

func (n *newTicket) mayJoin(x *draft, k record.Key) bool {
	it, err := x.readable(k)
	if err != nil || !isOpen(x.desk.fields(it).text("status")) {
		return false
	}
	at := x.desk.fields(it).time("reported_at")
	return at == nil || x.eventTime().Sub(*at).Abs() < joinWindow
}

func (n *newTicket) join(x *draft, k record.Key) error {
	n.result = k.ID
	x.intent.Action = "ticket.join"
	if x.fields(k).id("reporter") != n.caller.Person {
		if err := x.members(k, "reports", []record.Value{record.IDValue(n.caller.Person)}, nil); err != nil {
			return err
		}
	}
	text, more := n.Title, n.Description
	if both := text + "\n\n" + more; more != "" && utf8.RuneCountInString(both) <= messageMax {
		text, more = both, ""
	}
	if err := n.say(x, n.report, k, text); err != nil || more == "" {
		return err
	}
	return n.say(x, n.more, k, more)
}

// messageMax is the longest message; the table of kinds has the same limit.
const messageMax = 8000

func (n *newTicket) say(x *draft, message, ticket record.Key, text string) error {
	x.parents[message] = ticket
	return x.setAll(message, idPair("ticket", ticket.ID), idPair("person", n.caller.Person), textPair("text", text), pair{"sent_at", timeValue(x.eventTime())})
}

func (n *newTicket) open(x *draft) error {
	status := n.Status
	if status == "" {
		status = "new"
		if !n.Assignee.IsZero() {
			status = "assigned"
		}
	}
	for field, at := range map[string]*time.Time{"started_at": n.StartedAt, "resolved_at": n.ResolvedAt} {
		if at != nil && at.UnixMilli() > x.current.Now+hlc.AheadMax {
			return invalid(field, "must be a time in the past")
		}
	}
	err := x.setAll(n.key, textPair("code", n.code), textPair("title", n.Title), textPair("description", n.Description), textPair("status", status),
		textPair("priority", n.Priority), textPair("category", n.Category), idPair("unit", n.Unit), idPair("reporter", n.caller.Person),
		idPair("assignee", n.Assignee), idPair("device", n.Device), idPair("asset", n.Asset), pair{"reported_at", timeValue(x.eventTime())}, timePair("started_at", n.StartedAt),
		timePair("resolved_at", n.ResolvedAt), textPair("resolution", n.Resolution), textPair("external_ref", n.ExternalRef))
	if err != nil {
		return err
	}
	return x.members(n.key, "tags", texts(n.Tags), nil)
}

func texts(in []string) []record.Value {
	var out []record.Value
	for _, s := range in {
		if s != "" {
			out = append(out, record.Text(s))
		}
	}
	return out
}

// named are the records that a change names; zero for none.
type named struct{ unit, device, asset, assignee record.ID }

// or is the id that a change gives, zero where it gives none.
func or(id *record.ID) record.ID {
	if id == nil {
		return record.ID{}
	}
	return *id
}

// checkRefs holds that what a change names exists here: stores have no foreign keys.
func (x *draft) checkRefs(n named) error {
	b := x.viewer.Building
	if !n.unit.IsZero() {
		if _, err := x.readable(key(b, "unit", n.unit)); err != nil {
			return invalid("unit", "there is no such unit, or it is not yours")
		}
	}
	if !n.device.IsZero() {
		if _, err := x.readable(key(b, "device", n.device)); err != nil {
			return invalid("device", "there is no such device")
		}
	}
	if !n.asset.IsZero() {
		if _, err := x.readable(key(b, "asset", n.asset)); err != nil {
			return invalid("asset", "there is no such asset, or it is not yours")
		}
	}
	if !n.assignee.IsZero() {
		f := x.fields(memberKey(b, n.assignee))
		if !f.bool("active") || !isStaff(schema.Role(f.text("role"))) {
			return invalid("assignee", "must be somebody who works for this building")
		}
	}
	return nil
}
