package desk

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"

	"estate/internal/audit"
	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
)

// manages refuses callers who do not manage the building.
func (d *Desk) manages(ctx context.Context, c Caller, building record.ID) error {
	v, err := d.Viewer(ctx, c, building)
	if err == nil && !isManager(v.Role) {
		err = problem.New(problem.Forbidden, "only managers see this")
	}
	return err
}

// Audit lists a building's transactions, the latest first. Managers only.
func (d *Desk) Audit(ctx context.Context, c Caller, building record.ID, f AuditFilter, p Page) (List[AuditEvent], error) {
	p, err := p.normalise()
	if err == nil {
		err = d.manages(ctx, c, building)
	}
	if err != nil {
		return List[AuditEvent]{}, err
	}
	if f.ID.IsZero() != (f.Kind == "") {
		return List[AuditEvent]{}, invalid("kind", "kind and id go together")
	}
	s := EventSelection{Building: building, Limit: p.PerPage + p.skip() + 1, Count: true}
	for _, id := range []record.ID{f.ID, f.Person} {
		if !id.IsZero() {
			s.Mentions = append(s.Mentions, id)
		}
	}
	if p.Cursor != "" {
		if s.Before, err = strconv.ParseUint(p.Cursor, 10, 63); err != nil || s.Before == 0 {
			return List[AuditEvent]{}, invalid("cursor", "is not a cursor of this list")
		}
	}
	if s.Limit > auditSkipMax {
		return List[AuditEvent]{}, invalid("page", "use the cursor to go further")
	}
	rows, total, err := d.query.Events(ctx, s)
	if err != nil {
		return List[AuditEvent]{}, translate(fmt.Errorf("list events: %w", err))
	}
	rows = rows[min(p.skip(), len(rows)):]
	out := List[AuditEvent]{Items: []AuditEvent{}, Page: p.Page, PerPage: p.PerPage, Total: total}
	if len(rows) > p.PerPage {
		rows = rows[:p.PerPage]
		out.Next = strconv.FormatUint(rows[len(rows)-1].Position, 10)
	}
	out.Items, err = d.auditViews(ctx, building, f, rows)
	return out, err
}

// auditSkipMax bounds how many events a numbered page makes the store read.
const auditSkipMax = 5000

// auditViews decodes events. The store's answer may hold events that contain an id in
// another place than the one asked for: those are dropped here.
func (d *Desk) auditViews(ctx context.Context, building record.ID, f AuditFilter, rows []replica.EventRow) ([]AuditEvent, error) {
	t := d.trail(building)
	var need replica.Need
	type decoded struct {
		row   replica.EventRow
		event record.Event
	}
	var events []decoded
	var bare []record.Dot // without values: perhaps erased
	for _, row := range rows {
		e, err := record.DecodeEvent(row.Body)
		if err != nil {
			return nil, fmt.Errorf("event %d of %s: %w", row.N, row.Replica, err)
		}
		if !f.matches(e) {
			continue
		}
		events = append(events, decoded{row, e})
		if len(row.Details) == 0 && len(e.Touches)+len(e.Refusals) > 0 {
			bare = append(bare, e.Dot())
		}
		need.Chains = append(need.Chains, e.Replica)
		t.names.wantPerson(e.Actor.Person)
	}
	erased, err := d.erasures(ctx, building, bare)
	if err != nil {
		return nil, err
	}
	for _, e := range erased.events {
		t.names.wantPerson(e.Actor.Person)
	}
	if err := t.readNames(ctx, need); err != nil {
		return nil, err
	}
	out := make([]AuditEvent, 0, len(events))
	for _, e := range events {
		details, err := record.DecodeDetails(e.row.Details)
		if err != nil && len(e.row.Details) > 0 {
			return nil, fmt.Errorf("details of event %d of %s: %w", e.row.N, e.row.Replica, err)
		}
		view := d.auditView(t, e.row, e.event, details)
		view.Erased = erased.of(e.event.Dot(), t.names)
		out = append(out, view)
	}
	return out, nil
}

func (f AuditFilter) matches(e record.Event) bool {
	if !f.Person.IsZero() && e.Actor.Person != f.Person {
		return false
	}
	return f.ID.IsZero() ||
		slices.ContainsFunc(e.Touches, func(t record.Touch) bool { return t.Kind == f.Kind && t.ID == f.ID }) ||
		slices.ContainsFunc(e.Refusals, func(r record.Refused) bool { return r.Kind == f.Kind && r.ID == f.ID })
}

func (d *Desk) auditView(t *trail, row replica.EventRow, e record.Event, details record.Details) AuditEvent {
	v := AuditEvent{Replica: e.Replica, N: e.N, Hash: hex.EncodeToString(row.Hash[:]), Where: t.tier(e.Replica), Action: e.Action, Automation: e.Actor.Name,
		Actor: t.names.person(e.Actor.Person), Stamp: shownTime(e.Stamp.Millis()), EventTime: shownTime(e.EventTime), Erases: len(e.Erasures)}
	if c, ok := t.cards[e.Replica]; ok && c.Card != nil {
		v.Node = c.Card.Node
	}
	for i, touch := range e.Touches {
		change := AuditChange{Kind: touch.Kind, ID: touch.ID, Field: touch.Field, Withheld: true}
		kind, known := d.table.Lookup(touch.Kind)
		if field, ok := kind.Field(touch.Field); ok && known && !kind.Secret && i < len(details) && !details[i].Erased() {
			change.Withheld = false
			for _, old := range details[i].Old {
				change.Old = append(change.Old, jsonValue(field.Type, old))
			}
			for _, value := range details[i].New {
				change.New = append(change.New, jsonValue(field.Type, value))
			}
		}
		v.Changes = append(v.Changes, change)
	}
	for i, r := range e.Refusals {
		refusal := AuditRefusal{Kind: r.Kind, ID: r.ID, Field: r.Field, Code: r.Code, Replica: r.Dot.Replica, N: r.Dot.N}
		kind, known := d.table.Lookup(r.Kind)
		if at := len(e.Touches) + i; known && !kind.Secret && at < len(details) {
			field, _ := kind.Field(r.Field)
			for _, value := range details[at].New {
				refusal.Values = append(refusal.Values, jsonValue(field.Type, value))
			}
		}
		v.Refusals = append(v.Refusals, refusal)
	}
	return v
}

// AuditExport writes all that this node holds of the building's chains, for a check with
// no node at hand. Managers only. Nothing is written where the caller may not.
func (d *Desk) AuditExport(ctx context.Context, c Caller, building record.ID, w io.Writer) error {
	if err := d.manages(ctx, c, building); err != nil {
		return err
	}
	return translate(audit.Export(ctx, d.node.Store, d.node.Key, building, d.now(), w))
}
