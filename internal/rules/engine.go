package rules

import (
	"slices"
	"strings"
	"time"
)

// What is watched, for each rule and device:
//
//	          condition holds: raise            5 changes in a minute: mark as flapping
//	quiet ─────────────────────────▶ open ◀──────────────▶ open, calm ──┐
//	  ▲                               holds / does not                  │ calm for ClearAfter:
//	  └─────────────────────────────────────────────────────────────────┘ clear
//
// Whether a condition holds is unknown until each value that it needs was seen; what is
// unknown neither begins an alarm nor ends one.

const (
	// flapChanges within flapWindow mark an alarm as flapping; it then ends after flapHold.
	flapChanges = 5
	flapWindow  = time.Minute
	flapHold    = time.Minute
	// stormWindow and stormMax say when the alarms of one rule are one event: more than so
	// many devices within the time. Emergencies are counted more generously.
	stormWindow       = 2 * time.Minute
	stormMax          = 5
	stormEmergencyMax = 10
	// saveEvery is how often what changes with each value is saved. What an alarm depends on,
	// and what tells news from what was known, is saved as it changes.
	saveEvery = 10 * time.Minute
	// watchesMax bounds what is watched: the devices of a large building, times its rules.
	watchesMax = 100_000
)

// What says what an Effect does.
type What int

// The effects: an alarm begins, changes (it flaps), or ends.
const (
	Raise What = iota + 1
	Mark
	Clear
)

// Effect is something to be done about an alarm.
type Effect struct {
	What  What
	Alarm Alarm
}

// Alarm is one occurrence of what a rule is about. Device, Cause and Since are its identity:
// two engines that see the same make one alarm.
type Alarm struct {
	Rule     string    `json:"rule"`
	Title    string    `json:"title,omitempty"`
	Version  int       `json:"version"`
	Cause    string    `json:"cause"`
	Severity Severity  `json:"severity"`
	Category string    `json:"category"`
	Ticket   bool      `json:"ticket"`
	Device   string    `json:"device"`
	Unit     string    `json:"unit,omitempty"`
	Name     string    `json:"name,omitempty"`
	Since    time.Time `json:"since"`
	Detail   string    `json:"detail"`
	Flapping bool      `json:"flapping,omitempty"`
	// Storm is when the storm of alarms began that this one belongs to: they share a ticket.
	// Zero for an alarm of its own.
	Storm   time.Time `json:"storm,omitzero"`
	Cleared time.Time `json:"cleared,omitzero"`
}

// rule is a Rule with its conditions in the order of each.
type rule struct {
	Rule
	leaves []Condition
}

type watchKey struct {
	rule   int
	device string
}

// watch is what one rule knows of one device. Its exported fields are saved.
type watch struct {
	Leaves  []map[string]*leafState `json:"leaves"`
	Silence *silence                `json:"silence,omitempty"`
	Alarm   *Alarm                  `json:"alarm,omitempty"`

	unit, name string
	saved      time.Time // when all of it was last to be saved
	holds      bool
	calm       time.Time
	changes    []time.Time
}

// Engine applies rules. It is not safe for concurrent use.
type Engine struct {
	rules   []rule
	zone    *time.Location
	byKind  map[string][]int
	silent  []int // rules about silence
	watches map[watchKey]*watch
	raised  map[int][]time.Time // lately, by rule
	storms  map[int]time.Time   // since when, by rule
	dirty   map[watchKey]bool
	gone    []Saved   // of rules that are gone: to be removed
	deaf    time.Time // since when nothing can be heard; zero while it can
}

// New makes an engine for the rules that are not disabled. Rules with problems are left out.
func New(list []Rule, zone *time.Location) *Engine {
	e := &Engine{zone: zone, byKind: map[string][]int{}, watches: map[watchKey]*watch{}, raised: map[int][]time.Time{}, storms: map[int]time.Time{}, dirty: map[watchKey]bool{}}
	for _, r := range list {
		if r.Disabled || len(r.Check()) > 0 {
			continue
		}
		n := len(e.rules)
		one := rule{Rule: r}
		r.When.each(func(c Condition) {
			one.leaves = append(one.leaves, c)
			if c.Silence != nil && !slices.Contains(e.silent, n) {
				e.silent = append(e.silent, n)
			}
		})
		for _, k := range r.When.Kinds() {
			e.byKind[k] = append(e.byKind[k], n)
		}
		e.rules = append(e.rules, one)
	}
	return e
}

// about says whether the rule is about the device.
func (r Rule) about(o Observation) bool {
	switch {
	case slices.Contains(r.NotDevices, o.Device):
		return false
	case len(r.Devices) == 0 && len(r.Units) == 0:
		return true
	}
	return slices.Contains(r.Devices, o.Device) || o.Unit != "" && slices.Contains(r.Units, o.Unit)
}

// Observe takes one value of an adopted device.
func (e *Engine) Observe(o Observation) []Effect {
	var out []Effect
	concerned := e.byKind[o.Kind]
	if len(e.silent) > 0 {
		concerned = append(slices.Clone(concerned), e.silent...)
		slices.Sort(concerned)
		concerned = slices.Compact(concerned)
	}
	for _, n := range concerned {
		r := &e.rules[n]
		if !r.about(o) {
			continue
		}
		key := watchKey{n, o.Device}
		w := e.watch(key)
		if w == nil {
			continue
		}
		w.unit, w.name = o.Unit, o.Name
		changed, news := false, false
		if w.Silence != nil {
			gone := w.Silence.Gone
			w.Silence.take(o)
			changed, news = true, gone != w.Silence.Gone
		}
		for i, leaf := range r.leaves {
			if leaf.kind() != o.Kind {
				continue
			}
			s := w.Leaves[i][o.Key]
			if s == nil {
				if len(w.Leaves[i]) >= entitiesMax {
					continue
				}
				s = &leafState{}
				w.Leaves[i][o.Key] = s
			}
			before := *s
			changed = leaf.take(s, o) || changed
			news = news || before.Known != s.Known || before.Holds != s.Holds || before.Bool != s.Bool
		}
		if !changed {
			continue
		}
		if news || o.Arrival.Sub(w.saved) >= saveEvery {
			e.dirty[key], w.saved = true, o.Arrival
		}
		out = append(out, e.judge(key, w, o.Arrival)...)
	}
	return out
}

func (e *Engine) watch(key watchKey) *watch {
	w := e.watches[key]
	if w == nil && len(e.watches) < watchesMax {
		w = &watch{Leaves: make([]map[string]*leafState, len(e.rules[key.rule].leaves))}
		for i, leaf := range e.rules[key.rule].leaves {
			w.Leaves[i] = map[string]*leafState{}
			if leaf.Silence != nil {
				w.Silence = &silence{}
			}
		}
		e.watches[key] = w
	}
	return w
}

// Tick lets time pass: conditions that have to hold for a while, silences and ends. listening
// says whether devices can be heard at all; while they cannot, nobody is silent.
func (e *Engine) Tick(now time.Time, listening bool) []Effect {
	switch {
	case !listening && e.deaf.IsZero():
		e.deaf = now
	case listening && !e.deaf.IsZero():
		lost := now.Sub(e.deaf)
		for _, w := range e.watches {
			if w.Silence != nil && !w.Silence.Heard.IsZero() {
				w.Silence.Heard = w.Silence.Heard.Add(lost)
			}
		}
		e.deaf = time.Time{}
	}
	var out []Effect
	for key, w := range e.watches {
		out = append(out, e.judge(key, w, now)...)
	}
	slices.SortFunc(out, func(a, b Effect) int {
		return strings.Compare(a.Alarm.Rule+"\x00"+a.Alarm.Device, b.Alarm.Rule+"\x00"+b.Alarm.Device)
	})
	return out
}

// judge decides what the state of a watch means for its alarm.
func (e *Engine) judge(key watchKey, w *watch, now time.Time) []Effect {
	r := &e.rules[key.rule]
	next := 0
	v := e.value(r, &r.When, w, &next, now)
	if v.known && v.holds && r.Times != nil && !r.Times.Holds(now.In(e.zone)) {
		v.holds = false
	}
	if v.known && v.holds != w.holds {
		w.holds = v.holds
		w.changes = append(w.changes, now)
	}
	first := now.Add(-flapWindow)
	w.changes = slices.DeleteFunc(w.changes, func(t time.Time) bool { return t.Before(first) })
	switch {
	case !v.known:
		return nil
	case v.holds:
		w.calm = time.Time{}
		if w.Alarm == nil {
			return e.raise(key, w, v, now)
		}
	case w.Alarm == nil:
		return nil
	case w.calm.IsZero():
		w.calm = now
	}
	if len(w.changes) >= flapChanges && !w.Alarm.Flapping {
		w.Alarm.Flapping, w.Alarm.Detail = true, w.Alarm.Detail+"; it keeps changing: the sensor may be splashed, loose or faulty"
		e.dirty[key] = true
		return []Effect{{Mark, *w.Alarm}}
	}
	hold := time.Duration(r.ClearAfter)
	if w.Alarm.Flapping {
		hold = max(hold, flapHold)
	}
	if w.calm.IsZero() || now.Sub(w.calm) < hold {
		return nil
	}
	ended := *w.Alarm
	ended.Cleared = now
	w.Alarm, w.calm = nil, time.Time{}
	e.dirty[key] = true
	return []Effect{{Clear, ended}}
}

func (e *Engine) raise(key watchKey, w *watch, v verdict, now time.Time) []Effect {
	r := &e.rules[key.rule]
	a := Alarm{Rule: r.ID, Title: r.Name, Version: r.Version, Cause: r.Cause, Severity: r.Severity, Category: r.Category, Ticket: r.Ticket,
		Device: key.device, Unit: w.unit, Name: w.name, Since: v.since, Detail: v.tell, Flapping: len(w.changes) >= flapChanges}
	a.Storm = e.storm(key.rule, now)
	w.Alarm = &a
	e.dirty[key] = true
	return []Effect{{Raise, a}}
}

// storm counts an alarm of a rule, and says since when there are too many for each to be an
// event of its own.
func (e *Engine) storm(n int, now time.Time) time.Time {
	first := now.Add(-stormWindow)
	recent := slices.DeleteFunc(e.raised[n], func(t time.Time) bool { return t.Before(first) })
	recent = append(recent, now)
	e.raised[n] = recent
	most := stormMax
	if e.rules[n].Severity == Emergency {
		most = stormEmergencyMax
	}
	if len(recent) <= most {
		delete(e.storms, n)
		return time.Time{}
	}
	if e.storms[n].IsZero() {
		e.storms[n] = recent[0]
	}
	return e.storms[n]
}

// verdict is whether a condition holds, since when, and why in words.
type verdict struct {
	holds, known bool
	since        time.Time
	tell         string
}

// value evaluates a condition; next counts the conditions without parts, in the order of each.
func (e *Engine) value(r *rule, c *Condition, w *watch, next *int, now time.Time) verdict {
	switch {
	case len(c.All) > 0:
		return e.all(r, c.All, w, next, now)
	case len(c.Any) > 0:
		return e.any(r, c.Any, w, next, now)
	case c.Not != nil:
		v := e.value(r, c.Not, w, next, now)
		return verdict{holds: v.known && !v.holds, known: v.known, since: now, tell: "not: " + v.tell}
	}
	i := *next
	*next++
	if c.Silence != nil {
		met, known, since := w.Silence.met(*c.Silence, now)
		out := verdict{holds: met && e.deaf.IsZero(), known: known, since: since}
		if met {
			out.tell = w.Silence.tell(now)
		}
		return out
	}
	out := verdict{}
	for _, s := range w.Leaves[i] {
		if !s.Known {
			continue
		}
		out.known = true
		if met, since := c.met(s, now); met && (!out.holds || since.Before(out.since)) {
			out.holds, out.since, out.tell = true, since, c.tell(s)
		}
	}
	return out
}

func (e *Engine) all(r *rule, parts []Condition, w *watch, next *int, now time.Time) verdict {
	out := verdict{holds: true, known: true}
	var tells []string
	for i := range parts {
		v := e.value(r, &parts[i], w, next, now)
		if v.known && !v.holds {
			out.holds = false
		}
		out.known = out.known && v.known
		if v.since.After(out.since) {
			out.since = v.since
		}
		tells = append(tells, v.tell)
	}
	out.known = out.known || !out.holds
	out.tell = strings.Join(tells, " and ")
	return out
}

func (e *Engine) any(r *rule, parts []Condition, w *watch, next *int, now time.Time) verdict {
	out := verdict{}
	for i := range parts {
		v := e.value(r, &parts[i], w, next, now)
		out.known = out.known || v.known
		if v.holds && (!out.holds || v.since.Before(out.since)) {
			out.holds, out.since, out.tell = true, v.since, v.tell
		}
	}
	return out
}
