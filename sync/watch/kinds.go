package watch

import (
	"sync"

	"estate/sync/record"
)

// Kinds is a set of watchers of some kinds of a building's records: who waits for a device
// need not wake for each ticket. The zero value is ready; it is safe for concurrent use.
type Kinds struct {
	mu       sync.Mutex
	next     uint64
	watchers map[kindOf]map[uint64]chan struct{}
}

type kindOf struct {
	building record.ID
	kind     string
}

// Add starts watching records of some kinds. The channel holds one pending wake-up; stop ends
// the watch and may be called more than once.
func (s *Kinds) Add(building record.ID, kinds ...string) (moved <-chan struct{}, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[kindOf]map[uint64]chan struct{}{}
	}
	s.next++
	number, own := s.next, make(chan struct{}, 1)
	for _, kind := range kinds {
		of := kindOf{building, kind}
		if s.watchers[of] == nil {
			s.watchers[of] = map[uint64]chan struct{}{}
		}
		s.watchers[of][number] = own
	}
	return own, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, kind := range kinds {
			of := kindOf{building, kind}
			delete(s.watchers[of], number)
			if len(s.watchers[of]) == 0 {
				delete(s.watchers, of)
			}
		}
	}
}

// Wake tells those who watch a kind of the building.
func (s *Kinds) Wake(building record.ID, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wake(s.watchers[kindOf{building, kind}])
}
