package telemetry

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"estate/internal/reading"
)

// settle is how long after its end a quarter of an hour is sent: most of what was measured in
// it has come by then. What comes later is sent again.
const settle = time.Minute

// Unsent is what the cloud has not got as it is now. To send it twice does no harm.
type Unsent struct {
	Batch reading.Batch
	// sent are the rows that make it up.
	rollups  []unsentRollup
	readings []unsentReading
}

type unsentRollup struct{ series, bucket, change int64 }

type unsentReading struct {
	series, at int64
	value      float64
}

// Empty reports whether there is nothing to send.
func (u Unsent) Empty() bool { return len(u.rollups)+len(u.readings) == 0 }

// Unsent lists quarters that ended and changed since the cloud was given them, and readings
// around alarms, the oldest first and at most limit of each.
func (s *Store) Unsent(ctx context.Context, now time.Time, limit int) (Unsent, error) {
	var out Unsent
	var rollups []reading.Rollup
	err := each(ctx, s.read.Load(), `SELECT s.id, s.hardware, s.key, s.kind, s.unit, s.type, u.bucket, u.change, r.n, r.low, r.high, r.sum, r.last, r.last_at
		FROM unsent u JOIN series s ON s.id = u.series JOIN rollup r ON r.span = 900 AND r.series = u.series AND r.bucket = u.bucket
		WHERE u.bucket <= ? ORDER BY u.bucket, u.series LIMIT ?`, func(rows *sql.Rows) error {
		var r reading.Rollup
		var u unsentRollup
		var last int64
		err := rows.Scan(&u.series, &r.Series.Hardware, &r.Series.Key, &r.Series.Kind, &r.Series.Unit, &r.Series.Type, &u.bucket, &u.change, &r.N, &r.Low, &r.High, &r.Sum, &r.Last, &last)
		r.Bucket, r.LastAt = time.Unix(u.bucket, 0).UTC(), time.UnixMilli(last).UTC()
		rollups, out.rollups = append(rollups, r), append(out.rollups, u)
		return err
	}, now.Add(-reading.Quarter-settle).Unix(), limit)
	if err != nil {
		return out, fmt.Errorf("list rollups that the cloud has not got: %w", err)
	}
	var readings []reading.Reading
	err = each(ctx, s.read.Load(), `SELECT s.id, s.hardware, s.key, s.kind, s.unit, s.type, r.at, r.value, coalesce(w.text, ''), r.arrival
		FROM unsent_reading u JOIN series s ON s.id = u.series JOIN reading r ON r.series = u.series AND r.at = u.at AND r.value = u.value
		LEFT JOIN word w ON s.type = 3 AND w.id = r.value ORDER BY u.series, u.at LIMIT ?`, func(rows *sql.Rows) error {
		var r reading.Reading
		var u unsentReading
		var arrival int64
		err := rows.Scan(&u.series, &r.Hardware, &r.Key, &r.Kind, &r.Unit, &r.Type, &u.at, &u.value, &r.Text, &arrival)
		r.At, r.Arrival = time.UnixMilli(u.at).UTC(), time.UnixMilli(arrival).UTC()
		if r.Type != reading.Text {
			r.Value = u.value
		}
		readings, out.readings = append(readings, r), append(out.readings, u)
		return err
	}, limit)
	if err != nil {
		return out, fmt.Errorf("list readings that the cloud has not got: %w", err)
	}
	out.Batch = reading.NewBatch(rollups, readings)
	return out, nil
}

// Sent notes that the cloud has these. A quarter that changed since it was listed stays unsent.
func (s *Store) Sent(ctx context.Context, u Unsent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.transaction(ctx, func() error {
		rolled, err := s.stmt(ctx, `DELETE FROM unsent WHERE series = ? AND bucket = ? AND change = ?`)
		if err != nil {
			return err
		}
		for _, r := range u.rollups {
			if _, err := rolled.ExecContext(ctx, r.series, r.bucket, r.change); err != nil {
				return err
			}
		}
		single, err := s.stmt(ctx, `DELETE FROM unsent_reading WHERE series = ? AND at = ? AND value = ?`)
		if err != nil {
			return err
		}
		for _, r := range u.readings {
			if _, err := single.ExecContext(ctx, r.series, r.at, r.value); err != nil {
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
