package httpapi_test

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"estate/internal/desk"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// memQuery answers desk's queries over the in-memory store by looking at every record. The
// stores that ship have the conformance tests of desk; these tests are about HTTP.
type memQuery struct {
	store *memstore.Store
	table *schema.Table
}

func (q memQuery) all(ctx context.Context, building record.ID) ([]replica.FeedItem, error) {
	page, err := q.store.Feed(ctx, building, 0, math.MaxInt, math.MaxInt)
	return page.Items, err
}

func (q memQuery) Select(ctx context.Context, s desk.Selection) (desk.Selected, error) {
	shapes := desk.Shapes()
	shape := shapes[slices.IndexFunc(shapes, func(x desk.Shape) bool { return x.Name == s.Shape })]
	items, err := q.all(ctx, s.Building)
	if err != nil {
		return desk.Selected{}, err
	}
	type found struct {
		row   desk.Row
		order record.Value
	}
	var rows []found
	for _, i := range items {
		if i.Event != nil || i.Key.Kind != shape.Kind {
			continue
		}
		r, err := record.Decode(i.Body)
		if err != nil {
			return desk.Selected{}, err
		}
		order := q.table.Shown(shape.Kind, shape.Order, r)
		if q.matches(shape, s, i.Key, r) && (s.Since == nil || compareValues(order, s.Since) >= 0) {
			rows = append(rows, found{desk.Row{Key: i.Key, Body: i.Body, Position: i.Position}, order})
		}
	}
	compare := func(a, b found) int {
		c := cmp.Or(compareValues(a.order, b.order), a.row.Key.ID.Compare(b.row.Key.ID))
		if shape.Desc {
			return -c
		}
		return c
	}
	slices.SortFunc(rows, compare)
	out := desk.Selected{Total: len(rows)}
	if s.After != nil {
		after := found{desk.Row{Key: record.Key{ID: s.After.ID}}, s.After.Value}
		rows = slices.DeleteFunc(rows, func(f found) bool { return compare(f, after) <= 0 })
	} else {
		rows = rows[min(s.Skip, len(rows)):]
	}
	for _, f := range rows[:min(s.Limit, len(rows))] {
		out.Rows = append(out.Rows, f.row)
	}
	return out, nil
}

func (q memQuery) matches(shape desk.Shape, s desk.Selection, k record.Key, r record.Record) bool {
	if shape.Lead != "" && !bytes.Equal(q.table.Shown(shape.Kind, shape.Lead, r), s.Lead) {
		return false
	}
	if hidden, _ := q.table.Shown(shape.Kind, "deleted", r).AsBool(); shape.Hides && hidden {
		return false
	}
	for field, values := range s.Filters {
		shown := q.table.Shown(shape.Kind, field, r)
		if !slices.ContainsFunc(values, func(v record.Value) bool { return bytes.Equal(v, shown) }) {
			return false
		}
	}
	if s.Text != "" && !slices.ContainsFunc(shape.Text, func(field string) bool {
		text, _ := q.table.Shown(shape.Kind, field, r).AsText()
		return strings.Contains(strings.ToLower(text), strings.ToLower(s.Text))
	}) {
		return false
	}
	viewer := schema.Viewer{Building: k.Building, Role: schema.Tenant, Active: true}
	if s.Scope != nil {
		viewer.Person, viewer.Units = s.Scope.Person, s.Scope.Units
		return q.table.MayRead(viewer, k, r, record.Record{})
	}
	return true
}

func compareValues(a, b record.Value) int {
	if x, ok := a.AsInt(); ok {
		if y, ok := b.AsInt(); ok {
			return cmp.Compare(x, y)
		}
	}
	return bytes.Compare(a, b)
}

func (q memQuery) Records(ctx context.Context, keys []record.Key) ([]desk.Row, error) {
	var out []desk.Row
	for _, k := range keys {
		have, err := q.store.Load(ctx, k.Building, replica.Need{Keys: []record.Key{k}})
		if err != nil {
			return nil, err
		}
		if r, ok := have.Records[k]; ok {
			out = append(out, desk.Row{Key: k, Body: r.Body, Position: r.Position})
		}
	}
	return out, nil
}

func (q memQuery) Events(ctx context.Context, s desk.EventSelection) ([]replica.EventRow, int, error) {
	items, err := q.all(ctx, s.Building)
	if err != nil {
		return nil, 0, err
	}
	var rows []replica.EventRow
	total := 0
	for _, i := range slices.Backward(items) {
		if i.Event == nil || slices.ContainsFunc(s.Mentions, func(id record.ID) bool { return !bytes.Contains(i.Event.Body, id[:]) }) {
			continue
		}
		total++
		if (s.Before == 0 || i.Position < s.Before) && len(rows) < s.Limit {
			rows = append(rows, *i.Event)
		}
	}
	return rows, total, nil
}

func (q memQuery) Quarantine(context.Context, record.ID, int) ([]replica.QuarantineRow, error) {
	return nil, nil
}

// OpenTickets is nothing that HTTP shows.
func (q memQuery) OpenTickets(context.Context, record.ID, map[string]time.Time) (map[string]desk.Standing, error) {
	return map[string]desk.Standing{}, nil
}
