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

// rule is a Rule with its conditions in the order of Each.
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
	// At is when all of it was last to be saved.
	At time.Time `json:"at,omitzero"`

	unit, name string
	holds      bool
	calm       time.Time
	changes    []time.Time
}

// Engine applies rules. It is not safe for concurrent use.
type Engine struct {
	rules   []rule
	zone    *time.Location
	byKind  map[string][]int
	silent  []int             // rules about silence
	across  []int             // rules that look across devices
	units   map[string]string // where those devices are, as they were heard last
	watches map[watchKey]*watch
	raised  map[int][]time.Time // lately, by rule
	storms  map[int]time.Time   // since when, by rule
	dirty   map[watchKey]bool
	gone    []Saved   // of rules that are gone: to be removed
	deaf    time.Time // since when nothing can be heard; zero while it can
}

// New makes an engine for the rules that are not disabled. Rules with problems are left out.
func New(list []Rule, zone *time.Location) *Engine {
	e := &Engine{zone: zone, byKind: map[string][]int{}, watches: map[watchKey]*watch{}, raised: map[int][]time.Time{}, storms: map[int]time.Time{}, dirty: map[watchKey]bool{}, units: map[string]string{}}
	for _, r := range list {
		if r.Disabled || len(r.Check()) > 0 {
			continue
		}
		n := len(e.rules)
		one := rule{Rule: r}
		r.When.Each(func(c Condition) {
			one.leaves = append(one.leaves, c)
			if c.Silence != nil && !slices.Contains(e.silent, n) {
				e.silent = append(e.silent, n)
			}
		})
		if r.Across != "" {
			e.across = append(e.across, n)
		}
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
	own := o.Kind == Broker || o.Kind == Gateway
	if o.Kind != Broker && !e.deaf.IsZero() && o.Arrival.After(e.deaf) {
		e.hear(o.Arrival)
	}
	out := e.moved(o)
	concerned := e.byKind[o.Kind]
	if len(e.silent) > 0 && !own {
		concerned = append(slices.Clone(concerned), e.silent...)
		slices.Sort(concerned)
		concerned = slices.Compact(concerned)
	}
	for _, n := range concerned {
		r := &e.rules[n]
		watched, name := r.place(o)
		if !r.about(o) || watched == "" {
			continue
		}
		key := watchKey{n, watched}
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
			s := w.Leaves[i][name]
			if s == nil {
				if len(w.Leaves[i]) >= entitiesMax {
					continue
				}
				s = &leafState{}
				w.Leaves[i][name] = s
			}
			before := *s
			changed = leaf.take(s, o) || changed
			news = news || before.Known != s.Known || before.Holds != s.Holds || before.Bool != s.Bool
		}
		if !changed {
			continue
		}
		if news || o.Arrival.Sub(w.At) >= saveEvery {
			e.dirty[key], w.At = true, o.Arrival
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
// says whether devices can be heard at all; while they cannot, nobody is silent, and no value lasts.
func (e *Engine) Tick(now time.Time, listening bool) []Effect {
	switch {
	case !listening && e.deaf.IsZero():
		e.deaf = now
	case listening && !e.deaf.IsZero():
		e.hear(now)
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

// hear ends a time in which nobody could be heard.
func (e *Engine) hear(now time.Time) {
	e.skip(e.deaf, now, false)
	e.deaf = time.Time{}
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
		Device: r.device(key, w), Unit: w.unit, Name: w.name, Since: v.since, Detail: v.tell, Flapping: len(w.changes) >= flapChanges}
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
