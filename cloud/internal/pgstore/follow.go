package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"estate/internal/groupcommit"
	"estate/sync/record"
	"estate/sync/replica"
)

// A page's rows keep the server busy for tens of milliseconds, in which nothing is left to
// decide but what comes next. So the batch after a large one follows it: it reads what is
// committed, on a connection of its own, lays over that what the one before is about to
// commit, and decides. It commits nothing before the one before has ended and it has the lock
// itself (what it writes before that, and why it may, stands in train.go). By the building's
// row, which each transaction writes, it sees whether the last writer was the one that it
// followed; if not (that one failed, or another process came in between), all of it is done
// again under the lock, as if nothing had been foreseen.

const (
	// followMin is from how many rows on a transaction is worth following: writers of few
	// gather while it lasts, and share the next commit.
	followMin = 256
	// lineMax bounds the transactions of one building that are under way at a time, and so the
	// connections and the memory that one building takes.
	lineMax = 3
	// followStatement is for a transaction that has no lock yet: it must wait for nobody who
	// may wait for it.
	followStatement = `SELECT pg_current_xact_id()::text WHERE set_config('enable_seqscan', 'off', true) || set_config('plan_cache_mode', 'force_generic_plan', true) ||
		set_config('lock_timeout', '` + rowTimeout + `', true) <> ''`
	// verifyStatement takes the lock, if nobody has it, and tells whether one transaction
	// wrote the row last.
	verifyStatement = `SELECT xmin = $2::text::xid AND position = $3 FROM building_state WHERE building = $1 FOR UPDATE SKIP LOCKED`
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
	keys    func() map[record.Key]bool // of the records that it writes
	// before is the one that it rests on itself, for as long as its own transaction is under way.
	before atomic.Pointer[promise]
	// ended is closed when the transaction is committed, kept, or never will be as promised.
	ended chan struct{}
	kept  bool
	once  sync.Once
	// done is closed once nobody works on the transaction, or on another in its place.
	done chan struct{}
}

// end says what became of the transaction. Only the first word counts.
func (p *promise) end(kept bool) {
	p.once.Do(func() {
		p.kept = kept
		p.before.Store(nil) // had it not been kept, neither were this one
		close(p.ended)
	})
}

// fate is what became of the transaction, so far.
func (p *promise) fate() (ended, kept bool) {
	select {
	case <-p.ended:
		return true, p.kept
	default:
		return false, false
	}
}

// line is what is under way up to a promise, the oldest first; whole says that none of it
// has failed.
func (p *promise) line() (line []*promise, whole bool) {
	for ; p != nil; p = p.before.Load() {
		ended, kept := p.fate()
		if ended && !kept {
			return nil, false
		}
		if ended {
			break // and with it what was before it
		}
		line = append(line, p)
	}
	slices.Reverse(line)
	return line, true
}

// writers are those of one building in this process.
type writers struct {
	groupcommit.Queue[*group]
	building record.ID
	// prior is what the batch before promised, for as long as it is under way.
	prior atomic.Pointer[promise]
	// wary is for how many transactions to come the lock is taken before rows are written.
	wary atomic.Int32
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
		chains: maps.Clone(g.chains), held: map[record.ReplicaID]uint64{}, ended: make(chan struct{}), done: make(chan struct{})}
	p.keys = sync.OnceValue(func() map[record.Key]bool { return keysOf(p.effects) })
	p.before.Store(g.prior)
	if p.chains == nil {
		p.chains = map[record.ReplicaID]replica.Chain{}
	}
	for _, e := range g.waiting {
		for _, c := range e.Chains {
			p.chains[c.Replica], p.held[c.Replica] = c, c.Held
		}
	}
	t.given = p
	t.of.prior.Store(p)
	t.handOn()
}

// ended says whether what was promised is committed.
func (t *turn) ended(kept bool) {
	if t.given != nil {
		t.given.end(kept)
	}
}

func (t *turn) end() {
	if t.given != nil {
		t.given.end(false)
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
		t.ended(false)
		<-p.done
	}
	return err
}

func (s *Store) foreseeing(t *turn, p *promise, calls []*groupcommit.Call[*group]) error {
	ctx, cancel := context.WithTimeout(context.Background(), updateTimeout)
	defer cancel()
	line, whole := p.line()
	for ; len(line) >= lineMax; line, whole = p.line() {
		select {
		case <-line[0].ended:
		case <-ctx.Done():
			return errAlone
		}
	}
	// It holds a connection while it waits: where many buildings write they have better use.
	if pool := s.pool.Stat(); !whole || 2*pool.AcquiredConns() > pool.MaxConns() {
		return errAlone
	}
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return errAlone
	}
	defer c.Release()
	g := &group{store: s, conn: c.Conn(), ctx: ctx, building: t.of.building, state: p.state, stored: true, prior: p, line: line}
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
	if err = g.writeRows(t); err == nil {
		err = g.settle()
	}
	if err != nil {
		g.end()
		if ended, kept := p.fate(); g.apart && (kept || !ended) {
			t.of.wary.Store(waryFor)
		}
		return errAlone
	}
	return g.commit(t, calls)
}

// beginAfter opens a transaction without the lock.
func (g *group) beginAfter(keys []record.Key) error {
	b := &pgx.Batch{}
	b.Queue(beginStatement)
	b.Queue(followStatement).QueryRow(func(row pgx.Row) error { return row.Scan(&g.xid) })
	g.queueAhead(b, keys)
	if err := g.conn.SendBatch(g.ctx, b).Close(); err != nil {
		return err
	}
	for _, p := range g.line {
		maps.Copy(g.chains, p.chains)
		for _, e := range p.effects {
			g.remember(e)
		}
	}
	return nil
}

// settle waits for the transaction that this one followed, and takes the lock.
func (g *group) settle() error {
	p := g.prior
	if p == nil {
		return nil
	}
	ctx := g.ctx
	if g.apart {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(g.ctx, rowsKept)
		defer cancel()
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return fmt.Errorf("wait for the transaction before: %w", ctx.Err())
	}
	last := false
	err := g.conn.QueryRow(g.ctx, verifyStatement, [16]byte(g.building), p.xid, bits(p.state.Position)).Scan(&last)
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("lock building %s: %w", g.building, err)
	case !last || !p.kept:
		return errOther
	}
	g.prior, g.line = nil, nil
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
