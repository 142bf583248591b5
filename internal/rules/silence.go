package rules

import (
	"fmt"
	"slices"
	"time"
)

const (
	// silentMin and silentBattery are the shortest silences that count: of a device on the
	// mains, and of one that sleeps to spare its battery.
	silentMin     = 15 * time.Minute
	silentBattery = 25 * time.Hour
	// silentTimes is how many of its usual periods a device may miss.
	silentTimes = 3
	// offlineMax is how long a device may say, or its last will, that it is gone.
	offlineMax = 5 * time.Minute
	// periodsMax is how many periods are looked at, periodsMin from how many on one is learnt.
	periodsMax = 31
	periodsMin = 3
	// burst is what belongs to one message.
	burst = 2 * time.Second
)

// Broker is the kind of value by which a box says whether it reaches the broker of its devices. It is
// no device's, and known while no device is heard.
const Broker = "broker"

// Gateway is the kind of value by which a gateway, or its last will, says whether it is there: the key
// is its base topic, and the device the box. What speaks through it is heard no more while it is away.
const Gateway = "gateway"

// Availability is the kind of value by which a device says whether it is there.
const Availability = "availability"

// silence is what is known of a device's habit to speak. Its fields are saved.
type silence struct {
	Heard    time.Time       `json:"heard"`
	Periods  []time.Duration `json:"periods,omitempty"`
	Promised time.Duration   `json:"promised,omitempty"`
	Battery  bool            `json:"battery,omitempty"`
	// Gone is since when the device says that it is not there.
	Gone time.Time `json:"gone,omitzero"`
}

func (s *silence) take(o Observation) {
	s.Battery = s.Battery || o.Battery
	s.Promised = max(s.Promised, o.ExpireAfter)
	if o.Kind == Availability && o.Bool != nil {
		switch {
		case *o.Bool:
			s.Gone = time.Time{}
		case s.Gone.IsZero():
			s.Gone = o.Arrival
		}
		return
	}
	if o.Retained {
		return
	}
	if gap := o.Arrival.Sub(s.Heard); !s.Heard.IsZero() && gap > burst {
		if s.Periods = append(s.Periods, gap); len(s.Periods) > periodsMax {
			s.Periods = slices.Delete(s.Periods, 0, 1)
		}
	}
	if o.Arrival.After(s.Heard) || s.Heard.After(o.Arrival.Add(aheadMax)) { // our clock was ahead then
		s.Heard, s.Gone = o.Arrival, time.Time{}
	}
}

// limit is the longest silence that is nothing yet.
func (s *silence) limit(c Silence) time.Duration {
	least := silentMin
	if s.Battery {
		least = silentBattery
	}
	switch {
	case c.After > 0:
		return time.Duration(c.After)
	case s.Promised > 0:
		return max(s.Promised, silentMin)
	case len(s.Periods) < periodsMin:
		return silentBattery
	}
	sorted := slices.Clone(s.Periods)
	slices.Sort(sorted)
	return max(silentTimes*sorted[len(sorted)/2], least)
}

func (s *silence) met(c Silence, now time.Time) (met, known bool, since time.Time) {
	if s.Heard.IsZero() && s.Gone.IsZero() {
		return false, false, now
	}
	if !s.Gone.IsZero() && now.Sub(s.Gone) >= offlineMax {
		return true, true, s.Gone
	}
	if s.Heard.IsZero() {
		return false, true, now
	}
	limit := s.limit(c)
	return now.Sub(s.Heard) >= limit, true, s.Heard.Add(limit)
}

func (s *silence) tell(now time.Time) string {
	if !s.Gone.IsZero() {
		return "offline since " + s.Gone.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("not heard for %s", now.Sub(s.Heard).Round(time.Minute))
}
