package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/desk"
	"estate/internal/lab/pglab/pgtest"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// Small reads are planned once on a connection, not each time that they are asked.
func TestSmallReadsArePlannedOnce(t *testing.T) {
	t.Parallel()
	const times = 20
	s := openTest(t, pgtest.Database(t))
	if err := putTickets(t.Context(), s, 0, 100); err != nil {
		t.Fatal(err)
	}
	q := NewQueries(s, schema.Kinds())
	for n := range times {
		key := readTicket(n)
		if _, err := s.Load(t.Context(), readBuilding, replica.Need{Keys: []record.Key{key, readTicket(n + 1)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Select(t.Context(), desk.Selection{Shape: "tickets_by_code", Building: readBuilding, Lead: record.Text("OAK-1"), Limit: 2}); err != nil {
			t.Fatal(err)
		}
		err := s.UpdateFor(t.Context(), readBuilding, replica.Need{Keys: []record.Key{key}}, func(tx replica.Tx) error {
			_, err := tx.Load(t.Context(), replica.Need{Keys: []record.Key{key}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		// What a page of few records asks for.
		err = s.Update(t.Context(), readBuilding, func(tx replica.Tx) error {
			_, err := tx.Load(t.Context(), replica.Need{Keys: []record.Key{key}, HeldBack: []record.Key{key}, Peer: readBuilding, Quarantine: 10,
				Chains: []record.ReplicaID{readBuilding}, Waiting: []record.ReplicaID{readBuilding}, Events: []record.Dot{{Replica: readBuilding, N: uint64(n)}}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Feed(t.Context(), readBuilding, uint64(n), 10, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{selectRecords, selectTouches, q.shapes["tickets_by_code"].lead, selectState, lockStatement,
		lineage, selectWaiting, selectHashes, selectErasures, selectHeldBack, selectHeldBackOf, selectFeed} {
		kept, anew := 0, 0
		for _, c := range s.Pool().AcquireAllIdle(t.Context()) {
			var k, a int
			err := c.QueryRow(t.Context(), "SELECT coalesce(sum(generic_plans), 0), coalesce(sum(custom_plans), 0) FROM pg_prepared_statements WHERE statement = $1", text).Scan(&k, &a)
			kept, anew = kept+k, anew+a
			c.Release()
			if err != nil {
				t.Fatal(err)
			}
		}
		if kept == 0 || anew > times/2 {
			t.Errorf("planned %d times and %d times not:\n%s", anew, kept, text)
		}
	}
}

// A plan that is kept must not be one for a tiny table: whoever imports a building has a
// large one before the server looks at it again.
func TestKeptPlansUseIndexes(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	if err := putTickets(t.Context(), s, 0, 60); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool().Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	q := NewQueries(s, schema.Kinds())
	values := strings.NewReplacer("$1", "'"+readBuilding.String()+"'::uuid", "$2", "'{ticket}'", "$3", "'{"+readTicket(1).ID.String()+"}'")
	codes := strings.NewReplacer("$1", "'"+readBuilding.String()+"'::uuid", "$2", "'{OAK-1}'", "$3", "2")
	for _, text := range []string{values.Replace(selectRecords), values.Replace(selectTouches), values.Replace(selectState), values.Replace(ownLineage),
		codes.Replace(q.shapes["tickets_by_code"].lead)} {
		plan := explain(t, s.Pool(), text)
		if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "record_position") || strings.Contains(plan, "ticket_pkey") {
			t.Errorf("%s\n%s", text, plan)
		}
	}
}

// What a probe has missed is found by positions, whatever the planner knows: of a table that
// was never analysed, or that grew since. Walking all records of the kind once cost a create
// beside 100,000 tickets three times of what it costs.
func TestMissedCodesAreReadByPosition(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	text := NewQueries(s, schema.Kinds()).shapes["tickets_by_code"].newLeads
	uses := func(when string, upTo int) {
		t.Helper()
		values := strings.NewReplacer("$1", "'"+readBuilding.String()+"'::uuid", "$2", strconv.Itoa(upTo), "$3", strconv.Itoa(upTo+probeFill))
		plan := explain(t, s.Pool(), values.Replace(text))
		if !strings.Contains(plan, "record_position") || !strings.Contains(plan, "ticket_pkey") || strings.Contains(plan, "record_pkey") {
			t.Errorf("%s:\n%s", when, plan)
		}
	}
	uses("empty", 0)
	for from, to := 0, 60; to <= 3840; from, to = to, 4*to {
		if err := putTickets(t.Context(), s, from, to); err != nil {
			t.Fatal(err)
		}
		uses(fmt.Sprintf("%d tickets, never analysed", to), to-1)
	}
	if _, err := s.Pool().Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	uses("analysed", 3800)
	if err := putTickets(t.Context(), s, 3840, 5000); err != nil {
		t.Fatal(err)
	}
	uses("grown since", 4990)
}

// A fleet of buildings that hold next to nothing looks to the server as if a building were one
// row. The first of them to bring all that it has must not be searched from end to end for
// each record: one that came back after 1,000 had idled cost PostgreSQL 300 µs a record.
func TestPlansOfManySmallBuildings(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	const fill = `INSERT INTO record (building, kind, id, position, body)
		SELECT gen_random_uuid(), 'building', gen_random_uuid(), 1, '\x00' FROM generate_series(1, $1)`
	for _, buildings := range []int{0, 1, 30, 1000} {
		if _, err := s.Pool().Exec(t.Context(), fill, buildings); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Pool().Exec(t.Context(), "ANALYZE record"); err != nil {
			t.Fatal(err)
		}
		building, id := "'"+readBuilding.String()+"'::uuid", "'{"+readTicket(1).ID.String()+"}'::uuid[]"
		for text, values := range map[string]*strings.Replacer{
			selectRecords:   strings.NewReplacer("$1", building, "$2", "'{ticket}'", "$3", id),
			deleteRecords:   strings.NewReplacer("$1", building, "$2::", "'{ticket}'::", "$3::", id+"::"),
			selectStretches: strings.NewReplacer("$1", building, "$2", "'{ticket}'", "$3", "'{1}'", "$4", "'{1}'", "$5::uuid[]", id),
		} {
			if plan := explain(t, s.Pool(), values.Replace(text)); !strings.Contains(plan, "record_pkey") || strings.Contains(plan, "record_position") {
				t.Errorf("with %d buildings: %s\n%s", buildings, text, plan)
			}
		}
	}
}

func explain(t *testing.T, pool *pgxpool.Pool, text string) string {
	t.Helper()
	rows, err := pool.Query(context.Background(), "EXPLAIN "+text)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
