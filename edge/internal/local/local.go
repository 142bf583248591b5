// Package local keeps what belongs to this box alone, in tables beside the replicated ones:
// sign-ins, the enrolment, the logins of devices, the last state of sensors, and the blobs
// that wait to move.
//
// It must never hold what another node needs to know, nor write a replicated table.
package local

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"estate/sync/record"
)

// Tables is the part of the edge's store that this package writes through.
type Tables interface {
	// Local runs fn in a durable transaction. fn may be run more than once.
	Local(ctx context.Context, fn func(*sql.Tx) error) error
	// DB is a pool of reading connections.
	DB() *sql.DB
}

// Store reads and writes the tables. It is safe for concurrent use.
type Store struct {
	tables Tables
	live   live
}

// New makes a store over tables that are migrated.
func New(tables Tables) *Store { return &Store{tables: tables} }

// exec runs one statement in a transaction and says how many rows it changed.
func (s *Store) exec(ctx context.Context, what, text string, args ...any) (int64, error) {
	var n int64
	err := s.tables.Local(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, text, args...)
		if err != nil {
			return err
		}
		n, err = done.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return n, nil
}

// querier is a transaction or the reading pool.
type querier interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// all reads every row of a query.
func all[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), text string, args ...any) (out []T, err error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, rows.Err()
}

// milli and nano are how times are stored; zero times are zero.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// idOf reads an id that this package stored.
func idOf(b []byte) (record.ID, error) {
	var id record.ID
	if copy(id[:], b) != len(id) || len(b) != len(id) {
		return id, fmt.Errorf("an id of %d bytes", len(b))
	}
	return id, nil
}
