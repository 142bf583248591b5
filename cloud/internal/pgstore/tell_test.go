package pgstore

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"estate/internal/lab/child"
	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
)

// childEnv gives the database to a process that a test starts and kills.
const childEnv = "ESTATE_PGSTORE_CHILD"

const (
	never = time.Hour // longer than any test
	soon  = 100 * time.Millisecond
)

// writeUntold stores one ticket for each line of in and acknowledges it on out. Only the
// first is told to other processes, and only once the second line has come: that of the
// others dies with the process.
func writeUntold(ctx context.Context, url string, in io.Reader, out io.Writer) error {
	s, err := Open(ctx, url, Options{tellEvery: never})
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for n := 0; lines.Scan(); n++ {
		if err := putTickets(ctx, s, n, n+1); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
	}
	return lines.Err()
}

// sees waits for wake-ups until the feed of the test's building has come to a position.
func sees(t *testing.T, s *Store, moved <-chan struct{}, position uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case <-moved:
		case <-ctx.Done():
			t.Fatalf("nobody was woken for position %d", position)
		}
		page, err := s.Feed(ctx, readBuilding, 0, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if page.State.Position >= position {
			return
		}
	}
}

// Invariant 7: a process that dies between its commit and telling others delays their
// watchers until they compare, and no longer.
func TestDiedBeforeTelling(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := openPaced(t, url, Options{compareEvery: soon})
	moved, stop := s.Watch(readBuilding)
	defer stop()
	writer := exec.CommandContext(t.Context(), os.Args[0])
	writer.Env = append(os.Environ(), childEnv+"="+url)
	in, err := writer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	acks := bufio.NewReader(out)
	for range 3 {
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
		if _, err := acks.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Wait() // killed: that is its status
	sees(t, s, moved, 3)
}

// Whoever does not compare is told; so is everybody whose listener, or whose teller, was
// dropped by the server in between.
func TestToldAgainAfterADrop(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	a, b := openPaced(t, url, Options{compareEvery: never}), openPaced(t, url, Options{compareEvery: never})
	moved, stop := b.Watch(readBuilding)
	defer stop()
	for n, drop := range []string{"", "LISTEN estate_feed%", "%pg_notify%"} {
		if drop != "" {
			_, err := a.Pool().Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1 AND datname = current_database() AND pid <> pg_backend_pid()`, drop)
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := putTickets(t.Context(), a, n, n+1); err != nil {
			t.Fatal(err)
		}
		sees(t, b, moved, uint64(n+1))
	}
}

// What was committed before the process ended in order is told before it is gone.
func TestToldBeforeTheEnd(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	b := openPaced(t, url, Options{compareEvery: never})
	moved, stop := b.Watch(readBuilding)
	defer stop()
	a, err := Open(t.Context(), url, Options{tellEvery: never})
	if err != nil {
		t.Fatal(err)
	}
	told := func(position uint64) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for b.marks.copy()[readBuilding] < position { // raised by nothing else, for b never compares
			select {
			case <-moved:
			case <-ctx.Done():
				t.Fatalf("nobody was told of position %d", position)
			}
		}
	}
	for n := range 3 {
		if err := putTickets(t.Context(), a, n, n+1); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			told(1) // from here on the teller pauses
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	told(3)
}

// Invariant 7: a connection that nothing comes through any more is found out.
func TestListenerHangs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cluster := pgtest.Cluster(t)
	if err := cluster.CreateDatabase(ctx, "cloud", ""); err != nil {
		t.Fatal(err)
	}
	b := openPaced(t, cluster.URL("cloud"), Options{compareEvery: 5 * soon})
	moved, stop := b.Watch(readBuilding)
	defer stop()
	var hung int
	if err := b.Pool().QueryRow(ctx, "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").Scan(&hung); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(hung, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(hung, syscall.SIGCONT) }() // the server may have ended it
	a := openPaced(t, cluster.URL("cloud"), Options{compareEvery: never})
	err := child.Poll(ctx, "another listener", func() (another bool, err error) {
		err = b.Pool().QueryRow(ctx, "SELECT count(*) >= 3 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE 'SELECT building, position%'").Scan(&another)
		return another, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := putTickets(ctx, a, 0, 1); err != nil {
		t.Fatal(err)
	}
	sees(t, b, moved, 1)
}

func TestMarks(t *testing.T) {
	t.Parallel()
	type marked = map[record.ID]uint64
	b := readBuilding
	for name, c := range map[string]struct {
		before, meanwhile, found marked
		moved                    []record.ID
		after                    marked
	}{
		"nobody watches":       {marked{b: 3}, nil, nil, nil, marked{}},
		"first looked at":      {nil, nil, marked{b: 3}, []record.ID{b}, marked{b: 3}},
		"nothing moved":        {marked{b: 3}, nil, marked{b: 3}, nil, marked{b: 3}},
		"nobody told":          {marked{b: 3}, nil, marked{b: 4}, []record.ID{b}, marked{b: 4}},
		"moved while looking":  {marked{b: 3}, marked{b: 5}, marked{b: 4}, nil, marked{b: 5}},
		"told while looking":   {marked{b: 3}, marked{b: 4}, marked{b: 4}, nil, marked{b: 4}},
		"told late":            {marked{b: 3}, marked{b: 4}, marked{b: 6}, []record.ID{b}, marked{b: 6}},
		"an older notice":      {marked{b: 3}, marked{b: 2}, marked{b: 3}, nil, marked{b: 3}},
		"database is restored": {marked{b: 9}, nil, marked{b: 4}, []record.ID{b}, marked{b: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m marks
			for building, position := range c.before {
				m.raise(building, position)
			}
			before := m.copy()
			for building, position := range c.meanwhile {
				m.raise(building, position)
			}
			if moved := m.compare(before, c.found); !slices.Equal(moved, c.moved) {
				t.Errorf("woken %v, want %v", moved, c.moved)
			}
			if after := m.copy(); !maps.Equal(after, c.after) {
				t.Errorf("marks %v, want %v", after, c.after)
			}
		})
	}
}

// A process is told of many buildings at once, with payloads as large as PostgreSQL takes,
// and what is no payload wakes everybody.
func TestPayloads(t *testing.T) {
	t.Parallel()
	const buildings = 2*toldMax + 1
	a, b := &Store{name: "a"}, &Store{name: "b"}
	all := map[record.ID]uint64{}
	for n := range buildings {
		all[record.DerivedID(fmt.Sprint(n))] = 1<<63 + uint64(n)
	}
	told := payloads(a.name, all)
	if len(told) != 3 {
		t.Errorf("%d payloads", len(told))
	}
	watched, stop := b.Watch(record.DerivedID("200"))
	defer stop()
	for _, payload := range told {
		if len(payload) >= 8000 {
			t.Errorf("a payload of %d bytes", len(payload))
		}
		a.heard(payload)
		b.heard(payload)
	}
	if heard := b.marks.copy(); !maps.Equal(heard, all) {
		t.Errorf("%d marks that may differ, want %d", len(heard), len(all))
	}
	if heard := a.marks.copy(); len(heard) > 0 {
		t.Errorf("heard itself: %v", heard)
	}
	for _, payload := range []string{"a x:1", "a " + readBuilding.String(), "a", ""} {
		drain(watched)
		b.heard(payload)
		select {
		case <-watched:
		default:
			t.Errorf("not woken by %q", payload)
		}
	}
}
