package telemetry

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"estate/internal/reading"
)

// TestForecast: a building that measures much is told when its budget is used up; one that
// measures next to nothing is told none, and no day of the past.
func TestForecast(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		budget int64
		every  time.Duration
		full   bool
	}{"Much": {64 << 20, 10 * time.Second, true}, "NextToNothing": {1 << 40, 6 * time.Hour, false}, "NoBudget": {0, time.Minute, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), test.budget)
			const days = 2
			var batch []reading.Reading
			for at := time.Duration(0); at < 24*time.Hour*days; at += test.every {
				batch = append(batch, value("t", 20, at))
			}
			for list := range slices.Chunk(batch, 1000) {
				add(t, s, list...)
			}
			now := t0.Add(days * 24 * time.Hour)
			u, err := s.Usage(t.Context(), now)
			if err != nil {
				t.Fatal(err)
			}
			if u.FullAt.IsZero() == test.full || test.full && !u.FullAt.After(now) {
				t.Errorf("%+v", u)
			}
		})
	}
}
