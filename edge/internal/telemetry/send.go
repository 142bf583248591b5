package telemetry

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Change is a quarter of an hour of a series that the cloud has not got as it is now. A later
// one of the same series and bucket replaces it.
type Change struct {
	Series Series
	Bucket time.Time
	N      int64
	Low    float64
	High   float64
	Sum    float64
	Last   float64
	LastAt time.Time

	change int64
}

// Unsent lists quarters that changed since the cloud was given them, the oldest first.
func (s *Store) Unsent(ctx context.Context, limit int) ([]Change, error) {
	var out []Change
	err := each(ctx, s.read, `SELECT s.id, s.hardware, s.key, s.kind, s.unit, s.type, u.bucket, u.change, r.n, r.low, r.high, r.sum, r.last, r.last_at
		FROM unsent u JOIN series s ON s.id = u.series JOIN rollup r ON r.span = 900 AND r.series = u.series AND r.bucket = u.bucket
		ORDER BY u.bucket, u.series LIMIT ?`, func(rows *sql.Rows) error {
		var c Change
		var at, last int64
		err := rows.Scan(&c.Series.ID, &c.Series.Hardware, &c.Series.Key, &c.Series.Kind, &c.Series.Unit, &c.Series.Type, &at, &c.change, &c.N, &c.Low, &c.High, &c.Sum, &c.Last, &last)
		c.Bucket, c.LastAt = time.Unix(at, 0).UTC(), time.UnixMilli(last).UTC()
		out = append(out, c)
		return err
	}, limit)
	if err != nil {
		return nil, fmt.Errorf("list what the cloud has not got: %w", err)
	}
	return out, nil
}

// Sent notes that the cloud has these. What changed since they were listed stays unsent.
func (s *Store) Sent(ctx context.Context, list []Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.transaction(ctx, func() error {
		st, err := s.stmt(ctx, `DELETE FROM unsent WHERE series = ? AND bucket = ? AND change = ?`)
		if err != nil {
			return err
		}
		for _, c := range list {
			if _, err := st.ExecContext(ctx, c.Series.ID, c.Bucket.Unix(), c.change); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note what the cloud has: %w", err)
	}
	return nil
}
