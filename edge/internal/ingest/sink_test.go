package ingest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
)

// store is a Sink that keeps everything in memory and outlives the Ingest, as a database
// outlives the process.
type store struct {
	mu        sync.Mutex
	adopted   map[string]bool
	rows      []decode.Observation
	ids       map[[16]byte]bool
	sensors   map[string]ingest.SensorState
	announced []decode.Message
	open      map[string]ingest.Alarm
	raised    []ingest.Alarm // calls, updates included
	cleared   []ingest.Alarm
	batches   int
	broken    error         // every Observe fails with it
	poison    string        // Observe refuses batches that hold this hardware
	observed  chan struct{} // gets a token per Observe call, failed or not
}

func newStore(adopted ...string) *store {
	s := &store{adopted: map[string]bool{}, ids: map[[16]byte]bool{}, sensors: map[string]ingest.SensorState{},
		open: map[string]ingest.Alarm{}, observed: make(chan struct{}, 1000)}
	for _, a := range adopted {
		s.adopted[a] = true
	}
	return s
}

func (s *store) Restore(context.Context) (ingest.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := ingest.Snapshot{Announced: s.announced}
	for _, v := range s.sensors {
		snap.Sensors = append(snap.Sensors, v)
	}
	for _, a := range s.open {
		snap.Alarms = append(snap.Alarms, a)
	}
	return snap, nil
}

func (s *store) Known(hardware string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.adopted[hardware]
}

func (s *store) Observe(_ context.Context, b ingest.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.observed <- struct{}{}:
	default:
	}
	if s.broken != nil {
		return s.broken
	}
	for _, o := range b.Observations {
		if s.poison != "" && o.Hardware == s.poison {
			return errors.Join(errors.New("row refused"), ingest.ErrRefused)
		}
	}
	s.batches++
	for _, o := range b.Observations {
		if !s.ids[o.ID()] {
			s.ids[o.ID()] = true
			s.rows = append(s.rows, o)
		}
	}
	for _, v := range b.Sensors {
		s.sensors[v.Hardware+"|"+string(v.Kind)] = v
	}
	for _, m := range b.Announced {
		s.announced = append(s.announced, m)
	}
	return nil
}

func (s *store) RaiseAlarm(_ context.Context, a ingest.Alarm) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raised = append(s.raised, a)
	s.open[a.Hardware+"|"+string(a.Kind)] = a
	return nil
}

func (s *store) ClearAlarm(_ context.Context, a ingest.Alarm) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleared = append(s.cleared, a)
	delete(s.open, a.Hardware+"|"+string(a.Kind))
	return nil
}

func (s *store) change(f func(*store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *store) is(f func(*store) bool) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return f(s)
	}
}

// holds says whether so many different readings are stored. One may be there twice: what a busy
// machine does not acknowledge in time the broker delivers again, and a reading without a time
// of its own is then another one.
func (s *store) holds(count int) func() bool {
	return s.is(func(s *store) bool {
		different := map[decode.Observation]bool{}
		for _, o := range s.rows {
			different[decode.Observation{Hardware: o.Hardware, Key: o.Key, Value: o.Value}] = true
		}
		return len(different) == count
	})
}

// row says whether a reading of the hardware with the value is stored.
func (s *store) row(hardware, value string) func() bool {
	return s.is(func(s *store) bool {
		for _, o := range s.rows {
			if o.Hardware == hardware && o.Value.String() == value {
				return true
			}
		}
		return false
	})
}

func (s *store) alarms(raised, cleared int) func() bool {
	return s.is(func(s *store) bool { return len(s.raised) == raised && len(s.cleared) == cleared })
}

// patience is how long a test waits for what must happen, on the busiest machine.
const patience = time.Minute

// eventually waits until ok; the test fails after a time that no healthy run needs.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		case <-poll.C:
		}
	}
}
