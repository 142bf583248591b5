package telemetry

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Series is one value of one device, as it was measured so far.
type Series struct {
	ID                        int64
	Hardware, Key, Kind, Unit string
	Type                      Type
}

// Point is one reading, or what the readings of a span come to.
type Point struct {
	// At is the reading's time, or the beginning of the span.
	At time.Time
	N  int64
	// Low, High, Mean and Last are all the value where N is 1.
	Low, High, Mean, Last float64
	// Text is the value of a text; only readings have one.
	Text string
}

// Series lists the series of a device, or of all where hardware is empty.
func (s *Store) Series(ctx context.Context, hardware string) ([]Series, error) {
	var out []Series
	err := each(ctx, s.read, `SELECT id, hardware, key, kind, unit, type FROM series WHERE ? IN ('', hardware) ORDER BY hardware, key, unit`, func(rows *sql.Rows) error {
		var one Series
		err := rows.Scan(&one.ID, &one.Hardware, &one.Key, &one.Kind, &one.Unit, &one.Type)
		out = append(out, one)
		return err
	}, hardware)
	if err != nil {
		return nil, fmt.Errorf("list series: %w", err)
	}
	return out, nil
}

// pointsMax is the most that one answer holds.
const pointsMax = 10_000

// Span chooses the shortest span that shows a stretch of time in at most so many points; zero
// means single readings, for which count is how many there are at most.
func Span(from, to time.Time, points int, count int64) time.Duration {
	points = min(max(points, 1), pointsMax)
	if count <= int64(points) {
		return 0
	}
	for _, span := range Spans() {
		if to.Sub(from)/span <= time.Duration(points) {
			return span
		}
	}
	return Hour
}

// Points gives what a series measured from one time up to another, in at most about so many
// points: single readings where they are few enough and still there, else rollups.
func (s *Store) Points(ctx context.Context, series int64, from, to time.Time, points int) ([]Point, time.Duration, error) {
	var count int64
	most := min(max(points, 1), pointsMax)
	err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM reading WHERE series = ? AND at >= ? AND at < ? LIMIT ?)`,
		series, from.UnixMilli(), to.UnixMilli(), most+1).Scan(&count)
	if err != nil {
		return nil, 0, fmt.Errorf("count readings: %w", err)
	}
	span := Span(from, to, points, count)
	if span == 0 {
		thinned, err := s.thinnedBefore(ctx, series)
		if err != nil {
			return nil, 0, err
		}
		if from.UnixMilli() < thinned && to.Sub(from) > Minute {
			span = Span(from, to, points, int64(most)+1)
		}
	}
	var out []Point
	if span == 0 {
		err = each(ctx, s.read, `SELECT r.at, r.value, coalesce(w.text, '') FROM reading r JOIN series s ON s.id = r.series LEFT JOIN word w ON s.type = 3 AND w.id = r.value
			WHERE r.series = ? AND r.at >= ? AND r.at < ? ORDER BY r.at LIMIT ?`, func(rows *sql.Rows) error {
			var at int64
			p := Point{N: 1}
			err := rows.Scan(&at, &p.Mean, &p.Text)
			p.At, p.Low, p.High, p.Last = time.UnixMilli(at).UTC(), p.Mean, p.Mean, p.Mean
			out = append(out, p)
			return err
		}, series, from.UnixMilli(), to.UnixMilli(), most)
	} else {
		seconds := int64(span / time.Second)
		err = each(ctx, s.read, `SELECT bucket, n, low, high, sum, last FROM rollup WHERE span = ? AND series = ? AND bucket >= ? AND bucket < ? ORDER BY bucket LIMIT ?`, func(rows *sql.Rows) error {
			var at int64
			var sum float64
			var p Point
			err := rows.Scan(&at, &p.N, &p.Low, &p.High, &sum, &p.Last)
			p.At, p.Mean = time.Unix(at, 0).UTC(), sum/float64(max(p.N, 1))
			out = append(out, p)
			return err
		}, seconds, series, floor(from.Unix(), seconds)*seconds, to.Unix(), pointsMax)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read points: %w", err)
	}
	return out, span, nil
}

// thinnedBefore is the time of the first reading that a series still has, in milliseconds,
// where a rollup tells of earlier ones; else the least time.
func (s *Store) thinnedBefore(ctx context.Context, series int64) (int64, error) {
	var first, bucket sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT (SELECT min(at) FROM reading WHERE series = ?), (SELECT min(bucket) FROM rollup WHERE span = 3600 AND series = ?)`, series, series).Scan(&first, &bucket)
	if err != nil {
		return 0, fmt.Errorf("look for the first reading: %w", err)
	}
	if !bucket.Valid || first.Valid && first.Int64-bucket.Int64*1000 < Hour.Milliseconds() {
		return -1 << 62, nil
	}
	if !first.Valid {
		return 1 << 62, nil
	}
	return first.Int64, nil
}

// Latest gives the last reading of each series of a device, by the series' id.
func (s *Store) Latest(ctx context.Context, hardware string) (map[int64]Point, error) {
	out := map[int64]Point{}
	err := each(ctx, s.read, `SELECT s.id, r.at, r.value, coalesce(w.text, '') FROM series s
		JOIN reading r ON r.series = s.id AND r.at = (SELECT max(at) FROM reading WHERE series = s.id)
		LEFT JOIN word w ON s.type = 3 AND w.id = r.value WHERE s.hardware = ? ORDER BY s.id, r.arrival`, func(rows *sql.Rows) error {
		var id, at int64
		p := Point{N: 1}
		err := rows.Scan(&id, &at, &p.Last, &p.Text)
		p.At, p.Low, p.High, p.Mean = time.UnixMilli(at).UTC(), p.Last, p.Last, p.Last
		out[id] = p
		return err
	}, hardware)
	if err != nil {
		return nil, fmt.Errorf("read latest values: %w", err)
	}
	return out, nil
}
