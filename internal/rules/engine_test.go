package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC) // a Monday in winter

// play gives lines to an engine and shows its effects. A line is a time since t0 and either
// "tick" or device, kind and value; marks behind it are "retained" and "at=<time>".
func play(t *testing.T, e *Engine, lines string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		after, err := time.ParseDuration(f[0])
		if err != nil {
			t.Fatal(err)
		}
		now := t0.Add(after)
		var effects []Effect
		switch f[1] {
		case "tick", "deaf":
			effects = e.Tick(now, f[1] == "tick")
		case "restart":
			saved, err := e.Dirty()
			if err != nil {
				t.Fatal(err)
			}
			next := New(rulesOf(e), e.zone)
			if effects, err = next.Restore(saved, now); err != nil {
				t.Fatal(err)
			}
			*e = *next
		default:
			effects = e.Observe(observation(t, f, now))
		}
		for _, x := range effects {
			fmt.Fprintf(&b, "%s %s %s %s since %s", f[0], [...]string{"", "raise", "mark", "clear"}[x.What], x.Alarm.Cause, x.Alarm.Device, x.Alarm.Since.Sub(t0))
			if !x.Alarm.Storm.IsZero() {
				b.WriteString(" in a storm")
			}
			b.WriteString("\n")
		}
	}
	return strings.TrimSpace(b.String())
}

func rulesOf(e *Engine) []Rule {
	out := make([]Rule, 0, len(e.rules))
	for _, r := range e.rules {
		out = append(out, r.Rule)
	}
	return out
}

func observation(t *testing.T, f []string, now time.Time) Observation {
	t.Helper()
	o := Observation{Device: f[1], Kind: f[2], Key: f[2], Arrival: now}
	switch v := f[3]; v {
	case "true", "false":
		yes := v == "true"
		o.Bool = &yes
	default:
		var n float64
		if _, err := fmt.Sscanf(v, "%g", &n); err != nil {
			t.Fatal(err)
		}
		o.Number = &n
	}
	for _, mark := range f[4:] {
		switch {
		case mark == "retained":
			o.Retained = true
		case mark == "duplicate":
			o.Duplicate = true
		case mark == "battery":
			o.Battery = true
		case strings.HasPrefix(mark, "at="):
			d, err := time.ParseDuration(mark[3:])
			if err != nil {
				t.Fatal(err)
			}
			o.At = t0.Add(d)
		case strings.HasPrefix(mark, "unit="):
			o.UnitOfMeasure = mark[5:]
		case strings.HasPrefix(mark, "in="):
			o.Unit = mark[3:]
		case strings.HasPrefix(mark, "expires="):
			d, err := time.ParseDuration(mark[8:])
			if err != nil {
				t.Fatal(err)
			}
			o.ExpireAfter = d
		}
	}
	return o
}

func TestEngine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"LeakAtOnce", "0s s leak true\n5s s leak false\n20s tick\n36s tick", "0s raise leak s since 0s\n36s clear leak s since 0s"},
		{"WetAgainIsTheSame", "0s s leak true\n5s s leak false\n20s s leak true\n40s tick\n45s s leak false\n76s tick", "0s raise leak s since 0s\n76s clear leak s since 0s"},
		{"Flapping", "0s s leak true\n1s s leak false\n2s s leak true\n3s s leak false\n4s s leak true\n5s s leak false\n40s tick\n66s tick", "0s raise leak s since 0s\n4s mark leak s since 0s\n66s clear leak s since 0s"},
		{"RetainedIsState", "0s s leak true retained\n5s tick\n6s s leak true\n", "6s raise leak s since 6s"},
		{"RetainedAndNewer", "0s s leak false at=-1h\n5s s leak true retained at=-2h\n6s s leak true retained at=-30m", "6s raise leak s since -30m0s"},
		{"OldAndDeliveredAgain", "0s s leak false at=0s\n5s s leak true duplicate at=-10s\n6s s leak true at=-5s", "6s raise leak s since -5s"},
		{"RestartForgetsNothing", "0s s leak true\n1s restart\n2s s leak true\n3s s leak false\n40s tick", "0s raise leak s since 0s\n40s clear leak s since 0s"},
		{"ColdForAWhile", "0s s temperature 3\n14m tick\n16m tick\n20m s temperature 5\n30m s temperature 6.5\n1h1m tick", "16m raise freezing s since 0s\n1h1m clear freezing s since 0s"},
		{"ColdForAMoment", "0s s temperature 3\n10m s temperature 7\n20m tick", ""},
		{"Fahrenheit", "0s s temperature 33 unit=°F\n16m tick", "16m raise freezing s since 0s"},
		{"Kelvin pascal", "0s s temperature 3 unit=hPa\n16m tick", ""},
		{"NoHeat", "0s s temperature 15\n2h59m tick\n3h1m tick", "3h1m raise no_heat s since 0s"},
		{"NoHeatInSummer", "4000h s temperature 15\n4003h1m tick", ""},
		{"CarbonMonoxideSteps", "0s s carbon_monoxide 60\n30m tick\n59m s carbon_monoxide 120\n61m tick", "61m raise carbon_monoxide s since 0s"},
		{"DoorByContact", "0s s contact false\n59m tick\n60m tick\n61m s contact true\n63m tick", "60m raise left_open s since 0s\n63m clear left_open s since 0s"},
		{"BatteryReturns", "0s s battery 9\n6h tick\n7h s battery 15\n8h s battery 100\n9h1m tick", "6h raise battery_low s since 0s\n9h1m clear battery_low s since 0s"},
		{"Shakes", strings.Repeat("0s p vibration true\n1s p vibration false\n", 31) + "5m tick\n11m tick\n42m tick", "0s raise vibration p since 0s\n42m clear vibration p since 0s"},
		{"LearntSilence", "0s s x 1\n5m s x 1\n10m s x 1\n15m s x 1\n29m tick\n31m tick\n40m s x 1\n42m tick", "31m raise silent s since 30m0s\n42m clear silent s since 30m0s"},
		{"SleepyDevice", "0s s x 1 battery\n1h s x 1\n2h s x 1\n3h s x 1\n20h tick\n28h1m tick", "28h1m raise silent s since 28h0m0s"},
		{"NobodyListened", "0s s x 1\n5m s x 1\n10m s x 1\n15m s x 1\n20m deaf\n2h deaf\n2h1m tick\n2h10m tick\n2h15m tick", "2h15m raise silent s since 2h11m0s"},
		{"LastWill", "0s s x 1\n1m s availability false\n4m tick\n6m tick\n10m s availability true\n11m tick", "6m raise silent s since 1m0s\n11m clear silent s since 1m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := play(t, New(Shipped(), time.UTC), c.lines); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestStorm(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 8 {
		fmt.Fprintf(&lines, "%ds d%d availability false\n", i, i)
	}
	got := play(t, New(Shipped(), time.UTC), lines.String()+"10m tick")
	if n := strings.Count(got, "raise silent"); n != 8 {
		t.Errorf("%d alarms: none is dropped\n%s", n, got)
	}
	if n := strings.Count(got, "in a storm"); n != 8-stormMax {
		t.Errorf("%d in a storm, want %d\n%s", n, 8-stormMax, got)
	}
}

func TestChangedRuleKeepsItsAlarm(t *testing.T) {
	t.Parallel()
	e := New(Shipped(), time.UTC)
	play(t, e, "0s s leak true")
	saved, err := e.Dirty()
	if err != nil {
		t.Fatal(err)
	}
	list := Shipped()
	list[0].Version++
	next := New(list, time.UTC)
	if effects, err := next.Restore(saved, t0.Add(time.Hour)); err != nil || len(effects) > 0 {
		t.Fatalf("%+v, %v", effects, err)
	}
	if got := play(t, next, "1h1m tick\n1h2m s leak false\n1h3m tick"); got != "1h3m clear leak s since 0s" {
		t.Error(got)
	}
	gone := New(list[1:], time.UTC)
	if effects, err := gone.Restore(saved, t0.Add(time.Hour)); err != nil || len(effects) != 1 || effects[0].What != Clear {
		t.Errorf("%+v, %v", effects, err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	head := `"id":"r","version":1,"name":"n","cause":"c","severity":"low","category":"other"`
	for text, want := range map[string]string{
		`{` + head + `,"when":{"is":{"kind":"leak","value":true,"for":"1h30m"}}}`: "",
		`{` + head + `,"when":{"is":{"kind":"leak","value":true}},"unless":1}`:    `unknown field "unless"`,
		`{` + head + `,"when":{}}`: "exactly one of",
		`{` + head + `,"when":{"is":{"kind":"leak","value":true},"silence":{}}}`:            "exactly one of",
		`{` + head + `,"when":{"threshold":{"kind":"t"}}}`:                                  "either above or below",
		`{` + head + `,"when":{"threshold":{"kind":"t","below":4,"clear":3}}}`:              "beyond the threshold",
		`{` + head + `,"when":{"is":{"kind":"leak","value":true,"for":"1y"}}}`:              "no duration",
		`{` + head + `,"when":{"is":{"kind":"leak","value":true,"for":"90d"}}}`:             "up to 31d",
		`{` + head + `,"when":{"count":{"kind":"v","value":true,"within":"1m"}}}`:           "1 to 1000",
		`{` + head + `,"when":{"rate":{"kind":"t","within":"1h"}}}`:                         "either rises or falls",
		`{` + head + `,"when":{"not":{"not":{"not":{"not":{"not":{"silence":{}}}}}}}}`:      "deeper than",
		`{` + head + `,"when":{"silence":{}},"times":{"from":"7"}}`:                         "times of day",
		`{` + head + `,"when":{"silence":{}},"times":{"days":["monday"]}}`:                  "sun, mon",
		`{` + head + `,"across":"unit","when":{"silence":{}}}`:                              "silence is of one device",
		`{` + head + `,"across":"floor","when":{"is":{"kind":"leak","value":true}}}`:        "wanted unit",
		`{` + head + `,"across":"unit","when":{"is":{"kind":"leak","value":true}}}`:         "",
		`{"id":"r","when":{"silence":{}}}`:                                                  "wanted 1 to 200",
		`{` + head + `,"when":{"unusual":{"kind":"t","times":5,"for":"1h","memory":"1d"}}}`: "floor above 0",
		`[`: "unexpected",
	} {
		_, problems := Parse([]byte(text))
		if want == "" && len(problems) > 0 || want != "" && !strings.Contains(fmt.Sprint(problems), want) {
			t.Errorf("%s: %v, want %q", text, problems, want)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	night := Schedule{Days: []string{"mon"}, From: "22:00", To: "06:00"}
	for at, want := range map[time.Duration]bool{0: false, 10 * time.Hour: true, 17*time.Hour + 59*time.Minute: true, 18 * time.Hour: false, 34 * time.Hour: false, -7 * time.Hour: false} {
		if got := night.Holds(t0.Add(at)); got != want {
			t.Errorf("%s: %t", t0.Add(at), got)
		}
		night.Except = true
		if got := night.Holds(t0.Add(at)); got == want {
			t.Errorf("%s except: %t", t0.Add(at), got)
		}
		night.Except = false
	}
}

// TestReplaced: an engine of changed rules goes on where the old one was; alarms of rules that
// are gone end, and what was kept of them is removed.
func TestReplaced(t *testing.T) {
	t.Parallel()
	yes := true
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	list := Shipped()
	e := New(list, time.UTC)
	if got := e.Observe(Observation{Device: "d", Kind: "leak", Key: "leak", Bool: &yes, Arrival: at}); len(got) != 1 || got[0].What != Raise {
		t.Fatalf("%+v", got)
	}
	if _, err := e.Dirty(); err != nil {
		t.Fatal(err)
	}
	same, effects, err := e.Replaced(list, at)
	if err != nil || len(effects) != 0 || len(same.Open()) != 1 {
		t.Fatalf("%+v, %v, %+v", effects, err, same.Open())
	}
	without := slices.DeleteFunc(slices.Clone(list), func(r Rule) bool { return r.ID == "leak" })
	next, effects, err := same.Replaced(without, at.Add(time.Minute))
	if err != nil || len(effects) != 1 || effects[0].What != Clear || effects[0].Alarm.Cause != "leak" || len(next.Open()) != 0 {
		t.Fatalf("%+v, %v", effects, err)
	}
	saved, err := next.Dirty()
	if err != nil || !slices.ContainsFunc(saved, func(s Saved) bool { return s.Rule == "leak" && s.Device == "d" && s.State == nil }) {
		t.Errorf("%+v, %v", saved, err)
	}
}
