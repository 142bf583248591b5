package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/groupcommit"
	"estate/sync/record"
	"estate/sync/replica"
)

// A group is one transaction in which several callers write to one building:
//
//	BEGIN, lock the building's row, read ahead one round trip
//	call 1: Load                              one round trip for each Load that needs rows
//	        Save                              none: its effects wait
//	call 2: Load                              sends what waits, then reads
//	…
//	what waits, COMMIT                        one round trip
//
// What waits is sent in as few statements as one call's effects would take (see combined).
// A call that fails takes its waiting effects with it. If they were sent already (it
// read after it wrote), the transaction is rolled back and the other calls run again.
type group struct {
	store    *Store
	conn     *pgx.Conn
	ctx      context.Context //nolint:containedctx // the transaction's own deadline, not a caller's
	building record.ID
	state    replica.State
	stored   bool
	xid      string
	ahead    ahead
	chains   map[record.ReplicaID]replica.Chain // as they stand here, as far as calls asked or saved
	waiting  []replica.Effects
	moved    bool
	from     uint64   // the position before the first effects
	leads    []uint64 // that a probe is to know once this is committed
	unled    bool     // effects were saved of which no leads were taken
	mark     int      // how many of the waiting effects are of earlier calls
	sent     bool     // effects of the running call were sent
	wrote    bool     // effects of any call were
	broken   error    // the transaction cannot go on, or the running call's Save failed
	aborted  bool     // broken concerns the whole transaction
	foreign  bool     // it may be the fault of a call before the running one
	// prior is what was promised last before the lock is taken, and line all that is laid over
	// reads until then; nil from then on.
	prior *promise
	line  []*promise
	// apart is when the rows of the waiting effects were sent without the lock, and late the
	// statements that are left of them.
	apart bool
	late  []statement
	// first is what the first read of a call finds, if nothing was saved before.
	first *fetched
}

type statement struct {
	text   string
	args   []any
	copied *copied // rows to COPY, in place of args
	first  bool    // makes room for what is copied
	rows   bool    // writes records or events, each under a key of its own
}

// turn is when a statement is sent among those of one call.
func (s statement) turn() int {
	switch {
	case s.first:
		return 0
	case s.copied != nil:
		return 1
	}
	return 2
}

// What a transaction reads and writes is named by keys. A plan that was made while a table was
// small must not go on to read all of it when it has grown.
const (
	beginStatement = `BEGIN ISOLATION LEVEL READ COMMITTED`
	lockStatement  = `SELECT boot, replica, n, head, stamp, clock_offset, position, stored,
		CASE WHEN set_config('enable_seqscan', 'off', true) || set_config('plan_cache_mode', 'force_generic_plan', true) <> '' THEN pg_current_xact_id()::text END FROM building_state WHERE building = $1 FOR UPDATE`
	firstStatement = `INSERT INTO building_state (building, boot, replica, n, head, stamp, clock_offset, position)
		VALUES ($1, $2, $2, 0, '', 0, 0, 0) ON CONFLICT DO NOTHING`
	statusStatement = `SELECT coalesce(pg_xact_status($1::text::xid8), 'unknown')`
)

// deadlockCode is the server's for a transaction that it ends so that others can go on.
const deadlockCode = "40P01"

// errRedo says that the calls must run again in another transaction, without those that
// failed.
var errRedo = errors.New("pgstore: run again")

// commit runs a batch. Calls whose fate is shared by accident run again, at the end each
// alone, so that one bad write fails nobody else's.
func (s *Store) commit(t *turn, batch []*groupcommit.Call[*group]) error {
	if done, err := s.withOthers(t, batch); done {
		return err
	}
	err := s.follow(t, batch)
	if errors.Is(err, errAlone) {
		err = s.attempt(t, batch)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == deadlockCode {
		err = s.attempt(t, batch) // it was with rows that wait for this lock, and give way
	}
	for errors.Is(err, errRedo) && len(batch) > 1 {
		var rest []*groupcommit.Call[*group]
		for _, call := range batch {
			if !call.Failed() {
				rest = append(rest, call)
			}
		}
		if len(rest) == 0 {
			return nil
		}
		if len(rest) == len(batch) {
			for _, call := range rest {
				call.Fail(s.attempt(t, []*groupcommit.Call[*group]{call}))
			}
			return nil
		}
		batch = rest
		err = s.attempt(t, batch)
	}
	return err
}

// attempt runs the calls in one transaction. An error other than errRedo is the outcome of
// every call that has none yet.
func (s *Store) attempt(t *turn, calls []*groupcommit.Call[*group]) error {
	t.ended(false)
	building := t.of.building
	ctx, cancel := context.WithTimeout(context.Background(), updateTimeout)
	defer cancel()
	g, release, err := s.begin(ctx, building, foresee(calls))
	if err != nil {
		return fmt.Errorf("%w: lock building %s: %w", replica.ErrBusy, building, err)
	}
	defer release()
	for _, call := range calls {
		state, moved := g.state, g.moved
		g.mark, g.sent, g.broken = len(g.waiting), false, nil
		err := call.Try(g)
		if g.aborted && lostConnection(g.broken) {
			return translate(g.broken)
		}
		if g.foreign {
			call.Fail(nil) // each runs alone now, which shows whose fault it was
		}
		if g.aborted || err != nil && g.sent {
			return g.rollBack(calls)
		}
		if err != nil {
			g.state, g.waiting, g.moved = state, g.waiting[:g.mark], moved // what was before the call, if it was not sent
			g.forget()
		}
	}
	return g.commit(t, calls)
}

// begin opens the transaction and locks the building, on another connection if the first
// turns out to be a dead one of before a restart.
func (s *Store) begin(ctx context.Context, building record.ID, keys []record.Key) (*group, func(), error) {
	for retried := false; ; retried = true {
		c, err := s.pool.Acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		g := &group{store: s, conn: c.Conn(), ctx: ctx, building: building, state: replica.State{Building: building}}
		if err = g.lock(keys); err == nil {
			return g, c.Release, nil // a connection inside a transaction is closed by the pool
		}
		dead := c.Conn().IsClosed()
		g.end()
		c.Release()
		if !dead || retried || ctx.Err() != nil {
			return nil, nil, err
		}
		s.pool.Reset()
	}
}

func (g *group) lock(keys []record.Key) error {
	found := false
	b := &pgx.Batch{}
	b.Queue(beginStatement)
	g.queueLock(b, &found)
	g.queueAhead(b, keys)
	if err := g.conn.SendBatch(g.ctx, b).Close(); err != nil || found {
		return err
	}
	b = &pgx.Batch{}
	b.Queue(firstStatement, [16]byte(g.building), [16]byte{})
	g.queueLock(b, &found)
	g.queueAhead(b, keys)
	return g.conn.SendBatch(g.ctx, b).Close()
}

func (g *group) queueLock(b *pgx.Batch, found *bool) {
	b.Queue(lockStatement, [16]byte(g.building)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			*found = true
			if err := scanState(rows, &g.state, &g.stored, &g.xid); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Boot implements replica.Booter.
func (g *group) Boot() record.ID { return bootOf(g.conn) }

// send runs what waits and then the batch's own queries, in one round trip.
func (g *group) send(queries *pgx.Batch) error {
	if g.aborted {
		return g.broken
	}
	if len(g.waiting) > 0 {
		if err := g.settle(); err != nil {
			g.broken, g.aborted = err, true
			return err
		}
	}
	waiting, foreign := g.waiting, g.mark > 0
	g.sent, g.wrote = g.sent || len(waiting) > g.mark, g.wrote || len(waiting) > 0
	g.waiting, g.mark = nil, 0
	statements, err := g.late, error(nil)
	if !g.apart {
		statements, err = g.statements(waiting)
	}
	if err == nil {
		err = g.run(statements, queries)
	}
	if err != nil {
		g.broken, g.aborted, g.foreign = err, true, foreign
		return err
	}
	return nil
}

// run sends what waits in its order, and then the queries. What is copied shares a round trip
// with its neighbours, and so does what is not.
func (g *group) run(waiting []statement, queries *pgx.Batch) error {
	for len(waiting) > 0 {
		n := slices.IndexFunc(waiting, func(s statement) bool { return s.copied == nil })
		if n < 0 {
			n = len(waiting)
		}
		if n > 0 {
			if err := g.copyAll(g.ctx, waiting[:n]); err != nil {
				return err
			}
			waiting = waiting[n:]
			continue
		}
		b := &pgx.Batch{}
		for len(waiting) > 0 && waiting[0].copied == nil {
			b.Queue(waiting[0].text, flat(waiting[0].args)...)
			waiting = waiting[1:]
		}
		if len(waiting) == 0 {
			b.QueuedQueries = append(b.QueuedQueries, queries.QueuedQueries...)
			queries = b
			break
		}
		if err := g.conn.SendBatch(g.ctx, b).Close(); err != nil {
			return err
		}
	}
	if queries.Len() == 0 {
		return nil
	}
	return g.conn.SendBatch(g.ctx, queries).Close()
}

// rollBack gives up the transaction and has the calls that did not fail run again.
func (g *group) rollBack(calls []*groupcommit.Call[*group]) error {
	g.end()
	if len(calls) == 1 {
		return translate(g.broken) // kept only where the call itself had no error
	}
	return errRedo
}

// end rolls back; where that fails the pool drops the connection, which does the same.
func (g *group) end() { _, _ = g.conn.Exec(g.ctx, "ROLLBACK") }

func (g *group) commit(t *turn, calls []*groupcommit.Call[*group]) error {
	t.promise(g)
	b := &pgx.Batch{}
	b.Queue("COMMIT")
	err := g.send(b)
	var refused *pgconn.PgError
	switch {
	case err == nil:
		g.tell()
		t.ended(true)
		return nil
	case errors.As(err, &refused) && !g.conn.IsClosed():
		g.broken = err
		if g.apart {
			g.end()
			return errAlone
		}
		return g.rollBack(calls)
	default:
		err = g.store.outcome(g.xid, g.Boot(), err)
		g.unled = true
		g.tell() // as far as anybody knows
		t.ended(err == nil)
		return err
	}
}

// tell makes a commit known.
func (g *group) tell() {
	if !g.moved {
		return
	}
	if g.unled {
		g.store.probes.heard(g.building, g.state.Position)
	} else {
		g.store.probes.committed(g.building, g.from, g.state.Position, g.leads)
	}
	g.store.moved(g.building, g.state.Position)
}

// outcome finds out what became of a commit whose answer never came. Within one run of the
// server its status is certain; after a restart a lost number may have been given out anew.
func (s *Store) outcome(xid string, boot record.ID, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), updateTimeout)
	defer cancel()
	var status string
	err := s.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		if bootOf(c.Conn()) != boot {
			return errors.New("the server restarted")
		}
		return c.QueryRow(ctx, statusStatement, xid).Scan(&status)
	})
	switch {
	case err == nil && status == "committed":
		return nil
	case err == nil && status == "aborted":
		return fmt.Errorf("%w: commit: %w", replica.ErrBusy, cause)
	}
	return fmt.Errorf("%w: commit: %w", replica.ErrUnsure, errors.Join(cause, err))
}
