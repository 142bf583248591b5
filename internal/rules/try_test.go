package rules

import (
	"slices"
	"testing"
	"time"
)

// TestTryGoesOnToItsEnd: an alarm of the last observation ends when its time is over, and who is
// silent from then on is found silent.
func TestTryGoesOnToItsEnd(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	yes, no := true, false
	var list []Observation
	for i := range 20 {
		at := start.Add(time.Duration(i) * 10 * time.Minute)
		list = append(list, Observation{Device: "d", Kind: "leak", Key: "leak", Bool: &no, At: at, Arrival: at})
	}
	at := start.Add(200 * time.Minute)
	list = append(list, Observation{Device: "d", Kind: "leak", Key: "leak", Bool: &yes, At: at, Arrival: at},
		Observation{Device: "d", Kind: "leak", Key: "leak", Bool: &no, At: at.Add(time.Second), Arrival: at.Add(time.Second)})
	told := func(end time.Time) (out []string) {
		for _, e := range Try(Shipped(), time.UTC, slices.Values(list), end) {
			out = append(out, map[What]string{Raise: "raise ", Clear: "clear "}[e.What]+e.Alarm.Cause)
		}
		return out
	}
	if got := told(at.Add(time.Minute + 2*time.Second)); !slices.Equal(got, []string{"raise leak", "clear leak"}) {
		t.Errorf("a minute later: %q", got)
	}
	if got := told(at.Add(24 * time.Hour)); !slices.Equal(got, []string{"raise leak", "clear leak", "raise silent"}) {
		t.Errorf("a day later: %q", got)
	}
	if got := told(time.Time{}); !slices.Equal(got, []string{"raise leak"}) {
		t.Errorf("without an end: %q", got)
	}
}
