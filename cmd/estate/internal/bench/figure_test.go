package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i)*time.Millisecond)
	}
	tests := []struct {
		name string
		all  []time.Duration
		p    float64
		want float64
	}{
		{"OfNone", nil, 0.5, 0},
		{"OfOne", []time.Duration{7 * time.Millisecond}, 0.99, 7},
		{"Least", hundred, 0, 1},
		{"NearestRank", hundred, 0.5, 51},
		{"P99", hundred, 0.99, 99},
		{"Most", hundred, 1, 100},
		{"BelowAMillisecond", []time.Duration{250 * time.Microsecond}, 0.5, 0.25},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := percentile(test.all, test.p); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	if hundred[0] != 100*time.Millisecond {
		t.Error("the caller's durations were sorted")
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("got %v", got)
	}
	if got := median(nil); got != 0 {
		t.Errorf("got %v of none", got)
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		got   figure
		ratio float64
		goal  string
		met   bool
	}{
		{"RatioReached", beside("x", 45, "records/s", "COPY", 100).ratioAtLeast(0.45), 0.45, "ratio ≥ 0.45", true},
		{"RatioMissed", beside("x", 44, "records/s", "COPY", 100).ratioAtLeast(0.45), 0.44, "ratio ≥ 0.45", false},
		{"LimitKept", plain("x", 100, "MB").atMost(100), 0, "≤ 100 MB", true},
		{"LimitExceeded", plain("x", 100.5, "MB").atMost(100), 0, "≤ 100 MB", false},
		{"NoBaseline", beside("x", 1, "records/s", "COPY", 0).ratioAtLeast(0.45), 0, "ratio ≥ 0.45", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.got.Ratio != test.ratio || test.got.Goal != test.goal || test.got.Met != test.met {
				t.Errorf("got %+v", test.got)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	figures := []figure{
		beside("reconcile", 30_000, "records/s", "COPY", 60_000).ratioAtLeast(0.45),
		plain("memory", 123.4, "MB").atMost(100),
		plain("bytes", 12.34, "B"),
	}
	file := filepath.Join(t.TempDir(), "figures.json")
	var out bytes.Buffer
	if err := report(&out, figures, file); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"WHAT       VALUE            BESIDE                 RATIO  GOAL          MET",
		"reconcile  30000 records/s  COPY: 60000 records/s  0.50   ratio ≥ 0.45  yes",
		"memory     123 MB                                         ≤ 100 MB      NO",
		"bytes      12.3 B                                                       ",
		"",
	}, "\n")
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0]["baseline_value"] != 60_000.0 || got[0]["ratio"] != 0.5 || got[0]["met"] != true || got[1]["met"] != false || got[1]["goal"] != "≤ 100 MB" {
		t.Errorf("got %s", text)
	}
	for _, key := range []string{"name", "value", "unit", "baseline", "baseline_value", "ratio", "goal", "met"} {
		if _, ok := got[2][key]; !ok {
			t.Errorf("a figure that stands alone lacks %s", key)
		}
	}
}

func TestReportOfNothingIsAnArray(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "figures.json")
	if err := report(&bytes.Buffer{}, nil, file); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "[]\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestPartsAreChosen(t *testing.T) {
	t.Parallel()
	if err := checkParts(partNames()); err != nil {
		t.Error(err)
	}
	if err := checkParts([]string{"reconsile"}); err == nil || !strings.Contains(err.Error(), "reconcile") {
		t.Errorf("an unknown part: %v", err)
	}
	if o := (options{only: []string{"media"}}); !o.wants("media") || o.wants("reconcile") || !(options{}).wants("reconcile") {
		t.Error("the wrong parts run")
	}
}

// TestTicketsAreTheSameEachRun, differ from each other, and do not shrink to nothing.
func TestTicketsAreTheSameEachRun(t *testing.T) {
	t.Parallel()
	list := words()
	one, again, other := ticket(list, 1), ticket(list, 1), ticket(list, 2)
	if one.Title != again.Title || one.Description != again.Description {
		t.Error("the same number gave two tickets")
	}
	if one.Description == other.Description || one.Title == other.Title || len(one.Description) < describedBytes {
		t.Errorf("got %q and %q", one.Description, other.Description)
	}
	if distinct := slices.Compact(slices.Sorted(strings.FieldsSeq(one.Description))); len(distinct) < 40 {
		t.Errorf("only %d different words in a description", len(distinct))
	}
}

// The end is looked for often, and what is far from it seldom.
func TestUntilLook(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		since      time.Duration
		there, all int64
		want       time.Duration
	}{
		{"NothingThere", time.Second, 0, 100, 0},
		{"FarFromTheEnd", time.Second, 10, 100, barEvery},
		{"NearTheEnd", 990 * time.Millisecond, 99, 100, 2500 * time.Microsecond},
		{"AllThere", time.Second, 100, 100, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := untilLook(c.since, c.there, c.all); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
