package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// upsertBatch is how many rows one transaction of the baseline takes.
const upsertBatch = 1000

// upsertRate is the limit of the machine for changes: records per second of an unnest
// upsert of the same rows into tables that hold the rest, with the events where asked.
func (s *site) upsertRate(ctx context.Context, of rows, events bool) (float64, error) {
	tables := []table{of.records}
	if events {
		tables = []table{of.events, of.records}
	}
	var rates []float64
	for range copyRuns {
		if err := s.fillTwins(ctx, of); err != nil {
			return 0, fmt.Errorf("fill the tables for the upsert: %w", err)
		}
		began := time.Now()
		for from := 0; from < len(of.records.rows); from += upsertBatch {
			if err := s.upsert(ctx, tables, from, from+upsertBatch); err != nil {
				return 0, fmt.Errorf("upsert the same rows: %w", err)
			}
		}
		rates = append(rates, perSecond(len(of.records.rows), time.Since(began)))
	}
	return median(rates), nil
}

// fillTwins makes tables that hold what the cloud held before: the changed records at
// other positions, and not the new events.
func (s *site) fillTwins(ctx context.Context, of rows) error {
	for _, t := range []table{of.records, of.events} {
		if err := s.makeTwin(ctx, t.name); err != nil {
			return err
		}
	}
	first, ok := of.events.rows[0][slices.Index(of.events.columns, "position")].(int64)
	if !ok {
		return fmt.Errorf("the first event has no position")
	}
	for _, fill := range []string{
		`INSERT INTO bench_record SELECT building, kind, id, -position, body FROM record WHERE building = $1 AND $2 > 0`,
		`INSERT INTO bench_event SELECT * FROM event WHERE building = $1 AND position < $2`,
	} {
		if _, err := s.db.Exec(ctx, fill, s.building(), first); err != nil {
			return err
		}
	}
	_, err := s.db.Exec(ctx, "CHECKPOINT")
	return err
}

// upsert writes some rows of each table in one transaction.
func (s *site) upsert(ctx context.Context, tables []table, from, to int) error {
	return pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		for _, t := range tables {
			statement, args := t.upsert(min(from, len(t.rows)), min(to, len(t.rows)))
			if _, err := tx.Exec(ctx, statement, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// upsert is the statement that writes some rows, new or changed.
func (t table) upsert(from, to int) (statement string, args []any) {
	keys := map[string]string{"record": "building, kind, id", "event": "building, replica, n"}
	var arrays, sets []string
	for i, name := range t.columns {
		array, kind := column(t.rows[from:to], i)
		args = append(args, array)
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+1, kind))
		sets = append(sets, name+" = excluded."+name)
	}
	return "INSERT INTO " + twin(t.name) + " (" + strings.Join(t.columns, ", ") + ") SELECT * FROM unnest(" + strings.Join(arrays, ", ") +
		") ON CONFLICT (" + keys[t.name] + ") DO UPDATE SET " + strings.Join(sets, ", "), args
}

// column gathers one column of some rows, and names its type.
func column(rows [][]any, i int) (array any, kind string) {
	switch rows[0][i].(type) {
	case [16]byte:
		return gather[[16]byte](rows, i), "uuid"
	case string:
		return gather[string](rows, i), "text"
	case int64:
		return gather[int64](rows, i), "bigint"
	default:
		return gather[[]byte](rows, i), "bytea"
	}
}

func gather[T any](rows [][]any, i int) []T {
	out := make([]T, len(rows))
	for n, row := range rows {
		out[n], _ = row[i].(T) // a null is the zero value: no bytes
	}
	return out
}
