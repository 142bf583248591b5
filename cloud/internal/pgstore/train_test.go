package pgstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
	"estate/sync/replica"
)

// page applies a page beside others, and says when it is decided, each time.
func (h *heldUp) page(n uint64) (decided chan struct{}, ended chan error) {
	decided, ended = make(chan struct{}, 8), make(chan error, 1)
	go func() {
		ended <- h.s.Update(context.Background(), h.building, func(tx replica.Tx) error {
			err := savePage(context.Background(), tx, h.building, n)
			decided <- struct{}{}
			return err
		})
	}()
	return decided, ended
}

// end ends the backends that are in some state, and waits until it did.
func (h *heldUp) end(function, which string) {
	h.t.Helper()
	var n int
	text := `SELECT count(*) FILTER (WHERE ` + function + `(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND ` + which
	if err := h.look.QueryRow(h.t.Context(), text).Scan(&n); err != nil || n != 1 {
		h.t.Fatalf("%s of %d backends: %v", function, n, err)
	}
}

const (
	waitsForLock = `wait_event_type = 'Lock'`
	holdsRows    = `state = 'idle in transaction' AND query LIKE 'COPY "event"%'`
)

// Three pages are under way: the rows of all are written before the first is durable, no row of
// them is seen, and they become visible in their order, each decided once.
func TestRowsAreWrittenBesideOthers(t *testing.T) {
	t.Parallel()
	s, building := openTest(t, pgtest.Database(t)), record.DerivedID("b")
	h := holdUp(t, s, building)
	decidedThird, third := h.page(2)
	h.holding(1)
	decidedFourth, fourth := h.page(3)
	h.holding(2)
	h.seen(1)
	h.letGo()
	if err := errors.Join(<-h.ended, <-third, <-fourth); err != nil {
		t.Fatal(err)
	}
	h.seen(4)
	if len(decidedThird) != 1 || len(decidedFourth) != 1 {
		t.Errorf("decided %d and %d times", len(decidedThird), len(decidedFourth))
	}
}

// A page fails while the rows of those after it are written: these are not kept, nor seen. A
// page that loses its own connection fails nobody else.
func TestRowsOfAFailedTransaction(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		function, which string
		second          error
		seen, behind    uint64 // pages in the end, and the first that cannot be applied
	}{
		"the one before is killed":    {"pg_terminate_backend", waitsForLock, replica.ErrBusy, 1, 2},
		"the one before is cancelled": {"pg_cancel_backend", waitsForLock, replica.ErrBusy, 1, 2},
		"it is killed itself":         {"pg_terminate_backend", holdsRows, nil, 3, 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, building := openTest(t, pgtest.Database(t)), record.DerivedID("b")
			h := holdUp(t, s, building)
			decided, third := h.page(2)
			h.holding(1)
			h.end(c.function, c.which)
			if c.second != nil {
				if err := <-h.ended; !errors.Is(err, c.second) {
					t.Errorf("the second page ended with %v", err)
				}
			}
			h.letGo()
			if c.second == nil {
				if err := <-h.ended; err != nil {
					t.Errorf("the second page ended with %v", err)
				}
			}
			if err := <-third; (err != nil) != (c.behind == 2) || err != nil && !errors.Is(err, errBehind) {
				t.Errorf("the third page ended with %v", err)
			}
			if len(decided) != 2 {
				t.Errorf("the third page was decided %d times", len(decided))
			}
			h.seen(c.seen)
		})
	}
}

// A page that runs again takes the place of rows that were written behind it: these give way.
func TestRowsGiveWay(t *testing.T) {
	t.Parallel()
	s, building := openTest(t, pgtest.Database(t)), record.DerivedID("b")
	h := holdUp(t, s, building)
	decidedThird, third := h.page(2)
	h.holding(1)
	var pid int
	if err := h.look.QueryRow(t.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND `+holdsRows).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	decidedFourth, fourth := h.page(3)
	h.holding(2)
	h.end("pg_terminate_backend", fmt.Sprint("pid = ", pid))
	h.letGo()
	if err := errors.Join(<-h.ended, <-third, <-fourth); err != nil {
		t.Fatal(err)
	}
	h.seen(4)
	if len(decidedThird) != 2 || len(decidedFourth) != 2 {
		t.Errorf("decided %d and %d times", len(decidedThird), len(decidedFourth))
	}
}

// A page whose commit succeeds, though its answer is lost, is followed by those whose rows wait.
func TestRowsAfterALostAnswer(t *testing.T) {
	t.Parallel()
	address, building := pgtest.Database(t), record.DerivedID("b")
	line := &deafLine{}
	s := openTest(t, line.through(t, address))
	h := holdUp(t, s, building)
	decided, third := h.page(2)
	h.holding(1)
	line.deaf.Store(true)
	h.letGo()
	if err := errors.Join(<-h.ended, <-third); err != nil || line.lost.Load() != 1 {
		t.Errorf("the pages ended with %v, %d answers were lost", err, line.lost.Load())
	}
	if len(decided) != 1 {
		t.Errorf("the third page was decided %d times", len(decided))
	}
	h.seen(3)
}

// deafLine is between a store and its server. While it is deaf, whoever waits for an answer
// loses the connection when it comes; others go on.
type deafLine struct {
	deaf atomic.Bool
	lost atomic.Int32
}

// through is a database's URL by way of the line.
func (l *deafLine) through(t *testing.T, to string) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	server := u.Host
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", server)
			if err != nil {
				_ = near.Close()
				continue
			}
			go l.carry(near, far)
		}
	}()
	u.Host = listener.Addr().String()
	return u.String()
}

func (l *deafLine) carry(near, far net.Conn) {
	var asked atomic.Bool // before the line was deaf
	go func() {
		defer func() { _ = far.Close() }()
		room := make([]byte, 1<<16)
		for {
			n, err := near.Read(room)
			asked.Store(!l.deaf.Load())
			if _, err2 := far.Write(room[:n]); err != nil || err2 != nil {
				return
			}
		}
	}()
	defer func() { _ = near.Close() }()
	room := make([]byte, 1<<16)
	for {
		n, err := far.Read(room)
		if n > 0 && l.deaf.Load() && asked.Load() {
			l.lost.Add(1)
			return
		}
		asked.Store(false)
		if _, err2 := near.Write(room[:n]); err != nil || err2 != nil {
			return
		}
	}
}

// Two processes write pages and single records to one building, each three at a time. Every
// snapshot shows each position up to its end exactly once, no write fails for the other's sake,
// and no position is given twice.
func TestTwoProcessesInOneBuilding(t *testing.T) {
	t.Parallel()
	const rounds, beside = 12, 3
	address, building := pgtest.Database(t), record.DerivedID("b")
	stores := []*Store{openTest(t, address), openTest(t, address)}
	ctx, stop := context.WithCancel(t.Context())
	var writing, reading sync.WaitGroup
	reading.Go(func() {
		for last := uint64(0); ctx.Err() == nil; {
			last = whole(ctx, t, stores[1], building, last)
		}
	})
	for process, s := range stores {
		for line := range beside {
			writing.Go(func() {
				for round := range uint64(rounds) {
					rows := uint64(followMin)
					if process == 1 && round%2 == 0 {
						rows = 1
					}
					from := uint64(process)<<22 + uint64(line)<<20 + round*followMin
					if err := s.Update(ctx, building, func(tx replica.Tx) error { return saveNew(ctx, tx, building, from, rows) }); err != nil {
						t.Errorf("process %d: %v", process, err)
					}
				}
			})
		}
	}
	writing.Wait()
	stop()
	reading.Wait()
	const want = beside * rounds * followMin
	if end := whole(t.Context(), t, stores[0], building, 0); end < 2*want {
		t.Errorf("the feed ends at %d", end)
	}
}

// saveNew is a page that goes with whatever others wrote.
func saveNew(ctx context.Context, tx replica.Tx, building record.ID, from, rows uint64) error {
	have, err := tx.Load(ctx, pageNeed(building, from, from+rows))
	if err != nil {
		return err
	}
	if len(have.Records) > 0 {
		return fmt.Errorf("%d records of a page that is new", len(have.Records))
	}
	e := replica.Effects{State: have.State}
	addTickets(&e, building, from, from+rows, "new")
	for i := range e.Records {
		e.Records[i].New, e.Events[i].New = true, true
	}
	return tx.Save(ctx, e)
}

// whole holds a snapshot of the feed to its end, and the end to the one that was seen last.
func whole(ctx context.Context, t *testing.T, s *Store, building record.ID, last uint64) uint64 {
	t.Helper()
	feed, err := s.Feed(ctx, building, 0, 1<<20, 1<<30)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return last
	}
	for i, item := range feed.Items {
		if item.Position != uint64(i)+1 {
			t.Errorf("position %d is item %d", item.Position, i)
			break
		}
	}
	if uint64(len(feed.Items)) != feed.End || feed.End < last {
		t.Errorf("%d items up to %d, after %d", len(feed.Items), feed.End, last)
	}
	return feed.End
}
