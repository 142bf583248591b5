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
	mu       sync.Mutex
	next     uint64
	watchers map[uint64]watcher
}

type watcher struct {
	building record.ID
	moved    chan struct{}
}

// Add starts watching a building; a zero building watches all. The channel holds one
// pending wake-up; stop ends the watch and may be called more than once.
func (s *Set) Add(building record.ID) (moved <-chan struct{}, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[uint64]watcher{}
	}
	s.next++
	number, w := s.next, watcher{building: building, moved: make(chan struct{}, 1)}
	s.watchers[number] = w
	return w.moved, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, number)
	}
}

// Wake tells those who watch the building; a zero building tells everybody.
func (s *Set) Wake(building record.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watchers {
		if building.IsZero() || w.building.IsZero() || w.building == building {
			select {
			case w.moved <- struct{}{}:
			default: // a wake-up is pending already
			}
		}
	}
}
