package pgstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"estate/internal/lab/pglab/pgtest"
	"estate/schema"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

const patience = 60 * time.Second

// lines is what the writers print, and tells when there is enough of it.
type lines struct {
	mu     sync.Mutex
	text   bytes.Buffer
	left   int
	enough chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left--; l.left == 0 {
		close(l.enough)
	}
	return l.text.Write(p)
}

// Invariant 1 for the cloud: a server that is killed loses nothing that was acknowledged,
// comes back under another boot, and stores that were open go on.
func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cluster := pgtest.Cluster(t)
	if err := cluster.CreateDatabase(ctx, "cloud", ""); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, cluster.URL("cloud"))
	before := s.Boot()
	if again := openTest(t, cluster.URL("cloud")).Boot(); before.IsZero() || again != before {
		t.Fatalf("two processes see boots %s and %s", before, again)
	}
	moved, stop := s.Watch(record.ID{})
	defer stop()
	acks, ended := &lines{left: 200, enough: make(chan struct{})}, make(chan error, 1)
	go func() { ended <- storetest.WriteUntilKilled(ctx, s, acks) }()
	select {
	case <-acks.enough:
	case err := <-ended:
		t.Fatal(err)
	}
	if err := cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, replica.ErrBusy) && !errors.Is(err, replica.ErrUnsure) {
		t.Fatalf("writing to a dead server: %v", err)
	}
	drain(moved)
	if err := cluster.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-moved: // the listener is back, and tells so
	case <-ctx.Done():
		t.Fatal("nobody was woken after the restart")
	}
	acks.mu.Lock()
	defer acks.mu.Unlock()
	t.Logf("%d acknowledged writes survived", storetest.CheckAcknowledged(t, s, &acks.text))
	after := s.Boot()
	if after == before {
		t.Fatalf("boot %s as before", after)
	}
	err := s.Update(ctx, record.DerivedID("any"), func(tx replica.Tx) error {
		if b, ok := tx.(replica.Booter); !ok || b.Boot() != after {
			t.Errorf("a transaction does not know its boot")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func drain(moved <-chan struct{}) {
	select {
	case <-moved:
	default:
	}
}

// A commit whose answer was lost is looked up; after a restart nobody can tell.
func TestOutcomeOfALostAnswer(t *testing.T) {
	t.Parallel()
	ctx, lost := t.Context(), errors.New("connection lost")
	s := openTest(t, pgtest.Database(t))
	boot := s.Boot()
	for _, c := range []struct {
		end  string
		boot record.ID
		want error
	}{{"COMMIT", boot, nil}, {"ROLLBACK", boot, replica.ErrBusy}, {"COMMIT", record.DerivedID("other"), replica.ErrUnsure}} {
		tx, err := s.Pool().Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var xid string
		if err := tx.QueryRow(ctx, "SELECT pg_current_xact_id()::text").Scan(&xid); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(ctx, c.end); err != nil {
			t.Fatal(err)
		}
		_ = tx.Rollback(ctx) // gives the connection back; the transaction has ended
		if err := s.outcome(xid, c.boot, lost); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Fatalf("%s: got %v, want %v", c.end, err, c.want)
		}
	}
}

// The tables of kinds follow the table of kinds: a new kind, a new field, another policy
// and an older release all show what the records hold.
func TestProjectionFollowsTheKinds(t *testing.T) {
	t.Parallel()
	url, building := pgtest.Database(t), record.DerivedID("building")
	latest, first := merge.Policy{Kind: merge.Latest}, merge.Policy{Kind: merge.First}
	kinds := func(policy merge.Policy, more ...schema.Field) []schema.Kind {
		return []schema.Kind{{Name: "ticket", Fields: append([]schema.Field{
			{Name: "title", Type: schema.Text, Policy: policy, Indexed: true}, {Name: "tags", Type: schema.ID, Policy: merge.Policy{Kind: merge.Set}}}, more...)}}
	}
	rooms := schema.Field{Name: "rooms", Type: schema.Int, Policy: latest}
	plain := func(kinds []schema.Kind) []schema.Kind {
		kinds[0].Fields[0].Indexed = false
		return kinds
	}
	for step, c := range []struct {
		kinds []schema.Kind
		query string
		want  string
	}{
		{[]schema.Kind{{Name: "unit"}}, "SELECT count(*)::text FROM record", "1"},
		{kinds(latest), "SELECT concat(title, tags, position) FROM ticket", `two["` + building.String() + `"]1`},
		{kinds(first, rooms), "SELECT concat(title, rooms) FROM ticket", "one-5"},
		{kinds(latest), "SELECT title FROM ticket", "two"},
		{kinds(latest), "SELECT max(indexname)::text FROM pg_indexes WHERE indexname LIKE 'ticket_by%'", "ticket_by_title"},
		{plain(kinds(latest)), "SELECT count(*)::text FROM pg_indexes WHERE indexname LIKE 'ticket_by%'", "0"},
	} {
		s, err := Open(t.Context(), url, Options{Kinds: c.kinds})
		if err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			err = s.Update(t.Context(), building, func(tx replica.Tx) error {
				return tx.Save(t.Context(), replica.Effects{State: replica.State{Building: building, Position: 1}, Records: []replica.RecordRow{conflicting(building)}})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var got string
		if err := s.Pool().QueryRow(t.Context(), c.query).Scan(&got); err != nil || got != c.want {
			t.Fatalf("step %d: got %q, %v, want %q", step, got, err, c.want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(t.Context(), url, Options{Kinds: []schema.Kind{{Name: "chain"}}}); err == nil {
		t.Fatal("a kind took the name of another table")
	}
}

// Codes are found by an index of their hashes. Where a release before this one left a tree, or
// makes one again, that goes, and rows that are right are not made again.
func TestProbedIndexIsOfHashes(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), pgtest.Database(t)
	const indexes = "SELECT string_agg(indexname || ' ' || (indexdef LIKE '%USING hash (code)%')::text, ',' ORDER BY indexname) FROM pg_indexes WHERE indexname LIKE 'ticket_by_code%'"
	const want = "ticket_by_code_hash true"
	opened := func() *Store {
		t.Helper()
		s, err := Open(ctx, url, Options{Kinds: schema.Kinds()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		var got string
		if err := s.Pool().QueryRow(ctx, indexes).Scan(&got); err != nil || got != want {
			t.Fatalf("indexes %q, %v, want %q", got, err, want)
		}
		return s
	}
	s := opened()
	if err := putTickets(ctx, s, 0, 3); err != nil {
		t.Fatal(err)
	}
	// As the release before left it; the title shows that the row was not made again.
	_, err := s.Pool().Exec(ctx, `DROP INDEX ticket_by_code_hash; CREATE INDEX ticket_by_code ON ticket (building, code) WHERE code IS NOT NULL;
		UPDATE projection SET fingerprint = replace(fingerprint, ' hashed', '') WHERE kind = 'ticket'; UPDATE ticket SET title = 'kept'`)
	if err != nil {
		t.Fatal(err)
	}
	s = opened()
	var kept int
	if err := s.Pool().QueryRow(ctx, "SELECT count(*) FROM ticket WHERE title = 'kept'").Scan(&kept); err != nil || kept != 3 {
		t.Errorf("%d rows are as they were, %v, want 3", kept, err)
	}
	if _, err := s.Pool().Exec(ctx, "UPDATE projection SET fingerprint = 'another' WHERE kind = 'ticket'"); err != nil {
		t.Fatal(err)
	}
	s = opened()
	if err := s.Pool().QueryRow(ctx, "SELECT count(*) FROM ticket WHERE title = 'kept'").Scan(&kept); err != nil || kept != 0 {
		t.Errorf("%d rows of another form were kept, %v, want none", kept, err)
	}
}

func conflicting(building record.ID) replica.RecordRow {
	r := storetest.MakeRecord(building, 1, "one")
	second := storetest.MakeRecord(building, 2, "two")
	r = r.With("title", append(r.Siblings("title"), second.Siblings("title")...))
	tag := record.Sibling{Dot: record.Dot{Replica: building, N: 2}, Class: record.Person, Value: record.IDValue(building)}
	r = r.With("tags", []record.Sibling{tag})
	tag.Value = record.Int(-5)
	r = r.With("rooms", []record.Sibling{tag})
	return storetest.Row(record.Key{Building: building, Kind: "ticket", ID: building}, 1, r)
}

// Every type of column takes what records hold, and nothing where they hold another type,
// whether a row is upserted or copied.
func TestColumnTypes(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	building := record.DerivedID("building")
	err := s.Update(t.Context(), building, func(tx replica.Tx) error {
		have, err := tx.Load(t.Context(), replica.Need{})
		if err != nil {
			return err
		}
		e := replica.Effects{State: have.State}
		for _, k := range schema.Kinds() {
			var right, wrong record.Record
			for _, f := range k.Fields {
				with := func(r record.Record, v record.Value) record.Record {
					return r.With(f.Name, []record.Sibling{{Dot: record.Dot{Replica: building, N: 1}, Class: record.Person, Value: v}})
				}
				right, wrong = with(right, sample(f)), with(wrong, record.Value{0x80}) // an empty array is none of the types
			}
			for i := range 2 * (1 + copyRowsMin) {
				e.State.Position++
				key := record.Key{Building: building, Kind: k.Name, ID: record.DerivedID(k.Name, fmt.Sprint(i))}
				row := storetest.Row(key, e.State.Position, []record.Record{right, wrong}[i%2])
				row.New = i >= 2
				e.Records = append(e.Records, row)
			}
		}
		return tx.Save(t.Context(), e)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range schema.Kinds() {
		for _, f := range k.Fields {
			if k.Chain {
				continue
			}
			name := quote(f.Name)
			wrong := "IS NULL"
			if f.Policy.Kind == merge.Set {
				wrong = "= '[]'"
			}
			var right, different int
			err := s.Pool().QueryRow(t.Context(), "SELECT count(*), count(DISTINCT "+name+"::text) FROM "+quote(k.Name)+" WHERE NOT "+name+" "+wrong).Scan(&right, &different)
			if err != nil || right != 1+copyRowsMin || different != 1 {
				t.Errorf("%s.%s: %d values, %d of them different, %v", k.Name, f.Name, right, different, err)
			}
		}
	}
}

func sample(f schema.Field) record.Value {
	switch f.Type {
	case schema.Int, schema.Time:
		return record.Int(1 << 40)
	case schema.Float:
		return record.Float(1.5)
	case schema.Bool:
		return record.Bool(true)
	case schema.ID:
		return record.IDValue(record.DerivedID("x"))
	case schema.Digest, schema.Blob:
		return record.Bytes([]byte{0, 1, 2})
	case schema.Text, schema.Enum:
	}
	return record.Text("text")
}

// A backup that is put back under a server that runs on, into the same database, is another
// run: no number that was given out since the backup is given out again.
func TestTablesMadeAnewAreAnotherRun(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), pgtest.Database(t)
	s, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := s.Boot()
	if again := openTest(t, url).Boot(); again != before {
		t.Fatalf("opened again: boot %s after %s", again, before)
	}
	for name, text := range map[string]string{
		"Filled": `BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM building_state; TRUNCATE building_state; INSERT INTO building_state SELECT * FROM kept; DROP TABLE kept; COMMIT`,
		"Made":   `BEGIN; ALTER TABLE building_state RENAME TO gone; CREATE TABLE building_state (LIKE gone INCLUDING ALL); INSERT INTO building_state SELECT * FROM gone; DROP TABLE gone; COMMIT`,
	} {
		if _, err := s.Pool().Exec(ctx, text); err != nil {
			t.Fatal(name, err)
		}
		after := openTest(t, url).Boot() // a restore waits until nobody is connected
		if after == before {
			t.Errorf("%s anew: boot %s as before", name, after)
		}
		before = after
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
