package telemetry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"estate/internal/reading"
)

// openedMax bounds what is remembered of late readings: a week of minutes of ten sensors.
const openedMax = 100_000

// withoutOld leaves out what is so old that single readings of its time are gone, and that was
// added to a rollup already: whether it is the same reading nobody can tell any more, and no reading
// may count twice. Readings of a time of which nothing was known are taken.
func (s *Store) withoutOld(ctx context.Context, rows []row, out *Added) ([]row, error) {
	if s.thinned["reading"] == 0 {
		return rows, nil
	}
	var err error
	return slices.DeleteFunc(rows, func(r row) bool {
		if err != nil || r.typ == reading.Text || r.at >= s.thinned["reading"] {
			return false
		}
		var known bool
		if known, err = s.summed(ctx, r); known {
			out.Repeated++
		}
		return known
	}), err
}

// summed says whether the shortest rollup that would still be there has something of the time of a
// reading that is not kept by itself. Older than all rollups is known as well.
func (s *Store) summed(ctx context.Context, r row) (known bool, err error) {
	for _, span := range reading.Spans() {
		seconds := int64(span / time.Second)
		start := floor(r.at, seconds*1000) * seconds
		if start < s.thinned[fmt.Sprint(seconds)] {
			continue
		}
		b := bucket{seconds, r.series, start}
		if s.opened[b] {
			return false, nil
		}
		st, err := s.stmt(ctx, `SELECT EXISTS (SELECT 1 FROM rollup WHERE span = ?1 AND series = ?2 AND bucket = ?3)
			AND NOT EXISTS (SELECT 1 FROM kept WHERE hardware = ?4 AND ?5 BETWEEN from_at AND to_at)`)
		if err != nil {
			return false, err
		}
		if err := st.QueryRowContext(ctx, seconds, r.series, start, r.hardware, r.at).Scan(&known); err != nil {
			return false, fmt.Errorf("look for an old reading: %w", err)
		}
		if !known && len(s.opened) < openedMax {
			s.opened[b] = true
		}
		return known, nil
	}
	return true, nil
}
