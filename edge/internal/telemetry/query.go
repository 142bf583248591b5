package telemetry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"estate/internal/reading"
)

// Latest gives the last reading of each series of a device. A series of which nothing is left
// but rollups has the last of those.
func (s *Store) Latest(ctx context.Context, hardware string) ([]reading.Latest, error) {
	var out []reading.Latest
	err := each(ctx, s.read.Load(), `SELECT s.hardware, s.key, s.kind, s.unit, s.type, coalesce(r.at, u.last_at, 0), coalesce(r.value, u.last, 0), coalesce(w.text, ''),
			r.at IS NOT NULL OR u.last_at IS NOT NULL
		FROM series s LEFT JOIN reading r ON r.series = s.id AND (r.at, r.value) = (SELECT at, value FROM reading WHERE series = s.id ORDER BY at DESC, arrival DESC LIMIT 1)
		LEFT JOIN rollup u ON u.series = s.id AND u.span = 3600 AND u.bucket = (SELECT max(bucket) FROM rollup WHERE series = s.id AND span = 3600)
		LEFT JOIN word w ON s.type = 3 AND w.id = r.value WHERE s.hardware = ? ORDER BY s.key, s.unit, s.type`, func(rows *sql.Rows) error {
		var one reading.Latest
		var at int64
		var any bool
		err := rows.Scan(&one.Hardware, &one.Key, &one.Kind, &one.Unit, &one.Type, &at, &one.Last, &one.Text, &any)
		if any {
			one.Point = reading.Point{At: time.UnixMilli(at).UTC(), N: 1, Low: one.Last, High: one.Last, Mean: one.Last, Last: one.Last, Text: one.Text}
		}
		out = append(out, one)
		return err
	}, hardware)
	if err != nil {
		return nil, fmt.Errorf("read latest values: %w", err)
	}
	return out, nil
}

// Points answers a query: single readings where they are few enough and still there, else
// rollups. Of a key that came in several types it takes the one heard last.
func (s *Store) Points(ctx context.Context, q reading.Query) (reading.Points, error) {
	var id int64
	err := s.read.Load().QueryRowContext(ctx, `SELECT id FROM series s WHERE hardware = ? AND key = ? AND unit = ?
		ORDER BY (SELECT max(at) FROM reading WHERE series = s.id) DESC, id DESC LIMIT 1`, q.Hardware, q.Key, q.Unit).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return reading.Points{}, nil
	}
	if err != nil {
		return reading.Points{}, fmt.Errorf("find a series: %w", err)
	}
	single, err := s.single(ctx, id, q)
	if err != nil {
		return reading.Points{}, err
	}
	if single {
		return s.readings(ctx, id, q)
	}
	return s.rollups(ctx, id, q, reading.Span(q, reading.Spans()))
}

// single reports whether a query is answered with single readings: there are few enough, and
// none of its time was thinned out.
func (s *Store) single(ctx context.Context, series int64, q reading.Query) (bool, error) {
	most := min(max(q.Points, 1), reading.PointsMax)
	var count int
	err := s.read.Load().QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM reading WHERE series = ? AND at >= ? AND at < ? LIMIT ?)`,
		series, q.From.UnixMilli(), q.To.UnixMilli(), most+1).Scan(&count)
	if err != nil {
		return false, fmt.Errorf("count readings: %w", err)
	}
	if count > most {
		return false, nil
	}
	whole := false
	err = s.read.Load().QueryRowContext(ctx, `SELECT coalesce(max(to_at), -1 << 62) <= ?1 FROM thinned WHERE what = 'reading'`, q.From.UnixMilli()).Scan(&whole)
	if err == nil && !whole {
		err = s.read.Load().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM kept WHERE hardware = ?6 AND from_at <= ?2 AND to_at >= ?3)
			OR NOT EXISTS (SELECT 1 FROM rollup WHERE span = 3600 AND series = ?1 AND bucket >= ?4 AND bucket < ?5)`,
			series, q.From.UnixMilli(), q.To.UnixMilli(), floor(q.From.Unix(), 3600)*3600, q.To.Unix(), q.Hardware).Scan(&whole)
	}
	if err != nil {
		return false, fmt.Errorf("look whether readings were thinned out: %w", err)
	}
	return whole, nil
}

func (s *Store) readings(ctx context.Context, series int64, q reading.Query) (reading.Points, error) {
	var out reading.Points
	err := each(ctx, s.read.Load(), `SELECT r.at, r.value, coalesce(w.text, '') FROM reading r JOIN series s ON s.id = r.series LEFT JOIN word w ON s.type = 3 AND w.id = r.value
		WHERE r.series = ? AND r.at >= ? AND r.at < ? ORDER BY r.at`, func(rows *sql.Rows) error {
		var at int64
		p := reading.Point{N: 1}
		err := rows.Scan(&at, &p.Mean, &p.Text)
		p.At, p.Low, p.High, p.Last = time.UnixMilli(at).UTC(), p.Mean, p.Mean, p.Mean
		out.List = append(out.List, p)
		return err
	}, series, q.From.UnixMilli(), q.To.UnixMilli())
	if err != nil {
		return out, fmt.Errorf("read readings: %w", err)
	}
	return out, nil
}

func (s *Store) rollups(ctx context.Context, series int64, q reading.Query, span time.Duration) (reading.Points, error) {
	out := reading.Points{Span: span}
	seconds := int64(span / time.Second)
	err := each(ctx, s.read.Load(), `SELECT bucket, n, low, high, sum, last FROM rollup WHERE span = ? AND series = ? AND bucket >= ? AND bucket < ? ORDER BY bucket LIMIT ?`, func(rows *sql.Rows) error {
		var at int64
		var sum float64
		var p reading.Point
		err := rows.Scan(&at, &p.N, &p.Low, &p.High, &sum, &p.Last)
		p.At, p.Mean = time.Unix(at, 0).UTC(), sum/float64(max(p.N, 1))
		out.List = append(out.List, p)
		return err
	}, seconds, series, floor(q.From.Unix(), seconds)*seconds, q.To.Unix(), reading.PointsMax)
	if err != nil {
		return out, fmt.Errorf("read rollups: %w", err)
	}
	return out, nil
}

// Heard gives when each of some devices last measured something.
func (s *Store) Heard(ctx context.Context, hardware []string) (map[string]time.Time, error) {
	list, err := json.Marshal(hardware)
	if err != nil {
		return nil, fmt.Errorf("name devices: %w", err)
	}
	out := map[string]time.Time{}
	err = each(ctx, s.read.Load(), `SELECT s.hardware, max(max(coalesce((SELECT max(at) FROM reading WHERE series = s.id), 0),
			coalesce((SELECT last_at FROM rollup WHERE span = 3600 AND series = s.id ORDER BY bucket DESC LIMIT 1), 0)))
		FROM series s WHERE s.hardware IN (SELECT value FROM json_each(?)) GROUP BY s.hardware`, func(rows *sql.Rows) error {
		var name string
		var at int64
		err := rows.Scan(&name, &at)
		if at > 0 {
			out[name] = time.UnixMilli(at).UTC()
		}
		return err
	}, string(list))
	if err != nil {
		return nil, fmt.Errorf("read when devices were heard: %w", err)
	}
	return out, nil
}
