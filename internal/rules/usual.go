package rules

import (
	"math"
	"time"
)

const (
	// usualAfter is how much of the memory must have been seen before anything is unusual.
	usualAfter = 0.3
	// usualStep is how far, in spreads, one value can draw the middle: a sensor that fails
	// does not become the usual.
	usualStep = 2.0
)

// usual is what a number usually is: a middle and a spread that follow it slowly, bounded in
// how much one value can move them (Huber's location and scale, weighted by time). Its memory
// is a decay time: what was that long ago weighs a third.
type usual struct {
	Middle float64   `json:"middle"`
	Spread float64   `json:"spread"`
	From   time.Time `json:"from"`
	At     time.Time `json:"at"`
}

// follow takes a value. Gaps weigh as much as one memory at most.
func (u *usual) follow(v float64, at time.Time, memory time.Duration, floor float64) {
	age := at.Sub(u.From)
	weight := 1 - math.Exp(-min(1, at.Sub(u.At).Seconds()/memory.Seconds()))
	if age < memory { // at first all that came weighs alike
		weight = max(weight, at.Sub(u.At).Seconds()/max(age.Seconds(), 1))
	}
	spread := max(u.Spread, floor)
	off := v - u.Middle
	limit := usualStep * spread
	u.Middle += weight * max(-limit, min(limit, off))
	// The mean deviation of a normal distribution is 0.8 of its standard deviation.
	u.Spread += weight * (min(math.Abs(off), 1.5*limit)/0.8 - u.Spread)
	u.At = at
}

func (c Unusual) take(s *leafState, o Observation) bool {
	if o.Retained {
		return false
	}
	v, ok := s.like(o, c.Unit)
	if !ok {
		return false
	}
	at := o.when()
	if s.Usual == nil {
		s.Usual = &usual{Middle: v, Spread: c.Floor, From: at, At: at}
	}
	if at.Before(s.Usual.At) {
		return false
	}
	s.Num = v
	s.seen(o)
	off := math.Abs(v-s.Usual.Middle) / max(s.Usual.Spread, c.Floor)
	known := at.Sub(s.Usual.From).Seconds() >= usualAfter*time.Duration(c.Memory).Seconds()
	switch {
	case !known || off < c.Times/2:
		s.hold(false, at)
	case off > c.Times:
		s.hold(true, at)
	}
	s.Usual.follow(v, at, time.Duration(c.Memory), c.Floor)
	return true
}
