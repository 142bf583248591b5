package sqlitestore

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"modernc.org/sqlite"

	"estate/internal/desk"
	"estate/schema"
	"estate/sync/record"
)

// TestLeadIsSearchedByItsIndex: a look-up by the lead field costs the rows that match. One
// that walks the building makes each new ticket dearer than the one before.
func TestLeadIsSearchedByItsIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	q := NewQueries(s, schema.Kinds())
	looked := 0
	for _, shape := range desk.Shapes() {
		if shape.Lead == "" {
			continue
		}
		looked++
		text := q.shapes[shape.Name]
		plan := explain(t, s, text.rows)
		index := shape.Kind + "_by_" + shape.Lead
		if len(plan) == 0 || !strings.Contains(plan[0], "SEARCH t USING INDEX "+index+" ") {
			t.Errorf("shape %s does not begin with a search by %s: %q", shape.Name, index, plan)
		}
	}
	if looked == 0 {
		t.Error("no shape has a lead")
	}
}

// TestOpenTicketsAreCountedInTheirIndex: the count reads neither records nor closed tickets, and
// sorts nothing.
func TestOpenTicketsAreCountedInTheirIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	newQueries := NewQueries(s, schema.Kinds())
	if _, err := newQueries.OpenTickets(t.Context(), record.ID{}, nil); err != nil {
		t.Fatal(err)
	}
	none := func(desk.Selection) any { return nil }
	for _, text := range []queryText{{countStanding, []func(desk.Selection) any{none, none}}, {countOlder, []func(desk.Selection) any{none, none, none, none}}} {
		plan := explain(t, s, text)
		if len(plan) != 1 || !strings.Contains(plan[0], "SEARCH ticket USING COVERING INDEX ticket_standing (building=? AND status=?") {
			t.Errorf("%s: %q", text.text, plan)
		}
	}
}

// TestFeedIsSearchedFromWhereItGoesOn: a page costs what it holds, however many events were
// before it. A search by another bound compares the position of each row that it walks.
func TestFeedIsSearchedFromWhereItGoesOn(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	for _, text := range []string{selectFeedEvents, selectFeedRecords} {
		goesOn(t, s, text)
	}
}

func goesOn(t *testing.T, s *Store, text string) {
	t.Helper()
	rows, err := s.DB().QueryContext(t.Context(), "EXPLAIN "+text, 1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	seeks := 0
	for rows.Next() {
		var address, p1, p2, p3, p5 int64
		var op string
		var p4, comment any
		if err := rows.Scan(&address, &op, &p1, &p2, &p3, &p4, &p5, &comment); err != nil {
			t.Fatal(err)
		}
		switch op {
		case "SeekGT":
			seeks++
		case "Le", "Lt", "Ge", "Gt", "SorterOpen":
			t.Errorf("row %d of the program compares or sorts what it found: %s: %s", address, op, text)
		}
	}
	if err := rows.Err(); err != nil || seeks != 1 {
		t.Fatalf("%d searches: %v: %s", seeks, err, text)
	}
}

// TestMediaFeedIsSearchedByItsIndex: looking for files costs what there is of them, however
// many tickets moved.
func TestMediaFeedIsSearchedByItsIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	plan := explain(t, s, queryText{text: selectMedia, params: make([]func(desk.Selection) any, 3)})
	if len(plan) != 1 || !strings.Contains(plan[0], "SEARCH record USING INDEX record_media (building=? AND position>?)") {
		t.Errorf("the media feed is read by %q", plan)
	}
}

// TestPartialIndexesAskNoParameter: where the condition of a partial index compares a column
// as a statement does, SQLite looks whether the value of the parameter makes the index fit,
// and so parses and plans the statement anew at each run.
func TestPartialIndexesAskNoParameter(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	rows, err := s.DB().QueryContext(t.Context(), "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	seen := 0
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			t.Fatal(err)
		}
		seen++
		_, condition, _ := strings.Cut(text, " WHERE ")
		// TestFeedIsPlannedOnce looks at the one; the other's columns are compared with no parameter.
		known := name == "event_position" || name == "phone_touch_unsettled"
		if strings.ContainsAny(condition, "=<>") && !known {
			t.Errorf("index %s holds rows where %s", name, condition)
		}
	}
	if err := rows.Err(); err != nil || seen < 3 {
		t.Fatalf("%d partial indexes: %v", seen, err)
	}
}

// TestFeedIsPlannedOnce: pages behind different positions are read by one plan.
func TestFeedIsPlannedOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	c, err := s.DB().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	asked := 0 // what a statement may do, once for each of its plans
	watch := func(fn sqlite.AuthorizerFn) {
		t.Helper()
		err := c.Raw(func(at any) error {
			watched, ok := at.(sqlite.AuthorizerRegisterer)
			if !ok {
				return fmt.Errorf("driver %T plans unseen", at)
			}
			return watched.RegisterAuthorizer(fn)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	watch(func(sqlite.AuthorizerActionCode, string, string, string, string) sqlite.AuthorizerReturnCode {
		asked++
		return sqlite.AuthorizerOK
	})
	defer watch(nil)
	for _, text := range []string{selectFeedEvents, selectFeedRecords} {
		feed, err := c.PrepareContext(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = feed.Close() }()
		planned := 0
		for after := range 5 {
			if after == 1 { // the first run reads the schema
				planned = asked
			}
			var position, n int64
			err := feed.QueryRowContext(t.Context(), []byte("building"), after, 10).Scan(&position, &n)
			if !errors.Is(err, sql.ErrNoRows) {
				t.Errorf("read an empty feed: %v", err)
			}
		}
		if planned == 0 || asked != planned {
			t.Errorf("asked %d times to plan it and %d times more to run it again: %s", planned, asked-planned, text)
		}
	}
}

func explain(t *testing.T, s *Store, text queryText) []string {
	t.Helper()
	rows, err := s.DB().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text.text, make([]any, len(text.params))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
