package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"estate/internal/desk"
	"estate/schema"
	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

// TestLatestFirstIsSearchedByItsIndex: the first page of a list that grows for ever costs what
// it shows, not what there is.
func TestLatestFirstIsSearchedByItsIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	q := NewQueries(s, schema.Kinds())
	looked := 0
	for _, shape := range desk.Shapes() {
		if shape.Lead != "" || !shape.Desc {
			continue
		}
		looked++
		plan := explain(t, s, q.shapes[shape.Name].rows)
		if len(plan) == 0 || !strings.Contains(plan[0], "SEARCH t USING INDEX "+shape.Kind+"_in_order (building=?)") || strings.Contains(strings.Join(plan, " "), "TEMP B-TREE") {
			t.Errorf("shape %s is not read in the order of its index: %q", shape.Name, plan)
		}
	}
	if looked == 0 {
		t.Error("no shape shows the latest first")
	}
}

// tickets fills a store.
func tickets(t testing.TB, s *Store, building record.ID, count int) {
	t.Helper()
	author := record.DerivedID("author")
	field := func(n uint64, name string, v record.Value) record.Field {
		return record.Field{Name: name, Siblings: []record.Sibling{{Dot: record.Dot{Replica: author, N: n}, Stamp: hlc.Stamp(n << 16), Class: record.Person, Value: v}}}
	}
	const chunk = 1000
	for from := 0; from < count; from += chunk {
		err := s.Update(t.Context(), building, func(tx replica.Tx) error {
			have, err := tx.Load(t.Context(), replica.Need{})
			if err != nil {
				return err
			}
			e := replica.Effects{State: have.State}
			e.State.Building = building
			for i := from; i < min(from+chunk, count); i++ {
				e.State.N, e.State.Position = e.State.N+1, e.State.Position+1
				r := record.Record{Context: record.Context{Vector: []record.Dot{{Replica: author, N: e.State.N}}}, Fields: []record.Field{
					field(e.State.N, "description", record.Text(strings.Repeat("It drips. ", 50))),
					field(e.State.N, "reported_at", record.Int(int64(1_700_000_000_000+i))), field(e.State.N, "status", record.Text("new")),
					field(e.State.N, "title", record.Text(fmt.Sprint("Leak ", i))),
				}}
				body, err := r.Encode()
				if err != nil {
					return err
				}
				key := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket", fmt.Sprint(i))}
				e.Records = append(e.Records, replica.RecordRow{Key: key, Record: r, Body: body, Position: e.State.Position, New: true})
			}
			return tx.Save(t.Context(), e)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkFirstPage(b *testing.B) {
	const count = 40_000
	s := openTest(b, filepath.Join(b.TempDir(), "edge.db"))
	building := record.DerivedID("building")
	tickets(b, s, building, count)
	q := NewQueries(s, schema.Kinds())
	for name, counted := range map[string]bool{"Rows": false, "RowsAndTotal": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				got, err := q.Select(context.Background(), desk.Selection{Shape: "tickets", Building: building, Limit: 2, Count: counted})
				if err != nil || len(got.Rows) != 2 || counted && got.Total != count {
					b.Fatal(len(got.Rows), got.Total, err)
				}
			}
		})
	}
}

// TestTotalIsRemembered: the total of a list is what counting says after each sort of change,
// whether it was remembered or not.
func TestTotalIsRemembered(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	q := NewQueries(s, schema.Kinds())
	building, other, author := record.DerivedID("building"), record.DerivedID("other"), record.DerivedID("author")
	total := func(of record.ID) int {
		got, err := q.Select(t.Context(), desk.Selection{Shape: "tickets", Building: of, Limit: 1, Count: true})
		if err != nil {
			t.Fatal(err)
		}
		var counted int
		if err := s.DB().QueryRowContext(t.Context(), "SELECT count(*) FROM ticket WHERE building = ? AND coalesce(deleted, 0) = 0", of[:]).Scan(&counted); err != nil || got.Total != counted {
			t.Errorf("total %d, counted %d: %v", got.Total, counted, err)
		}
		return got.Total
	}
	save := func(n int, hidden, fresh bool, outcome error) {
		err := s.Update(t.Context(), building, func(tx replica.Tx) error {
			have, err := tx.Load(t.Context(), replica.Need{})
			if err != nil {
				return err
			}
			e := replica.Effects{State: have.State}
			e.State.Building, e.State.N, e.State.Position = building, have.State.N+1, have.State.Position+1
			dot := record.Dot{Replica: author, N: e.State.N}
			r := record.Record{Context: record.Context{Vector: []record.Dot{dot}}}
			r = r.With("title", []record.Sibling{{Dot: dot, Stamp: hlc.At(1), Class: record.Person, Value: record.Text("x")}})
			r = r.With("deleted", []record.Sibling{{Dot: dot, Stamp: hlc.At(1), Class: record.Person, Value: record.Bool(hidden)}})
			row := storetest.Row(record.Key{Building: building, Kind: "ticket", ID: record.DerivedID(fmt.Sprint(n))}, e.State.Position, r)
			row.New = fresh
			e.Records = []replica.RecordRow{row}
			return errors.Join(tx.Save(t.Context(), e), outcome)
		})
		if !errors.Is(err, outcome) {
			t.Fatal(err)
		}
	}
	tickets(t, s, building, 10)
	failed := errors.New("after it saved")
	for _, step := range []struct {
		n             int
		hidden, fresh bool
		outcome       error
		want          int
	}{
		{1, false, true, nil, 11}, {2, false, true, nil, 12}, {3, true, true, nil, 12}, {1, true, false, nil, 11}, {1, false, false, nil, 12},
		{4, false, true, failed, 12}, {1, true, false, failed, 12}, {4, false, true, nil, 13}, {4, false, false, nil, 13},
	} {
		save(step.n, step.hidden, step.fresh, step.outcome)
		for range 2 {
			if got := total(building); got != step.want {
				t.Errorf("after %+v the total is %d", step, got)
			}
		}
		if total(other) != 0 {
			t.Error("another building has tickets")
		}
	}
	got, err := q.Select(t.Context(), desk.Selection{Shape: "tickets", Building: building, Limit: 1, Count: true, Filters: map[string][]record.Value{"status": {record.Text("new")}}})
	if err != nil || got.Total != 10 {
		t.Errorf("a filtered list has %d, %v", got.Total, err)
	}
}
