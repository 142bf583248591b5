package sink

import (
	"time"

	"estate/edge/internal/decode"
)

type paceKey struct {
	hardware string
	key      string
}

// pace is what was kept of one quantity of one device lately.
type pace struct {
	at      time.Time // arrival of the last that was kept
	value   decode.Value
	window  time.Time // when the count of changes began
	changes int
}

// due reports whether an observation is to be kept as a reading: every readingEvery, and
// each change of a yes-or-no value within reason.
func (s *Sink) due(o decode.Observation) bool {
	p := s.paces[paceKey{o.Hardware, o.Key}]
	if p == nil || o.ArrivalTime.Sub(p.at) >= readingEvery || o.ArrivalTime.Before(p.at) {
		return true
	}
	changed := o.Value.Type == decode.Bool && o.Value != p.value
	return changed && (p.changes < changesMax || o.ArrivalTime.Sub(p.window) >= readingEvery)
}

// lost forgets readings that could not be stored, so that they are due when they come again.
func (s *Sink) lost(observations []decode.Observation) {
	for _, o := range observations {
		delete(s.paces, paceKey{o.Hardware, o.Key})
	}
}

// kept notes a reading that is being stored.
func (s *Sink) kept(o decode.Observation) {
	key := paceKey{o.Hardware, o.Key}
	p := s.paces[key]
	if p == nil {
		if len(s.paces) >= pacesMax {
			clear(s.paces)
		}
		p = &pace{}
		s.paces[key] = p
	}
	if o.ArrivalTime.Sub(p.window) >= readingEvery {
		p.window, p.changes = o.ArrivalTime, 0
	}
	p.at, p.value, p.changes = o.ArrivalTime, o.Value, p.changes+1
}
