package rules

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"estate/internal/lab/labtest"
)

// series reads a recorded series as one device's values of a kind.
func series(t *testing.T, path, kind, unit string, stamp, value int) []Observation {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 100 {
		t.Fatalf("%s: %d rows, %v", path, len(rows), err)
	}
	var out []Observation
	for _, row := range rows[1:] {
		at, err := time.Parse(time.DateTime, row[stamp])
		if err != nil {
			t.Fatal(err)
		}
		v, err := strconv.ParseFloat(row[value], 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Observation{Device: "d", Kind: kind, Key: kind, Number: &v, UnitOfMeasure: unit, At: at, Arrival: at})
	}
	return out
}

func values(list []Observation) func(func(Observation) bool) {
	return func(yield func(Observation) bool) {
		for _, o := range list {
			if !yield(o) {
				return
			}
		}
	}
}

type window struct{ from, to, point time.Time }

func windows(t *testing.T, name string) []window {
	t.Helper()
	b, err := os.ReadFile(labtest.Data(t, "sensor_timeseries/nab_temperature/labels.json")[0])
	if err != nil {
		t.Fatal(err)
	}
	var labels map[string]struct {
		Points  []string    `json:"anomaly_points"`
		Windows [][2]string `json:"anomaly_windows"`
	}
	if err := json.Unmarshal(b, &labels); err != nil {
		t.Fatal(err)
	}
	var out []window
	parse := func(s string) time.Time {
		at, err := time.Parse(time.DateTime, strings.TrimSuffix(s, ".000000"))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	l := labels["realKnownCause/"+name]
	for i, w := range l.Windows {
		out = append(out, window{parse(w[0]), parse(w[1]), parse(l.Points[i])})
	}
	return out
}

// The adaptive rule finds machines that fail by their temperature and does not cry wolf: the
// shipped settings are tried on recorded machines whose failures people have labelled.
func TestUnusualOnRecordedMachines(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		found     int
		falseMost float64 // a day
	}{"machine_temperature_system_failure.csv": {3, 0.02}, "ambient_temperature_system_failure.csv": {0, 0.01}} {
		list := series(t, labtest.Data(t, "sensor_timeseries/nab_temperature/"+name)[0], "machine_temperature", "°F", 0, 1)
		failures := windows(t, name)
		days := list[len(list)-1].At.Sub(list[0].At).Hours() / 24
		delays, wolves := map[int]time.Duration{}, 0
		for _, e := range Try(Shipped(), time.UTC, values(list), time.Time{}) {
			if e.What != Raise || e.Alarm.Cause != "unusual_temperature" {
				continue
			}
			n := slices.IndexFunc(failures, func(w window) bool { return !e.Alarm.Since.Before(w.from) && e.Alarm.Since.Before(w.to) })
			if _, again := delays[n]; n < 0 {
				wolves++
			} else if !again {
				delays[n] = e.Alarm.Since.Add(time.Hour).Sub(failures[n].point)
			}
		}
		t.Logf("%s: %d of %d failures found, after %v; %d false alarms in %.0f days, %.3f a day", name, len(delays), len(failures), delays, wolves, days, float64(wolves)/days)
		if len(delays) < want.found || float64(wolves)/days > want.falseMost {
			t.Errorf("%s: want %d found and at most %g false alarms a day", name, want.found, want.falseMost)
		}
	}
}

// An office in which people come and go is no emergency to any shipped rule.
func TestShippedRulesOnAnOffice(t *testing.T) {
	t.Parallel()
	for _, path := range labtest.Data(t, "sensor_timeseries/occupancy_uci/*.csv") {
		var all []Observation
		for column, kind := range map[int][2]string{2: {"temperature", "°C"}, 3: {"humidity", "%"}, 5: {"co2", "ppm"}} {
			all = append(all, series(t, path, kind[0], kind[1], 1, column)...)
		}
		slices.SortStableFunc(all, func(a, b Observation) int { return a.Arrival.Compare(b.Arrival) })
		for _, e := range Try(Shipped(), time.UTC, values(all), time.Time{}) {
			t.Errorf("%s: %+v", filepath.Base(path), e)
		}
	}
}
