package desk

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"estate/sync/record"
)

// Limits of lists.
const (
	// PerPageDefault fits a screen.
	PerPageDefault = 50
	// PerPageMax keeps one answer under a megabyte of ordinary records.
	PerPageMax = 200
	// pageMax bounds what a numbered page makes the store skip; cursors go further.
	pageMax = 1000
	// cursorBytesMax bounds a cursor from outside; ours hold one short text and an id.
	cursorBytesMax = 4096
	// textMax bounds what is looked for in lists, in bytes.
	textMax = 200
)

// Page asks for part of a list: by number, or by the cursor of the list before it. A
// cursor is stable while records come and go and wins over the number.
type Page struct {
	Page    int
	PerPage int
	Cursor  string
}

func (p Page) normalise() (Page, error) {
	if p.Page == 0 {
		p.Page = 1
	}
	if p.PerPage == 0 {
		p.PerPage = PerPageDefault
	}
	switch {
	case p.Page < 0 || p.Page > pageMax:
		return p, invalid("page", "must be between 1 and %d; use the cursor to go further", pageMax)
	case p.PerPage < 0 || p.PerPage > PerPageMax:
		return p, invalid("per_page", "must be between 1 and %d", PerPageMax)
	case len(p.Cursor) > cursorBytesMax:
		return p, invalid("cursor", "is not a cursor of this list")
	}
	return p, nil
}

func (p Page) skip() int {
	if p.Cursor != "" {
		return 0
	}
	return (p.Page - 1) * p.PerPage
}

// List is part of a list.
type List[T any] struct {
	Items   []T `json:"items"`
	Page    int `json:"page"`
	PerPage int `json:"per_page"`
	// Total counts all items that the filter and the caller's rights let through.
	Total int `json:"total"`
	// Next is the cursor of what follows, empty at the end.
	Next string `json:"next,omitempty"`
}

// cursorWire is a cursor's content: the list that it belongs to and the last row's place.
type cursorWire struct {
	_     struct{} `cbor:",toarray"`
	Shape string
	Has   bool
	Value record.Value
	ID    record.ID
}

func encodeCursor(shape string, p Place) (string, error) {
	w := cursorWire{Shape: shape, Has: p.Value != nil, Value: p.Value, ID: p.ID}
	if !w.Has {
		w.Value = record.Bool(false)
	}
	b, err := record.Marshal(w)
	return base64.RawURLEncoding.EncodeToString(b), err
}

func decodeCursor(shape, text string) (*Place, error) {
	var w cursorWire
	b, err := fromToken(text)
	if err != nil || record.Unmarshal(b, &w) != nil || w.Shape != shape || w.Value.Validate() != nil {
		return nil, invalid("cursor", "is not a cursor of this list")
	}
	p := &Place{Value: w.Value, ID: w.ID}
	if !w.Has {
		p.Value = nil
	}
	return p, nil
}

// list reads one page of a selection. keep drops what the caller may not read after all:
// the store's own restriction already left it out, so this only ever guards.
func list[T any](ctx context.Context, d *Desk, s Selection, p Page, keep func(item) bool, view func(context.Context, []item) ([]T, error)) (List[T], error) {
	p, err := p.normalise()
	if err != nil {
		return List[T]{}, err
	}
	if len(s.Text) > textMax {
		return List[T]{}, invalid("query", "must be at most %d bytes", textMax)
	}
	if p.Cursor != "" {
		if s.After, err = decodeCursor(s.Shape, p.Cursor); err != nil {
			return List[T]{}, err
		}
	}
	s.Skip, s.Limit, s.Count = p.skip(), p.PerPage+1, true
	items, total, err := d.selectItems(ctx, s)
	if err != nil {
		return List[T]{}, err
	}
	out := List[T]{Items: []T{}, Page: p.Page, PerPage: p.PerPage, Total: total}
	if len(items) > p.PerPage {
		items = items[:p.PerPage]
		if out.Next, err = encodeCursor(s.Shape, d.place(s.Shape, items[len(items)-1])); err != nil {
			return out, fmt.Errorf("cursor: %w", err)
		}
	}
	kept := items[:0]
	for _, it := range items {
		if keep(it) {
			kept = append(kept, it)
		}
	}
	views, err := view(ctx, kept)
	out.Items = append(out.Items, views...)
	return out, err
}

func (d *Desk) selectItems(ctx context.Context, s Selection) ([]item, int, error) {
	if err := s.check(); err != nil {
		return nil, 0, err
	}
	got, err := d.query.Select(ctx, s)
	if err != nil {
		return nil, 0, translate(fmt.Errorf("list %s: %w", s.Shape, err))
	}
	items, err := decodeRows(got.Rows)
	return items, got.Total, err
}

func decodeRows(rows []Row) ([]item, error) {
	items := make([]item, 0, len(rows))
	for _, row := range rows {
		r, err := record.Decode(row.Body)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", row.Key, err)
		}
		items = append(items, item{key: row.Key, record: r, position: row.Position})
	}
	return items, nil
}

// place is where an item stands in a shape's order.
func (d *Desk) place(shape string, it item) Place {
	p := Place{ID: it.key.ID}
	for _, s := range Shapes() {
		if s.Name == shape && s.Order != "" {
			p.Value = d.fields(it).value(s.Order)
		}
	}
	return p
}

// check refuses texts that no store can hold, and so none can look for.
func (s Selection) check() error {
	bad := func(text string) bool { return !utf8.ValidString(text) || strings.ContainsRune(text, 0) }
	if bad(s.Text) {
		return invalid("query", "must be text")
	}
	for field, values := range s.Filters {
		if slices.ContainsFunc(values, func(v record.Value) bool { text, _ := v.AsText(); return bad(text) }) {
			return invalid(field, "must be text")
		}
	}
	if text, _ := s.Lead.AsText(); bad(text) {
		return invalid("query", "must be text")
	}
	return nil
}
