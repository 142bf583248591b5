package ingest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/internal/rules"
)

// store is a Sink that keeps everything in memory and outlives the Ingest, as a database
// outlives the process.
type store struct {
	mu        sync.Mutex
	adopted   map[string]bool
	rows      []decode.Observation
	ids       map[[16]byte]bool
	states    map[[2]string]rules.Saved
	announced []decode.Message
	open      map[string]rules.Alarm
	raised    []rules.Alarm // those of repeated calls once, updates included
	cleared   []rules.Alarm
	batches   int
	broken    error         // every Observe fails with it
	poison    string        // Observe refuses batches that hold this hardware
	observed  chan struct{} // gets a token per Observe call, failed or not
}

func newStore(adopted ...string) *store {
	s := &store{adopted: map[string]bool{}, ids: map[[16]byte]bool{}, states: map[[2]string]rules.Saved{},
		open: map[string]rules.Alarm{}, observed: make(chan struct{}, 1000)}
	for _, a := range adopted {
		s.adopted[a] = true
	}
	return s
}

func (s *store) Restore(context.Context) (ingest.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := ingest.Snapshot{Announced: s.announced}
	for _, v := range s.states {
		snap.States = append(snap.States, v)
	}
	for _, a := range s.open {
		snap.Open = append(snap.Open, a)
	}
	return snap, nil
}

func (s *store) Known(hardware string) (ingest.Place, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ingest.Place{}, s.adopted[hardware]
}

func (s *store) OutOfService(hardware string) bool {
	_, known := s.Known(hardware)
	return !known
}

func (s *store) Save(_ context.Context, states []rules.Saved, announced []decode.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range states {
		s.states[[2]string{v.Rule, v.Device}] = v
	}
	s.announced = append(s.announced, announced...)
	return nil
}

func (s *store) Observe(_ context.Context, list []decode.Observation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.observed <- struct{}{}:
	default:
	}
	if s.broken != nil {
		return s.broken
	}
	for _, o := range list {
		if s.poison != "" && o.Hardware == s.poison {
			return errors.Join(errors.New("row refused"), ingest.ErrRefused)
		}
	}
	s.batches++
	for _, o := range list {
		if !s.ids[o.ID()] {
			s.ids[o.ID()] = true
			s.rows = append(s.rows, o)
		}
	}
	return nil
}

func (s *store) RaiseAlarm(_ context.Context, a rules.Alarm) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.open[a.Device+"|"+a.Cause]; !ok || !was.Since.Equal(a.Since) || was.Flapping != a.Flapping {
		s.raised = append(s.raised, a)
	}
	s.open[a.Device+"|"+a.Cause] = a
	return nil
}

func (s *store) ClearAlarm(_ context.Context, a rules.Alarm) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleared = append(s.cleared, a)
	delete(s.open, a.Device+"|"+a.Cause)
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
