package rules

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A rule across a unit watches the unit as if it were one device: the values of all that is in it are
// told apart by their devices. So a door and the room's motion are one rule's matter, though each is a
// sensor by itself.

const (
	acrossUnit = "unit"
	// unitPrefix begins what is watched of a unit; no hardware id does.
	unitPrefix = "unit:"
	// partOf parts a device from its value's key.
	partOf = "\x00"
)

// place is what the rule watches a value under, and how it tells it from others there; nothing where
// the rule cannot look at it.
func (r Rule) place(o Observation) (watched, name string) {
	switch {
	case r.Across == "":
		return o.Device, o.Key
	case o.Unit == "":
		return "", ""
	}
	return unitPrefix + o.Unit, o.Device + partOf + o.Key
}

// device is whose alarm it is: across a unit that of the first condition that is met, so that the
// same makes the same alarm.
func (r rule) device(key watchKey, w *watch) string {
	if r.Across == "" {
		return key.device
	}
	fallback := ""
	for _, values := range w.Leaves {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			device, _, _ := strings.Cut(name, partOf)
			if values[name].Holds {
				return device
			}
			if fallback == "" {
				fallback = device
			}
		}
	}
	return fallback
}

// settle notes whose values were saved of a unit.
func (e *Engine) settle(watched string, values map[string]*leafState) {
	unit, across := strings.CutPrefix(watched, unitPrefix)
	if !across {
		return
	}
	for name := range values {
		device, _, _ := strings.Cut(name, partOf)
		e.units[device] = unit
	}
}

// moved takes a device out of the unit in which it was.
func (e *Engine) moved(o Observation) []Effect {
	if len(e.across) == 0 || e.units[o.Device] == o.Unit {
		return nil
	}
	out := e.leave(o.Device, o.Arrival, "the device was moved")
	if o.Unit != "" {
		e.units[o.Device] = o.Unit
	}
	return out
}

// leave takes the values of a device out of its unit. An alarm ends where none are left.
func (e *Engine) leave(device string, now time.Time, why string) []Effect {
	unit, known := e.units[device]
	if !known {
		return nil
	}
	delete(e.units, device)
	var out []Effect
	for _, n := range e.across {
		key := watchKey{n, unitPrefix + unit}
		w := e.watches[key]
		if w == nil {
			continue
		}
		left := 0
		for _, values := range w.Leaves {
			maps.DeleteFunc(values, func(name string, _ *leafState) bool { return strings.HasPrefix(name, device+partOf) })
			left += len(values)
		}
		e.dirty[key] = true
		if left > 0 {
			continue
		}
		if w.Alarm != nil {
			ended := *w.Alarm
			ended.Cleared, ended.Detail = now, why
			out = append(out, Effect{Clear, ended})
		}
		delete(e.watches, key)
		delete(e.dirty, key)
		e.gone = append(e.gone, Saved{Rule: e.rules[n].ID, Device: key.device})
	}
	return out
}
