// Package rules decides from what devices say whether something is wrong: alarms begin, are
// marked and end by rules that people can read, change and try on the past.
//
// It is pure: observations and the time come in, effects go out, and what must survive a
// restart is given out to be saved. The same engine runs at the edge and at the cloud. It
// must never take a broker's retained state for news, nor a sensor's silence for calm.
package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// conditionsMax and depthMax bound a rule.
	conditionsMax = 32
	depthMax      = 5
	// textMax bounds a rule's names.
	textMax = 200
	// forMax is the longest that a condition may have to hold, and the longest window.
	forMax = 31 * 24 * time.Hour
	// ruleBytesMax bounds the text of a rule.
	ruleBytesMax = 8 << 10
)

// Severity says how much an alarm matters.
type Severity string

// The severities, the gravest first.
const (
	Emergency Severity = "emergency" // life, or damage by the minute
	Urgent    Severity = "urgent"
	Normal    Severity = "normal"
	Low       Severity = "low"
)

// Priority is that of the tickets of its alarms.
func (s Severity) Priority() string {
	return map[Severity]string{Emergency: "urgent", Urgent: "high", Normal: "normal", Low: "low"}[s]
}

// Rule says when something is wrong with a device.
type Rule struct {
	// ID names the rule for ever, Version its text: a changed rule starts anew.
	ID      string `json:"id"`
	Version int    `json:"version"`
	Name    string `json:"name"`
	// Cause is what its alarms are called. A device has at most one open alarm of a cause.
	Cause    string   `json:"cause"`
	Severity Severity `json:"severity"`
	Category string   `json:"category"`
	// Ticket says that an alarm opens a ticket, or joins the one that is open for the same
	// asset and cause; of a device that watches no asset, for the same device and cause.
	Ticket   bool `json:"ticket"`
	Disabled bool `json:"disabled,omitempty"`
	// Devices and Units narrow the rule to some; empty means all that have what it looks at.
	Devices []string `json:"devices,omitempty"`
	Units   []string `json:"units,omitempty"`
	// NotDevices are left out.
	NotDevices []string `json:"not_devices,omitempty"`
	// Across is "unit" for a rule that looks at the values of all devices of a unit together, as at
	// those of one; empty for one that looks at each device by itself.
	Across string    `json:"across,omitempty"`
	When   Condition `json:"when"`
	// ClearAfter is how long the condition must not hold before the alarm ends; longer where
	// it flaps.
	ClearAfter Duration  `json:"clear_after,omitempty"`
	Times      *Schedule `json:"times,omitempty"`
}

// Condition is one of its parts; exactly one is set.
type Condition struct {
	Is        *Is         `json:"is,omitempty"`
	Threshold *Threshold  `json:"threshold,omitempty"`
	Rate      *Rate       `json:"rate,omitempty"`
	Count     *Count      `json:"count,omitempty"`
	Silence   *Silence    `json:"silence,omitempty"`
	Unusual   *Unusual    `json:"unusual,omitempty"`
	All       []Condition `json:"all,omitempty"`
	Any       []Condition `json:"any,omitempty"`
	Not       *Condition  `json:"not,omitempty"`
}

// Is holds while a yes-or-no value is as said, after it was for so long.
type Is struct {
	Kind  string   `json:"kind"`
	Value bool     `json:"value"`
	For   Duration `json:"for,omitempty"`
}

// Threshold holds from the moment a number passes Above or Below, after it did for so long,
// until it is back at Clear: between the two it stays what it was.
type Threshold struct {
	Kind  string   `json:"kind"`
	Unit  string   `json:"unit,omitempty"` // values of other units are not compared
	Above *float64 `json:"above,omitempty"`
	Below *float64 `json:"below,omitempty"`
	Clear *float64 `json:"clear,omitempty"`
	For   Duration `json:"for,omitempty"`
}

// Rate holds while a number rose or fell by so much within the time.
type Rate struct {
	Kind   string   `json:"kind"`
	Unit   string   `json:"unit,omitempty"` // of Rises and Falls; the unit that came first where empty
	Rises  float64  `json:"rises,omitempty"`
	Falls  float64  `json:"falls,omitempty"`
	Within Duration `json:"within"`
}

// Count holds while a yes-or-no value became as said more than so often within the time.
type Count struct {
	Kind     string   `json:"kind"`
	Value    bool     `json:"value"`
	MoreThan int      `json:"more_than"`
	Within   Duration `json:"within"`
}

// Silence holds while a device was not heard for so long: After, or what it promised
// (expire_after), or three times its learnt period.
type Silence struct {
	After Duration `json:"after,omitempty"`
}

// Unusual holds while a number stays away from what it usually is, in multiples of its usual
// spread. See usual.
type Unusual struct {
	Kind   string   `json:"kind"`
	Unit   string   `json:"unit,omitempty"` // of Floor; the unit that came first where empty
	Times  float64  `json:"times"`
	Floor  float64  `json:"floor"` // a smaller spread counts as this one
	For    Duration `json:"for"`
	Memory Duration `json:"memory"` // how far back usual goes
}

// Duration is written as text: "90s", "15m", "2h", "7d".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) {
	t := time.Duration(d)
	if t > 0 && t%(24*time.Hour) == 0 {
		return fmt.Appendf(nil, "%dd", t/(24*time.Hour)), nil
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	s, days := string(b), time.Duration(0)
	if n, rest, ok := strings.Cut(s, "d"); ok {
		if _, err := fmt.Sscanf(n, "%d", &days); err != nil || days < 0 || days > 366 {
			return fmt.Errorf("%q is no duration such as 90s, 15m, 2h or 7d", s)
		}
		if s = rest; s == "" {
			s = "0s"
		}
	}
	t, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is no duration such as 90s, 15m, 2h or 7d", string(b))
	}
	*d = Duration(t + days*24*time.Hour)
	return nil
}

// Problem is one thing that is wrong with a rule.
type Problem struct {
	Field, Reason string
}

// Error implements error.
func (p Problem) Error() string { return p.Field + ": " + p.Reason }

// Parse reads a rule from JSON and checks it. Keys that it does not know are refused: a
// condition that is silently left out would change what the rule means.
func Parse(text []byte) (Rule, []Problem) {
	var r Rule
	if len(text) > ruleBytesMax {
		return r, []Problem{{"", fmt.Sprintf("the rule of %d bytes is longer than %d", len(text), ruleBytesMax)}}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, []Problem{{"", err.Error()}}
	}
	if d.More() {
		return r, []Problem{{"", "more than one JSON value"}}
	}
	return r, r.Check()
}

// Check lists what is wrong with a rule; nil where nothing is.
func (r Rule) Check() []Problem {
	var out []Problem
	wrong := func(field, format string, args ...any) {
		out = append(out, Problem{field, fmt.Sprintf(format, args...)})
	}
	for field, v := range map[string]string{"id": r.ID, "name": r.Name, "cause": r.Cause, "category": r.Category} {
		if strings.TrimSpace(v) == "" || len(v) > textMax {
			wrong(field, "wanted 1 to %d characters", textMax)
		}
	}
	if r.Version < 1 {
		wrong("version", "wanted a number from 1")
	}
	if !slices.Contains([]Severity{Emergency, Urgent, Normal, Low}, r.Severity) {
		wrong("severity", "wanted emergency, urgent, normal or low")
	}
	if r.ClearAfter < 0 || time.Duration(r.ClearAfter) > forMax {
		wrong("clear_after", "wanted 0s to 31d")
	}
	if r.Times != nil {
		r.Times.check("times", wrong)
	}
	switch {
	case r.Across != "" && r.Across != acrossUnit:
		wrong("across", "wanted unit, or nothing")
	case r.Across != "" && r.When.Silent():
		wrong("across", "silence is of one device")
	}
	parts := 0
	r.When.check("when", 1, &parts, wrong)
	slices.SortFunc(out, func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
	return out
}

// check looks at one condition and its parts.
func (c Condition) check(at string, depth int, parts *int, wrong func(field, format string, args ...any)) {
	if *parts++; *parts > conditionsMax || depth > depthMax {
		wrong(at, "more than %d conditions, or deeper than %d", conditionsMax, depthMax)
		return
	}
	set := c.checkLeaf(func(field, format string, args ...any) { wrong(at+"."+field, format, args...) })
	for name, list := range map[string][]Condition{"all": c.All, "any": c.Any} {
		if len(list) > 0 {
			set++
		}
		for i, one := range list {
			one.check(fmt.Sprintf("%s.%s.%d", at, name, i), depth+1, parts, wrong)
		}
	}
	if c.Not != nil {
		set++
		c.Not.check(at+".not", depth+1, parts, wrong)
	}
	if set != 1 {
		wrong(at, "wanted exactly one of is, threshold, rate, count, silence, unusual, all, any and not")
	}
}

// checkLeaf looks at the conditions without parts; it gives how many are set.
func (c Condition) checkLeaf(wrong func(field, format string, args ...any)) (set int) {
	span := func(field string, d Duration, needed bool) {
		if d < 0 || time.Duration(d) > forMax || needed && d == 0 {
			wrong(field, "wanted a duration up to 31d")
		}
	}
	if k := c.kind(); c.Silence == nil && (k == "" || len(k) > textMax) && (c.Is != nil || c.Threshold != nil || c.Rate != nil || c.Count != nil || c.Unusual != nil) {
		wrong("kind", "wanted a kind of value")
	}
	if c.Is != nil {
		set++
		span("is.for", c.Is.For, false)
	}
	if t := c.Threshold; t != nil {
		set++
		span("threshold.for", t.For, false)
		switch {
		case (t.Above == nil) == (t.Below == nil):
			wrong("threshold", "wanted either above or below")
		case t.Clear != nil && (t.Above != nil && *t.Clear > *t.Above || t.Below != nil && *t.Clear < *t.Below):
			wrong("threshold.clear", "lies beyond the threshold: it would end while it begins")
		}
	}
	if r := c.Rate; r != nil {
		set++
		span("rate.within", r.Within, true)
		if (r.Rises > 0) == (r.Falls > 0) || math.IsInf(r.Rises+r.Falls, 0) {
			wrong("rate", "wanted either rises or falls, above 0")
		}
	}
	if n := c.Count; n != nil {
		set++
		span("count.within", n.Within, true)
		if n.MoreThan < 1 || n.MoreThan > countMax {
			wrong("count.more_than", "wanted 1 to %d", countMax)
		}
	}
	if c.Silence != nil {
		set++
		span("silence.after", c.Silence.After, false)
	}
	if u := c.Unusual; u != nil {
		set++
		span("unusual.for", u.For, true)
		span("unusual.memory", u.Memory, true)
		if u.Times < 1 || u.Times > 100 || u.Floor <= 0 || math.IsInf(u.Floor, 0) {
			wrong("unusual", "wanted times from 1 to 100 and a floor above 0")
		}
	}
	return set
}

// Kinds lists the kinds of values that a condition looks at; silence looks at all.
func (c Condition) Kinds() []string {
	var out []string
	c.Each(func(leaf Condition) {
		if k := leaf.kind(); k != "" && !slices.Contains(out, k) {
			out = append(out, k)
		}
	})
	return out
}

// Silent reports whether a condition looks at silence, and so at all that a device says.
func (c Condition) Silent() (yes bool) {
	c.Each(func(leaf Condition) { yes = yes || leaf.Silence != nil })
	return yes
}

// Each visits the conditions that have no parts, in their order.
func (c Condition) Each(visit func(Condition)) {
	parts := append(append([]Condition{}, c.All...), c.Any...)
	if c.Not != nil {
		parts = append(parts, *c.Not)
	}
	if len(parts) == 0 {
		visit(c)
		return
	}
	for _, p := range parts {
		p.Each(visit)
	}
}

func (c Condition) kind() string {
	switch {
	case c.Is != nil:
		return c.Is.Kind
	case c.Threshold != nil:
		return c.Threshold.Kind
	case c.Rate != nil:
		return c.Rate.Kind
	case c.Count != nil:
		return c.Count.Kind
	case c.Unusual != nil:
		return c.Unusual.Kind
	}
	return ""
}
