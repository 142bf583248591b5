package ingest

import (
	"slices"
	"strings"
	"time"

	"estate/edge/internal/decode"
)

// The state of one emergency sensor:
//
//	         true: raise                5 changes in a minute: mark flapping
//	quiet ───────────────▶ open, wet ◀──────────────▶ open, dry ──┐
//	  ▲                        true / false                       │ dry for the hold:
//	  └───────────────────────────────────────────────────────────┘ clear
//
// The first true raises at once: an emergency is not debounced. Calm is: an alarm clears
// only after the sensor stayed dry for the hold, and longer where it flaps.

// Timing says when alarms clear and what counts as flapping.
type Timing struct {
	// DryHold is how long a sensor must stay dry before its alarm clears.
	DryHold time.Duration
	// FlapChanges within FlapWindow mark an alarm as flapping.
	FlapChanges int
	FlapWindow  time.Duration
	// FlapHold is DryHold for a flapping sensor.
	FlapHold time.Duration
}

// DefaultTiming is for water: drops on a sensor dry and wet again within seconds.
func DefaultTiming() Timing {
	return Timing{DryHold: 30 * time.Second, FlapChanges: 5, FlapWindow: time.Minute, FlapHold: time.Minute}
}

// Effect is something that the sink must do.
type Effect struct {
	Clear bool // else raise or update
	Alarm Alarm
}

type sensorKey struct {
	hardware string
	kind     decode.Kind
}

type sensor struct {
	known    bool // state holds something
	state    SensorState
	open     *Alarm
	drySince time.Time // by our clock; zero while wet or unknown
	changes  []time.Time
}

// Rules decides about alarms. It is pure: time comes in with the observations and ticks.
// It is not safe for concurrent use.
type Rules struct {
	timing  Timing
	sensors map[sensorKey]*sensor
}

// NewRules starts from what was saved. Sensors that were dry start their hold anew: the
// time in which nobody listened proves nothing.
func NewRules(timing Timing, saved Snapshot, now time.Time) *Rules {
	r := &Rules{timing: timing, sensors: map[sensorKey]*sensor{}}
	for _, s := range saved.Sensors {
		one := r.sensor(s.Hardware, s.Kind)
		one.known, one.state = true, s
	}
	for _, a := range saved.Alarms {
		one := r.sensor(a.Hardware, a.Kind)
		one.open = &a
		if one.known && !one.state.Value {
			one.drySince = now
		}
	}
	return r
}

// Emergency says whether observations of this kind raise alarms.
func Emergency(kind decode.Kind) bool { return kind == decode.Leak }

// Apply takes one observation of an adopted device. It gives the effects, and the sensor's
// new state when it must be saved.
func (r *Rules) Apply(o decode.Observation) (effects []Effect, save *SensorState) {
	if !Emergency(o.Kind) || o.Value.Type != decode.Bool {
		return nil, nil
	}
	s := r.sensor(o.Hardware, o.Kind)
	at := o.EventTime
	if at.IsZero() {
		at = o.ArrivalTime
	}
	if o.Retained {
		if !s.known {
			s.set(o, at)
			return nil, &s.state
		}
		// The broker's last state is news only where it says that it is newer than ours.
		if o.EventTime.IsZero() || !o.EventTime.After(s.state.Seen) || o.Value.Bool == s.state.Value {
			return nil, nil
		}
	}
	if o.Duplicate && s.known && !o.EventTime.IsZero() && o.EventTime.Before(s.state.Seen) {
		return nil, nil // an old message delivered again; a live one with a late clock counts
	}
	if s.known && o.Value.Bool != s.state.Value {
		s.changes = append(s.changes, o.ArrivalTime)
	}
	s.set(o, at)
	return r.judge(s, o, at), &s.state
}

// judge decides what a new, believed value means for the alarm.
func (r *Rules) judge(s *sensor, o decode.Observation, at time.Time) []Effect {
	recent := o.ArrivalTime.Add(-r.timing.FlapWindow)
	s.changes = slices.DeleteFunc(s.changes, func(t time.Time) bool { return t.Before(recent) })
	flapping := len(s.changes) >= r.timing.FlapChanges
	switch {
	case o.Value.Bool:
		s.drySince = time.Time{}
		if s.open == nil {
			s.open = &Alarm{Hardware: o.Hardware, Kind: o.Kind, Since: at, Name: o.Name, Value: o.Value,
				Flapping: flapping, Detail: "reported by the sensor"}
			return []Effect{{Alarm: *s.open}}
		}
	case s.open != nil && s.drySince.IsZero():
		s.drySince = o.ArrivalTime
	}
	if flapping && s.open != nil && !s.open.Flapping {
		s.open.Flapping = true
		s.open.Detail = "the sensor keeps changing: it may be splashed, loose or faulty"
		return []Effect{{Alarm: *s.open}}
	}
	return nil
}

// Tick clears the alarms of sensors that stayed dry for their hold.
func (r *Rules) Tick(now time.Time) []Effect {
	var out []Effect
	for _, s := range r.sensors {
		if s.open == nil || s.drySince.IsZero() {
			continue
		}
		hold := r.timing.DryHold
		if s.open.Flapping {
			hold = r.timing.FlapHold
		}
		if now.Sub(s.drySince) < hold {
			continue
		}
		cleared := *s.open
		cleared.Value, cleared.Cleared, cleared.Detail = decode.BoolValue(false), now, "dry for "+hold.String()
		s.open, s.drySince = nil, time.Time{}
		out = append(out, Effect{Clear: true, Alarm: cleared})
	}
	slices.SortFunc(out, func(a, b Effect) int { return strings.Compare(a.Alarm.Cause(), b.Alarm.Cause()) })
	return out
}

func (r *Rules) sensor(hardware string, kind decode.Kind) *sensor {
	key := sensorKey{hardware, kind}
	s, ok := r.sensors[key]
	if !ok {
		s = &sensor{}
		r.sensors[key] = s
	}
	return s
}

func (s *sensor) set(o decode.Observation, at time.Time) {
	if !s.known || s.state.Value != o.Value.Bool {
		s.state.Changed = at
	}
	if !s.known || at.After(s.state.Seen) {
		s.state.Seen = at
	}
	s.known = true
	s.state.Hardware, s.state.Kind, s.state.Value = o.Hardware, o.Kind, o.Value.Bool
}
