package ingest

import (
	"time"

	"estate/internal/rules"
)

const (
	// serviceStep is how many devices are looked at in one tick: a large building's in a minute.
	serviceStep = 20
	// serviceGone is for how long a device must be out of service before its rules forget it: one
	// look at a busy store proves nothing.
	serviceGone = time.Minute
)

// service follows which of the devices that rules know are still in service. It belongs to the
// goroutine of the engine.
type service struct {
	watched map[string]bool
	order   []string             // those that are to be looked at in this round
	strays  map[string]time.Time // since when they are not in service
	reaches *bool                // whether the box reaches its broker, as the rules were told
}

func (s *service) watch(hardware string) { s.watched[hardware] = true }

// next gives the devices to look at now.
func (s *service) next() []string {
	if len(s.order) == 0 {
		for hardware := range s.watched {
			s.order = append(s.order, hardware)
		}
	}
	n := min(serviceStep, len(s.order))
	out := s.order[:n]
	s.order = s.order[n:]
	return out
}

// letGo ends the alarms of devices that were taken out of service, and forgets what rules knew of
// them: nobody would hear that they are over, and their silence is no news.
func (i *Ingest) letGo(now time.Time) []rules.Effect {
	var out []rules.Effect
	for _, hardware := range i.service.next() {
		if !i.sink.OutOfService(hardware) {
			delete(i.service.strays, hardware)
			continue
		}
		since, stray := i.service.strays[hardware]
		if !stray {
			i.service.strays[hardware] = now
			continue
		}
		if now.Sub(since) < serviceGone {
			continue
		}
		out = append(out, i.engine.Forget(hardware, now)...)
		delete(i.service.strays, hardware)
		delete(i.service.watched, hardware)
	}
	return out
}

// reaches tells the rules whether the box reaches the broker of its devices.
func (i *Ingest) reaches(now time.Time, yes bool) []rules.Effect {
	if i.cfg.Box == "" || i.service.reaches != nil && *i.service.reaches == yes {
		return nil
	}
	i.service.reaches = &yes
	return i.engine.Observe(rules.Observation{Device: i.cfg.Box, Name: "Box", Kind: rules.Broker, Key: rules.Broker, Bool: &yes, Arrival: now})
}
