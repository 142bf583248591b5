package rules

import (
	"fmt"
	"math"
	"slices"
	"strings"
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
	// lateMin is how old a value is that was not sent as it was measured, and lateSettle how long
	// what a device kept may take to come: until then the past that it tells of is not over.
	lateMin, lateSettle = time.Minute, time.Minute
	// aheadMax is how far the time of a device may be ahead of ours.
	aheadMax = 5 * time.Minute
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
	// Unit is that of Samples and Usual.
	Unit string `json:"unit,omitempty"`
	// Late is when a value of the past came last; zero once one came in time.
	Late time.Time `json:"late,omitzero"`
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
	s.putRight(o)
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
	s.Known, s.Late = true, time.Time{}
	if at := o.when(); at.After(s.Seen) {
		s.Seen = at
	}
	if o.Arrival.Sub(o.when()) > lateMin {
		s.Late = o.Arrival
	}
}

// putRight forgets times that are still to come: our clock was ahead when they were noted.
func (s *leafState) putRight(o Observation) {
	if o.Retained || !s.Seen.After(o.Arrival.Add(aheadMax)) {
		return
	}
	s.Seen, s.Samples, s.Times = time.Time{}, nil, nil
	if s.Since.After(o.Arrival) {
		s.Since = o.Arrival
	}
	if u := s.Usual; u != nil && u.At.After(o.Arrival) {
		u.At = o.Arrival
		if u.From.After(o.Arrival) {
			u.From = o.Arrival
		}
	}
}

// past says whether a value that has to last is older than what is known: it lasted no longer than
// until then, and what is known by now says that.
func (s *leafState) past(o Observation, lasts Duration) bool {
	return lasts > 0 && s.Known && o.when().Before(s.Seen)
}

// until is up to when the value is known to be what it is. While a device tells of its past that
// is the latest moment of which it told.
func (s *leafState) until(now time.Time) time.Time {
	if !s.Late.IsZero() && now.Before(s.Late.Add(lateSettle)) && s.Seen.Before(now) {
		return s.Seen
	}
	return now
}

func (i Is) take(s *leafState, o Observation) bool {
	if o.Bool == nil || s.past(o, i.For) {
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
	return convertOf(o.Kind, *o.Number, o.UnitOfMeasure, unit)
}

// like gives the value in the condition's unit, or where it names none in that of the values
// before. Where one cannot be turned into the other, the values before count no more.
func (s *leafState) like(o Observation, unit string) (float64, bool) {
	if unit != "" {
		return number(o, unit)
	}
	v, ok := number(o, s.Unit)
	if !ok && o.Number != nil {
		s.Samples, s.Usual, s.Unit = nil, nil, o.UnitOfMeasure
		v, ok = number(o, s.Unit)
	}
	if s.Unit == "" {
		s.Unit = o.UnitOfMeasure
	}
	return v, ok
}

func (t Threshold) take(s *leafState, o Observation) bool {
	v, ok := number(o, t.Unit)
	if !ok || !s.news(o, s.Num == v) && s.Known || s.past(o, t.For) {
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
	if o.Retained {
		return false
	}
	v, ok := s.like(o, r.Unit)
	if !ok {
		return false
	}
	at := o.when()
	if n := len(s.Samples); n > 0 && !at.After(s.Samples[n-1].At) {
		return false // late: the window has gone on
	}
	s.Samples = append(s.Samples, sample{at, v})
	s.Num = v
	s.seen(o)
	r.refresh(s, at)
	if n := len(s.Samples); n > samplesMax {
		s.Samples = append(thin(s.Samples[:n-1]), sample{at, v})
	}
	return true
}

// refresh forgets samples that are out of the window. The latest stays: it is what the number
// still is.
func (r Rate) refresh(s *leafState, now time.Time) {
	n := len(s.Samples)
	if n == 0 {
		return
	}
	last, first := s.Samples[n-1], now.Add(-time.Duration(r.Within))
	s.Samples = append(slices.DeleteFunc(s.Samples[:n-1], func(x sample) bool { return x.At.Before(first) }), last)
	low, high := last.V, last.V
	for _, x := range s.Samples {
		low, high = min(low, x.V), max(high, x.V)
	}
	s.hold(r.Rises > 0 && last.V-low >= r.Rises || r.Falls > 0 && high-last.V >= r.Falls, now)
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
	case c.Rate != nil:
		c.Rate.refresh(s, now)
	case c.Unusual != nil:
		wait = time.Duration(c.Unusual.For)
	}
	return s.Holds && s.until(now).Sub(s.Since) >= wait, s.Since
}

// tellNot says in words that the condition does not hold; tell is what it says itself.
func (c Condition) tellNot(tell string) string {
	switch {
	case c.Is != nil:
		return tell // what the value is
	case tell == "":
		return "not what is asked of " + strings.Join(c.Kinds(), ", ")
	}
	return "not: " + tell
}

// tell says in words what the value does.
func (c Condition) tell(key string, s *leafState) string {
	switch {
	case c.Is != nil && c.Is.Kind == Broker:
		return map[bool]string{true: "the broker of the devices is reached", false: "the broker of the devices is not reached: none of them is heard"}[s.Bool]
	case c.Is != nil && c.Is.Kind == Gateway:
		return fmt.Sprintf("the gateway %s is %s", key, map[bool]string{true: "online", false: "offline: what speaks through it is not heard"}[s.Bool])
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
