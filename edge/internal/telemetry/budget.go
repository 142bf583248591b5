package telemetry

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"
)

const (
	// readingStretch and rollupStretch are what one step takes away: a part of a second of the
	// writer, for a building with hundreds of sensors.
	readingStretch = time.Hour
	rollupStretch  = 24 * time.Hour
	// readingsMin and rollupsMin are kept whatever the budget: what screens and rules look at.
	readingsMin = 24 * time.Hour
	rollupsMin  = 7 * 24 * time.Hour
	// stretchesMax bounds the stretches that one step looks at.
	stretchesMax = 100
	// thinTo is the part of the budget to which the file is thinned, so that it does not
	// happen with each batch.
	thinTo = 0.9
	// forecastDays is what is never: beyond, the box is gone before its disk is full.
	forecastDays = 100 * 365
	// keptAround is how much of the time before and after an alarm keeps its readings.
	keptAround = time.Hour
)

// Usage tells how much of the disk the readings take.
type Usage struct {
	Bytes, BudgetBytes int64
	// BytesPerDay is how much the last week added a day, before anything is thinned out.
	BytesPerDay int64
	// FullAt is when the budget is used up at this pace; zero where it never is, or where it is and
	// the oldest makes room.
	FullAt time.Time
	// ThinnedTo is up to when single readings were taken away to make room, those around alarms
	// excepted; zero where none were.
	ThinnedTo time.Time
	// Over says that the budget is used up, and that nothing more may be taken away.
	Over bool
	// ReadingsFrom and RollupsFrom are how far back they go.
	ReadingsFrom, RollupsFrom time.Time
	Readings                  int64
}

// bytesUsed is what the file holds, without the pages that are free for use.
const bytesUsed = `SELECT (p.page_count - f.freelist_count) * s.page_size FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s`

// readingBytes and rollupBytes are about what one of them takes, as measured on files of sensors
// that speak each 10 s to each 2 h. One that speaks seldom makes up to three rollups a reading.
const (
	readingBytes = 33
	rollupBytes  = 62
)

// steady is the part of the budget from which on a file that was thinned is one that will be again.
const steady = 0.8

// Usage looks at the file.
func (s *Store) Usage(ctx context.Context, now time.Time) (Usage, error) {
	u := Usage{BudgetBytes: s.options.BudgetBytes, Over: s.over.Load()}
	if err := s.read.Load().QueryRowContext(ctx, bytesUsed).Scan(&u.Bytes); err != nil {
		return u, fmt.Errorf("look at the size: %w", err)
	}
	var first, rolled, week, thinned sql.NullInt64
	err := s.read.Load().QueryRowContext(ctx, `SELECT (SELECT min(first) FROM (SELECT (SELECT min(at) FROM reading WHERE series = s.id) AS first FROM series s)),
		(SELECT min(first) FROM (SELECT (SELECT min(bucket) FROM rollup WHERE span = 3600 AND series = s.id) AS first FROM series s)),
		(SELECT sum(n * ?2 + (min(n, 60) + min(n, 4) + 1) * ?3) FROM rollup r JOIN series s ON r.series = s.id WHERE span = 3600 AND bucket >= ?1),
		(SELECT max(to_at) FROM thinned WHERE what = 'reading')`, now.Add(-7*24*time.Hour).Unix(), readingBytes, rollupBytes).Scan(&first, &rolled, &week, &thinned)
	if err != nil {
		return u, fmt.Errorf("look at the readings: %w", err)
	}
	if first.Valid {
		u.ReadingsFrom = time.UnixMilli(first.Int64).UTC()
	}
	if rolled.Valid {
		u.RollupsFrom = time.Unix(rolled.Int64, 0).UTC()
		days := min(7, max(now.Sub(u.RollupsFrom).Hours()/24, 1.0/24))
		u.BytesPerDay = int64(float64(week.Int64) / days)
	}
	if thinned.Valid && float64(u.Bytes) >= steady*float64(u.BudgetBytes) {
		u.ThinnedTo = time.UnixMilli(thinned.Int64).UTC()
		return u, nil
	}
	if left := u.BudgetBytes - u.Bytes; u.BudgetBytes > 0 && u.BytesPerDay > 0 {
		if days := float64(max(left, 0)) / float64(u.BytesPerDay); days < forecastDays {
			u.FullAt = now.Add(time.Duration(days * 24 * float64(time.Hour)))
		}
	}
	return u, nil
}

// Keep keeps the readings of a device from an hour before to an hour after, whatever the
// budget, and lets the cloud have them. Stretches that overlap become one.
func (s *Store) Keep(ctx context.Context, hardware string, from, to time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, last := from.Add(-keptAround).UnixMilli(), to.Add(keptAround).UnixMilli()
	begin, end := first, last
	err := s.transaction(ctx, func() error {
		err := s.conn.QueryRowContext(ctx, `SELECT min(coalesce(min(from_at), ?2), ?2), max(coalesce(max(to_at), ?3), ?3) FROM kept WHERE hardware = ?1 AND from_at <= ?3 AND to_at >= ?2`,
			hardware, first, last).Scan(&begin, &end)
		for _, text := range [...]string{
			`DELETE FROM kept WHERE hardware = ?1 AND from_at <= ?3 AND to_at >= ?2`,
			`INSERT INTO kept (hardware, from_at, to_at) VALUES (?1, ?2, ?3)`,
			`INSERT OR IGNORE INTO unsent_reading (series, at, value) SELECT r.series, r.at, r.value FROM series s JOIN reading r ON r.series = s.id AND r.at BETWEEN ?4 AND ?5 WHERE s.hardware = ?1`,
		} {
			if err == nil {
				_, err = s.conn.ExecContext(ctx, text, hardware, begin, end, first, last)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keep readings around an alarm: %w", err)
	}
	s.keptTo[hardware] = max(s.keptTo[hardware], end)
	return nil
}

// Thin takes the oldest away where the budget is used up, until a tenth of it is free: readings
// first, then the rollups of minutes, of quarters, and of hours last. It works in steps, so
// that what arrives meanwhile is stored; more says that there is more to do.
func (s *Store) Thin(ctx context.Context, now time.Time) (more bool, err error) {
	var used int64
	if err := s.read.Load().QueryRowContext(ctx, bytesUsed).Scan(&used); err != nil {
		return false, fmt.Errorf("look at the size: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	budget := s.options.BudgetBytes
	if budget == 0 || used <= budget && !s.thinning || float64(used) <= thinTo*float64(budget) {
		s.thinning = false
		s.over.Store(false)
		return false, nil
	}
	s.thinning = true
	for _, what := range []string{"reading", "60", "900", "3600"} {
		done, to := false, s.thinned[what]
		err := s.transaction(ctx, func() (err error) { done, to, err = s.thin(ctx, what, to, now); return err })
		if err != nil {
			return false, fmt.Errorf("thin out: %w", err)
		}
		s.thinned[what] = to
		if done && what == "reading" {
			clear(s.opened)
		}
		if done {
			return true, nil
		}
	}
	if over := used > budget; over != s.over.Swap(over) && over {
		s.options.Log.Warn("the readings are above their budget, and nothing of them may go", slog.Int64("bytes", used), slog.Int64("budget", budget))
	}
	return false, nil
}

// thin takes the oldest stretch of readings, or of the rollups of a span, away, from what is gone
// already on. It says whether there was one, and up to when all is gone now.
func (s *Store) thin(ctx context.Context, what string, to int64, now time.Time) (bool, int64, error) {
	table, column, unit, stretch, newest := "rollup", "bucket", int64(1), rollupStretch, now.Add(-rollupsMin)
	where := " AND span = " + what // one of the constants above
	if what == "reading" {
		table, column, unit, stretch, newest, where = "reading", "at", 1000, readingStretch, now.Add(-readingsMin), ""
	}
	oldest := fmt.Sprintf(`SELECT min(first) FROM (SELECT (SELECT min(%s) FROM %s WHERE series = s.id AND %s >= ?%s) AS first FROM series s)`, column, table, column, where) //nolint:gosec // names of this file
	remove := fmt.Sprintf(`DELETE FROM %s WHERE series = ? AND %s < ?%s`, table, column, where)                                                                              //nolint:gosec // the same
	if what == "reading" {
		remove += ` AND NOT EXISTS (SELECT 1 FROM kept k WHERE k.hardware = (SELECT hardware FROM series WHERE id = reading.series) AND reading.at BETWEEN k.from_at AND k.to_at)`
	}
	var ids []int64
	if err := each(ctx, s.conn, `SELECT id FROM series`, func(rows *sql.Rows) error {
		ids = append(ids, 0)
		return rows.Scan(&ids[len(ids)-1])
	}); err != nil {
		return false, to, err
	}
	for range stretchesMax {
		var first sql.NullInt64
		if err := s.conn.QueryRowContext(ctx, oldest, to).Scan(&first); err != nil {
			return false, to, err
		}
		cut := first.Int64 + int64(stretch/time.Second)*unit
		if !first.Valid || cut > newest.Unix()*unit {
			return false, to, nil
		}
		gone := int64(0)
		for _, id := range ids {
			done, err := s.conn.ExecContext(ctx, remove, id, cut)
			if err != nil {
				return false, to, err
			}
			n, err := done.RowsAffected()
			if err != nil {
				return false, to, err
			}
			gone += n
		}
		to = cut
		if _, err := s.conn.ExecContext(ctx, `INSERT INTO thinned (what, to_at) VALUES (?, ?) ON CONFLICT (what) DO UPDATE SET to_at = excluded.to_at`, what, to); err != nil {
			return false, to, err
		}
		if gone > 0 {
			return true, to, nil
		}
	}
	return true, to, nil // stretches that are kept: the next step goes on behind them
}
