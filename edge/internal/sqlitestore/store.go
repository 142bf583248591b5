// Package sqlitestore keeps an edge's buildings in one SQLite file, beside the tables that
// are local to the box.
//
// All writes go through one connection and share commits; what Update acknowledged is on
// disk. The package must never decide anything about records (that is sync/replica's), nor
// let a second process open the file.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"estate/internal/groupcommit"
	"estate/internal/projection"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/watch"
)

const (
	// readersMax bounds concurrent snapshots of the store's own reads; two cores of an
	// edge box gain nothing from more.
	readersMax = 4
	// poolMax bounds the connections of DB, for queries of screens.
	poolMax = 4
	// batchMax bounds how many writers share a commit, and so how long the first waits.
	batchMax = 128
)

// Options configure a store. The zero value is fit for use.
type Options struct {
	Log *slog.Logger
	// Kinds is the table of kinds to project; nil means this release's.
	Kinds []schema.Kind
}

// Store is a replica.Store in one SQLite file. It is safe for concurrent use.
type Store struct {
	log      *slog.Logger
	path     string
	lock     *os.File
	write    *sql.DB
	read     *sql.DB
	writer   *conn
	readers  chan *conn
	queue    groupcommit.Queue[*session]
	watchers watch.Set
	kinds    watch.Kinds
	hot      hot
	tables   map[string]tableText
	closed   chan struct{}

	background sync.WaitGroup // of checkpoints
	due        chan struct{}  // the log is to be looked at
	rest       atomic.Bool    // the writer is to move the end of the log
	unmoved    int            // bytes saved since the last look; the writer's
}

var _ replica.Store = (*Store)(nil)

// Open opens the file at path and makes it where it is missing: takes the process lock,
// checks the file, backs it up before a migration, migrates, and projects kinds that this
// release knows better than the last. It fails with ErrLocked if another process has it
// and with replica.ErrCorrupt if the file is damaged.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Kinds == nil {
		options.Kinds = schema.Kinds()
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	s := &Store{log: options.Log, path: path, lock: lock, closed: make(chan struct{}), readers: make(chan *conn, readersMax),
		due: make(chan struct{}, 1)}
	s.queue.Max, s.queue.Run, s.hot.seed = batchMax, s.commit, maphash.MakeSeed()
	// Those who were answered have their turn at the processor, and most come again: a commit
	// costs nearly as much for half as many.
	s.queue.Between = runtime.Gosched
	if err := s.open(ctx, projection.Tables(options.Kinds)); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, tables []projection.Table) error {
	var err error
	if s.write, err = sql.Open("sqlite", dsn(s.path, true)); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := s.prepareFile(ctx); err != nil {
		return err
	}
	if s.read, err = sql.Open("sqlite", dsn(s.path, false)); err != nil {
		return err
	}
	const all = poolMax + readersMax + 1 // one moves the log
	s.read.SetMaxOpenConns(all)
	s.read.SetMaxIdleConns(all)
	s.writer = &conn{db: s.write}
	for range readersMax {
		s.readers <- &conn{db: s.read}
	}
	if err := s.project(ctx, tables); err != nil {
		return err
	}
	s.background.Add(1)
	go s.checkpoints() //nolint:gosec // it lives as long as the store, not as the call that opens it
	return nil
}

// Close waits for the commit under way and closes the file. What comes later fails with
// replica.ErrBusy. It may be called once.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.queue.Do(context.Background(), func(*session) error {
			if !s.isClosed() { // a batch may run again
				close(s.closed)
			}
			return nil
		}))
		if !s.isClosed() { // the batch could not begin
			close(s.closed)
			_ = s.queue.Do(context.Background(), func(*session) error { return nil }) // waits for who came in between; it fails
		}
		s.background.Wait()
		errs = append(errs, s.writer.close())
		for range readersMax {
			errs = append(errs, (<-s.readers).close())
		}
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	// The lock goes last: who holds it next finds a closed file.
	return errors.Join(append(errs, unlock(s.lock))...)
}

// DB is a pool of reading connections for queries over the tables of kinds and the local
// tables. Writing through it fails.
func (s *Store) DB() *sql.DB { return s.read }

// Local runs fn in a transaction for tables that are local to this box, through the same
// writer and with the same durability as Update. fn must neither commit nor roll back, and
// must not write the replicated tables.
func (s *Store) Local(ctx context.Context, fn func(*sql.Tx) error) error {
	return s.do(ctx, "write local tables", func(t *session) error {
		if err := t.begins(); err != nil {
			return err
		}
		return fn(t.tx)
	})
}

// Update implements replica.Store.
func (s *Store) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	return s.do(ctx, "update", func(t *session) error {
		t.own.clear()
		tx := &transaction{session: t, building: building, tables: s.tables, changes: t.own}
		if err := fn(tx); err != nil {
			return err
		}
		if tx.broken == nil {
			t.changes.add(tx.changes)
		}
		return tx.broken
	})
}

// do runs fn in a shared transaction. Failures that come from the store, not from fn,
// are told apart by wrapping.
func (s *Store) do(ctx context.Context, what string, fn func(*session) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %s: %w", replica.ErrBusy, what, err)
	}
	ran := false
	err := s.queue.Do(ctx, func(t *session) error {
		ran = true
		return fn(t)
	})
	if err != nil && !ran && !errors.Is(err, replica.ErrBusy) {
		return fmt.Errorf("%w: %s: %w", replica.ErrBusy, what, err)
	}
	return err
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// WatchKinds is Watch for records of some kinds alone.
func (s *Store) WatchKinds(building record.ID, kinds ...string) (moved <-chan struct{}, stop func()) {
	return s.kinds.Add(building, kinds...)
}

// Watch implements replica.Store.
func (s *Store) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return s.watchers.Add(building)
}
