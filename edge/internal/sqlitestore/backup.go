package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"estate/internal/backup"
	"estate/sync/record"
	"estate/sync/replica"
)

// Snapshot copies the store at path into a new file in one consistent state, while another
// process may have it open and go on writing, and checks the copy. It says what the copy
// holds.
func Snapshot(ctx context.Context, path, to string) (_ []backup.Building, err error) {
	db, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "PRAGMA query_only(0)"); err != nil { // the copy is written through it
		return nil, fmt.Errorf("open the store: %w", translate(err))
	}
	db.SetMaxOpenConns(1)
	if err := backupTo(ctx, db, to); err != nil {
		return nil, err
	}
	return Inspect(ctx, to)
}

// Inspect checks a store's file, which no process has open, from end to end and says what
// it holds. It returns replica.ErrCorrupt for a damaged one.
func Inspect(ctx context.Context, path string) (_ []backup.Building, err error) {
	db, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return nil, fmt.Errorf("check %s: %w", path, translate(err))
	}
	if verdict != "ok" {
		return nil, fmt.Errorf("%w: integrity_check: %s", replica.ErrCorrupt, verdict)
	}
	rows, err := db.QueryContext(ctx, `SELECT building, position,
		(SELECT count(*) FROM record r WHERE r.building = s.building), (SELECT count(*) FROM event e WHERE e.building = s.building),
		(SELECT count(*) FROM chain c WHERE c.building = s.building) FROM building_state s ORDER BY building`)
	if err != nil {
		return nil, fmt.Errorf("read what %s holds: %w", path, translate(err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out []backup.Building
	for rows.Next() {
		var id []byte
		var b backup.Building
		if err := rows.Scan(&id, &b.Position, &b.Records, &b.Events, &b.Chains); err != nil {
			return nil, fmt.Errorf("read what %s holds: %w", path, err)
		}
		if len(id) != len(record.ID{}) {
			return nil, fmt.Errorf("%w: a building's id of %d bytes", replica.ErrCorrupt, len(id))
		}
		b.ID = record.ID(id).String()
		out = append(out, b)
	}
	return out, translate(rows.Err())
}

// EndSessions signs everybody out of a store's file that no process has open: a restored
// one would let in again whom a later revocation had ended.
func EndSessions(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, true))
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, text := range []string{"DELETE FROM session", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("sign everybody out: %w", translate(err))
		}
	}
	return nil
}

// TryLock takes the process lock of a store for a moment: it fails with ErrLocked while a
// process has the store open. The caller lets go of it with free.
func TryLock(path string) (free func() error, err error) {
	f, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	return func() error { return unlock(f) }, nil
}
