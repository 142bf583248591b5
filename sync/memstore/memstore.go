// Package memstore keeps buildings in memory: the deterministic twin of the SQLite and
// PostgreSQL stores, for the simulator and for tests.
//
// It starts no goroutine and reads no clock. It must never be linked by what ships: it
// forgets everything when its process ends.
package memstore

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/watch"
)

// Store is an in-memory replica.Store.
type Store struct {
	// FailCommit, where set, is asked before each commit; an error undoes the transaction
	// and is returned inside ErrBusy. Set it before the store is shared.
	FailCommit func(building record.ID) error

	mu        sync.RWMutex
	buildings map[record.ID]*data
	watchers  watch.Set
}

var _ replica.Store = (*Store)(nil)

// New makes an empty store.
func New() *Store { return &Store{buildings: map[record.ID]*data{}} }

// Snapshot is a deep copy: a disk image that can be run on its own, or restored by using
// it in the store's place. Watches and FailCommit are not copied.
func (s *Store) Snapshot() *Store {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := New()
	for id, d := range s.buildings {
		c.buildings[id] = d.clone()
	}
	return c
}

// Update implements replica.Store. A commit here is durable at once.
func (s *Store) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	if err := cancelled(ctx, "update"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, known := s.buildings[building]
	if !known {
		d = newData(building)
	}
	before := d.state.Position
	tx := &transaction{data: d}
	committed := false
	// A panic in fn leaves the store as it was.
	defer func() {
		if !committed {
			tx.rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.broken != nil {
		return tx.broken
	}
	if s.FailCommit != nil {
		if err := s.FailCommit(building); err != nil {
			return fmt.Errorf("%w: commit: %w", replica.ErrBusy, err)
		}
	}
	committed = true
	d.compact()
	if tx.saved {
		s.buildings[building] = d
	}
	if d.state.Position != before {
		s.watchers.Wake(building)
	}
	return nil
}

// Load implements replica.Store.
func (s *Store) Load(ctx context.Context, building record.ID, need replica.Need) (replica.Have, error) {
	if err := cancelled(ctx, "load"); err != nil {
		return replica.Have{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.building(building).load(need)
}

// Chains implements replica.Store, ordered by replica.
func (s *Store) Chains(ctx context.Context, building record.ID) ([]replica.Chain, error) {
	if err := cancelled(ctx, "list chains"); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	chains := slices.Collect(maps.Values(s.building(building).chains))
	slices.SortFunc(chains, func(a, b replica.Chain) int { return a.Replica.Compare(b.Replica) })
	return chains, nil
}

// Events implements replica.Store.
func (s *Store) Events(ctx context.Context, building record.ID, id record.ReplicaID, from, to uint64, limit int) ([]replica.EventRow, error) {
	if err := cancelled(ctx, "read events"); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.building(building).eventsOf(id, from, to, limit), nil
}

// Branches implements replica.Store.
func (s *Store) Branches(ctx context.Context, building record.ID, after replica.EventRow, limit int) ([]replica.EventRow, error) {
	if err := cancelled(ctx, "read branches"); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.building(building).branchesAfter(after, limit), nil
}

// Buildings implements replica.Store, ordered by id.
func (s *Store) Buildings(ctx context.Context) ([]record.ID, error) {
	if err := cancelled(ctx, "list buildings"); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(s.buildings), record.ID.Compare), nil
}

// Watch implements replica.Store.
func (s *Store) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return s.watchers.Add(building)
}

// building returns the building's data, empty where it is not held.
func (s *Store) building(id record.ID) *data {
	if d, ok := s.buildings[id]; ok {
		return d
	}
	return newData(id)
}

func cancelled(ctx context.Context, what string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %s: %w", replica.ErrBusy, what, err)
	}
	return nil
}

// some returns a copy of bytes that hold something, nil otherwise, as an SQL store does.
func some(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}
