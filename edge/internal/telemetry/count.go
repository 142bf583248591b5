package telemetry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Count counts the readings that a file holds or held, repeated ones once and texts left out. It
// only reads: another process may be writing.
func Count(ctx context.Context, path string) (n int64, err error) {
	db, err := sql.Open("sqlite", dsn(path, "mode=ro&_pragma=query_only(1)"))
	if err != nil {
		return 0, fmt.Errorf("count the readings of %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Whoever stores a reading adds it to its hour in the same transaction.
	if err := db.QueryRowContext(ctx, `SELECT coalesce(sum(n), 0) FROM rollup WHERE span = 3600`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the readings of %s: %w", path, err)
	}
	return n, nil
}
