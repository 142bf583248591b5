package rules

import (
	"testing"
	"time"
)

// TestAcrossUnit: a door and a motion sensor of one unit are looked at together, those of others are
// not; who moves or leaves takes its values along.
func TestAcrossUnit(t *testing.T) {
	t.Parallel()
	when := `{"all":[{"is":{"kind":"opening","value":true,"for":"5m"}},{"not":{"is":{"kind":"occupancy","value":true}}}]}`
	for _, c := range []struct{ name, lines, want string }{
		{"Together", "0s door opening true in=a\n1m motion occupancy false in=a\n6m tick\n7m motion occupancy true in=a\n7m1s tick", "6m raise c door since 6m0s\n7m clear c door since 6m0s"},
		{"SomebodyIsThere", "0s door opening true in=a\n1m motion occupancy true in=a\n6m tick", ""},
		{"AnotherUnit", "0s door opening true in=a\n1m motion occupancy false in=b\n6m tick", ""},
		{"NoUnit", "0s door opening true\n1m motion occupancy false\n6m tick", ""},
		{"TwoUnits", "0s d1 opening true in=a\n0s d2 opening true in=b\n1m m1 occupancy false in=a\n1m m2 occupancy true in=b\n6m tick", "6m raise c d1 since 6m0s"},
		{"TwoDoors", "0s d1 opening true in=a\n0s d2 opening false in=a\n1m m occupancy false in=a\n6m tick\n7m d1 opening false in=a\n7m1s tick", "6m raise c d1 since 6m0s\n7m clear c d1 since 6m0s"},
		{"Restart", "0s door opening true in=a\n1m motion occupancy false in=a\n6m tick\n6m1s restart\n6m2s motion occupancy true in=a\n6m3s tick", "6m raise c door since 6m0s\n6m2s clear c door since 6m0s"},
		{"Moved", "0s door opening true in=a\n1m motion occupancy false in=a\n2m door opening true in=b\n9m tick", ""},
		{"LastOneMoves", "0s motion occupancy false in=a\n0s door opening true in=a\n6m tick\n7m motion occupancy false in=b\n8m door opening true in=b\n8m1s tick\n14m tick", "6m raise c door since 6m0s\n8m clear c door since 6m0s\n14m raise c door since 14m0s"},
		{"MovedAfterARestart", "0s motion occupancy false in=a\n0s door opening true in=a\n6m tick\n6m1s restart\n7m motion occupancy false in=b\n8m door opening true in=b", "6m raise c door since 6m0s\n8m clear c door since 6m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := play(t, New(made(t, when, `,"across":"unit"`), time.UTC), c.lines); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	e := New(made(t, when, `,"across":"unit"`), time.UTC)
	play(t, e, "0s motion occupancy false in=a\n0s door opening true in=a\n6m tick")
	if open := e.Open(); len(open) != 1 || open[0].Detail != "opening is true and occupancy is false" {
		t.Errorf("%+v", open)
	}
	if got := e.Devices(); len(got) != 2 || got[0] != "door" || got[1] != "motion" {
		t.Errorf("%v", got)
	}
	if got := e.Forget("motion", t0.Add(7*time.Minute)); len(got) != 0 || len(e.Open()) != 1 {
		t.Errorf("%+v", got)
	}
	if got := e.Forget("door", t0.Add(8*time.Minute)); len(got) != 1 || got[0].What != Clear || len(e.Open()) != 0 {
		t.Errorf("%+v", got)
	}
}
