package rules

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// countMax bounds how many changes a Count looks at.
	countMax = 1000
	// samplesMax bounds the samples that a Rate remembers: of a window with more of them,
	// neighbours are thinned.
	samplesMax = 128
	// entitiesMax bounds the values of one kind of one device that a condition follows.
	entitiesMax = 32
)

// leafState is what one condition knows of one value of a device. Its fields are saved.
type leafState struct {
	// Holds and Since say whether the value meets the condition, and from when on.
	Holds bool      `json:"holds,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Seen is the time of the latest value, Known says that there was one.
	Known bool      `json:"known,omitempty"`
	Seen  time.Time `json:"seen,omitzero"`
	Bool  bool      `json:"bool,omitempty"`
	Num   float64   `json:"num,omitempty"`
	// Times are those of a Count's changes; Samples those of a Rate.
	Times   []time.Time `json:"times,omitempty"`
	Samples []sample    `json:"samples,omitempty"`
	Usual   *usual      `json:"usual,omitempty"`
}

type sample struct {
	At time.Time `json:"at"`
	V  float64   `json:"v"`
}

// Observation is one value of a device.
type Observation struct {
	// Device is its hardware; Unit is where it is, empty where nobody said.
	Device, Unit string
	// Name is what people call it.
	Name string
	Kind string
	Key  string
	// Bool is set for yes-or-no values, Number for numbers; a value that is neither only
	// shows that the device is there.
	Bool          *bool
	Number        *float64
	UnitOfMeasure string
	// At is the event time; zero where the device sends none. Arrival is ours.
	At, Arrival time.Time
	// Retained marks what the broker kept, Duplicate what it may have delivered before.
	Retained, Duplicate bool
	// ExpireAfter is what the device promised of this value; zero where nothing. Battery says
	// that it is heard seldom.
	ExpireAfter time.Duration
	Battery     bool
}

// when is the event time, or the arrival where the device sends none.
func (o Observation) when() time.Time {
	if o.At.IsZero() {
		return o.Arrival
	}
	return o.At
}

// news says whether a value counts: what the broker kept is the state of before, unless it
// says itself that it is newer than what is known; and an old message delivered again is
// none.
func (s *leafState) news(o Observation, same bool) bool {
	switch {
	case !s.Known:
		return !o.Retained
	case o.Retained:
		return !o.At.IsZero() && o.At.After(s.Seen) && !same
	case o.Duplicate:
		return o.At.IsZero() || !o.At.Before(s.Seen)
	}
	return true
}

// take follows a value of the condition's kind. It says whether the state changed.
func (c Condition) take(s *leafState, o Observation) bool {
	switch {
	case c.Is != nil:
		return c.Is.take(s, o)
	case c.Threshold != nil:
		return c.Threshold.take(s, o)
	case c.Rate != nil:
		return c.Rate.take(s, o)
	case c.Count != nil:
		return c.Count.take(s, o)
	case c.Unusual != nil:
		return c.Unusual.take(s, o)
	}
	return false
}

// hold notes whether the value meets the condition now.
func (s *leafState) hold(holds bool, at time.Time) {
	if holds != s.Holds {
		s.Holds, s.Since = holds, at
	}
}

func (s *leafState) seen(o Observation) {
	s.Known = true
	if at := o.when(); at.After(s.Seen) {
		s.Seen = at
	}
}

func (i Is) take(s *leafState, o Observation) bool {
	if o.Bool == nil {
		return false
	}
	if !s.news(o, s.Bool == *o.Bool) {
		if s.Known {
			return false
		}
		s.Bool = *o.Bool // the state of before: it begins nothing
		s.seen(o)
		return true
	}
	s.Bool = *o.Bool
	s.hold(*o.Bool == i.Value, o.when())
	s.seen(o)
	return true
}

// number gives the value in the condition's unit.
func number(o Observation, unit string) (float64, bool) {
	if o.Number == nil || math.IsNaN(*o.Number) {
		return 0, false
	}
	return Convert(*o.Number, o.UnitOfMeasure, unit)
}

func (t Threshold) take(s *leafState, o Observation) bool {
	v, ok := number(o, t.Unit)
	if !ok || !s.news(o, s.Num == v) && s.Known {
		return false
	}
	live := s.news(o, s.Num == v)
	s.Num = v
	s.seen(o)
	if !live {
		return true
	}
	limit, sign := 0.0, 1.0
	if t.Above != nil {
		limit = *t.Above
	} else {
		limit, sign = *t.Below, -1
	}
	back := limit
	if t.Clear != nil {
		back = *t.Clear
	}
	switch {
	case (v-limit)*sign > 0:
		s.hold(true, o.when())
	case (v-back)*sign <= 0:
		s.hold(false, o.when())
	}
	return true
}

func (r Rate) take(s *leafState, o Observation) bool {
	v, ok := number(o, "")
	if !ok || o.Retained {
		return false
	}
	at := o.when()
	if n := len(s.Samples); n > 0 && !at.After(s.Samples[n-1].At) {
		return false // late: the window has gone on
	}
	s.Samples = append(s.Samples, sample{at, v})
	first := at.Add(-time.Duration(r.Within))
	s.Samples = slices.DeleteFunc(s.Samples, func(x sample) bool { return x.At.Before(first) })
	if len(s.Samples) > samplesMax {
		s.Samples = thin(s.Samples)
	}
	low, high := v, v
	for _, x := range s.Samples {
		low, high = min(low, x.V), max(high, x.V)
	}
	s.Num = v
	s.seen(o)
	s.hold(r.Rises > 0 && v-low >= r.Rises || r.Falls > 0 && high-v >= r.Falls, at)
	return true
}

// thin halves the samples: of two neighbours the one further from the others' middle stays,
// so that the least and the greatest do.
func thin(in []sample) []sample {
	sum := 0.0
	for _, x := range in {
		sum += x.V
	}
	middle := sum / float64(len(in))
	out := make([]sample, 0, len(in)/2+1)
	for i := 0; i+1 < len(in); i += 2 {
		a, b := in[i], in[i+1]
		if math.Abs(a.V-middle) > math.Abs(b.V-middle) {
			out = append(out, a)
		} else {
			out = append(out, b)
		}
	}
	if len(in)%2 == 1 {
		out = append(out, in[len(in)-1])
	}
	return out
}

func (n Count) take(s *leafState, o Observation) bool {
	if o.Bool == nil || o.Retained {
		return false
	}
	changed := !s.Known || s.Bool != *o.Bool
	s.Bool = *o.Bool
	s.seen(o)
	if *o.Bool == n.Value && changed {
		s.Times = append(s.Times, o.when())
	}
	n.refresh(s, o.when())
	return true
}

// refresh forgets changes that are out of the window.
func (n Count) refresh(s *leafState, now time.Time) {
	first := now.Add(-time.Duration(n.Within))
	s.Times = slices.DeleteFunc(s.Times, func(t time.Time) bool { return t.Before(first) })
	if len(s.Times) > n.MoreThan+1 {
		s.Times = slices.Delete(s.Times, 0, len(s.Times)-n.MoreThan-1)
	}
	s.hold(len(s.Times) > n.MoreThan, now)
}

// met says whether the condition holds for the value at a time, and since when.
func (c Condition) met(s *leafState, now time.Time) (bool, time.Time) {
	wait := time.Duration(0)
	switch {
	case c.Is != nil:
		wait = time.Duration(c.Is.For)
	case c.Threshold != nil:
		wait = time.Duration(c.Threshold.For)
	case c.Count != nil:
		c.Count.refresh(s, now)
	case c.Unusual != nil:
		wait = time.Duration(c.Unusual.For)
	}
	return s.Holds && now.Sub(s.Since) >= wait, s.Since
}

// tell says in words what the value does.
func (c Condition) tell(s *leafState) string {
	switch {
	case c.Is != nil:
		return fmt.Sprintf("%s is %t", c.Is.Kind, s.Bool)
	case c.Threshold != nil && c.Threshold.Above != nil:
		return fmt.Sprintf("%s is %g, above %g", c.Threshold.Kind, s.Num, *c.Threshold.Above)
	case c.Threshold != nil:
		return fmt.Sprintf("%s is %g, below %g", c.Threshold.Kind, s.Num, *c.Threshold.Below)
	case c.Rate != nil && c.Rate.Rises > 0:
		return fmt.Sprintf("%s rose by %g or more to %g", c.Rate.Kind, c.Rate.Rises, s.Num)
	case c.Rate != nil:
		return fmt.Sprintf("%s fell by %g or more to %g", c.Rate.Kind, c.Rate.Falls, s.Num)
	case c.Count != nil:
		return fmt.Sprintf("%s became %t more than %d times", c.Count.Kind, c.Count.Value, c.Count.MoreThan)
	case c.Unusual != nil:
		return fmt.Sprintf("%s is %g, usual is %.3g ± %.3g", c.Unusual.Kind, s.Num, s.Usual.Middle, s.Usual.Spread)
	}
	return ""
}
