package ingest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// play runs a script against the rules. Steps, each "seconds word": wet, dry, tick;
// "R" in front marks retained, "D" a duplicate, "@n" gives the event time in seconds.
func play(t *testing.T, r *ingest.Rules, script string) string {
	t.Helper()
	var out []string
	for _, step := range strings.Split(script, ",") {
		var at float64
		var word string
		step = strings.TrimSpace(step)
		if _, err := fmt.Sscanf(step, "%g %s", &at, &word); err != nil {
			t.Fatalf("step %q: %v", step, err)
		}
		now := t0.Add(time.Duration(at * float64(time.Second)))
		var effects []ingest.Effect
		if word == "tick" {
			effects = r.Tick(now)
		} else {
			o := decode.Observation{Hardware: "h", Key: "leak", Kind: decode.Leak, ArrivalTime: now}
			word, o.Retained = strings.CutPrefix(word, "R")
			word, o.Duplicate = strings.CutPrefix(word, "D")
			word, event, dated := strings.Cut(word, "@")
			if dated {
				var sec float64
				if _, err := fmt.Sscanf(event, "%g", &sec); err != nil {
					t.Fatal(err)
				}
				o.EventTime = t0.Add(time.Duration(sec * float64(time.Second)))
			}
			if word != "wet" && word != "dry" {
				t.Fatalf("step %q", step)
			}
			o.Value = decode.BoolValue(word == "wet")
			effects, _ = r.Apply(o)
		}
		for _, e := range effects {
			line := fmt.Sprintf("%g raise %g", at, e.Alarm.Since.Sub(t0).Seconds())
			if e.Clear {
				line = fmt.Sprintf("%g clear %g", at, e.Alarm.Since.Sub(t0).Seconds())
			}
			if e.Alarm.Flapping {
				line += " flapping"
			}
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}

func TestRules(t *testing.T) {
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
			r := ingest.NewRules(ingest.DefaultTiming(), ingest.Snapshot{}, t0)
			if got := play(t, r, c.script); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRulesAfterRestart(t *testing.T) {
	t.Parallel()
	state := func(wet bool) []ingest.SensorState {
		return []ingest.SensorState{{Hardware: "h", Kind: decode.Leak, Value: wet, Changed: t0, Seen: t0}}
	}
	open := []ingest.Alarm{{Hardware: "h", Kind: decode.Leak, Since: t0}}
	for _, c := range []struct {
		name         string
		saved        ingest.Snapshot
		script, want string
	}{
		{"SameWetAgain", ingest.Snapshot{Sensors: state(true), Alarms: open}, "1 wet", ""},
		{"AlarmSavedStateNot", ingest.Snapshot{Sensors: state(false), Alarms: open}, "1 Dwet", ""},
		{"StateSavedAlarmNot", ingest.Snapshot{Sensors: state(true)}, "1 Dwet", "1 raise 1"},
		{"WetStaysOpen", ingest.Snapshot{Sensors: state(true), Alarms: open}, "999 tick", ""},
		{"DryStartsItsHoldAnew", ingest.Snapshot{Sensors: state(false), Alarms: open}, "29 tick, 30 tick", "30 clear 0"},
		{"UnknownStaysOpen", ingest.Snapshot{Alarms: open}, "999 tick, 1000 dry, 1030 tick", "1030 clear 0"},
		{"RetainedNewerThanSaved", ingest.Snapshot{Sensors: state(false)}, "9 Rwet@5", "9 raise 5"},
		{"RetainedAsSaved", ingest.Snapshot{Sensors: state(false)}, "9 Rwet@0", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := play(t, ingest.NewRules(ingest.DefaultTiming(), c.saved, t0), c.script); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestCauseIsStable(t *testing.T) {
	t.Parallel()
	a := ingest.Alarm{Hardware: "h", Kind: decode.Leak, Since: t0}
	b := a
	b.Flapping, b.Detail, b.Since = true, "x", t0.In(time.FixedZone("east", 3600))
	if a.Cause() != b.Cause() {
		t.Errorf("%s and %s", a.Cause(), b.Cause())
	}
	if b.Since = t0.Add(1); a.Cause() == b.Cause() {
		t.Error("two onsets have one cause")
	}
}
