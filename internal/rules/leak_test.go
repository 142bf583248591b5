package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// script plays steps of one leak sensor, each "seconds word": wet, dry, tick; "R" in front
// marks what the broker kept, "D" what it may have delivered before, "@n" gives the event time
// in seconds.
func script(t *testing.T, e *Engine, text string) string {
	t.Helper()
	var out []string
	for _, step := range strings.Split(text, ",") {
		var at float64
		var word string
		if _, err := fmt.Sscanf(strings.TrimSpace(step), "%g %s", &at, &word); err != nil {
			t.Fatalf("step %q: %v", step, err)
		}
		now := t0.Add(time.Duration(at * float64(time.Second)))
		var effects []Effect
		if word == "tick" {
			effects = e.Tick(now, true)
		} else {
			o := Observation{Device: "h", Kind: "leak", Key: "leak", Arrival: now}
			word, o.Retained = strings.CutPrefix(word, "R")
			word, o.Duplicate = strings.CutPrefix(word, "D")
			word, event, dated := strings.Cut(word, "@")
			if dated {
				var sec float64
				if _, err := fmt.Sscanf(event, "%g", &sec); err != nil {
					t.Fatal(err)
				}
				o.At = t0.Add(time.Duration(sec * float64(time.Second)))
			}
			wet := word == "wet"
			o.Bool = &wet
			effects = e.Observe(o)
		}
		for _, x := range effects {
			line := fmt.Sprintf("%g %s %g", at, map[What]string{Raise: "raise", Mark: "raise", Clear: "clear"}[x.What], x.Alarm.Since.Sub(t0).Seconds())
			if x.Alarm.Flapping {
				line += " flapping"
			}
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}

func TestLeak(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, want string }{
		{"FirstWetRaisesAtOnce", "0 wet", "0 raise 0"},
		{"RepeatedWetIsTheSameAlarm", "0 dry, 1 wet, 2 wet, 3 wet", "1 raise 1"},
		{"ClearsAfterTheHold", "0 wet, 10 dry, 39 tick, 40 tick, 41 tick", "0 raise 0; 40 clear 0"},
		{"RepeatedDryDoesNotRestartTheHold", "0 wet, 10 dry, 30 dry, 40 tick", "0 raise 0; 40 clear 0"},
		{"WetAgainDuringTheHold", "0 wet, 10 dry, 30 wet, 45 tick, 50 dry, 79 tick, 80 tick", "0 raise 0; 80 clear 0"},
		{"WetAfterClearIsANewAlarm", "0 wet, 1 dry, 31 tick, 40 wet", "0 raise 0; 31 clear 0; 40 raise 40"},
		{"NeverClearsWhileWet", "0 wet, 9999 tick", "0 raise 0"},
		{"FlappingIsOneAlarm", "0 dry, 1 wet, 2 dry, 3 wet, 4 dry, 5 wet, 6 dry, 7 wet, 8 dry, 40 tick, 67 tick, 68 tick",
			"1 raise 1; 5 raise 1 flapping; 68 clear 1 flapping"},
		{"SlowChangesAreNotFlapping", "0 dry, 1 wet, 20 dry, 40 wet, 60 dry, 80 wet, 100 dry, 130 tick", "1 raise 1; 130 clear 1"},
		{"OnsetIsTheEventTime", "10 wet@4", "10 raise 4"},
		{"RetainedOnlySetsState", "0 Rwet", ""},
		{"RetainedThenLive", "0 Rwet, 5 wet", "5 raise 5"},
		{"UndatedRetainedNeverRaises", "0 dry, 5 Rwet", ""},
		{"NewerRetainedRaises", "0 dry@0, 9 Rwet@5", "9 raise 5"},
		{"OlderRetainedDoesNot", "6 dry@6, 9 Rwet@5", ""},
		{"RetainedOlderThanLastConfirmed", "1 dry@1, 6 dry@6, 9 Rwet@5", ""},
		{"UndatedRetainedNeverClears", "0 wet, 1 Rdry, 100 tick", "0 raise 0"},
		{"NewerRetainedClears", "0 wet@0, 5 Rdry@3, 35 tick", "0 raise 0; 35 clear 0"},
		{"OldDuplicateIsIgnored", "6 dry@6, 7 Dwet@5", ""},
		{"LateLiveCounts", "6 dry@6, 7 wet@5", "7 raise 5"},
		{"LateDuplicateDoesNotClear", "6 wet@6, 7 Ddry@5, 99 tick", "6 raise 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := script(t, New(Shipped(), time.UTC), c.script); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
