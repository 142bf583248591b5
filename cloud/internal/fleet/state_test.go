package fleet_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"estate/cloud/internal/fleet"
	"estate/cloud/internal/pgstore"
	"estate/internal/auth"
	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
)

// patience is how long a test waits for what must happen, on the busiest machine.
const patience = time.Minute

// world is one enrolled edge, a clock, and what a listener heard.
type world struct {
	*fleet.Store
	t        *testing.T
	pool     *pgxpool.Pool
	building record.ID
	node     record.ID
	events   chan fleet.Event

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func enrolled(t *testing.T) *world {
	t.Helper()
	db, err := pgstore.Open(t.Context(), pgtest.Database(t), pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{t: t, pool: db.Pool(), building: record.DerivedID("oak"), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), events: make(chan fleet.Event, 100)}
	w.Store = fleet.New(db.Pool(), w.clock)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	listener := fleet.Listener{Pool: db.Pool(), Log: slog.New(slog.DiscardHandler), On: func(e fleet.Event) { w.events <- e }}
	go func() {
		defer close(done)
		listener.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	w.hear(fleet.Event{}) // it listens
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.node = record.NodeID(public)
	e := auth.Enrolment{Hash: auth.TokenHash{1}, Building: w.building, By: record.DerivedID("admin"), CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
	if err := w.CreateEnrolment(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := w.UseEnrolment(t.Context(), e.Hash, w.node, public, w.now); err != nil {
		t.Fatal(err)
	}
	w.hear(fleet.Event{Building: w.building, Node: w.node})
	return w
}

// hear waits for an event, past those that say nothing in particular.
func (w *world) hear(want fleet.Event) {
	w.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case got := <-w.events:
			if got == want {
				return
			}
			if got != (fleet.Event{}) {
				w.t.Fatalf("heard %+v, want %+v", got, want)
			}
		case <-limit.C:
			w.t.Fatalf("never heard %+v", want)
		}
	}
}

func (w *world) state() fleet.Edge {
	w.t.Helper()
	e, err := w.Edge(w.t.Context(), w.node)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestReportAndSeen(t *testing.T) {
	t.Parallel()
	w := enrolled(t)
	replica := record.DerivedID("chain")
	if e := w.state(); e.LastSeenAt != nil || e.State.ReportedAt != nil || e.State.Line != nil {
		t.Fatalf("before anything: %+v", e)
	}
	w.must(w.Report(t.Context(), w.node, replica, json.RawMessage(`{"n":7}`)))
	w.hear(fleet.Event{Building: w.building, Node: w.node})
	reported := w.clock()
	if _, err := w.pool.Exec(t.Context(), `INSERT INTO chain (building, replica, held, hash, receipted) VALUES ($1, $2, 5, '', 0)`, [16]byte(w.building), [16]byte(replica)); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	w.must(w.Seen(t.Context(), []record.ID{w.node}))
	e := w.state()
	if string(e.State.Report) != `{"n": 7}` || !e.State.ReportedAt.Equal(reported) || !e.LastSeenAt.Equal(w.clock()) || e.Held != 5 {
		t.Errorf("being seen changed what was reported: %+v, report %s", e, e.State.Report)
	}
	w.must(w.Report(t.Context(), w.node, record.ID{}, json.RawMessage(`{}`)))
	if e := w.state(); !e.State.Replica.IsZero() || e.Held != 0 {
		t.Errorf("the chain of an older report stays: %+v", e)
	}
	list, err := w.List(t.Context(), w.building)
	if err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	w := enrolled(t)
	one, two := record.DerivedID("one"), record.DerivedID("two")
	changed := fleet.Event{Building: w.building, Node: w.node}
	w.must(w.Hold(t.Context(), []record.ID{w.node}, one, time.Minute))
	w.hear(changed)
	w.must(w.Report(t.Context(), w.node, record.ID{}, json.RawMessage(`{}`)))
	w.hear(changed)
	w.pass(30 * time.Second)
	w.must(w.Renew(t.Context(), []record.ID{w.node}, one, time.Minute))
	w.must(w.Renew(t.Context(), []record.ID{w.node}, two, time.Hour)) // not its line
	if l := w.state().State.Line; l.Process != one || !l.Until.Equal(w.clock().Add(time.Minute)) || l.ClosedAt != nil {
		t.Errorf("renewed: %+v", l)
	}
	// The edge reconnects at another process before the first one notices.
	w.must(w.Hold(t.Context(), []record.ID{w.node}, two, time.Minute))
	w.hear(changed)
	w.must(w.Release(t.Context(), []record.ID{w.node}, one))
	if l := w.state().State.Line; l.Process != two || l.ClosedAt != nil {
		t.Errorf("a late goodbye ended another's line: %+v", l)
	}
	w.must(w.Release(t.Context(), []record.ID{w.node}, two))
	w.hear(changed)
	if e := w.state(); e.State.Line.ClosedAt == nil || !e.State.Line.ClosedAt.Equal(w.clock()) || e.State.ReportedAt == nil {
		t.Errorf("closed: %+v", e.State)
	}
}

func TestRevokeIsHeard(t *testing.T) {
	t.Parallel()
	w := enrolled(t)
	w.must(w.Revoke(t.Context(), w.node))
	w.hear(fleet.Event{Building: w.building, Node: w.node, Revoked: true})
	at := w.state().RevokedAt
	w.pass(time.Hour)
	w.must(w.Revoke(t.Context(), w.node))
	if again := w.state().RevokedAt; !again.Equal(*at) {
		t.Errorf("revoked at %v, then at %v", at, again)
	}
}

// TestListenerComesBack: who lost the connection is told that anything may have changed,
// and hears again.
func TestListenerComesBack(t *testing.T) {
	t.Parallel()
	w := enrolled(t)
	if _, err := w.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN estate_edge%' AND datname = current_database()`); err != nil {
		t.Fatal(err)
	}
	w.hear(fleet.Event{})
	w.must(w.Revoke(t.Context(), w.node))
	w.hear(fleet.Event{Building: w.building, Node: w.node, Revoked: true})
}
