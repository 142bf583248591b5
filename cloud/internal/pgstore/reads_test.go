package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"estate/internal/desk"
	"estate/internal/lab/pglab/pgtest"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

var readBuilding, readAuthor = record.DerivedID("b"), record.DerivedID("author")

func readTicket(n int) record.Key {
	return record.Key{Building: readBuilding, Kind: "ticket", ID: record.DerivedID("t", fmt.Sprint(n))}
}

// putTickets stores tickets [from, to), each with a code of its own.
func putTickets(ctx context.Context, s *Store, from, to int) error {
	return s.Update(ctx, readBuilding, func(tx replica.Tx) error { return putTicketsIn(ctx, tx, from, to) })
}

func putTicketsIn(ctx context.Context, tx replica.Tx, from, to int) error {
	have, err := tx.Load(ctx, replica.Need{})
	if err != nil {
		return err
	}
	e := replica.Effects{State: have.State}
	for n := from; n < to; n++ {
		e.State.Position++
		dot := record.Dot{Replica: readAuthor, N: e.State.Position}
		r := storetest.MakeRecord(readAuthor, dot.N, fmt.Sprint(n)).With("code", []record.Sibling{{Dot: dot, Stamp: 1, Class: record.Person, Value: record.Text(fmt.Sprintf("OAK-%d", n))}})
		e.Records = append(e.Records, storetest.Row(readTicket(n), e.State.Position, r))
	}
	return tx.Save(ctx, e)
}

// blocked runs readers one after another while no record can be read, so that all after the
// first are asked together.
func blocked(t *testing.T, s *Store, readers ...func(ctx context.Context)) {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	err := pgx.BeginFunc(t.Context(), s.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "LOCK TABLE record IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		for i, read := range readers {
			q := &queued{Context: t.Context(), waiting: make(chan struct{})}
			wg.Go(func() { read(q) })
			if i > 0 {
				<-q.waiting
				continue
			}
			for waits := false; !waits; { // the first asks alone, and waits for the table
				err := tx.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_locks l, pg_sleep(0.01) WHERE NOT granted AND relation = 'record'::regclass").Scan(&waits)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Readers who ask together get what they asked for, and what cannot be read fails those
// alone who asked for it.
func TestReadersTogether(t *testing.T) {
	t.Parallel()
	const damaged = 3
	s := openTest(t, pgtest.Database(t))
	if err := putTickets(t.Context(), s, 0, 10); err != nil {
		t.Fatal(err)
	}
	bad := readTicket(damaged)
	if _, err := s.Pool().Exec(t.Context(), "UPDATE record SET body = 'x' WHERE building = $1 AND id = $2", [16]byte(readBuilding), [16]byte(bad.ID)); err != nil {
		t.Fatal(err)
	}
	var readers []func(context.Context)
	for n := range 12 {
		readers = append(readers, func(ctx context.Context) {
			first, second := readTicket(n), readTicket(n+1)
			have, err := s.Load(ctx, readBuilding, replica.Need{Keys: []record.Key{second, first}})
			if first == bad || second == bad {
				if !errors.Is(err, replica.ErrCorrupt) {
					t.Errorf("reader %d of a damaged record: %v", n, err)
				}
				return
			}
			want := max(0, min(2, 10-n))
			if err != nil || len(have.Records) != want || have.State.Position != 10 {
				t.Errorf("reader %d: %d records of %d at %d, %v", n, len(have.Records), want, have.State.Position, err)
			}
			for k, r := range have.Records {
				if k != first && k != second || r.Record.IsZero() {
					t.Errorf("reader %d got %s", n, k)
				}
			}
		})
	}
	blocked(t, s, readers...)
}

func TestLookUpsTogether(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	if err := putTickets(t.Context(), s, 0, 10); err != nil {
		t.Fatal(err)
	}
	q := NewQueries(s, schema.Kinds())
	var readers []func(context.Context)
	for n := range 12 {
		readers = append(readers, func(ctx context.Context) {
			got, err := q.Select(ctx, desk.Selection{Shape: "tickets_by_code", Building: readBuilding, Lead: record.Text(fmt.Sprintf("OAK-%d", n)), Limit: 2})
			want := 1
			if n >= 10 {
				want = 0
			}
			if err != nil || len(got.Rows) != want || want == 1 && (got.Rows[0].Key != readTicket(n) || len(got.Rows[0].Body) == 0) {
				t.Errorf("look-up %d: %+v, %v", n, got.Rows, err)
			}
		})
	}
	blocked(t, s, readers...)
}

// Who has written reads what they wrote, whoever else reads at the same time.
func TestReadersSeeTheirWrites(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for m := range 15 {
				k := readTicket(100*n + m)
				if err := putTickets(t.Context(), s, 100*n+m, 100*n+m+1); err != nil {
					t.Error(err)
					return
				}
				have, err := s.Load(t.Context(), readBuilding, replica.Need{Keys: []record.Key{k}})
				if _, ok := have.Records[k]; err != nil || !ok || have.State.Position < have.Records[k].Position {
					t.Errorf("writer %d does not see its write %d: %v", n, m, err)
				}
			}
		})
	}
	wg.Wait()
}

// Reads that are shared bring no deadline of a caller's: the store's own ends them, also where
// no connection comes free.
func TestSharedReadsEnd(t *testing.T) {
	t.Parallel()
	s := openPaced(t, pgtest.Database(t), Options{ConnectionsMax: 1, readTimeout: soon})
	q := NewQueries(s, schema.Kinds())
	c, err := s.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if _, err := s.Load(t.Context(), readBuilding, replica.Need{Keys: []record.Key{readTicket(1)}}); !errors.Is(err, replica.ErrBusy) {
		t.Errorf("a read without a connection: %v", err)
	}
	_, err = q.Select(t.Context(), desk.Selection{Shape: "tickets_by_code", Building: readBuilding, Lead: record.Text("OAK-1"), Limit: 2})
	if !errors.Is(err, replica.ErrBusy) {
		t.Errorf("a look-up without a connection: %v", err)
	}
}

// What was ever asked for takes no memory for good.
func TestNothingIsKeptOfBuildings(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	q := NewQueries(s, schema.Kinds())
	for n := range 20 {
		building := record.DerivedID("building", fmt.Sprint(n))
		if err := s.Update(t.Context(), building, func(replica.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(t.Context(), building, replica.Need{}); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Select(t.Context(), desk.Selection{Shape: "tickets_by_code", Building: building, Lead: record.Text("OAK-1"), Limit: 2}); err != nil {
			t.Fatal(err)
		}
	}
	if queues, loads, leads := s.queues.Len(), s.loads.Len(), q.leads.Len(); queues+loads+leads > 0 {
		t.Errorf("%d queues, %d readers' and %d look-ups' are kept", queues, loads, leads)
	}
}

// A code is looked up in its index whatever the planner knows: nothing, as after an import,
// or that the table is tiny.
func TestCodesAreLookedUpInTheirIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	q := NewQueries(s, schema.Kinds())
	uses := func(when string) {
		t.Helper()
		text := strings.NewReplacer("$1", "'"+readBuilding.String()+"'::uuid", "$2", "'{OAK-1}'", "$3", "2").Replace(q.shapes["tickets_by_code"].lead)
		if plan := explain(t, s.Pool(), text); !strings.Contains(plan, "ticket_by_code_hash") || strings.Contains(plan, "ticket_pkey") {
			t.Errorf("%s:\n%s", when, plan)
		}
	}
	uses("empty")
	for from, to := 0, 60; to <= 3840; from, to = to, 4*to {
		if err := putTickets(t.Context(), s, from, to); err != nil {
			t.Fatal(err)
		}
		uses(fmt.Sprintf("%d tickets, never analysed", to))
	}
	if _, err := s.Pool().Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	uses("analysed")
}

// What the planner assumes of statements is not taken for what they cost.
func TestPlansAreForSmallReads(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	for _, setting := range []string{"jit", "enable_seqscan"} {
		var value string
		if err := s.Pool().QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value); err != nil || value != "off" {
			t.Errorf("%s is %q, error %v", setting, value, err)
		}
	}
}
