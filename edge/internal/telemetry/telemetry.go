// Package telemetry keeps what sensors measured: each reading for as long as the disk budget
// allows, and its sums over a minute, a quarter of an hour and an hour for much longer.
//
// Its file is not that of the tickets: a flood of readings, or a damaged file of them, must
// never cost a ticket. What Add returned from is on the disk. Readings around an alarm are
// never thinned out.
package telemetry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver

	"estate/internal/reading"
)

const (
	// seriesMax bounds the series of a building: 500 devices with 100 values each.
	seriesMax = 50_000
	// wordsMax bounds the different texts that are kept.
	wordsMax = 100_000
	// busyTimeout is for another process that looks at the file.
	busyTimeout = 5 * time.Second
	// walPages is how much is written between two checkpoints: 16 MB.
	walPages = 4096
)

// Options are how a Store works.
type Options struct {
	// BudgetBytes is how large the file may grow; zero means no limit.
	BudgetBytes int64
	// Now names a file that was set aside; the system's clock where it is nil.
	Now func() time.Time
	Log *slog.Logger
}

// Store is the file of a building's readings. It is safe for concurrent use; one process at a
// time may write.
type Store struct {
	path    string
	options Options
	read    atomic.Pointer[sql.DB]
	// over says that the budget is used up, and that nothing more may be taken away.
	over atomic.Bool

	mu     sync.Mutex // guards what follows and the writing connection
	write  *sql.DB
	conn   *sql.Conn
	stmts  map[string]statement
	series map[seriesKey]int64
	words  map[string]int64
	// keptTo is up to when readings of a device are kept for an alarm, in milliseconds.
	keptTo map[string]int64
	// thinned is up to when the oldest was taken away: milliseconds of readings, seconds of rollups.
	thinned map[string]int64
	// opened are rollups of a time that is gone otherwise, and that late readings began since then:
	// those readings are there by themselves until the next of that time is taken away.
	opened map[bucket]bool
	// thinning says that the budget was used up and a tenth of it is not free yet.
	thinning bool
}

type seriesKey struct {
	hardware, key, unit string
	typ                 reading.Type
}

// ErrFull says that the building has more series, or more different texts, than are kept.
var ErrFull = errors.New("telemetry: too many different values")

// Open opens the file, and makes it where it is not there.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Store{path: path, options: options}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open telemetry: %w", err)
	}
	err := s.open(ctx)
	if damaged(err) {
		err = s.renew(ctx, err)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open telemetry %s: %w", path, err), s.Close())
	}
	return s, nil
}

// open opens the file and reads what is remembered of it.
func (s *Store) open(ctx context.Context) error {
	s.stmts, s.series, s.keptTo, s.words = map[string]statement{}, map[seriesKey]int64{}, map[string]int64{}, map[string]int64{}
	s.thinned, s.opened = map[string]int64{}, map[bucket]bool{}
	var err error
	if s.write, err = sql.Open("sqlite", dsn(s.path, "_txlock=immediate&_pragma=synchronous(FULL)")); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn(s.path, "_pragma=query_only(1)"))
	if err != nil {
		return err
	}
	s.read.Store(read)
	return s.prepare(ctx)
}

func dsn(path, more string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	return fmt.Sprintf("%s?%s&_pragma=journal_mode(WAL)&_pragma=busy_timeout(%d)&_pragma=wal_autocheckpoint(%d)", u.String(), more, busyTimeout.Milliseconds(), walPages)
}

// version is that of the tables. The file of an older version is changed when it is opened.
const version = 1

var tables = []string{
	`CREATE TABLE series (
		id       INTEGER PRIMARY KEY,
		hardware TEXT    NOT NULL,
		key      TEXT    NOT NULL,
		unit     TEXT    NOT NULL,
		kind     TEXT    NOT NULL,
		type     INTEGER NOT NULL,
		UNIQUE (hardware, key, unit, type)
	) STRICT`,
	`CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT`,
	// Times are in milliseconds. The same value at the same time of the same series came twice.
	`CREATE TABLE reading (
		series  INTEGER NOT NULL,
		at      INTEGER NOT NULL,
		value   REAL    NOT NULL,
		arrival INTEGER NOT NULL,
		PRIMARY KEY (series, at, value)
	) STRICT, WITHOUT ROWID`,
	// A bucket is the time at which it begins, in seconds.
	`CREATE TABLE rollup (
		span    INTEGER NOT NULL,
		series  INTEGER NOT NULL,
		bucket  INTEGER NOT NULL,
		n       INTEGER NOT NULL,
		low     REAL    NOT NULL,
		high    REAL    NOT NULL,
		sum     REAL    NOT NULL,
		last    REAL    NOT NULL,
		last_at INTEGER NOT NULL,
		PRIMARY KEY (span, series, bucket)
	) STRICT, WITHOUT ROWID`,
	// What the cloud has not got: quarters of an hour that changed since it was given them.
	`CREATE TABLE unsent (
		series INTEGER NOT NULL,
		bucket INTEGER NOT NULL,
		change INTEGER NOT NULL,
		PRIMARY KEY (series, bucket)
	) STRICT, WITHOUT ROWID`,
	// What the cloud has not got of the readings that are kept for an alarm.
	`CREATE TABLE unsent_reading (
		series INTEGER NOT NULL,
		at     INTEGER NOT NULL,
		value  REAL    NOT NULL,
		PRIMARY KEY (series, at, value)
	) STRICT, WITHOUT ROWID`,
	// Up to when the oldest was taken away: milliseconds of readings, seconds of rollups.
	`CREATE TABLE thinned (what TEXT PRIMARY KEY, to_at INTEGER NOT NULL) STRICT`,
	// Stretches of time of which all that a device measured is kept.
	`CREATE TABLE kept (
		hardware TEXT    NOT NULL,
		from_at  INTEGER NOT NULL,
		to_at    INTEGER NOT NULL,
		PRIMARY KEY (hardware, from_at)
	) STRICT, WITHOUT ROWID`,
}

func (s *Store) prepare(ctx context.Context) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	s.conn = conn
	var found int
	if err := conn.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&found); err != nil {
		return err
	}
	if found > version {
		return fmt.Errorf("the file is of version %d, which a later release wrote; this one knows up to %d", found, version)
	}
	if found == 0 {
		if err := s.transaction(ctx, func() error {
			for _, text := range append(tables, fmt.Sprintf("PRAGMA user_version = %d", version)) {
				if _, err := conn.ExecContext(ctx, text); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return s.load(ctx)
}

// load reads which series and texts there are.
func (s *Store) load(ctx context.Context) error {
	err := each(ctx, s.conn, `SELECT id, hardware, key, unit, type FROM series`, func(rows *sql.Rows) error {
		var k seriesKey
		var id int64
		err := rows.Scan(&id, &k.hardware, &k.key, &k.unit, &k.typ)
		s.series[k] = id
		return err
	})
	if err == nil {
		err = each(ctx, s.conn, `SELECT hardware, max(to_at) FROM kept GROUP BY hardware`, func(rows *sql.Rows) error {
			var hardware string
			var to int64
			err := rows.Scan(&hardware, &to)
			s.keptTo[hardware] = to
			return err
		})
	}
	if err == nil {
		err = each(ctx, s.conn, `SELECT what, to_at FROM thinned`, func(rows *sql.Rows) error {
			var what string
			var to int64
			err := rows.Scan(&what, &to)
			s.thinned[what] = to
			return err
		})
	}
	if err != nil {
		return err
	}
	return each(ctx, s.conn, `SELECT id, text FROM word`, func(rows *sql.Rows) error {
		var id int64
		var text string
		err := rows.Scan(&id, &text)
		s.words[text] = id
		return err
	})
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func each(ctx context.Context, q querier, text string, row func(*sql.Rows) error, args ...any) (err error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// transaction runs fn on the writing connection; what it did is on the disk when it returns.
func (s *Store) transaction(ctx context.Context, fn func() error) error {
	if _, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := fn()
	if err == nil {
		if _, err = s.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// The transaction must end whatever became of the caller's context. A statement that says OR
	// ROLLBACK has ended it.
	if _, undo := s.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); undo != nil && !isConstraint(err) {
		err = errors.Join(err, fmt.Errorf("roll back: %w", undo))
	}
	return err
}

// statement is prepared once and kept until the store is closed.
type statement struct{ *sql.Stmt }

func (s *Store) stmt(ctx context.Context, text string) (statement, error) {
	if st, ok := s.stmts[text]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, text)
	if err != nil {
		return statement{}, fmt.Errorf("prepare: %w", err)
	}
	s.stmts[text] = statement{st}
	return statement{st}, nil
}

// Close closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close()
}

func (s *Store) close() error {
	var errs []error
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	for _, db := range []*sql.DB{s.write, s.read.Load()} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	s.stmts, s.conn = nil, nil
	return errors.Join(errs...)
}
