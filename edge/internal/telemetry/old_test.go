package telemetry

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"estate/internal/reading"
)

// TestOldRepeats: what was counted, and is gone since as a single reading, is not counted again when
// its device sends all that it remembers; what nobody knew is.
func TestOldRepeats(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "telemetry.db")
	s := open(t, path, 1<<18)
	var batch []reading.Reading
	for i := range 20_000 {
		if i >= 600 && i < 720 {
			continue // two minutes in which the device was not heard
		}
		batch = append(batch, value("t", float64(i%97), time.Duration(i)*time.Second))
	}
	for list := range slices.Chunk(batch, 1000) {
		add(t, s, list...)
	}
	if err := s.Keep(t.Context(), "h", t0.Add(2*time.Hour), t0.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	now := t0.Add(3 * 24 * time.Hour)
	for more := true; more; {
		var err error
		if more, err = s.Thin(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, 1<<18)
	hours := func() (n int64, sum float64) {
		for at := t0; at.Before(t0.Add(12 * time.Hour)); at = at.Add(time.Hour) {
			points, err := s.Points(t.Context(), reading.Query{Hardware: "h", Key: "t", Unit: "°C", From: at, To: at.Add(time.Hour), Points: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range points.List {
				n, sum = n+p.N, sum+p.Mean*float64(p.N)
			}
		}
		return n, sum
	}
	if to := s.thinned["reading"]; to < batch[10_000].At.UnixMilli() {
		t.Fatalf("readings are gone up to %s only", time.UnixMilli(to).UTC())
	}
	count, sum := hours()
	if count != int64(len(batch)) {
		t.Fatalf("%d of %d", count, len(batch))
	}
	for list := range slices.Chunk(batch[:10_000], 500) {
		if got := add(t, s, list...); got.Stored != 0 || got.Repeated != len(list) {
			t.Fatalf("counted again: %+v", got)
		}
	}
	if n, again := hours(); n != count || math.Abs(again-sum) > 1 {
		t.Errorf("%d readings, sum %g; were %d, %g", n, again, count, sum)
	}
	for _, stored := range []int{1, 0} { // the device sends what it measured while it was not heard, twice
		for i := range 12 { // its minutes are begun by one batch and gone on with by others
			var late []reading.Reading
			for n := range 10 {
				late = append(late, value("t", 5, time.Duration(600+10*i+n)*time.Second))
			}
			if got := add(t, s, late...); got.Stored != 10*stored {
				t.Fatalf("%d: %+v, want %d", i, got, 10*stored)
			}
		}
	}
	if n, _ := hours(); n != count+120 {
		t.Errorf("%d readings, were %d", n, count)
	}
}

// TestRollupsAreExact: whatever the order in which readings come, how often, in which batches and
// with how many restarts in between, each rollup is what its readings come to.
func TestRollupsAreExact(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "telemetry.db")
	random := rand.New(rand.NewPCG(1, 2))
	var all []reading.Reading
	for i := range 2000 {
		all = append(all, value("t", float64(random.IntN(1000))/10, time.Duration(i)*3700*time.Millisecond))
	}
	sent := append(slices.Clone(all), all[:700]...) // a part comes twice
	random.Shuffle(len(sent), func(i, j int) { sent[i], sent[j] = sent[j], sent[i] })
	s := open(t, path, 0)
	stored, repeated := 0, 0
	for len(sent) > 0 {
		n := min(1+random.IntN(150), len(sent))
		got := add(t, s, sent[:n]...)
		stored, repeated, sent = stored+got.Stored, repeated+got.Repeated, sent[n:]
		if random.IntN(4) == 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, path, 0)
		}
	}
	if stored != len(all) || repeated != 700 {
		t.Fatalf("%d stored, %d repeated", stored, repeated)
	}
	for _, span := range reading.Spans() {
		want := map[time.Time]reading.Point{}
		for _, r := range all { // by their times
			at := r.At.Truncate(span)
			p, known := want[at]
			if !known {
				p = reading.Point{At: at, Low: r.Value, High: r.Value}
			}
			p.N, p.Low, p.High, p.Last = p.N+1, min(p.Low, r.Value), max(p.High, r.Value), r.Value
			p.Mean += r.Value
			want[at] = p
		}
		got, err := s.rollups(t.Context(), 1, reading.Query{From: t0, To: t0.Add(3 * time.Hour)}, span)
		if err != nil || len(got.List) != len(want) {
			t.Fatalf("%s: %d rollups, want %d, %v", span, len(got.List), len(want), err)
		}
		for _, p := range got.List {
			w := want[p.At]
			if p.N != w.N || p.Low != w.Low || p.High != w.High || p.Last != w.Last || math.Abs(p.Mean-w.Mean/float64(w.N)) > 1e-9 {
				t.Errorf("%s at %s: %+v, want %+v", span, p.At, p, w)
			}
		}
	}
}
