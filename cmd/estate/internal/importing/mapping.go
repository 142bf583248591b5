// Package importing loads tickets from CSV files through the API.
//
// It must never let a bad row stop the others, nor make a ticket twice when a file is
// imported again.
package importing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"estate/internal/apiclient"
	"estate/schema"
	"estate/sync/record"
)

// titleMax is the API's limit in characters; longer texts go into the description too.
const titleMax = 200

// mapping says which column becomes which field and which texts mean which values.
type mapping struct {
	columns  map[string]string            // field → column
	values   map[string]map[string]string // field → text in the file → our value
	constant map[string]string            // field → value of every row
	units    map[string]record.ID         // by name
	order    string                       // of day and month in dates with slashes or dots
}

// The orders of day and month that --dates takes.
const (
	monthFirst = "mdy"
	dayFirst   = "dmy"
)

// fields that a column can become.
func fields() []string {
	return []string{"title", "description", "category", "priority", "status", "unit", "external_ref", "reported_at", "resolved_at", "resolution", "tags"}
}

// parseMapping reads --map title=text,external_ref=id, --value FIELD:TEXT=VALUE and --set
// FIELD=VALUE.
func parseMapping(pairs, values, constants []string) (mapping, error) {
	m := mapping{columns: map[string]string{}, values: map[string]map[string]string{}, constant: map[string]string{}}
	for _, pair := range pairs {
		field, column, ok := strings.Cut(pair, "=")
		if !ok || column == "" {
			return m, fmt.Errorf("--map %q: write FIELD=COLUMN", pair)
		}
		if err := m.take(m.columns, "--map", field, column); err != nil {
			return m, err
		}
	}
	for _, pair := range constants {
		field, value, ok := strings.Cut(pair, "=")
		if !ok {
			return m, fmt.Errorf("--set %q: write FIELD=VALUE", pair)
		}
		if err := m.take(m.constant, "--set", field, value); err != nil {
			return m, err
		}
	}
	for _, pair := range values {
		field, rest, ok := strings.Cut(pair, ":")
		// The last =, for texts from elsewhere may hold one; our values hold none.
		at := strings.LastIndex(rest, "=")
		if !ok || at < 0 {
			return m, fmt.Errorf("--value %q: write FIELD:TEXT=VALUE", pair)
		}
		if !slices.Contains(fields(), field) {
			return m, unknownField("--value", field)
		}
		if m.values[field] == nil {
			m.values[field] = map[string]string{}
		}
		m.values[field][strings.Trim(rest[:at], `"`)] = rest[at+1:]
	}
	return m, m.complete()
}

func (m *mapping) take(into map[string]string, flag, field, value string) error {
	if !slices.Contains(fields(), field) {
		return unknownField(flag, field)
	}
	if into[field] != "" {
		return fmt.Errorf("%s names %s twice", flag, field)
	}
	into[field] = value
	return nil
}

func unknownField(flag, field string) error {
	return fmt.Errorf("%s: there is no field %q; there are: %s", flag, field, strings.Join(fields(), ", "))
}

// complete refuses a mapping that could not make tickets, or could make them twice.
func (m *mapping) complete() error {
	if m.columns["title"] == "" && m.columns["description"] == "" {
		return errors.New("--map needs a column for title or description")
	}
	if m.columns["external_ref"] == "" {
		return errors.New("--map needs a column for external_ref, the row's id in the other system: without it the same file would make its tickets again")
	}
	return nil
}

// check holds the mapping against a file's head.
func (m *mapping) check(head []string) error {
	for _, field := range slices.Sorted(maps.Keys(m.columns)) {
		if !slices.Contains(head, m.columns[field]) {
			return fmt.Errorf("the file has no column %q for %s; it has: %s", m.columns[field], field, strings.Join(head, ", "))
		}
	}
	return nil
}

// ticket makes a ticket of a row, or says what is wrong with it.
func (m *mapping) ticket(row map[string]string) (apiclient.NewTicket, error) {
	var t apiclient.NewTicket
	text := map[string]string{}
	for _, field := range fields() {
		value, err := m.value(field, row)
		if err != nil {
			return t, err
		}
		text[field] = value
	}
	t = apiclient.NewTicket{Title: text["title"], Description: text["description"], Category: text["category"], Priority: text["priority"],
		Status: text["status"], ExternalRef: text["external_ref"], Resolution: text["resolution"]}
	if t.ExternalRef == "" {
		return t, fmt.Errorf("column %q is empty: the row has no id", m.columns["external_ref"])
	}
	if err := titled(&t); err != nil {
		return t, err
	}
	if text["tags"] != "" {
		for tag := range strings.SplitSeq(text["tags"], ";") {
			t.Tags = append(t.Tags, strings.TrimSpace(tag))
		}
	}
	if name := text["unit"]; name != "" {
		id, ok := m.units[name]
		if !ok {
			return t, fmt.Errorf("the building has no unit %q", name)
		}
		t.Unit = &id
	}
	var err error
	if t.ReportedAt, err = m.moment("reported_at", text["reported_at"]); err == nil {
		t.ResolvedAt, err = m.moment("resolved_at", text["resolved_at"])
	}
	return t, err
}

// value is what a row says about a field.
func (m *mapping) value(field string, row map[string]string) (string, error) {
	text := m.constant[field]
	if column := m.columns[field]; column != "" {
		text = strings.TrimSpace(row[column])
	}
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%s is not UTF-8: convert the file first", field)
	}
	if ours, ok := m.values[field][text]; ok {
		text = ours
	} else if _, any := m.values[field]["*"]; any && text != "" {
		text = m.values[field]["*"]
	}
	if allowed := allowed(field); len(allowed) > 0 && text != "" && !slices.Contains(allowed, text) {
		return "", fmt.Errorf("%s %q is none of %s; map it with --value '%s:%s=…'", field, text, strings.Join(allowed, ", "), field, text)
	}
	return text, nil
}

// allowed lists the values of a field that takes only some.
func allowed(field string) []string {
	switch field {
	case "priority":
		return schema.Priorities()
	case "category":
		return schema.Categories()
	case "status":
		return schema.TicketStates()
	}
	return nil
}

// titled makes a short title of a long text and keeps the whole text in the description.
func titled(t *apiclient.NewTicket) error {
	if t.Title == "" {
		t.Title = t.Description
	}
	if t.Title == "" {
		return errors.New("the row has no text")
	}
	if utf8.RuneCountInString(t.Title) <= titleMax {
		return nil
	}
	if t.Description == "" {
		t.Description = t.Title
	} else if t.Description != t.Title {
		t.Description = t.Title + "\n\n" + t.Description
	}
	short := []rune(t.Title)[:titleMax-1]
	for at := len(short) - 1; at > titleMax/2; at-- { // end on a word
		if short[at] == ' ' {
			short = short[:at]
			break
		}
	}
	t.Title = string(short) + "…"
	return nil
}

// moment reads a date or a time. Which of 03/04 is the month cannot be guessed.
func (m *mapping) moment(field, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	layouts := []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}
	switch m.order {
	case monthFirst:
		layouts = append(layouts, "1/2/2006", "1/2/2006 15:04", "1/2/2006 03:04:05 PM")
	case dayFirst:
		layouts = append(layouts, "2/1/2006", "2.1.2006", "2/1/2006 15:04", "2.1.2006 15:04")
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			at = at.UTC()
			return &at, nil
		}
	}
	return nil, fmt.Errorf("%s %q is no time such as 2026-03-01 or 2026-03-01T09:12:00Z (for 03/01/2026 say --dates mdy or dmy)", field, text)
}
