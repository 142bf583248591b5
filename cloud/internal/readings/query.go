package readings

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/reading"
	"estate/sync/record"
)

// Latest implements desk.Readings: the last quarter of an hour's last value, or a later single
// reading.
func (s *Store) Latest(ctx context.Context, building record.ID, hardware string) ([]reading.Latest, error) {
	rows, err := s.pool.Query(ctx, `SELECT s.hardware, s.key, s.kind, s.unit, s.type, coalesce(l.at, 0), coalesce(l.value, 0), coalesce(l.text, ''), l.at IS NOT NULL
		FROM series s LEFT JOIN LATERAL (
			(SELECT last_at AS at, last AS value, '' AS text FROM rollup WHERE series = s.id ORDER BY bucket DESC LIMIT 1)
			UNION ALL (SELECT at, value, text FROM reading WHERE series = s.id ORDER BY at DESC LIMIT 1) ORDER BY at DESC LIMIT 1) l ON true
		WHERE s.building = $1 AND s.hardware = $2 ORDER BY s.key, s.unit, s.type`, [16]byte(building), hardware)
	if err != nil {
		return nil, fmt.Errorf("read latest values: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (reading.Latest, error) {
		var one reading.Latest
		var at int64
		var some bool
		err := row.Scan(&one.Hardware, &one.Key, &one.Kind, &one.Unit, &one.Type, &at, &one.Last, &one.Text, &some)
		if some {
			one.Point = reading.Point{At: time.UnixMilli(at).UTC(), N: 1, Low: one.Last, High: one.Last, Mean: one.Last, Last: one.Last, Text: one.Text}
		}
		return one, err
	})
	if err != nil {
		return nil, fmt.Errorf("read latest values: %w", err)
	}
	return out, nil
}

// Heard implements desk.Readings.
func (s *Store) Heard(ctx context.Context, building record.ID, hardware []string) (map[string]time.Time, error) {
	rows, err := s.pool.Query(ctx, `SELECT s.hardware, coalesce(max(greatest(
			(SELECT last_at FROM rollup WHERE series = s.id ORDER BY bucket DESC LIMIT 1), (SELECT at FROM reading WHERE series = s.id ORDER BY at DESC LIMIT 1))), 0)
		FROM series s WHERE s.building = $1 AND s.hardware = ANY($2) GROUP BY s.hardware`, [16]byte(building), hardware)
	if err != nil {
		return nil, fmt.Errorf("read when devices were heard: %w", err)
	}
	out := map[string]time.Time{}
	var name string
	var at int64
	_, err = pgx.ForEachRow(rows, []any{&name, &at}, func() error {
		if at > 0 {
			out[name] = time.UnixMilli(at).UTC()
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read when devices were heard: %w", err)
	}
	return out, nil
}

// Points implements desk.Readings: single readings where the cloud has all of the stretch and
// they are few enough, else quarters of an hour or sums of them. Of a key that came in several
// types it takes the one heard last.
func (s *Store) Points(ctx context.Context, building record.ID, q reading.Query) (reading.Points, error) {
	var id int64
	var kind reading.Type
	err := s.pool.QueryRow(ctx, `SELECT id, type FROM series s WHERE building = $1 AND hardware = $2 AND key = $3 AND unit = $4
		ORDER BY greatest((SELECT max(last_at) FROM rollup WHERE series = s.id), (SELECT max(at) FROM reading WHERE series = s.id)) DESC NULLS LAST, id DESC LIMIT 1`,
		[16]byte(building), q.Hardware, q.Key, q.Unit).Scan(&id, &kind)
	if errors.Is(err, pgx.ErrNoRows) {
		return reading.Points{}, nil
	}
	if err != nil {
		return reading.Points{}, fmt.Errorf("find a series: %w", err)
	}
	single := kind == reading.Text
	if !single {
		// The quarters that the stretch touches, as far as they are known: all single readings
		// are here where there are as many as those sum up.
		from, to := q.From.Truncate(reading.Quarter), q.To.Add(reading.Quarter-1).Truncate(reading.Quarter)
		err := s.pool.QueryRow(ctx, `SELECT c.n > 0 AND c.n <= $6 AND c.n >= (SELECT coalesce(sum(n), 0) FROM rollup WHERE series = $1 AND bucket >= $2 AND bucket < $3)
			FROM (SELECT count(*) AS n FROM (SELECT 1 FROM reading WHERE series = $1 AND at >= $4 AND at < $5 LIMIT $6 + 1) x) c`,
			id, from.Unix(), to.Unix(), from.UnixMilli(), to.UnixMilli(), min(max(q.Points, 1), reading.PointsMax)).Scan(&single)
		if err != nil {
			return reading.Points{}, fmt.Errorf("count readings: %w", err)
		}
	}
	if single {
		return s.readings(ctx, id, q)
	}
	return s.rollups(ctx, id, q, reading.Span(q, spans()))
}

func (s *Store) readings(ctx context.Context, series int64, q reading.Query) (reading.Points, error) {
	rows, err := s.pool.Query(ctx, `SELECT at, value, text FROM reading WHERE series = $1 AND at >= $2 AND at < $3 ORDER BY at LIMIT $4`, series, q.From.UnixMilli(), q.To.UnixMilli(), reading.PointsMax)
	if err != nil {
		return reading.Points{}, fmt.Errorf("read readings: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (reading.Point, error) {
		var at int64
		p := reading.Point{N: 1}
		err := row.Scan(&at, &p.Mean, &p.Text)
		p.At, p.Low, p.High, p.Last = time.UnixMilli(at).UTC(), p.Mean, p.Mean, p.Mean
		return p, err
	})
	if err != nil {
		return reading.Points{}, fmt.Errorf("read readings: %w", err)
	}
	return reading.Points{List: list}, nil
}

func (s *Store) rollups(ctx context.Context, series int64, q reading.Query, span time.Duration) (reading.Points, error) {
	seconds := int64(span / time.Second)
	rows, err := s.pool.Query(ctx, `SELECT bucket / $4 * $4 AS at, sum(n)::bigint, min(low), max(high), sum(sum), (array_agg(last ORDER BY bucket DESC))[1]
		FROM rollup WHERE series = $1 AND bucket >= $2 AND bucket < $3 GROUP BY 1 ORDER BY 1 LIMIT $5`, series, q.From.Unix()/seconds*seconds, q.To.Unix(), seconds, reading.PointsMax)
	if err != nil {
		return reading.Points{}, fmt.Errorf("read rollups: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (reading.Point, error) {
		var at int64
		var sum float64
		var p reading.Point
		err := row.Scan(&at, &p.N, &p.Low, &p.High, &sum, &p.Last)
		p.At, p.Mean = time.Unix(at, 0).UTC(), sum/float64(max(p.N, 1))
		return p, err
	})
	if err != nil {
		return reading.Points{}, fmt.Errorf("read rollups: %w", err)
	}
	return reading.Points{Span: span, List: list}, nil
}
