package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"estate/schema"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

// childEnv names the file to a process that the crash test starts and kills.
const childEnv = "ESTATE_SQLITESTORE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		err := limitFiles()
		var s *Store
		if err == nil {
			s, err = Open(context.Background(), path, Options{})
		}
		if err == nil {
			err = storetest.WriteThroughFaults(context.Background(), s, os.Stdout)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func openTest(t testing.TB, path string) *Store { return openKinds(t, path, nil) }

func openKinds(t testing.TB, path string, kinds []schema.Kind) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, Options{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) replica.Store { return openTest(t, filepath.Join(t.TempDir(), "store.db")) })
}

// Invariant 1: kill -9 takes nothing that was acknowledged.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	path, acked := filepath.Join(t.TempDir(), "store.db"), 0
	var acks bytes.Buffer
	for round := range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		for chunk := make([]byte, 512); acks.Len() < 8000*(round+1); { // some hundred writes a round
			n, err := out.Read(chunk)
			if err != nil {
				t.Fatalf("the child ended by itself: %v", err)
			}
			acks.Write(chunk[:n])
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = acks.ReadFrom(out) // what it had printed before it died
		_ = child.Wait()          // killed: that is its status
		acks.Truncate(bytes.LastIndexByte(acks.Bytes(), '\n') + 1)
		s, err := Open(t.Context(), path, Options{}) // checks the file, and that the lock went with the process
		if err != nil {
			t.Fatal(err)
		}
		acked = storetest.CheckAcknowledged(t, s, bytes.NewReader(acks.Bytes()))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged writes survived", acked)
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, path)
}

func TestClosedStoreIsBusy(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Local(t.Context(), func(*sql.Tx) error { return nil }); !errors.Is(err, replica.ErrBusy) {
		t.Fatalf("write: %v", err)
	}
	if _, err := s.Buildings(t.Context()); !errors.Is(err, replica.ErrBusy) {
		t.Fatalf("read: %v", err)
	}
}

// TestClosesWhereNothingCanBegin: a store whose file takes no transaction any more still closes,
// and lets go of its folder.
func TestClosesWhereNothingCanBegin(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.writer.discard(), s.write.Close()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Close() }()
	select {
	case err := <-ended:
		if !errors.Is(err, replica.ErrBusy) {
			t.Errorf("closed with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not close")
	}
	if s, err = Open(t.Context(), path, Options{}); err != nil {
		t.Fatalf("open again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, replica.ErrCorrupt) {
		t.Fatalf("got %v, want ErrCorrupt", err)
	}
}

// Local tables share commits and durability with the replicated ones, and fail alone.
func TestLocal(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "store.db"))
	ctx := t.Context()
	err := s.Local(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "CREATE TABLE local_test (n INTEGER PRIMARY KEY)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() {
			err := s.Local(ctx, func(tx *sql.Tx) error {
				if _, err := tx.ExecContext(ctx, "INSERT INTO local_test VALUES (?)", n); err != nil {
					return err
				}
				if n%4 == 0 {
					return refused
				}
				return nil
			})
			if n%4 == 0 && !errors.Is(err, refused) || n%4 != 0 && err != nil {
				t.Errorf("call %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	var count int
	if err := s.DB().QueryRowContext(ctx, "SELECT count(*) FROM local_test").Scan(&count); err != nil || count != 30 {
		t.Fatalf("%d rows, %v", count, err)
	}
	if _, err := s.DB().ExecContext(ctx, "INSERT INTO local_test VALUES (100)"); err == nil {
		t.Fatal("the reading pool wrote")
	}
}

// What a migration will change is copied first, as it was; a second copy takes the place
// of the first.
func TestBackup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	openTest(t, path)
	db, err := sql.Open("sqlite", dsn(path, true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	to := path + ".before-9999"
	for _, name := range []string{"first", "second"} {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO projection VALUES (?, 'x')", name); err != nil {
			t.Fatal(err)
		}
		if err := backupTo(t.Context(), db, to); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), to, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var found bool
		err = s.DB().QueryRowContext(t.Context(), "SELECT EXISTS (SELECT 1 FROM projection WHERE kind = ?)", name).Scan(&found)
		if err != nil || !found {
			t.Fatalf("the backup misses row %s: %v", name, err)
		}
		if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("backup %v, %v", info, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func kinds(policy merge.Policy, more ...schema.Field) []schema.Kind {
	return []schema.Kind{{Name: "ticket", Fields: append([]schema.Field{
		{Name: "title", Type: schema.Text, Policy: policy, Indexed: true}, {Name: "tags", Type: schema.ID, Policy: merge.Policy{Kind: merge.Set}}}, more...)}}
}

func code(indexed bool) schema.Field {
	return schema.Field{Name: "code", Type: schema.Text, Policy: merge.Policy{Kind: merge.Latest}, Indexed: indexed}
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

// The tables of kinds follow the table of kinds: a new kind, a new field, another policy
// and an older release all show what the records hold.
func TestProjectionFollowsTheKinds(t *testing.T) {
	t.Parallel()
	path, building := filepath.Join(t.TempDir(), "store.db"), record.DerivedID("building")
	latest, first := merge.Policy{Kind: merge.Latest}, merge.Policy{Kind: merge.First}
	rooms := schema.Field{Name: "rooms", Type: schema.Int, Policy: latest}
	for step, c := range []struct {
		kinds []schema.Kind
		query string
		want  string
	}{
		{[]schema.Kind{{Name: "unit"}}, "SELECT count(*) FROM record", "1"},
		{kinds(latest), "SELECT title || tags || position FROM ticket", `two["` + building.String() + `"]1`},
		{kinds(first, rooms), "SELECT title || rooms FROM ticket", "one-5"},
		{kinds(latest), "SELECT title FROM ticket", "two"},
		// Only what a shape leads with has an index, and one that nothing uses is dropped.
		{kinds(latest, code(true)), "SELECT group_concat(name) FROM pragma_index_list('ticket') WHERE origin = 'c'", "ticket_by_code"},
		{kinds(latest, code(false)), "SELECT count(*) FROM pragma_index_list('ticket') WHERE origin = 'c'", "0"},
	} {
		s, err := Open(t.Context(), path, Options{Kinds: c.kinds})
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
		if err := s.DB().QueryRowContext(t.Context(), c.query).Scan(&got); err != nil || got != c.want {
			t.Fatalf("step %d: got %q, %v, want %q", step, got, err, c.want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(t.Context(), path, Options{Kinds: []schema.Kind{{Name: "chain"}}}); err == nil {
		t.Fatal("a kind took the name of another table")
	}
}

func BenchmarkPages(b *testing.B) {
	storetest.BenchPages(b, openTest(b, filepath.Join(b.TempDir(), "store.db")), 1000)
}

func BenchmarkSingles(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			storetest.BenchSingles(b, openTest(b, filepath.Join(b.TempDir(), "store.db")), writers)
		})
	}
}

// TestLockIsGivenBack: a store that was closed can be opened, though a copy of the lock's
// descriptor lives on, as in a child that has not begun to run yet.
func TestLockIsGivenBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "edge.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(s.lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
