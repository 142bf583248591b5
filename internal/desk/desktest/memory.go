package desktest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"estate/internal/desk"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// Memory is desk.Query by reading everything, the plainest form of its contract.
type Memory struct{ Store replica.Store }

var _ desk.Query = Memory{}

type row struct {
	desk.Row
	record record.Record
}

func (m Memory) all(ctx context.Context, building record.ID, kind string) ([]row, error) {
	var out []row
	for after := uint64(0); ; {
		page, err := m.Store.Feed(ctx, building, after, 1000, 1<<20)
		if err != nil {
			return nil, err
		}
		for _, it := range page.Items {
			after = it.Position
			if it.Event != nil || it.Key.Kind != kind {
				continue
			}
			r, err := record.Decode(it.Body)
			if err != nil {
				return nil, err
			}
			out = append(out, row{desk.Row{Key: it.Key, Body: it.Body, Position: it.Position}, r})
		}
		if len(page.Items) == 0 || after >= page.End {
			return out, nil
		}
	}
}

// Select implements desk.Query.
func (m Memory) Select(ctx context.Context, s desk.Selection) (desk.Selected, error) {
	var out desk.Selected
	i := slices.IndexFunc(desk.Shapes(), func(sh desk.Shape) bool { return sh.Name == s.Shape })
	q := matcher{desk.Shapes()[i], s, schema.Default()}
	rows, err := m.all(ctx, s.Building, q.shape.Kind)
	if err != nil {
		return out, err
	}
	rows = slices.DeleteFunc(rows, func(r row) bool { return !q.matches(r) })
	slices.SortFunc(rows, func(a, b row) int { return q.compare(q.place(a), q.place(b)) })
	out.Total = len(rows)
	if s.After != nil {
		rows = slices.DeleteFunc(rows, func(r row) bool { return q.compare(q.place(r), *s.After) <= 0 })
	}
	rows = rows[min(s.Skip, len(rows)):]
	for _, r := range rows[:min(s.Limit, len(rows))] {
		out.Rows = append(out.Rows, r.Row)
	}
	return out, nil
}

type matcher struct {
	shape desk.Shape
	s     desk.Selection
	table *schema.Table
}

func (q matcher) shown(r row, field string) record.Value {
	return q.table.Shown(q.shape.Kind, field, r.record)
}

func (q matcher) matches(r row) bool {
	if q.shape.Lead != "" && (q.s.Lead == nil || !bytes.Equal(q.shown(r, q.shape.Lead), q.s.Lead)) {
		return false
	}
	for field, values := range q.s.Filters {
		if !slices.ContainsFunc(values, func(v record.Value) bool { return bytes.Equal(v, q.shown(r, field)) }) {
			return false
		}
	}
	if q.s.Since != nil {
		since, _ := q.s.Since.AsInt()
		if n, ok := q.shown(r, q.shape.Order).AsInt(); !ok || n < since {
			return false
		}
	}
	if deleted, _ := q.shown(r, "deleted").AsBool(); deleted && q.shape.Hides {
		return false
	}
	return q.hasText(r) && q.inScope(r)
}

func (q matcher) hasText(r row) bool {
	return q.s.Text == "" || slices.ContainsFunc(q.shape.Text, func(field string) bool {
		s, _ := q.shown(r, field).AsText()
		return strings.Contains(strings.ToLower(s), strings.ToLower(q.s.Text))
	})
}

func (q matcher) inScope(r row) bool {
	if q.s.Scope == nil || !q.shape.Scoped {
		return true
	}
	unit, _ := q.shown(r, "unit").AsID()
	if q.shape.Kind == "unit" {
		unit = r.Key.ID
	}
	person := record.IDValue(q.s.Scope.Person)
	return slices.Contains(q.s.Scope.Units, unit) || bytes.Equal(q.shown(r, "reporter"), person) ||
		slices.ContainsFunc(q.table.Members(q.shape.Kind, "reports", r.record), func(v record.Value) bool { return bytes.Equal(v, person) })
}

func (q matcher) place(r row) desk.Place {
	p := desk.Place{ID: r.Key.ID}
	if q.shape.Order != "" {
		p.Value = q.shown(r, q.shape.Order)
	}
	return p
}

func (q matcher) compare(a, b desk.Place) int {
	n := cmp.Or(compareValues(a.Value, b.Value), a.ID.Compare(b.ID))
	if q.shape.Desc {
		return -n
	}
	return n
}

func compareValues(a, b record.Value) int {
	if a == nil || b == nil {
		return cmp.Compare(len(a), len(b))
	}
	if x, ok := a.AsInt(); ok {
		y, _ := b.AsInt()
		return cmp.Compare(x, y)
	}
	x, _ := a.AsText()
	y, _ := b.AsText()
	return cmp.Compare(x, y)
}

// OpenTickets implements desk.Query.
func (m Memory) OpenTickets(ctx context.Context, building record.ID, before map[string]time.Time) (map[string]desk.Standing, error) {
	rows, err := m.all(ctx, building, "ticket")
	if err != nil {
		return nil, err
	}
	out, table := map[string]desk.Standing{}, schema.Default()
	for _, r := range rows {
		shown := func(field string) record.Value { return table.Shown("ticket", field, r.record) }
		status, _ := shown("status").AsText()
		if deleted, _ := shown("deleted").AsBool(); deleted || !slices.Contains(desk.OpenStates(), status) {
			continue
		}
		priority, _ := shown("priority").AsText()
		count := out[priority]
		count.Open++
		limit, limited := before[priority]
		if at, ok := shown("reported_at").AsInt(); ok && limited && at < limit.UnixMilli() {
			count.Older++
		}
		out[priority] = count
	}
	return out, nil
}

// Records implements desk.Query.
func (m Memory) Records(ctx context.Context, keys []record.Key) ([]desk.Row, error) {
	var out []desk.Row
	for _, k := range keys {
		have, err := m.Store.Load(ctx, k.Building, replica.Need{Keys: []record.Key{k}})
		if err != nil {
			return nil, err
		}
		if s, ok := have.Records[k]; ok {
			out = append(out, desk.Row{Key: k, Body: s.Body, Position: s.Position})
		}
	}
	return out, nil
}

// Events implements desk.Query.
func (m Memory) Events(ctx context.Context, s desk.EventSelection) (out []replica.EventRow, total int, err error) {
	for after := uint64(0); ; {
		page, err := m.Store.Feed(ctx, s.Building, after, 1000, 1<<20)
		if err != nil {
			return nil, 0, err
		}
		for _, it := range page.Items {
			after = it.Position
			if it.Event == nil || slices.ContainsFunc(s.Mentions, func(id record.ID) bool { return !bytes.Contains(it.Event.Body, id[:]) }) {
				continue
			}
			total++
			if s.Before == 0 || it.Position < s.Before {
				out = append(out, *it.Event)
			}
		}
		if len(page.Items) == 0 || after >= page.End {
			slices.Reverse(out)
			return out[:min(len(out), s.Limit)], total, nil
		}
	}
}

// Quarantine implements desk.Query. The twin keeps it by peer only, and no test of the desk
// makes any there.
func (m Memory) Quarantine(context.Context, record.ID, int) ([]replica.QuarantineRow, error) {
	return nil, nil
}
