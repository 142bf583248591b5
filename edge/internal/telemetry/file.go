package telemetry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// damaged reports whether an error says that the file is none of SQLite's, or a broken one.
func damaged(err error) bool {
	code := codeOf(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// besides are the endings of the files that SQLite keeps beside a database.
func besides() []string { return []string{"", "-wal", "-shm"} }

// renew sets a damaged file aside and begins a new one: what is measured from now on counts
// more than what was. Nothing of the old one is removed.
func (s *Store) renew(ctx context.Context, cause error) error {
	_ = s.close() // it is damaged; what can be had of it is looked for in the file
	to := s.path + s.options.Now().UTC().Format(".damaged-20060102-150405")
	for _, end := range besides() {
		if err := os.Rename(s.path+end, to+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set the damaged file aside: %w", errors.Join(err, cause))
		}
	}
	s.options.Log.ErrorContext(ctx, "the file of readings was damaged and began anew", slog.String("moved_to", to), slog.Any("error", cause))
	return s.open(ctx)
}

// Snapshot copies a file, which a process may be writing to, as it is at one moment.
func Snapshot(ctx context.Context, path, to string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, ""))
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	return nil
}

// Inspect checks a file that no process has open, from end to end, and says when the last
// reading in it arrived; zero where it holds none.
func Inspect(ctx context.Context, path string) (_ time.Time, err error) {
	if _, err := os.Stat(path); err != nil {
		return time.Time{}, err
	}
	db, err := sql.Open("sqlite", dsn(path, ""))
	if err != nil {
		return time.Time{}, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil || verdict != "ok" {
		return time.Time{}, fmt.Errorf("check %s: %s, %w", path, verdict, err)
	}
	var last sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT max(arrival) FROM reading`).Scan(&last); err != nil {
		return time.Time{}, fmt.Errorf("look at %s: %w", path, err)
	}
	if !last.Valid {
		return time.Time{}, nil
	}
	return time.UnixMilli(last.Int64).UTC(), nil
}
