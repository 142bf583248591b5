package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"estate/internal/groupcommit"
	"estate/sync/record"
	"estate/sync/replica"
)

// A page's rows keep the server busy for tens of milliseconds, in which nothing is left to
// decide but what comes next. So the batch after a large one follows it: it reads what is
// committed, on a connection of its own, lays over that what the one before is about to
// commit, and decides. It saves nothing before the one before has ended and it has the lock
// itself. By the building's row, which each transaction writes, it sees whether the last
// writer was the one that it followed; if not (that one failed, or another process came in
// between), all of it is done again under the lock, as if nothing had been foreseen.

const (
	// followMin is from how many rows on a transaction is worth following: writers of few
	// gather while it lasts, and share the next commit.
	followMin = 256
	// verifyStatement takes the lock and tells whether one transaction wrote the row last.
	verifyStatement = `SELECT xmin = $2::text::xid, pg_current_xact_id()::text FROM building_state WHERE building = $1 FOR UPDATE`
)

var (
	// errAlone says that calls can only be decided under the lock.
	errAlone = errors.New("pgstore: not to be foreseen")
	// errOther says that another came between a transaction and the one that it followed.
	errOther = errors.New("pgstore: another wrote in between")
)

// Overlaps implements replica.Overlapper.
func (s *Store) Overlaps() bool { return true }

// promise is what a transaction leaves behind if it commits: all that the next may ask for
// and that is not to be seen yet. It is not changed once it is given.
type promise struct {
	boot    record.ID
	xid     string // as rows carry it
	state   replica.State
	chains  map[record.ReplicaID]replica.Chain // as they will be, as far as it knows
	held    map[record.ReplicaID]uint64        // of those that it writes
	effects []replica.Effects
	// done is closed once nobody works on the transaction, or on another in its place.
	done chan struct{}
}

// writers are those of one building in this process.
type writers struct {
	groupcommit.Queue[*group]
	building record.ID
	// prior is what the batch before promised, for as long as it is under way.
	prior atomic.Pointer[promise]
}

// turn is a batch's time at the head of the line.
type turn struct {
	of     *writers
	handOn func()
	given  *promise
}

func (s *Store) lead(w *writers, batch []*groupcommit.Call[*group], handOn func()) error {
	t := &turn{of: w, handOn: handOn}
	defer t.end()
	return s.commit(t, batch)
}

// promise lets the next batch follow a group that is about to be committed.
func (t *turn) promise(g *group) {
	if t.given != nil || g.wrote || !followable(g.waiting) {
		return
	}
	xid, err := strconv.ParseUint(g.xid, 10, 64)
	if err != nil {
		return
	}
	p := &promise{boot: g.Boot(), xid: strconv.FormatUint(uint64(uint32(xid)), 10), state: g.state, effects: g.waiting,
		chains: maps.Clone(g.chains), held: map[record.ReplicaID]uint64{}, done: make(chan struct{})}
	for _, e := range g.waiting {
		for _, c := range e.Chains {
			p.chains[c.Replica], p.held[c.Replica] = c, c.Held
		}
	}
	t.given = p
	t.of.prior.Store(p)
	t.handOn()
}

func (t *turn) end() {
	if t.given != nil {
		t.of.prior.CompareAndSwap(t.given, nil)
		close(t.given.done)
	}
}

// followable reports whether effects are many, and such that their rows, laid over what was
// there, are all that a decision can see of them: new links of known chains, and records.
func followable(waiting []replica.Effects) bool {
	rows := 0
	for _, e := range waiting {
		rows += len(e.Records) + len(e.Events)
		if e.Cursor = nil; !onlyAdds(e) {
			return false
		}
		if slices.ContainsFunc(e.Events, func(r replica.EventRow) bool { return r.N == 1 || r.Position == 0 }) {
			return false
		}
	}
	return rows >= followMin
}

// follow decides a batch on what the one before it promised. Where that is not possible it
// returns errAlone, once nothing of the one before is under way.
func (s *Store) follow(t *turn, calls []*groupcommit.Call[*group]) error {
	p := t.of.prior.Load()
	if p == nil {
		return errAlone
	}
	err := s.foreseeing(t, p, calls)
	if errors.Is(err, errAlone) {
		<-p.done
	}
	return err
}

func (s *Store) foreseeing(t *turn, p *promise, calls []*groupcommit.Call[*group]) error {
	// It holds a connection while it waits: where many buildings write they have better use.
	if pool := s.pool.Stat(); 2*pool.AcquiredConns() > pool.MaxConns() {
		return errAlone
	}
	ctx, cancel := context.WithTimeout(context.Background(), updateTimeout)
	defer cancel()
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return errAlone
	}
	defer c.Release()
	g := &group{store: s, conn: c.Conn(), ctx: ctx, building: t.of.building, state: p.state, stored: true, prior: p}
	if err := g.beginAfter(foresee(calls)); err != nil || g.Boot() != p.boot {
		g.end()
		return errAlone
	}
	for _, call := range calls {
		if err := call.Try(g); err != nil {
			g.end() // what it makes of the stored state counts, not what it makes of this
			return errAlone
		}
	}
	if err := g.settle(); err != nil {
		g.end()
		return errAlone
	}
	return g.commit(t, calls)
}

// beginAfter opens a transaction without the lock.
func (g *group) beginAfter(keys []record.Key) error {
	b := &pgx.Batch{}
	b.Queue(beginStatement)
	g.queueAhead(b, keys)
	if err := g.conn.SendBatch(g.ctx, b).Close(); err != nil {
		return err
	}
	maps.Copy(g.chains, g.prior.chains)
	for _, e := range g.prior.effects {
		g.remember(e)
	}
	return nil
}

// settle waits for the transaction that this one followed, and takes the lock.
func (g *group) settle() error {
	p := g.prior
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
	case <-g.ctx.Done():
		return g.ctx.Err()
	}
	var last bool
	if err := g.conn.QueryRow(g.ctx, verifyStatement, [16]byte(g.building), p.xid).Scan(&last, &g.xid); err != nil {
		return fmt.Errorf("lock building %s: %w", g.building, err)
	}
	if !last {
		return errOther
	}
	g.prior = nil
	return nil
}

// lay lays what the transaction before is about to commit over what was read. Rows that it
// has committed meanwhile are the same.
func (p *promise) lay(need replica.Need, have *replica.Have) {
	wanted := make(map[record.Key]bool, len(need.Keys))
	for _, k := range need.Keys {
		wanted[k] = true
	}
	events := make(map[record.Dot]bool, len(need.Events))
	for _, d := range need.Events {
		events[d] = true
	}
	for _, e := range p.effects {
		for i := range e.Records {
			if r := &e.Records[i]; wanted[r.Key] {
				have.Records[r.Key] = replica.Stored{Record: r.Record, Body: r.Body, Position: r.Position}
			}
		}
		for i := range e.Events {
			r := &e.Events[i]
			if dot := (record.Dot{Replica: r.Replica, N: r.N}); events[dot] {
				have.Events[dot] = r.Hash
			}
		}
		if e.Cursor != nil && e.Cursor.Peer == need.Peer {
			have.Cursor = e.Cursor.Cursor
		}
	}
	for id := range have.Chains {
		if c, ok := p.chains[id]; ok {
			have.Chains[id] = c
		}
	}
	for id, n := range p.held {
		if rows, ok := have.Waiting[id]; ok {
			rows = slices.DeleteFunc(rows, func(r replica.EventRow) bool { return r.N <= n })
			if have.Waiting[id] = rows; len(rows) == 0 {
				delete(have.Waiting, id)
			}
		}
	}
}
