// Package watch is who waits for a building's feed to move: the part of a store's Watch
// that every engine shares.
//
// It starts no goroutine and never blocks the one who wakes. It must never carry data:
// a watcher that wakes reads the feed.
package watch

import (
	"sync"

	"estate/sync/record"
)

// Set is a set of watchers. The zero value is ready; it is safe for concurrent use.
type Set struct {
	mu   sync.Mutex
	next uint64
	// watchers by building: a cloud wakes one of thousands with each commit. Those of all
	// buildings stand under zero.
	watchers map[record.ID]map[uint64]chan struct{}
}

// Add starts watching a building; a zero building watches all. The channel holds one
// pending wake-up; stop ends the watch and may be called more than once.
func (s *Set) Add(building record.ID) (moved <-chan struct{}, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[record.ID]map[uint64]chan struct{}{}
	}
	if s.watchers[building] == nil {
		s.watchers[building] = map[uint64]chan struct{}{}
	}
	s.next++
	number, own := s.next, make(chan struct{}, 1)
	s.watchers[building][number] = own
	return own, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers[building], number)
		if len(s.watchers[building]) == 0 {
			delete(s.watchers, building)
		}
	}
}

// Wake tells those who watch the building; a zero building tells everybody.
func (s *Set) Wake(building record.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if building.IsZero() {
		for _, some := range s.watchers {
			wake(some)
		}
		return
	}
	wake(s.watchers[building])
	wake(s.watchers[record.ID{}])
}

// Watched lists the buildings that are watched; all is whether somebody watches all.
func (s *Set) Watched() (some []record.ID, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for building := range s.watchers {
		if building.IsZero() {
			all = true
			continue
		}
		some = append(some, building)
	}
	return some, all
}

func wake(some map[uint64]chan struct{}) {
	for _, moved := range some {
		select {
		case moved <- struct{}{}:
		default: // a wake-up is pending already
		}
	}
}
