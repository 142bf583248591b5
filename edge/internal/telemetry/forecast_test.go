package telemetry

import (
	"fmt"
	"math"
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

// TestForecastIsTrue: what a day is said to add is what it adds, for sensors that speak often and
// for those that seldom do.
func TestForecastIsTrue(t *testing.T) {
	t.Parallel()
	for name, every := range map[string]time.Duration{"TenSeconds": 10 * time.Second, "Minute": time.Minute, "FiveMinutes": 5 * time.Minute, "TwentyMinutes": 20 * time.Minute, "TwoHours": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), 1<<30)
			const days, readings = 3, 6_000
			sensors := max(1, int(readings*every/(days*24*time.Hour)))
			var batch []reading.Reading
			for at := time.Duration(0); at < 24*time.Hour*days; at += every {
				for n := range sensors {
					batch = append(batch, value(fmt.Sprint("t", n), 20.1+float64(at/every%7)/10, at))
				}
			}
			for list := range slices.Chunk(batch, 1000) {
				add(t, s, list...)
			}
			now := t0.Add(days * 24 * time.Hour)
			for !unsent(t, s, now.Add(time.Hour)).Empty() { // the cloud is there
				if err := s.Sent(t.Context(), unsent(t, s, now.Add(time.Hour))); err != nil {
					t.Fatal(err)
				}
			}
			u, err := s.Usage(t.Context(), now)
			if err != nil {
				t.Fatal(err)
			}
			if is := u.Bytes / days; math.Abs(float64(u.BytesPerDay-is)) > 0.2*float64(is) {
				t.Errorf("said %d bytes a day, is %d", u.BytesPerDay, is)
			}
		})
	}
}

// TestOver: a budget that what must stay fills is said to be too small, until there is room again.
func TestOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "telemetry.db")
	s := open(t, path, 1<<16)
	var batch []reading.Reading
	for n := range 5000 {
		batch = append(batch, value("t", float64(n), time.Duration(n)*time.Second))
	}
	add(t, s, batch...)
	now := t0.Add(2 * time.Hour)
	thinned := func() Usage {
		for more := true; more; {
			var err error
			if more, err = s.Thin(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		}
		u, err := s.Usage(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := thinned(); !u.Over {
		t.Errorf("%+v", u)
	}
	now = t0.Add(9 * 24 * time.Hour) // all of it may go by now
	if u := thinned(); u.Over || !u.FullAt.IsZero() {
		t.Errorf("%+v", u)
	}
}
