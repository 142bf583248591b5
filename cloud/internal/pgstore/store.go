// Package pgstore keeps the cloud's buildings in one PostgreSQL database that any number
// of cloud processes share.
//
// A building's row in building_state is its lock; writers of one process share commits.
// The package must never decide anything about records (that is sync/replica's) and must
// keep nothing in memory that another process could have changed, but for what it knows to
// lag by a notification, and answers guesses with: see probe.go.
package pgstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/groupcommit"
	"estate/internal/projection"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/watch"
)

const (
	// batchMax bounds how many writers of one process share a commit, and so how long the
	// building stays locked for other processes.
	batchMax = 64
	// updateTimeout and readTimeout are for a server that hangs. They are the store's own:
	// a caller's cancelled context must not cost a connection.
	updateTimeout = 30 * time.Second
	readTimeout   = 30 * time.Second
	// lockTimeout ends a wait for a building that another process has locked.
	lockTimeout = "15s"
	// idleTimeout ends a transaction whose process hangs, and frees its building.
	idleTimeout = "60s"
)

// Options configure a store. The zero value is fit for use.
type Options struct {
	Log *slog.Logger
	// Kinds is the table of kinds to project; nil means this release's.
	Kinds []schema.Kind
	// ConnectionsMax bounds the pool; zero leaves it to the URL's pool_max_conns.
	ConnectionsMax int32

	// Other paces and patience than the constants', for tests.
	tellEvery, compareEvery, readTimeout time.Duration
}

// Store is a replica.Store in PostgreSQL. It is safe for concurrent use, here and in other
// processes.
type Store struct {
	log      *slog.Logger
	pool     *pgxpool.Pool
	tables   map[string]tableText
	watchers watch.Set
	stop     context.CancelFunc
	running  sync.WaitGroup // listen and tell

	name                    string // that of this process among those that tell each other
	marks                   marks
	untold                  untold
	probes                  probes
	tellEvery, compareEvery time.Duration
	readTimeout             time.Duration

	// boot is the server's run as the latest connection found it. No connection outlives the
	// run in which it was made, and nothing is read or written without one.
	boot atomic.Pointer[record.ID]

	// queues are where writers of one building wait for each other, and loads where readers do.
	queues groupcommit.Keyed[record.ID, *writers]
	loads  groupcommit.Keyed[record.ID, *loadGatherer]
	// greetings is where greetings of several buildings meet.
	greetings *groupcommit.Gatherer[greeting, answer[replica.Have]]
	// joints is where writers of several buildings meet.
	joints   groupcommit.Queue[struct{}]
	underWay atomic.Int32 // of their transactions
}

var (
	_ replica.Store      = (*Store)(nil)
	_ replica.Overlapper = (*Store)(nil)
)

// Open connects to the database at url, migrates it (one process at a time), projects kinds
// that this release knows better than the last, and starts listening for commits of other
// processes.
func Open(ctx context.Context, url string, options Options) (*Store, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Kinds == nil {
		options.Kinds = schema.Kinds()
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("open store: the database URL cannot be read") // the cause would show its password
	}
	if options.ConnectionsMax > 0 {
		config.MaxConns = options.ConnectionsMax
	}
	config.ConnConfig.RuntimeParams["lock_timeout"] = lockTimeout
	config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = idleTimeout
	// Every statement has an index. A plan that was made while a table was tiny, and is kept,
	// must not read all of a large one.
	config.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	// No statement reads much. One whose rows the planner cannot foresee (what waits beyond a
	// chain's end) looks like one that does, and compiling it takes far longer than running it.
	config.ConnConfig.RuntimeParams["jit"] = "off"
	s := &Store{log: options.Log, name: rand.Text(), probes: newProbes(), untold: untold{ready: make(chan struct{}, 1)},
		tellEvery: cmp.Or(options.tellEvery, tellEvery), compareEvery: cmp.Or(options.compareEvery, compareEvery), readTimeout: cmp.Or(options.readTimeout, readTimeout)}
	s.queues.New, s.loads.New = s.newQueue, s.newLoads
	s.greetings = groupcommit.NewGatherer(greetingsMax, s.loadGreetings)
	s.joints.Max, s.joints.Overlap = jointMax, s.together
	config.AfterConnect = s.greet
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.pool = pool
	listening, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	first, err := s.prepare(ctx, projection.Tables(options.Kinds))
	if err != nil {
		stop()
		pool.Close()
		return nil, fmt.Errorf("open store: %w", translate(err))
	}
	s.running.Add(2)
	go s.listen(listening, first)
	go s.tell(listening)
	return s, nil
}

func (s *Store) prepare(ctx context.Context, tables []projection.Table) (*pgx.Conn, error) {
	if err := s.migrate(ctx); err != nil {
		return nil, err
	}
	if err := s.project(ctx, tables); err != nil {
		return nil, err
	}
	return s.dialListener(ctx)
}

// Close closes the pool, waiting for transactions under way, tells other processes what they
// committed, and stops listening.
func (s *Store) Close() error {
	s.pool.Close()
	s.stop()
	s.running.Wait()
	return nil
}

// Pool gives connections for queries over the tables of kinds and for the cloud's own
// tables. Replicated tables are written by Update only.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Update implements replica.Store.
func (s *Store) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	return s.update(ctx, building, nil, fn)
}

// update runs fn. The hint is what is known of its first read: records, or all that a small
// page needs.
func (s *Store) update(ctx context.Context, building record.ID, hint any, fn func(replica.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: update: %w", replica.ErrBusy, err)
	}
	ran := false
	var err error
	s.queues.With(building, func(q *writers) {
		err = q.DoFor(ctx, hint, func(g *group) error {
			ran = true
			if err := fn(g); err != nil {
				return err
			}
			return g.broken
		})
	})
	if err != nil && !ran && !errors.Is(err, replica.ErrBusy) {
		return fmt.Errorf("%w: update: %w", replica.ErrBusy, err)
	}
	return err
}

func (s *Store) newQueue(building record.ID) *writers {
	w := &writers{building: building}
	w.Max = batchMax
	w.Overlap = func(batch []*groupcommit.Call[*group], handOn func()) error { return s.lead(w, batch, handOn) }
	return w
}

// Watch implements replica.Store. Commits of all processes wake it, this one's included.
func (s *Store) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return s.watchers.Add(building)
}

// Boot is the run of the server that this process is connected to: State.Boot of a write
// made now. It changes when the server restarts, is restored or promoted, or when another
// database takes this one's place, and it waits for no connection: pages are marked with it
// while all connections are busy.
func (s *Store) Boot() record.ID { return *s.boot.Load() } // Open has made a connection
