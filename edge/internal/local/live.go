package local

import (
	"sync"

	"estate/sync/record"
)

// liveMax bounds the sessions that are remembered, at about 50 bytes each: far more than a
// building has people at once. With more, some requests look theirs up.
const liveMax = 8192

// live remembers which families of sessions were found alive, for each request asks. All
// that changes sessions forgets everything before it is acknowledged, and what a look-up
// finds that began before that is not kept: so a session that was ended has ended for the
// next request. Only this process writes the table.
type live struct {
	mu       sync.RWMutex
	changes  uint64
	families map[record.ID]struct{}
}

// find reports whether a family is known to be alive, and what a look-up is of.
func (l *live) find(family record.ID) (known bool, changes uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, known = l.families[family]
	return known, l.changes
}

// keep takes what a look-up found alive that began when so many changes had been made.
func (l *live) keep(changes uint64, family record.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes != changes {
		return
	}
	if l.families == nil || len(l.families) >= liveMax {
		l.families = map[record.ID]struct{}{}
	}
	l.families[family] = struct{}{}
}

// forget comes after every change, whether it succeeded or not.
func (l *live) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
	l.families = nil
}
