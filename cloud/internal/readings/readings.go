// Package readings keeps at the cloud what devices measured: rollups of quarters of an hour, and
// the single readings around alarms, as boxes send them.
//
// It must never take a reading of a building from anyone but that building's box: who is asking
// is the caller's matter, and the building is always an argument.
package readings

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/problem"
	"estate/internal/reading"
	"estate/sync/record"
)

// seriesMax bounds the series of a building: 500 devices with 100 values each, as at its box.
const seriesMax = 50_000

// spans are those that quarters of an hour are summed up to.
func spans() []time.Duration {
	return []time.Duration{reading.Quarter, reading.Hour, 6 * time.Hour, 24 * time.Hour}
}

// Store is the tables. It is safe for concurrent use, in any number of processes.
type Store struct{ pool *pgxpool.Pool }

// New makes a Store on a migrated database.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

const (
	insertSeries = `INSERT INTO series (building, hardware, key, unit, kind, type)
		SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[]) ORDER BY 2, 3, 4, 6 ON CONFLICT DO NOTHING`
	selectSeries = `SELECT s.id FROM unnest($2::text[], $3::text[], $4::text[], $5::smallint[]) WITH ORDINALITY AS w (hardware, key, unit, type, n)
		JOIN series s ON s.building = $1 AND s.hardware = w.hardware AND s.key = w.key AND s.unit = w.unit AND s.type = w.type ORDER BY w.n`
	// Of two states of a bucket the one of more readings stays: a box only adds to them, and one
	// that was set back begins with fewer.
	upsertRollups = `INSERT INTO rollup AS r (series, bucket, n, low, high, sum, last, last_at)
		SELECT DISTINCT ON (series, bucket) * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::bigint[])
			AS u (series, bucket, n, low, high, sum, last, last_at) ORDER BY series, bucket, n DESC, last_at DESC
		ON CONFLICT (series, bucket) DO UPDATE SET n = excluded.n, low = excluded.low, high = excluded.high, sum = excluded.sum, last = excluded.last, last_at = excluded.last_at
		WHERE (excluded.n, excluded.last_at) > (r.n, r.last_at)`
	insertReadings = `INSERT INTO reading (series, at, value, text, arrival)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::text[], $5::bigint[]) ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING`
)

// Add keeps a batch of a building's box. It fails with problem.InvalidInput or TooLarge where
// the batch is none, and keeps nothing of it then. To add a batch again changes nothing.
func (s *Store) Add(ctx context.Context, building record.ID, b reading.Batch) error {
	rollups, readings, err := b.Rows()
	if err != nil || len(b.Series) == 0 {
		return err
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		ids, err := series(ctx, tx, building, b.Series)
		if err != nil {
			return err
		}
		if err := addRollups(ctx, tx, ids, b.Rollups, rollups); err != nil {
			return err
		}
		return addReadings(ctx, tx, ids, b.Readings, readings)
	})
	if err != nil {
		return fmt.Errorf("keep readings: %w", err)
	}
	return nil
}

// series gives the ids of series, in their order.
func series(ctx context.Context, tx pgx.Tx, building record.ID, list []reading.Series) ([]int64, error) {
	n := len(list)
	hardware, keys, units, kinds, types := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]int16, n)
	for i, s := range list {
		hardware[i], keys[i], units[i], kinds[i], types[i] = s.Hardware, s.Key, s.Unit, s.Kind, int16(s.Type)
	}
	of := [16]byte(building)
	find := func() ([]int64, error) {
		rows, err := tx.Query(ctx, selectSeries, of, hardware, keys, units, types)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	ids, err := find()
	if err != nil || len(ids) == n {
		return ids, err
	}
	var count int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM series WHERE building = $1`, of).Scan(&count); err != nil {
		return nil, err
	}
	if count+n-len(ids) > seriesMax {
		return nil, problem.New(problem.TooLarge, "a building has at most %d different values of devices", seriesMax)
	}
	if _, err := tx.Exec(ctx, insertSeries, of, hardware, keys, units, kinds, types); err != nil {
		return nil, err
	}
	if ids, err = find(); err == nil && len(ids) != n {
		err = problem.New(problem.InvalidInput, "a series is named twice")
	}
	return ids, err
}

func addRollups(ctx context.Context, tx pgx.Tx, ids []int64, at []reading.RollupRow, list []reading.Rollup) error {
	n := len(list)
	if n == 0 {
		return nil
	}
	of, buckets, counts, lastAt := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	low, high, sum, last := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i, r := range list {
		of[i], buckets[i], counts[i], lastAt[i] = ids[at[i].Series], r.Bucket.Unix(), r.N, r.LastAt.UnixMilli()
		low[i], high[i], sum[i], last[i] = r.Low, r.High, r.Sum, r.Last
	}
	_, err := tx.Exec(ctx, upsertRollups, of, buckets, counts, low, high, sum, last, lastAt)
	return err
}

func addReadings(ctx context.Context, tx pgx.Tx, ids []int64, at []reading.ReadingRow, list []reading.Reading) error {
	n := len(list)
	if n == 0 {
		return nil
	}
	of, times, arrivals := make([]int64, n), make([]int64, n), make([]int64, n)
	values, texts := make([]float64, n), make([]string, n)
	for i, r := range list {
		of[i], times[i], arrivals[i], values[i], texts[i] = ids[at[i].Series], r.At.UnixMilli(), r.Arrival.UnixMilli(), r.Value, r.Text
	}
	_, err := tx.Exec(ctx, insertReadings, of, times, values, texts, arrivals)
	return err
}

// DeleteBefore removes what was measured before a time.
func (s *Store) DeleteBefore(ctx context.Context, t time.Time) (int64, error) {
	rolled, err := s.pool.Exec(ctx, `DELETE FROM rollup WHERE bucket < $1`, t.Unix())
	if err != nil {
		return 0, fmt.Errorf("remove old rollups: %w", err)
	}
	single, err := s.pool.Exec(ctx, `DELETE FROM reading WHERE at < $1`, t.UnixMilli())
	if err != nil {
		return rolled.RowsAffected(), fmt.Errorf("remove old readings: %w", err)
	}
	return rolled.RowsAffected() + single.RowsAffected(), nil
}
