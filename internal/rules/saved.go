package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Saved is what one rule knows of one device, to be kept over a restart.
type Saved struct {
	Rule    string
	Version int
	Device  string
	// State is JSON; nil says that there is nothing to keep.
	State []byte
}

// Dirty lists what changed since it was asked last, to be saved together with what changed
// it.
func (e *Engine) Dirty() ([]Saved, error) {
	out := make([]Saved, 0, len(e.dirty))
	for key := range e.dirty {
		r := e.rules[key.rule]
		state, err := json.Marshal(e.watches[key])
		if err != nil {
			return nil, fmt.Errorf("encode the state of rule %s for %s: %w", r.ID, key.device, err)
		}
		out = append(out, Saved{r.ID, r.Version, key.device, state})
	}
	clear(e.dirty)
	out = append(out, e.gone...)
	e.gone = nil
	slices.SortFunc(out, func(a, b Saved) int { return strings.Compare(a.Rule+"\x00"+a.Device, b.Rule+"\x00"+b.Device) })
	return out, nil
}

// Replaced makes an engine of other rules that goes on where this one is: what both have alike
// knows what it knew. The effects are the ends of alarms of rules that are gone.
func (e *Engine) Replaced(list []Rule, now time.Time) (*Engine, []Effect, error) {
	for key := range e.watches {
		e.dirty[key] = true
	}
	saved, err := e.Dirty()
	if err != nil {
		return nil, nil, err
	}
	next := New(list, e.zone)
	effects, err := next.Restore(saved, now)
	if err != nil {
		return nil, nil, err
	}
	for key := range next.watches {
		next.dirty[key] = true
	}
	for _, s := range saved {
		if !slices.ContainsFunc(next.rules, func(r rule) bool { return r.ID == s.Rule }) {
			next.gone = append(next.gone, Saved{Rule: s.Rule, Device: s.Device})
		}
	}
	return next, effects, nil
}

// Restore takes what was saved. Of a rule that changed only an open alarm stays, until the
// new text says that it has ended. It lists open alarms of rules that are gone, which end.
func (e *Engine) Restore(saved []Saved, now time.Time) ([]Effect, error) {
	var out []Effect
	for _, s := range saved {
		var w watch
		if err := json.Unmarshal(s.State, &w); err != nil {
			return nil, fmt.Errorf("read the state of rule %s for %s: %w", s.Rule, s.Device, err)
		}
		n := slices.IndexFunc(e.rules, func(r rule) bool { return r.ID == s.Rule })
		if n < 0 {
			if w.Alarm != nil {
				ended := *w.Alarm
				ended.Cleared, ended.Detail = now, "the rule was taken away"
				out = append(out, Effect{Clear, ended})
			}
			continue
		}
		one := e.watch(watchKey{n, s.Device})
		if one == nil {
			continue
		}
		if one.Alarm = w.Alarm; one.Alarm != nil {
			one.unit, one.name, one.holds = w.Alarm.Unit, w.Alarm.Name, true
		}
		if s.Version == e.rules[n].Version && len(w.Leaves) == len(one.Leaves) {
			for i := range w.Leaves {
				if w.Leaves[i] != nil {
					one.Leaves[i] = w.Leaves[i]
				}
			}
			if w.Silence != nil {
				one.Silence = w.Silence
				if one.Alarm == nil && !w.Silence.Heard.IsZero() {
					one.Silence.Heard = now // the time in which nobody listened proves nothing
				}
			}
		}
	}
	return out, nil
}

// Open lists the alarms that have not ended.
func (e *Engine) Open() []Alarm {
	var out []Alarm
	for _, w := range e.watches {
		if w.Alarm != nil {
			out = append(out, *w.Alarm)
		}
	}
	slices.SortFunc(out, func(a, b Alarm) int { return strings.Compare(a.Rule+"\x00"+a.Device, b.Rule+"\x00"+b.Device) })
	return out
}
