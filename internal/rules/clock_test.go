package rules

import (
	"testing"
	"time"
)

// TestClockWasAhead: a box that starts with a clock far ahead, and is put right, goes on hearing:
// what it knows is not later than what comes.
func TestClockWasAhead(t *testing.T) {
	t.Parallel()
	rises := made(t, `{"rate":{"kind":"temperature","unit":"°C","rises":5,"within":"10m"}}`, "")
	unusual := made(t, `{"unusual":{"kind":"temperature","unit":"°C","times":4,"floor":1,"for":"1m","memory":"24h"}}`, "")
	for _, c := range []struct {
		name        string
		list        []Rule
		lines, want string
	}{
		{"Freezing", Shipped(), "9000h s temperature 20\n1h s temperature 2\n1h10m s temperature 2\n1h16m tick", "1h16m raise freezing s since 1h0m0s"},
		{"DoorLeftOpen", Shipped(), "9000h s opening false\n1h s opening true\n2h1m s opening true\n2h2m tick", "2h1m raise left_open s since 1h0m0s"},
		{"AfterARestart", Shipped(), "9000h s temperature 20\n1h restart\n1h s temperature 2\n1h16m tick", "1h16m raise freezing s since 1h0m0s"},
		{"Rises", rises, "9000h s temperature 20\n1h s temperature 20\n1h1m s temperature 28", "1h1m raise c s since 1h1m0s"},
		{"Unusual", unusual, "9000h s temperature 20\n1h s temperature 20\n20h s temperature 20\n40h s temperature 20\n60h s temperature 40\n60h2m tick", "60h2m raise c s since 60h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := play(t, New(c.list, time.UTC), c.lines); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestStateOfTheBuildBefore: what was saved without the time of saving is taken as it was taken
// then: the time in which nobody listened is no silence.
func TestStateOfTheBuildBefore(t *testing.T) {
	t.Parallel()
	e := New(Shipped(), time.UTC)
	play(t, e, "0s s x 1\n5m s x 1\n10m s x 1\n15m s x 1\n16m s opening true")
	for _, w := range e.watches {
		w.At = time.Time{}
	}
	saved, err := e.Dirty()
	if err != nil {
		t.Fatal(err)
	}
	next := New(Shipped(), time.UTC)
	now := t0.Add(9 * time.Hour)
	effects, err := next.Restore(saved, now)
	if err != nil {
		t.Fatal(err)
	}
	if effects = append(effects, next.Tick(now, true)...); len(effects) > 0 {
		t.Errorf("a time in which nobody listened counts: %+v", effects)
	}
}
