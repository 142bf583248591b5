package rules

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// made is a rule of one condition, with a cause of its own.
func made(t *testing.T, when, more string) []Rule {
	t.Helper()
	r, wrong := Parse(fmt.Appendf(nil, `{"id":"r","version":1,"name":"n","cause":"c","severity":"low","category":"other","ticket":true,"when":%s%s}`, when, more))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return []Rule{r}
}

// TestConditions: each condition by itself, and combined.
func TestConditions(t *testing.T) {
	t.Parallel()
	rises, night := `{"rate":{"kind":"temperature","unit":"°C","rises":5,"within":"10m"}}`, `,"times":{"from":"22:00","to":"06:00"}`
	both := `{"all":[{"is":{"kind":"opening","value":true,"for":"5m"}},{"not":{"is":{"kind":"occupancy","value":true}}}]}`
	for _, c := range []struct{ name, when, more, lines, want string }{
		{"Rises", rises, "", "0s s temperature 20\n5m s temperature 24\n9m s temperature 25.5\n9m1s tick", "9m raise c s since 9m0s"},
		{"RisesSlowly", rises, "", "0s s temperature 20\n8m s temperature 24\n16m s temperature 28\n24m s temperature 32", ""},
		{"RiseIsOver", rises, "", "0s s temperature 20\n5m s temperature 26\n9m tick\n11m tick\n2h tick", "5m raise c s since 5m0s\n11m clear c s since 5m0s"},
		{"RiseAcrossUnits", rises, "", "0s s temperature 20 unit=°C\n5m s temperature 70 unit=°F\n6m s temperature 80 unit=°F", "6m raise c s since 6m0s"},
		{"RiseIsNotAPressure", rises, "", "0s s temperature 20 unit=°C\n5m s temperature 1013 unit=hPa", ""},
		{"RiseOfAnyUnit", `{"rate":{"kind":"temperature","rises":5,"within":"10m"}}`, "", "0s s temperature 20 unit=°C\n5m s temperature 70 unit=°F\n6m s temperature 1013 unit=hPa\n7m s temperature 1014 unit=hPa\n8m s temperature 1020 unit=hPa", "8m raise c s since 8m0s"},
		{"Falls", `{"rate":{"kind":"pressure","falls":300,"within":"5m"}}`, "", "0s s pressure 3000\n1m s pressure 2900\n2m s pressure 2650\n3m s pressure 2640", "2m raise c s since 2m0s"},
		{"KeptIsNoRise", rises, "", "0s s temperature 20\n1m s temperature 30 retained", ""},
		{"BothOrNothing", both, "", "0s s opening true\n0s s occupancy true\n6m tick\n7m s occupancy false\n8m s occupancy true\n8m1s tick", "7m raise c s since 7m0s\n8m clear c s since 7m0s"},
		{"OneOfThemUnknown", both, "", "0s s opening true\n6m tick", ""},
		{"PromisedPeriod", `{"silence":{}}`, "", "0s s x 1 expires=30m\n29m tick\n31m tick", "31m raise c s since 30m0s"},
		{"PromisedPeriodOverLearnt", `{"silence":{}}`, "", "0s s x 1 expires=2h\n5m s x 1\n10m s x 1\n15m s x 1\n2h14m tick\n2h16m tick", "2h16m raise c s since 2h15m0s"},
		{"SaidPeriod", `{"silence":{"after":"40m"}}`, "", "0s s x 1 expires=10m\n39m tick\n41m tick", "41m raise c s since 40m0s"},
		{"AtNight", `{"is":{"kind":"opening","value":true}}`, night, "0s s opening true\n9h59m tick\n10h tick\n17h59m tick\n18h tick", "10h raise c s since 0s\n18h clear c s since 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := play(t, New(made(t, c.when, c.more), time.UTC), c.lines); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestPastIsNotPresent: what a device kept and sends later is judged by when it was measured: a
// cold that was over by then raises nothing, one that goes on does.
func TestPastIsNotPresent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"WasOver", "0s s temperature 20 at=0s\n5h s temperature 15 at=1h\n5h1s s temperature 15 at=90m\n5h2s tick\n5h3s s temperature 20 at=2h\n5h4s s temperature 20 at=5h\n9h tick", ""},
		{"LastedThen", "5h s temperature 15 at=1h\n5h1s s temperature 15 at=290m\n5h2s tick", "5h1s raise no_heat s since 1h0m0s"},
		{"GoesOn", "5h s temperature 15 at=1h\n5h1s tick\n5h2m tick", "5h2m raise no_heat s since 1h0m0s"},
		{"OlderThanKnown", "5h s temperature 20\n5h1s s temperature 2 at=1h\n8h tick\n9h s temperature 20", ""},
		{"OldDoorIsNotOpen", "2h s opening false\n2h1s s opening true at=0s\n2h2s tick\n5h tick", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := play(t, New(Shipped(), time.UTC), c.lines); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestNobodyListened: the time in which the box or its broker was away proves nothing.
func TestNobodyListened(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"DoorWhileDeaf", "0s s opening true\n10m deaf\n3h tick\n3h49m tick\n3h51m tick", "3h51m raise left_open s since 2h50m0s"},
		{"DoorWhileOff", "0s s opening true\n10m s opening true\n3h restart\n3h1s tick\n3h49m tick\n3h51m tick", "3h51m raise left_open s since 2h50m0s"},
		{"DoorWasTheLast", "0s s opening true\n9h restart\n9h1s tick\n9h59m tick\n10h1m tick", "10h1m raise left_open s since 9h0m0s"},
		{"DoorWasClosed", "0s s opening true\n10m s opening true\n3h restart\n3h1s tick\n3h2m s opening false\n6h tick", ""},
		{"SilenceGoesOn", "0s s x 1\n5m s x 1\n10m s x 1\n15m s x 1\n31m tick\n40m deaf\n2h deaf\n2h1m tick\n3h tick", "31m raise silent s since 30m0s"},
		{"BrokerAway", "0s box broker true\n1m box broker false\n1m deaf\n2m59s deaf\n3m1s deaf\n1h deaf\n1h1m box broker true\n1h1m tick\n1h1m31s tick\n90h tick", "3m1s raise unheard box since 1m0s\n1h1m31s clear unheard box since 1m0s"},
		{"BrokerAwayForAMoment", "0s box broker true\n1m box broker false\n1m deaf\n2m box broker true\n2m tick\n10m tick", ""},
		{"BrokerNeverThere", "0s box broker false\n0s deaf\n2m1s deaf", "2m1s raise unheard box since 0s"},
		{"BrokerAwayWhileOff", "0s box broker true\n1m box broker false\n1m deaf\n3h restart\n3h box broker false\n3h deaf\n3h1m box broker true\n3h1m tick\n9h tick", ""},
		{"BrokerStillAwayAfterOff", "0s box broker true\n1m box broker false\n1m deaf\n3h restart\n3h box broker false\n3h deaf\n3h2m1s deaf", "3h2m1s raise unheard box since 3h0m0s"},
		{"GatewayAway", "0s box gateway true\n1m box gateway false\n5m59s tick\n6m1s tick\n20m box gateway true\n21m1s tick\n90h tick", "6m1s raise gateway_away box since 1m0s\n21m1s clear gateway_away box since 1m0s"},
		{"GatewayStartsAnew", "0s box gateway true\n1m box gateway false\n2m box gateway true\n10m tick", ""},
		{"GatewayOfOld", "0s box gateway false retained\n1h tick", ""},
		{"HeardBeforeTheTick", "0s s x 1\n1m deaf\n10m s leak true", "10m raise leak s since 10m0s"},
		{"OpenAlarmGoesOn", "0s s leak true\n1m deaf\n1h deaf\n1h1m tick\n1h2m s leak false\n1h3m tick", "0s raise leak s since 0s\n1h3m clear leak s since 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := play(t, New(Shipped(), time.UTC), c.lines); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestGasUnits: clean air told in micrograms is no emergency, and a deadly one in milligrams is.
func TestGasUnits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0s s carbon_monoxide 400 unit=µg/m³":  "",
		"0s s carbon_monoxide 4000 unit=ppb":   "",
		"0s s carbon_monoxide 400 unit=mg/m³":  "0s raise carbon_monoxide s since 0s",
		"0s s carbon_monoxide 301 unit=ppm":    "0s raise carbon_monoxide s since 0s",
		"0s s carbon_monoxide 301":             "0s raise carbon_monoxide s since 0s",
		"0s s carbon_monoxide 3000 unit=°C":    "",
		"0s s battery 2.9 unit=V\n7h tick":     "",
		"0s s humidity 90 unit=g/m³\n30h tick": "",
	} {
		list := Shipped()
		var some []Rule
		for _, r := range list {
			if r.ID != "silent" {
				some = append(some, r)
			}
		}
		if got := play(t, New(some, time.UTC), text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// TestScheduleByTheWall: 22:00 to 06:00 is that by the clock on the building's wall, in summer, in
// winter and in the nights in which the clock is changed.
func TestScheduleByTheWall(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	list := made(t, `{"is":{"kind":"opening","value":true}}`, `,"times":{"from":"22:00","to":"06:00"}`)
	for day, want := range map[string]string{ // when it begins and ends, in UTC
		"2026-01-10": "21:00 05:00",
		"2026-07-10": "20:00 04:00",
		"2026-03-28": "21:00 04:00", // the clock goes on in the night
		"2026-10-24": "20:00 05:00", // the clock goes back
	} {
		noon, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		noon = noon.Add(12 * time.Hour)
		yes := true
		e := New(list, berlin)
		effects := e.Observe(Observation{Device: "d", Kind: "opening", Key: "o", Bool: &yes, At: noon, Arrival: noon})
		var got []string
		for m := range 24 * 60 {
			now := noon.Add(time.Duration(m) * time.Minute)
			for range append(effects, e.Tick(now, true)...) {
				got = append(got, now.Format("15:04"))
			}
			effects = nil
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", day, got, want)
		}
	}
	half := Schedule{From: "02:15", To: "02:45"} // is not there in the night in which the clock goes on
	count := 0
	for m := range 24 * 60 {
		if half.Holds(time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC).Add(time.Duration(m) * time.Minute).In(berlin)) {
			count++
		}
	}
	if count != 0 {
		t.Errorf("held for %d minutes that were not there", count)
	}
}

// TestEmergencyStorm: ten emergencies are ten tickets, the next belong together; when it is over
// each is by itself again.
func TestEmergencyStorm(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for n := range 13 {
		fmt.Fprintf(&lines, "%ds d%d leak true\n", n, n)
	}
	got := play(t, New(Shipped(), time.UTC), lines.String()+"5m late leak true")
	if n := strings.Count(got, "in a storm"); n != 13-stormEmergencyMax {
		t.Errorf("%d in a storm\n%s", n, got)
	}
	if !strings.HasSuffix(got, "5m raise leak late since 5m0s") {
		t.Error(got)
	}
}

// TestForget: a device that is out of service has no alarm any more, and comes back as a stranger.
func TestForget(t *testing.T) {
	t.Parallel()
	e := New(Shipped(), time.UTC)
	play(t, e, "0s s leak true\n0s other leak true")
	if _, err := e.Dirty(); err != nil {
		t.Fatal(err)
	}
	if got := e.Devices(); len(got) != 2 {
		t.Fatal(got)
	}
	effects := e.Forget("s", t0.Add(time.Minute))
	if len(effects) != 1 || effects[0].What != Clear || effects[0].Alarm.Device != "s" || effects[0].Alarm.Cleared.IsZero() || len(e.Open()) != 1 || len(e.Devices()) != 1 {
		t.Fatalf("%+v, %+v", effects, e.Open())
	}
	saved, err := e.Dirty()
	if err != nil || len(saved) == 0 {
		t.Fatalf("%v, %v", saved, err)
	}
	for _, one := range saved {
		if one.Device != "s" || one.State != nil {
			t.Errorf("kept: %+v", one)
		}
	}
	if got := play(t, e, "26h tick"); strings.Contains(got, " s ") {
		t.Errorf("silent though out of service: %s", got)
	}
	if got := play(t, e, "27h s leak true"); !strings.Contains(got, "raise leak s since 27h") {
		t.Error(got)
	}
}

// TestChangedRulesListenOn: who changes a rule gives no silent device a new beginning.
func TestChangedRulesListenOn(t *testing.T) {
	t.Parallel()
	e := New(Shipped(), time.UTC)
	play(t, e, "0s s x 1\n0s s opening true")
	next, _, err := e.Replaced(append(Shipped(), made(t, `{"silence":{"after":"1h"}}`, "")...), t0.Add(50*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if got := play(t, next, "61m tick\n25h1m tick"); got != "61m raise left_open s since 0s\n25h1m raise silent s since 25h0m0s" {
		t.Error(got)
	}
}

// TestSavedStateIsRead: what an earlier release saved is read by this one.
func TestSavedStateIsRead(t *testing.T) {
	t.Parallel()
	const text = `{"leaves":[{"leak":{"holds":true,"since":"2026-01-05T12:00:00Z","known":true,"seen":"2026-01-05T12:00:00Z","bool":true}}]}`
	if !json.Valid([]byte(text)) {
		t.Fatal("no JSON")
	}
	e := New(Shipped(), time.UTC)
	if _, err := e.Restore([]Saved{{Rule: "leak", Version: 1, Device: "s", State: []byte(text)}}, t0.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := play(t, e, "61m tick"); got != "61m raise leak s since 1h0m0s" {
		t.Error(got)
	}
}
