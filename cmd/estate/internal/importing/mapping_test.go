package importing

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"estate/sync/record"
)

func TestParseMapping(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                     string
		pairs, values, constants []string
		want                     string // part of the error; empty for none
	}{
		{"Good", []string{"title=text", "external_ref=id"}, []string{"priority:C (x=y)=urgent"}, []string{"category=other"}, ""},
		{"NoText", []string{"external_ref=id"}, nil, nil, "title or description"},
		{"NoReference", []string{"title=text"}, nil, nil, "external_ref"},
		{"UnknownField", []string{"colour=text"}, nil, nil, `no field "colour"`},
		{"Twice", []string{"title=a", "title=b"}, nil, nil, "twice"},
		{"NoColumn", []string{"title"}, nil, nil, "FIELD=COLUMN"},
		{"BadValue", []string{"title=text", "external_ref=id"}, []string{"priority"}, nil, "FIELD:TEXT=VALUE"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseMapping(test.pairs, test.values, test.constants)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func sample(t *testing.T) mapping {
	t.Helper()
	m, err := parseMapping([]string{"title=text", "external_ref=id", "priority=class", "unit=flat", "reported_at=on", "tags=tags"},
		[]string{"priority:C (immediately hazardous)=urgent", "priority:*=normal"}, []string{"category=other"})
	if err != nil {
		t.Fatal(err)
	}
	m.units = map[string]record.ID{"4B": {1}}
	return m
}

func TestRowBecomesTicket(t *testing.T) {
	t.Parallel()
	m := sample(t)
	got, err := m.ticket(map[string]string{"text": " Leak ", "id": "17", "class": "C (immediately hazardous)", "flat": "4B", "on": "2013-10-09", "tags": "a; b"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Title != "Leak" || got.ExternalRef != "17" || got.Priority != "urgent" || got.Category != "other" || *got.Unit != (record.ID{1}) ||
		!got.ReportedAt.Equal(time.Date(2013, 10, 9, 0, 0, 0, 0, time.UTC)) || len(got.Tags) != 2 || got.Tags[1] != "b" {
		t.Errorf("got %+v", got)
	}
	if got, err = m.ticket(map[string]string{"text": "x", "id": "18", "class": "B"}); err != nil || got.Priority != "normal" {
		t.Errorf("any other text: %q, %v", got.Priority, err)
	}
}

func TestLongTextKeepsAll(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("wässrig ", 60)
	m := sample(t)
	got, err := m.ticket(map[string]string{"text": long, "id": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if utf8.RuneCountInString(got.Title) > titleMax || !strings.HasSuffix(got.Title, "wässrig…") || got.Description != strings.TrimSpace(long) {
		t.Errorf("title %q, description %q", got.Title, got.Description)
	}
}

func TestBadRowsSayWhy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		row  map[string]string
		want string
	}{
		"NoReference": {map[string]string{"text": "x"}, "no id"},
		"NoText":      {map[string]string{"id": "1"}, "no text"},
		"UnknownUnit": {map[string]string{"text": "x", "id": "1", "flat": "9Z"}, `no unit "9Z"`},
		"BadTime":     {map[string]string{"text": "x", "id": "1", "on": "yesterday"}, "yesterday"},
		"NotUTF8":     {map[string]string{"text": "\xff", "id": "1"}, "UTF-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := sample(t)
			if _, err := m.ticket(test.row); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	m := sample(t)
	delete(m.values, "priority")
	if _, err := m.ticket(map[string]string{"text": "x", "id": "1", "class": "C"}); err == nil || !strings.Contains(err.Error(), "--value 'priority:C=") {
		t.Errorf("an unmapped value: %v", err)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	for order, want := range map[string]time.Time{monthFirst: time.Date(2013, 3, 4, 0, 0, 0, 0, time.UTC), dayFirst: time.Date(2013, 4, 3, 0, 0, 0, 0, time.UTC)} {
		m := mapping{order: order}
		if got, err := m.moment("reported_at", "03/04/2013"); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", order, got, err)
		}
	}
	var m mapping
	if got, err := m.moment("reported_at", "03/04/2013"); err == nil {
		t.Errorf("the month was guessed: %v", got)
	}
}
