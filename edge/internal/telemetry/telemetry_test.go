package telemetry

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, path string, budget int64) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, Options{BudgetBytes: budget})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func reading(key string, v float64, after time.Duration) Reading {
	return Reading{Hardware: "h", Key: key, Kind: key, Unit: "°C", Type: Number, Value: v, At: t0.Add(after), Arrival: t0.Add(after)}
}

func add(t testing.TB, s *Store, batch ...Reading) Added {
	t.Helper()
	out, err := s.Add(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReadingsOnceAndRolledUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "telemetry.db")
	s := open(t, path, 0)
	batch := []Reading{reading("t", 20, 0), reading("t", 22, 10*time.Second), reading("t", 21, 70*time.Second), reading("t", 22, 10*time.Second)}
	if got := add(t, s, batch...); got.Stored != 3 || got.Repeated != 1 {
		t.Fatalf("%+v", got)
	}
	again := reading("t", 20, 0)
	again.Arrival = t0.Add(time.Hour)
	if got := add(t, s, again, reading("t", 10, 30*time.Second)); got.Stored != 1 || got.Repeated != 1 {
		t.Fatalf("delivered again: %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, 0)
	list, err := s.Series(t.Context(), "h")
	if err != nil || len(list) != 1 || list[0].Kind != "t" {
		t.Fatalf("%+v, %v", list, err)
	}
	points, span, err := s.Points(t.Context(), list[0].ID, t0, t0.Add(time.Hour), 3)
	if err != nil || span != Hour || len(points) != 1 {
		t.Fatalf("%+v, %s, %v", points, span, err)
	}
	if p := points[0]; p.N != 4 || p.Low != 10 || p.High != 22 || p.Mean != 73.0/4 || p.Last != 21 {
		t.Errorf("%+v", p)
	}
	points, span, err = s.Points(t.Context(), list[0].ID, t0, t0.Add(10*time.Minute), 10)
	if err != nil || span != 0 || len(points) != 4 || points[1].Mean != 22 || points[2].Mean != 10 {
		t.Errorf("%+v, %s, %v", points, span, err)
	}
}

func TestBadReadingsAreRefusedAlone(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), 0)
	text := Reading{Hardware: "h", Key: "mode", Type: Text, Text: "heat", At: t0, Arrival: t0}
	untimed := reading("t", 1, 0)
	untimed.At = time.Time{}
	other := reading("t", 1, time.Second)
	other.Type = Bool
	got := add(t, s, reading("t", 20, 0), untimed, other, text)
	if got.Stored != 2 || len(got.Refused) != 2 {
		t.Fatalf("%+v", got)
	}
	latest, err := s.Latest(t.Context(), "h")
	if err != nil || len(latest) != 2 || latest[2].Text != "heat" || latest[1].Last != 20 {
		t.Errorf("%+v, %v", latest, err)
	}
}

func TestUnsentUntilTheCloudHasIt(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), 0)
	add(t, s, reading("t", 20, 0), reading("t", 21, 16*time.Minute))
	list, err := s.Unsent(t.Context(), 10)
	if err != nil || len(list) != 2 || list[0].N != 1 || !list[0].Bucket.Equal(t0) {
		t.Fatalf("%+v, %v", list, err)
	}
	add(t, s, reading("t", 22, 17*time.Minute)) // while the list is on its way
	if err := s.Sent(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	list, err = s.Unsent(t.Context(), 10)
	if err != nil || len(list) != 1 || list[0].N != 2 || list[0].Last != 22 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	const budget = 1 << 20
	s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), budget)
	var batch []Reading
	for i := range 5 * 24 * 360 { // five days, each ten seconds
		batch = append(batch, reading("t", float64(i%97), time.Duration(i)*10*time.Second))
	}
	for len(batch) > 0 {
		n := min(len(batch), 1000)
		add(t, s, batch[:n]...)
		batch = batch[n:]
	}
	now := t0.Add(5 * 24 * time.Hour)
	if err := s.Keep(t.Context(), "h", t0.Add(2*time.Hour), t0.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	before, err := s.Usage(t.Context(), now)
	if err != nil || before.Bytes <= budget || before.BytesPerDay == 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	steps := 0
	for more := true; more; steps++ {
		if more, err = s.Thin(t.Context(), now); err != nil || steps > 10_000 {
			t.Fatalf("step %d: %v", steps, err)
		}
	}
	after, err := s.Usage(t.Context(), now)
	if err != nil || float64(after.Bytes) > thinTo*budget {
		t.Fatalf("%+v, %v", after, err)
	}
	for name, c := range map[string]struct {
		from, to time.Duration
		want     bool
	}{"BeforeTheAlarm": {0, 59 * time.Minute, false}, "Alarm": {time.Hour, 4 * time.Hour, true}, "AfterTheAlarm": {5 * time.Hour, 6 * time.Hour, false}, "LastDay": {97 * time.Hour, 98 * time.Hour, true}} {
		var n int
		if err := s.read.QueryRow(`SELECT count(*) FROM reading WHERE at >= ? AND at < ?`, t0.Add(c.from).UnixMilli(), t0.Add(c.to).UnixMilli()).Scan(&n); err != nil || n > 0 != c.want {
			t.Errorf("%s: %d readings, %v", name, n, err)
		}
	}
	points, span, err := s.Points(t.Context(), 1, t0, now, 400)
	if err != nil || span != Hour || len(points) != 120 {
		t.Errorf("%d points of %s, %v", len(points), span, err)
	}
}

func BenchmarkAdd(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "telemetry.db"), 0)
	const size = 500
	n := 0
	for b.Loop() {
		batch := make([]Reading, size)
		for i := range batch {
			batch[i] = reading(fmt.Sprint(i%50), float64(n), time.Duration(n)*time.Millisecond)
			n++
		}
		if _, err := s.Add(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "readings/s")
}
