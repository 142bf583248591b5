package rules

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// FuzzRule reads a rule that somebody wrote: no panic. One without a problem is the same when it
// is written and read again, and an engine that follows it goes on after a restart.
func FuzzRule(f *testing.F) {
	for _, r := range Shipped() {
		text, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, 21.5, true)
	}
	f.Add([]byte(`{"when":{"not":{"silence":{"after":"1h"}}}}`), -1e300, false)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte, number float64, yes bool) {
		r, problems := Parse(text)
		if len(problems) > 0 {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		second, problems := Parse(again)
		if text, err := json.Marshal(second); err != nil || len(problems) > 0 || !bytes.Equal(text, again) {
			t.Fatalf("%s read again is %s, %v, %v", again, text, problems, err)
		}
		e := New([]Rule{r}, time.UTC)
		for n, kind := range append(r.When.Kinds(), Availability) {
			at := now.Add(time.Duration(n) * time.Minute)
			e.Observe(Observation{Device: "d", Kind: kind, Key: kind, Number: &number, At: at, Arrival: at})
			e.Observe(Observation{Device: "d", Kind: kind, Key: kind, Bool: &yes, At: at, Arrival: at})
		}
		e.Tick(now.Add(26*time.Hour), true)
		saved, err := e.Dirty()
		if err != nil {
			t.Fatal(err)
		}
		open := e.Open()
		restarted := New([]Rule{r}, time.UTC)
		if _, err := restarted.Restore(saved, now.Add(26*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := restarted.Open(); len(got) != len(open) {
			t.Fatalf("%d alarms were open, after a restart %d", len(open), len(got))
		}
	})
}
