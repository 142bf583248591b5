package pgstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

func TestRanges(t *testing.T) {
	t.Parallel()
	a, b := record.ID{1}, record.ID{2}
	for _, c := range []struct {
		dots []record.Dot
		want string
	}{
		{nil, ""},
		{[]record.Dot{{Replica: a, N: 7}}, "1:7-7 "},
		{[]record.Dot{{Replica: a, N: 8}, {Replica: a, N: 7}, {Replica: a, N: 7}, {Replica: a, N: 9}, {Replica: a, N: 8}}, "1:7-9 "},
		{[]record.Dot{{Replica: b, N: 3}, {Replica: a, N: 2}, {Replica: a, N: 4}, {Replica: b, N: 4}, {Replica: a, N: 0}}, "1:0-0 1:2-2 1:4-4 2:3-4 "},
	} {
		asked, got := slices.Clone(c.dots), ""
		ids, first, last := ranges(c.dots)
		for i := range ids {
			got += fmt.Sprintf("%d:%d-%d ", ids[i][0], first[i], last[i])
		}
		if got != c.want || !slices.Equal(asked, c.dots) {
			t.Errorf("ranges of %v are %q, want %q", asked, got, c.want)
		}
	}
}

// scans is what PostgreSQL counts of a transaction's looks at a table.
type scans struct{ whole, index int64 }

// scansOf runs fn in a transaction and tells how it looked at a table.
func scansOf(t *testing.T, s *Store, building record.ID, table string, fn func(replica.Tx) error) (out scans) {
	t.Helper()
	look := func(g *group) (n scans) {
		const text = `SELECT seq_scan, coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables WHERE relname = $1`
		if err := g.conn.QueryRow(g.ctx, text, table).Scan(&n.whole, &n.index); err != nil {
			t.Error(err)
		}
		return n
	}
	err := s.Update(t.Context(), building, func(tx replica.Tx) error {
		g := tx.(*group)
		before := look(g)
		if err := fn(tx); err != nil {
			return err
		}
		after := look(g)
		out = scans{after.whole - before.whole, after.index - before.index}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// saveTickets saves tickets from one number to the next, with an event each.
func saveTickets(ctx context.Context, tx replica.Tx, building record.ID, from, to uint64, title string) error {
	have, err := tx.Load(ctx, replica.Need{})
	if err != nil {
		return err
	}
	e := replica.Effects{State: have.State}
	addTickets(&e, building, from, to, title)
	return tx.Save(ctx, e)
}

func addTickets(e *replica.Effects, building record.ID, from, to uint64, title string) {
	for n := from; n < to; n++ {
		e.State.N++
		e.State.Position += 2
		e.Records = append(e.Records, storetest.Row(ticketKey(building, n), e.State.Position-1, storetest.MakeRecord(building, e.State.N, title)))
		e.Events = append(e.Events, replica.EventRow{Replica: building, N: e.State.N, Body: []byte("event"), Position: e.State.Position})
	}
}

// ticketKey is in the order of numbers, as ids are that a node makes one after another.
func ticketKey(building record.ID, n uint64) record.Key {
	return record.Key{Building: building, Kind: "ticket", ID: record.ID{1, byte(n >> 16), byte(n >> 8), byte(n)}}
}

func pageNeed(building record.ID, from, to uint64) replica.Need {
	var need replica.Need
	for n := from; n < to; n++ {
		need.Keys = append(need.Keys, ticketKey(building, n))
		need.Events = append(need.Events, record.Dot{Replica: building, N: n + 1}, record.Dot{Replica: building, N: n})
	}
	return need
}

// A page's records and events are shown to be new by few looks, and none reads a whole table,
// though the plans were made when the tables were small.
func TestFewLooksForWhatIsNew(t *testing.T) {
	t.Parallel()
	const page, pages = 256, 9
	s, building := openTest(t, pgtest.Database(t)), record.DerivedID("b")
	for n := range uint64(pages) {
		if n == 1 { // two of each are there
			if _, err := s.Pool().Exec(t.Context(), "ANALYZE record, event"); err != nil {
				t.Fatal(err)
			}
		}
		from, to := n*page, (n+1)*page
		if n == 0 {
			to = 2
		}
		for _, table := range []string{"record", "event"} {
			got := scansOf(t, s, building, table, func(tx replica.Tx) error {
				have, err := tx.Load(t.Context(), pageNeed(building, from, from+page))
				if err == nil && len(have.Records)+len(have.Events) > 2 {
					return fmt.Errorf("%d records and %d events are there", len(have.Records), len(have.Events))
				}
				return err
			})
			if got.whole > 0 || got.index > page/stretchKeys+1 {
				t.Errorf("page %d: %s was read whole %d times and looked up %d times", n, table, got.whole, got.index)
			}
		}
		if err := s.Update(t.Context(), building, func(tx replica.Tx) error {
			return saveTickets(t.Context(), tx, building, from, to, "new")
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// A page of changes replaces its rows, and none is read to be written over. Pages about the same
// records that wait together are one; the last is what stays.
func TestChangesReplaceRows(t *testing.T) {
	t.Parallel()
	const page = 2 * replaceRowsMin
	s, building := openTest(t, pgtest.Database(t)), record.DerivedID("b")
	tuples := func(g *group) (n [3]int64) {
		const text = `SELECT sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del) FROM pg_stat_xact_user_tables WHERE relname IN ('record', 'ticket')`
		if err := g.conn.QueryRow(g.ctx, text).Scan(&n[0], &n[1], &n[2]); err != nil {
			t.Error(err)
		}
		return n
	}
	for round, c := range []struct {
		saves, sent   int
		wrote, erased int64
	}{{1, 1, 2 * page, 0}, {1, 1, 2 * page, 2 * page}, {2, 1, 2 * page, 2 * page}, {2, 2, 4 * page, 4 * page}} {
		err := s.Update(t.Context(), building, func(tx replica.Tx) error {
			g := tx.(*group)
			before := tuples(g)
			for i := range c.saves {
				if err := saveTickets(t.Context(), tx, building, 0, page, fmt.Sprint(round, i)); err != nil {
					return err
				}
				if i+c.sent < c.saves {
					continue
				}
				if _, err := tx.Load(t.Context(), pageNeed(building, 0, 1)); err != nil { // sends what waits
					return err
				}
			}
			after := tuples(g)
			if wrote, over, erased := after[0]-before[0], after[1]-before[1], after[2]-before[2]; wrote != c.wrote || over != 0 || erased != c.erased {
				t.Errorf("round %d: %d rows written, %d over and %d deleted, want %d, 0 and %d", round, wrote, over, erased, c.wrote, c.erased)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		have, err := s.Load(t.Context(), building, pageNeed(building, 0, page))
		if err != nil {
			t.Fatal(err)
		}
		for k, r := range have.Records {
			if title, _ := r.Record.Siblings("title")[0].Value.AsText(); title != fmt.Sprint(round, c.saves-1) {
				t.Fatalf("round %d: %s shows %q, which is not the last", round, k, title)
			}
		}
	}
}

// A page of changes fetches the rows that it replaces, and not all of the building's to join
// them.
func TestChangesFetchWhatTheyReplace(t *testing.T) {
	t.Parallel()
	const rows, page = 2000, 500
	s, building := openTest(t, pgtest.Database(t)), record.DerivedID("b")
	fetched := func(g *group) (n int64) {
		const text = `SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname IN ('record', 'ticket')`
		if err := g.conn.QueryRow(g.ctx, text).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	for round, to := range []uint64{rows, page, page, page} {
		var got int64
		err := s.Update(t.Context(), building, func(tx replica.Tx) error {
			g := tx.(*group)
			before := fetched(g)
			if err := saveTickets(t.Context(), tx, building, 0, to, "a title"); err != nil {
				return err
			}
			_, err := tx.Load(t.Context(), pageNeed(building, rows, rows+1)) // sends what waits
			got = fetched(g) - before
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if round > 0 && got > 2*page {
			t.Errorf("round %d: %d rows were fetched to replace %d in two tables", round, got, page)
		}
		if round == 1 { // before it there are no statistics
			if _, err := s.Pool().Exec(t.Context(), "ANALYZE record, ticket"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What makes room for a page's rows finds each by its whole key, though the planner believes
// that to be dear: it would compare each with all of a building's rows.
func TestRoomIsMadeByKeys(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	kinds, ids := make([]string, 1000), make([]record.ID, 1000)
	for i := range ids {
		kinds[i], ids[i] = "ticket", record.DerivedID("t", fmt.Sprint(i))
	}
	of := [16]byte(record.DerivedID("b"))
	for text, args := range map[string][]any{deleteRecords: {of, kinds, uuids(ids)}, s.tables["ticket"].remove: {of, uuids(ids)}} {
		b := &pgx.Batch{}
		plan := ""
		b.Queue("BEGIN")
		b.Queue("SELECT set_config('enable_seqscan', 'off', true), set_config('random_page_cost', '1000', true)")
		query(b, func(rows pgx.Rows) error {
			var line string
			err := rows.Scan(&line)
			plan += line + "\n"
			return err
		}, "EXPLAIN "+text, args...)
		b.Queue("ROLLBACK")
		if err := s.Pool().SendBatch(t.Context(), b).Close(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, "(id = k.id)") || !strings.Contains(plan, "Tid Scan") || strings.Contains(plan, "Filter") || strings.Contains(plan, "Hash") {
			t.Errorf("%s:\n%s", text, plan)
		}
	}
}
