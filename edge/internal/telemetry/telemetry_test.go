package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"estate/internal/reading"
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

func value(key string, v float64, after time.Duration) reading.Reading {
	return reading.Reading{Series: reading.Series{Hardware: "h", Key: key, Kind: key, Unit: "°C", Type: reading.Number}, Value: v, At: t0.Add(after), Arrival: t0.Add(after)}
}

func add(t testing.TB, s *Store, batch ...reading.Reading) Added {
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
	batch := []reading.Reading{value("t", 20, 0), value("t", 22, 10*time.Second), value("t", 21, 70*time.Second), value("t", 22, 10*time.Second)}
	if got := add(t, s, batch...); got.Stored != 3 || got.Repeated != 1 {
		t.Fatalf("%+v", got)
	}
	again := value("t", 20, 0)
	again.Arrival = t0.Add(time.Hour)
	if got := add(t, s, again, value("t", 10, 30*time.Second)); got.Stored != 1 || got.Repeated != 1 {
		t.Fatalf("delivered again: %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, 0)
	ask := reading.Query{Hardware: "h", Key: "t", Unit: "°C", From: t0, To: t0.Add(time.Hour), Points: 3}
	points, err := s.Points(t.Context(), ask)
	if err != nil || points.Span != reading.Hour || len(points.List) != 1 {
		t.Fatalf("%+v, %v", points, err)
	}
	if p := points.List[0]; p.N != 4 || p.Low != 10 || p.High != 22 || p.Mean != 73.0/4 || p.Last != 21 {
		t.Errorf("%+v", p)
	}
	ask.To, ask.Points = t0.Add(10*time.Minute), 10
	points, err = s.Points(t.Context(), ask)
	if err != nil || points.Span != 0 || len(points.List) != 4 || points.List[1].Mean != 22 || points.List[2].Mean != 10 {
		t.Errorf("%+v, %v", points, err)
	}
}

// TestRepeatAmongNew: one reading that came before, far down in a batch of new series and new texts,
// costs nothing else, and what follows is stored as ever.
func TestRepeatAmongNew(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), 0)
	text := func(key, word string) reading.Reading {
		r := value(key, 0, 0)
		r.Type, r.Unit, r.Text = reading.Text, "", word
		return r
	}
	const count = 5 * rowsMax
	batch := []reading.Reading{text("state", "idle")}
	for n := range count {
		batch = append(batch, value(fmt.Sprint("new", n%7), float64(n), time.Duration(n)*time.Second))
	}
	first := batch[count-3]
	add(t, s, first)
	if got := add(t, s, batch...); got.Stored != count || got.Repeated != 1 || len(got.Refused) > 0 {
		t.Fatalf("%+v", got)
	}
	if got := add(t, s, text("state", "busy"), value("new0", -1, 0), value("new8", 1, 0)); got.Stored != 3 || got.Repeated != 0 {
		t.Fatalf("afterwards: %+v", got)
	}
	total := int64(0)
	for n := range 7 {
		points, err := s.Points(t.Context(), reading.Query{Hardware: "h", Key: fmt.Sprint("new", n), Unit: "°C", From: t0, To: t0.Add(time.Hour), Points: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points.List {
			total += p.N
		}
	}
	if total != count+1 {
		t.Errorf("rollups hold %d readings, want %d", total, count+1)
	}
}

func TestBadReadingsAreRefusedAlone(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), 0)
	text := reading.Reading{Series: reading.Series{Hardware: "h", Key: "mode", Type: reading.Text}, Text: "heat", At: t0, Arrival: t0}
	untimed := value("t", 1, 0)
	untimed.At = time.Time{}
	other := value("t", 1, time.Second) // its firmware says it otherwise now
	other.Type = reading.Bool
	got := add(t, s, value("t", 20, 0), untimed, other, text)
	if got.Stored != 3 || len(got.Refused) != 1 {
		t.Fatalf("%+v", got)
	}
	latest, err := s.Latest(t.Context(), "h")
	if err != nil || len(latest) != 3 || latest[0].Text != "heat" || latest[1].Last != 20 || latest[2].Last != 1 {
		t.Errorf("%+v, %v", latest, err)
	}
	heard, err := s.Heard(t.Context(), []string{"h", "never"})
	if err != nil || len(heard) != 1 || !heard["h"].Equal(t0.Add(time.Second)) {
		t.Errorf("heard %v, %v", heard, err)
	}
}

func TestUnsentUntilTheCloudHasIt(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), 0)
	add(t, s, value("t", 20, 0), value("t", 21, 16*time.Minute))
	if list := unsent(t, s, t0.Add(15*time.Minute)); !list.Empty() {
		t.Errorf("a quarter that is not over: %+v", list)
	}
	list := unsent(t, s, t0.Add(time.Hour))
	rollups, readings, err := list.Batch.Rows()
	if err != nil || len(rollups) != 2 || rollups[0].N != 1 || !rollups[0].Bucket.Equal(t0) || len(readings) != 0 {
		t.Fatalf("%+v, %+v, %v", rollups, readings, err)
	}
	add(t, s, value("t", 22, 17*time.Minute)) // while the list is on its way
	if err := s.Sent(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	rollups, _, err = unsent(t, s, t0.Add(time.Hour)).Batch.Rows()
	if err != nil || len(rollups) != 1 || rollups[0].N != 2 || rollups[0].Last != 22 {
		t.Errorf("%+v, %v", rollups, err)
	}
}

func unsent(t *testing.T, s *Store, now time.Time) Unsent {
	t.Helper()
	list, err := s.Unsent(t.Context(), now, reading.BatchRowsMax)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestReadingsAroundAnAlarm: the cloud gets each once, those that come late among them, and
// nothing of the rest; stretches that overlap are one.
func TestReadingsAroundAnAlarm(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "telemetry.db")
	s := open(t, path, 0)
	add(t, s, value("t", 1, -3*time.Hour), value("t", 2, -30*time.Minute), value("t", 3, 0))
	for _, from := range []time.Duration{0, 30 * time.Minute} {
		if err := s.Keep(t.Context(), "h", t0.Add(from), t0.Add(from)); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := s.read.Load().QueryRow(`SELECT count(*) FROM kept`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d stretches, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, 0)
	other := value("new", 7, time.Minute) // heard for the first time
	add(t, s, other, value("t", 4, 80*time.Minute), value("t", 5, 2*time.Hour), value("t", 6, -59*time.Minute))
	list := unsent(t, s, t0)
	_, readings, err := list.Batch.Rows()
	var got []float64
	for _, r := range readings {
		got = append(got, r.Value)
	}
	if want := []float64{6, 2, 3, 4, 7}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, want %v, %v", got, want, err)
	}
	if err := s.Sent(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if again := unsent(t, s, t0); len(again.readings) != 0 {
		t.Errorf("again: %+v", again)
	}
}

// TestDamagedFile: a file that cannot be read is set aside whole, at the start and while it is
// written to, and readings go on.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, path string, s *Store) *Store{
		"AtTheStart": func(t *testing.T, path string, s *Store) *Store {
			if err := errors.Join(s.Close(), os.WriteFile(path, bytes.Repeat([]byte("not a database "), 1000), 0o600)); err != nil {
				t.Fatal(err)
			}
			return open(t, path, 0)
		},
		"WhileItRuns": func(t *testing.T, path string, s *Store) *Store {
			if _, err := s.conn.ExecContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			size, err := f.Seek(0, io.SeekEnd)
			if err != nil {
				t.Fatal(err)
			}
			for at := int64(4096); at < size; at += 4096 { // all pages but the first
				if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 4096), at); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.conn.ExecContext(t.Context(), `PRAGMA shrink_memory`); err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "telemetry.db")
			s := open(t, path, 0)
			add(t, s, value("t", 1, 0))
			s = damage(t, path, s)
			if got := add(t, s, value("t", 2, time.Second)); got.Stored != 1 {
				t.Errorf("%+v", got)
			}
			latest, err := s.Latest(t.Context(), "h")
			if err != nil || len(latest) != 1 || latest[0].Last != 2 {
				t.Errorf("%+v, %v", latest, err)
			}
			if aside, err := filepath.Glob(path + ".damaged-*"); err != nil || len(aside) == 0 {
				t.Errorf("set aside: %v, %v", aside, err)
			}
		})
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "telemetry.db"), 0)
	add(t, s, value("t", 1, time.Minute))
	to := filepath.Join(dir, "copy.db")
	if err := Snapshot(t.Context(), s.path, to); err != nil {
		t.Fatal(err)
	}
	add(t, s, value("t", 2, time.Hour))
	last, err := Inspect(t.Context(), to)
	if err != nil || !last.Equal(t0.Add(time.Minute)) {
		t.Errorf("%s, %v", last, err)
	}
	if err := os.Truncate(to, 5000); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), to); err == nil {
		t.Error("a cut file passed")
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	const budget = 1 << 20
	s := open(t, filepath.Join(t.TempDir(), "telemetry.db"), budget)
	var batch []reading.Reading
	for i := range 5 * 24 * 360 { // five days, each ten seconds
		batch = append(batch, value("t", float64(i%97), time.Duration(i)*10*time.Second))
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
	if err != nil || float64(after.Bytes) > thinTo*budget || after.ThinnedTo.IsZero() || after.Over || !after.FullAt.IsZero() {
		t.Fatalf("%+v, %v", after, err)
	}
	for name, c := range map[string]struct {
		from, to time.Duration
		want     bool
	}{"BeforeTheAlarm": {0, 59 * time.Minute, false}, "Alarm": {time.Hour, 4 * time.Hour, true}, "AfterTheAlarm": {5 * time.Hour, 6 * time.Hour, false}, "LastDay": {97 * time.Hour, 98 * time.Hour, true}} {
		var n int
		if err := s.read.Load().QueryRow(`SELECT count(*) FROM reading WHERE at >= ? AND at < ?`, t0.Add(c.from).UnixMilli(), t0.Add(c.to).UnixMilli()).Scan(&n); err != nil || n > 0 != c.want {
			t.Errorf("%s: %d readings, %v", name, n, err)
		}
	}
	ask := reading.Query{Hardware: "h", Key: "t", Unit: "°C", From: t0, To: now, Points: 400}
	points, err := s.Points(t.Context(), ask)
	if err != nil || points.Span != reading.Hour || len(points.List) != 120 {
		t.Errorf("%d points of %s, %v", len(points.List), points.Span, err)
	}
	ask.From, ask.To = t0.Add(90*time.Minute), t0.Add(91*time.Minute)
	if points, err = s.Points(t.Context(), ask); err != nil || points.Span != 0 || len(points.List) != 6 {
		t.Errorf("around the alarm: %+v, %v", points, err)
	}
	ask.From, ask.To = t0.Add(7*time.Hour), t0.Add(8*time.Hour)
	if points, err = s.Points(t.Context(), ask); err != nil || points.Span == 0 || len(points.List) == 0 {
		t.Errorf("thinned out: %+v, %v", points, err)
	}
}

func BenchmarkAdd(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "telemetry.db"), 0)
	const size = 500
	n := 0
	for b.Loop() {
		batch := make([]reading.Reading, size)
		for i := range batch {
			batch[i] = value(fmt.Sprint(i%50), float64(n), time.Duration(n)*time.Millisecond)
			n++
		}
		if _, err := s.Add(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "readings/s")
}
