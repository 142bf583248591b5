package readings_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"estate/cloud/internal/pgstore"
	"estate/cloud/internal/readings"
	"estate/internal/lab/pglab/pgtest"
	"estate/internal/problem"
	"estate/internal/reading"
	"estate/sync/record"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func setup(t *testing.T) *readings.Store {
	t.Helper()
	db, err := pgstore.Open(t.Context(), pgtest.Database(t), pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return readings.New(db.Pool())
}

func temperature(hardware string) reading.Series {
	return reading.Series{Hardware: hardware, Key: "t", Kind: "temperature", Unit: "°C", Type: reading.Number}
}

func quarter(hardware string, i int, n int64, mean float64) reading.Rollup {
	at := t0.Add(time.Duration(i) * reading.Quarter)
	return reading.Rollup{Series: temperature(hardware), Bucket: at, N: n, Low: mean - 1, High: mean + 1, Sum: mean * float64(n), Last: mean, LastAt: at.Add(time.Minute)}
}

func single(hardware string, v float64, after time.Duration) reading.Reading {
	return reading.Reading{Series: temperature(hardware), Value: v, At: t0.Add(after), Arrival: t0.Add(after)}
}

func add(t *testing.T, s *readings.Store, building record.ID, rollups []reading.Rollup, list ...reading.Reading) {
	t.Helper()
	if err := s.Add(t.Context(), building, reading.NewBatch(rollups, list)); err != nil {
		t.Fatal(err)
	}
}

func points(t *testing.T, s *readings.Store, building record.ID, hardware string, from, to time.Duration, most int) reading.Points {
	t.Helper()
	got, err := s.Points(t.Context(), building, reading.Query{Hardware: hardware, Key: "t", Unit: "°C", From: t0.Add(from), To: t0.Add(to), Points: most})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestBatchesInAnyOrder: of a quarter that came in several states the fullest stays, and a
// building sees its own only.
func TestBatchesInAnyOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	home, other := record.DerivedID("home"), record.DerivedID("other")
	early, late := quarter("h", 0, 10, 20), quarter("h", 0, 12, 21)
	add(t, s, home, []reading.Rollup{early, quarter("h", 1, 5, 30)})
	add(t, s, home, []reading.Rollup{late})
	add(t, s, home, []reading.Rollup{early, late, early}) // a box that was set back, and one that repeats itself
	add(t, s, other, []reading.Rollup{quarter("h", 0, 100, 99)})
	got := points(t, s, home, "h", 0, time.Hour, 10)
	if len(got.List) != 2 || got.Span != reading.Quarter || got.List[0].N != 12 || got.List[0].Mean != 21 || got.List[1].Mean != 30 {
		t.Errorf("%+v", got)
	}
	if got := points(t, s, home, "h", 0, time.Hour, 1); len(got.List) != 1 || got.Span != reading.Hour || got.List[0].N != 17 || got.List[0].Low != 20 || got.List[0].High != 31 || got.List[0].Last != 30 {
		t.Errorf("an hour: %+v", got)
	}
	latest, err := s.Latest(t.Context(), home, "h")
	if err != nil || len(latest) != 1 || latest[0].Last != 30 || latest[0].Kind != "temperature" {
		t.Errorf("%+v, %v", latest, err)
	}
	if got, err := s.Latest(t.Context(), record.DerivedID("third"), "h"); err != nil || len(got) != 0 {
		t.Errorf("another building's: %+v, %v", got, err)
	}
}

// TestAroundAnAlarm: single readings are shown where the cloud has all of them, and only there.
func TestAroundAnAlarm(t *testing.T) {
	t.Parallel()
	s := setup(t)
	home := record.DerivedID("home")
	add(t, s, home, []reading.Rollup{quarter("h", 0, 3, 20), quarter("h", 1, 3, 30)}, single("h", 1, 0), single("h", 2, time.Minute), single("h", 3, 2*time.Minute))
	add(t, s, home, nil, single("h", 1, 0), single("h", 4, 17*time.Minute))
	var values []float64
	whole := points(t, s, home, "h", 0, 10*time.Minute, 10)
	for _, p := range whole.List {
		values = append(values, p.Last)
	}
	if whole.Span != 0 || !slices.Equal(values, []float64{1, 2, 3}) {
		t.Errorf("%+v", whole)
	}
	if got := points(t, s, home, "h", 0, 30*time.Minute, 10); got.Span != reading.Quarter || len(got.List) != 2 {
		t.Errorf("some are missing: %+v", got)
	}
	latest, err := s.Latest(t.Context(), home, "h")
	if err != nil || len(latest) != 1 || latest[0].Last != 4 {
		t.Errorf("%+v, %v", latest, err)
	}
	heard, err := s.Heard(t.Context(), home, []string{"h", "never"})
	if err != nil || len(heard) != 1 || !heard["h"].Equal(t0.Add(17*time.Minute)) {
		t.Errorf("heard %v, %v", heard, err)
	}
	if got, err := s.Heard(t.Context(), record.DerivedID("third"), []string{"h"}); err != nil || len(got) != 0 {
		t.Errorf("another building's: %v, %v", got, err)
	}
	if n, err := s.DeleteBefore(t.Context(), t0.Add(reading.Quarter)); err != nil || n != 4 {
		t.Errorf("%d removed, %v", n, err)
	}
}

func TestBadBatches(t *testing.T) {
	t.Parallel()
	s := setup(t)
	home := record.DerivedID("home")
	good := reading.NewBatch([]reading.Rollup{quarter("h", 0, 1, 20)}, nil)
	with := func(change func(*reading.Batch)) reading.Batch {
		b := reading.NewBatch([]reading.Rollup{quarter("h", 0, 1, 20)}, []reading.Reading{single("h", 1, 0)})
		change(&b)
		return b
	}
	for name, b := range map[string]reading.Batch{
		"SeriesThatIsNot": with(func(b *reading.Batch) { b.Rollups[0].Series = 1 }),
		"NegativeSeries":  with(func(b *reading.Batch) { b.Readings[0].Series = -1 }),
		"NoHardware":      with(func(b *reading.Batch) { b.Series[0].Hardware = "" }),
		"NoSuchType":      with(func(b *reading.Batch) { b.Series[0].Type = 9 }),
		"NotAQuarter":     with(func(b *reading.Batch) { b.Rollups[0].Bucket += 1000 }),
		"LowAboveHigh":    with(func(b *reading.Batch) { b.Rollups[0].Low = 1000 }),
		"NoReadings":      with(func(b *reading.Batch) { b.Rollups[0].N = 0 }),
		"ATimeOfNoClock":  with(func(b *reading.Batch) { b.Readings[0].At = 1 << 60 }),
		"ALongText":       with(func(b *reading.Batch) { b.Readings[0].Text = string(make([]byte, reading.TextMax+1)) }),
		"SeriesOfNobody":  with(func(b *reading.Batch) { b.Series = append(b.Series, temperature("a"), temperature("b")) }),
		"TooMany": with(func(b *reading.Batch) {
			for range reading.BatchRowsMax {
				b.Rollups = append(b.Rollups, b.Rollups[0])
			}
		}),
	} {
		err := s.Add(t.Context(), home, b)
		if !problem.HasCode(err, problem.InvalidInput) && !problem.HasCode(err, problem.TooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := points(t, s, home, "h", 0, time.Hour, 10); len(got.List) != 0 {
		t.Errorf("something of them was kept: %+v", got)
	}
	if err := s.Add(t.Context(), home, good); err != nil {
		t.Error(err)
	}
}
