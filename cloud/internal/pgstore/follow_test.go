package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// heldUp is a page that PostgreSQL cannot commit yet, for a test has locked the table to which it
// writes after its rows.
type heldUp struct {
	t        *testing.T
	s        *Store
	building record.ID
	locked   pgx.Tx
	look     *pgx.Conn
	ended    chan error
}

const followPage = followMin

var followPeer = record.DerivedID("peer")

// holdUp applies a first page in full and a second that stays under way until let go.
func holdUp(t *testing.T, s *Store, building record.ID) *heldUp {
	t.Helper()
	h := &heldUp{t: t, s: s, building: building, ended: make(chan error, 1)}
	if err := s.Update(t.Context(), building, func(tx replica.Tx) error { return savePage(t.Context(), tx, building, 0) }); err != nil {
		t.Fatal(err)
	}
	h.lock()
	go func() {
		h.ended <- s.Update(context.Background(), building, func(tx replica.Tx) error { return savePage(t.Context(), tx, building, 1) })
	}()
	h.waitFor(1)
	return h
}

func (h *heldUp) connect() *pgx.Conn {
	h.t.Helper()
	c, err := pgx.Connect(h.t.Context(), h.s.Pool().Config().ConnString())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// lock holds whoever has written the rows of a page.
func (h *heldUp) lock() {
	h.t.Helper()
	var err error
	h.look = h.connect()
	if h.locked, err = h.connect().Begin(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.locked.Exec(h.t.Context(), "LOCK TABLE chain IN EXCLUSIVE MODE"); err != nil {
		h.t.Fatal(err)
	}
}

// waitFor waits until so many transactions wait for a lock.
func (h *heldUp) waitFor(waiting int) { h.t.Helper(); h.await(waiting, waitsForLock) }

// holding waits until so many have written their rows, and wait for the one before to end.
func (h *heldUp) holding(written int) { h.t.Helper(); h.await(written, holdsRows) }

func (h *heldUp) await(waiting int, which string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < waiting; {
		text := `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND ` + which
		if err := h.look.QueryRow(ctx, text).Scan(&n); err != nil {
			h.t.Fatal(err)
		}
		if n < waiting {
			<-tick.C
		}
	}
}

func (h *heldUp) letGo() {
	h.t.Helper()
	if err := h.locked.Rollback(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// savePage is what a page does: it needs its own rows and the chain to be as the page before
// left them, and moves the cursor.
func savePage(ctx context.Context, tx replica.Tx, building record.ID, page uint64) error {
	from := page * followPage
	need := pageNeed(building, from, from+followPage)
	need.Keys = append(need.Keys, ticketKey(building, max(from, 1)-1))
	need.Chains, need.Waiting, need.Peer = []record.ReplicaID{building}, []record.ReplicaID{building}, followPeer
	have, err := tx.Load(ctx, need)
	if err != nil {
		return err
	}
	before := 0
	if page > 0 {
		before = 1
	}
	if have.Cursor.Position != page || have.Chains[building].Held != from || have.State.N != from || len(have.Records) != before || len(have.Events) != before {
		return fmt.Errorf("%w: page %d after cursor %d, %d events held, number %d, %d records, %d events", errBehind, page,
			have.Cursor.Position, have.Chains[building].Held, have.State.N, len(have.Records), len(have.Events))
	}
	e := replica.Effects{State: have.State, Cursor: &replica.PeerCursor{Peer: followPeer, Cursor: wire.Cursor{Position: page + 1}},
		Chains: []replica.Chain{{Replica: building, Held: from + followPage}}}
	addTickets(&e, building, from, from+followPage, "new")
	for i := range e.Records {
		e.Records[i].New, e.Events[i].New = true, true
	}
	return tx.Save(ctx, e)
}

var errBehind = errors.New("the page before is not there")

// A page is decided while the one before it is being written, on what that will have been, and
// not a row of it is written or seen before the other is durable.
func TestPagesFollow(t *testing.T) {
	t.Parallel()
	s, building := openTest(t, pgtest.Database(t)), record.DerivedID("b")
	h := holdUp(t, s, building)
	decided, third := make(chan struct{}), make(chan error, 1)
	go func() {
		third <- s.Update(context.Background(), building, func(tx replica.Tx) error {
			err := savePage(t.Context(), tx, building, 2)
			if err == nil {
				close(decided) // a second time it would panic: nothing is done again
			}
			return err
		})
	}()
	awaitDecided(t, decided, third)
	h.seen(1)
	h.letGo()
	if err := errors.Join(<-h.ended, <-third); err != nil {
		t.Fatal(err)
	}
	h.seen(3)
}

// awaitDecided waits until a page is decided that cannot be written yet.
func awaitDecided(t *testing.T, decided <-chan struct{}, ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-decided:
	case err := <-ended:
		t.Fatalf("the page ended before the one that it follows: %v", err)
	case <-ctx.Done():
		t.Fatal("the page waits for the one before it to be written")
	}
}

// seen holds what everybody may read to whole pages.
func (h *heldUp) seen(pages uint64) {
	h.t.Helper()
	have, err := h.s.Load(h.t.Context(), h.building, replica.Need{Keys: pageNeed(h.building, 0, 4*followPage).Keys, Chains: []record.ReplicaID{h.building}, Peer: followPeer})
	if err != nil {
		h.t.Fatal(err)
	}
	if n := pages * followPage; uint64(len(have.Records)) != n || have.Chains[h.building].Held != n || have.Cursor.Position != pages || have.State.N != n || have.State.Position != 2*n {
		h.t.Errorf("%d records, %d events, cursor %d, state %+v after %d pages", len(have.Records), have.Chains[h.building].Held, have.Cursor.Position, have.State, pages)
	}
	feed, err := h.s.Feed(h.t.Context(), h.building, 0, int(10*followPage), 64<<20)
	if err != nil {
		h.t.Fatal(err)
	}
	if n := int(2 * pages * followPage); len(feed.Items) != n || !slices.IsSortedFunc(feed.Items, func(a, b replica.FeedItem) int { return int(a.Position) - int(b.Position) }) {
		h.t.Errorf("%d items in the feed after %d pages", len(feed.Items), pages)
	}
}

// Where the page before does not become durable, what was decided on it is not either: it is
// decided again on what is there.
func TestFollowedPageFails(t *testing.T) {
	t.Parallel()
	s, building := openTest(t, pgtest.Database(t)), record.DerivedID("b")
	h := holdUp(t, s, building)
	decided, tries, third := make(chan struct{}), 0, make(chan error, 1)
	go func() {
		third <- s.Update(context.Background(), building, func(tx replica.Tx) error {
			err := savePage(t.Context(), tx, building, 2)
			if tries++; tries == 1 {
				close(decided)
			}
			return err
		})
	}()
	awaitDecided(t, decided, third)
	h.end("pg_terminate_backend", waitsForLock)
	if err := <-h.ended; !errors.Is(err, replica.ErrBusy) {
		t.Errorf("the second page ended with %v", err)
	}
	h.letGo()
	if err := <-third; !errors.Is(err, errBehind) || tries != 2 {
		t.Errorf("the third page ended with %v after %d tries", err, tries)
	}
	h.seen(1)
	for page := uint64(1); page < 3; page++ {
		if err := s.Update(t.Context(), building, func(tx replica.Tx) error { return savePage(t.Context(), tx, building, page) }); err != nil {
			t.Fatal(err)
		}
	}
	h.seen(3)
}

// A process that writes between two pages of another is seen by the second of them.
func TestAnotherProcessBetweenPages(t *testing.T) {
	t.Parallel()
	url, building := pgtest.Database(t), record.DerivedID("b")
	s, beside := openTest(t, url), openTest(t, url)
	h := holdUp(t, s, building)
	between := make(chan error, 1)
	key := ticketKey(building, 1<<20)
	go func() {
		between <- beside.Update(context.Background(), building, func(tx replica.Tx) error {
			have, err := tx.Load(t.Context(), replica.Need{})
			if err != nil {
				return err
			}
			e := replica.Effects{State: have.State}
			addTickets(&e, building, 1<<20, 1<<20+1, "between")
			return tx.Save(t.Context(), e)
		})
	}()
	h.waitFor(2)
	decided, wrote, tries, third := make(chan struct{}), make(chan struct{}), 0, make(chan error, 1)
	var positions []uint64
	go func() {
		third <- s.Update(context.Background(), building, func(tx replica.Tx) error {
			have, err := tx.Load(t.Context(), replica.Need{Keys: []record.Key{key}})
			if err != nil {
				return err
			}
			positions = append(positions, have.Records[key].Position)
			e := replica.Effects{State: have.State}
			addTickets(&e, building, 2*followPage, 3*followPage, "new")
			err = tx.Save(t.Context(), e)
			if tries++; tries == 1 {
				close(decided)
				<-wrote
			}
			return err
		})
	}()
	awaitDecided(t, decided, third)
	h.letGo()
	err := errors.Join(<-h.ended, <-between)
	close(wrote)
	if err := errors.Join(err, <-third); err != nil {
		t.Fatal(err)
	}
	if want := []uint64{0, 4*followPage + 1}; !slices.Equal(positions, want) {
		t.Errorf("the third page saw the record of another process at %v, want %v", positions, want)
	}
	have, err := s.Load(t.Context(), building, replica.Need{Keys: []record.Key{key}})
	if err != nil || have.State.N != 3*followPage+1 || have.State.Position != 6*followPage+2 {
		t.Errorf("state %+v, %v", have.State, err)
	}
}
