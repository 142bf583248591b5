package rules

import (
	"encoding/json"
	"fmt"
	"maps"
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
	next.deaf = e.deaf
	effects, err := next.restore(saved, now)
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

// Restore takes what was saved before a stop. Of a rule that changed only an open alarm stays, until
// the new text says that it has ended. It lists open alarms of rules that are gone, which end. The
// time in which nobody listened proves nothing: no silence, and not that a value lasted.
func (e *Engine) Restore(saved []Saved, now time.Time) ([]Effect, error) {
	out, err := e.restore(saved, now)
	if err != nil {
		return nil, err
	}
	last := time.Time{}
	for _, w := range e.watches {
		if at := w.last(now); at.After(last) {
			last = at
		}
	}
	e.skip(last, now, true)
	return out, nil
}

// last is up to when a watch shows that somebody listened. States of earlier builds have no time of
// saving, and a clock that was ahead shows nothing.
func (w *watch) last(now time.Time) (last time.Time) {
	times := []time.Time{w.At}
	if w.Silence != nil {
		times = append(times, w.Silence.Heard)
	}
	for _, values := range w.Leaves {
		for _, s := range values {
			times = append(times, s.Seen)
		}
	}
	for _, at := range times {
		if at.After(last) && !at.After(now) {
			last = at
		}
	}
	return last
}

func (e *Engine) restore(saved []Saved, now time.Time) ([]Effect, error) {
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
		if one.Alarm, one.At = w.Alarm, w.At; one.Alarm != nil {
			one.unit, one.name, one.holds = w.Alarm.Unit, w.Alarm.Name, true
		}
		if s.Version == e.rules[n].Version && len(w.Leaves) == len(one.Leaves) {
			for i := range w.Leaves {
				if w.Leaves[i] != nil {
					one.Leaves[i] = w.Leaves[i]
				}
				e.settle(s.Device, one.Leaves[i])
			}
			if w.Silence != nil {
				one.Silence = w.Silence
			}
		}
	}
	return out, nil
}

// skip takes a time in which nobody listened out of all that has to last. The box was off in it, or it
// knew that it did not reach its broker.
func (e *Engine) skip(from, to time.Time, off bool) {
	if from.IsZero() || !to.After(from) {
		return
	}
	for key, w := range e.watches {
		if w.Alarm != nil {
			continue
		}
		if w.Silence != nil && !w.Silence.Heard.IsZero() {
			w.Silence.Heard = w.Silence.Heard.Add(to.Sub(from))
		}
		for i, values := range w.Leaves {
			for _, s := range values {
				if (off || e.rules[key.rule].leaves[i].kind() != Broker) && s.Holds && !s.Since.After(from) {
					s.Since = s.Since.Add(to.Sub(from))
				}
			}
		}
	}
}

// Forget lets go of a device that is out of service. Its alarms end.
func (e *Engine) Forget(device string, now time.Time) []Effect {
	out := e.leave(device, now, "the device was taken out of service")
	for key, w := range e.watches {
		if key.device != device {
			continue
		}
		if w.Alarm != nil {
			ended := *w.Alarm
			ended.Cleared, ended.Detail = now, "the device was taken out of service"
			out = append(out, Effect{Clear, ended})
		}
		delete(e.watches, key)
		delete(e.dirty, key)
		e.gone = append(e.gone, Saved{Rule: e.rules[key.rule].ID, Device: device})
	}
	slices.SortFunc(out, func(a, b Effect) int { return strings.Compare(a.Alarm.Rule, b.Alarm.Rule) })
	return out
}

// Devices lists what is watched.
func (e *Engine) Devices() []string {
	seen := map[string]bool{}
	for key := range e.watches {
		if e.rules[key.rule].Across == "" {
			seen[key.device] = true
		}
	}
	for device := range e.units {
		seen[device] = true
	}
	return slices.Sorted(maps.Keys(seen))
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
