// Package authtest holds what tests of sign-in and enrolment share: stores in memory and the
// conformance suites that say what every store must do. It must never be linked into what
// ships.
package authtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"estate/internal/auth"
	"estate/sync/record"
)

// Sessions is a session store in memory.
type Sessions struct {
	mu   sync.Mutex
	rows map[auth.TokenHash]auth.Session
}

// NewSessions makes an empty store.
func NewSessions() *Sessions { return &Sessions{rows: make(map[auth.TokenHash]auth.Session)} }

// CreateSession implements auth.SessionStore.
func (s *Sessions) CreateSession(ctx context.Context, row auth.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, held := s.rows[row.Hash]; held {
		return errors.New("authtest: session exists")
	}
	s.rows[row.Hash] = row
	return nil
}

// FindByHash implements auth.SessionStore.
func (s *Sessions) FindByHash(ctx context.Context, hash auth.TokenHash) (auth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return auth.Session{}, err
	}
	row, held := s.rows[hash]
	if !held {
		return auth.Session{}, auth.ErrNoSession
	}
	return row, nil
}

// Rotate implements auth.SessionStore.
func (s *Sessions) Rotate(ctx context.Context, old auth.TokenHash, next auth.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	row, held := s.rows[old]
	switch {
	case !held:
		return auth.ErrNoSession
	case !row.RevokedAt.IsZero():
		return auth.ErrRevoked
	case !row.RotatedAt.IsZero():
		return auth.ErrRotated
	}
	row.RotatedAt, row.Successor = next.CreatedAt, next.Hash
	s.rows[old], s.rows[next.Hash] = row, next
	return nil
}

// RevokeFamily implements auth.SessionStore.
func (s *Sessions) RevokeFamily(ctx context.Context, family record.ID, at time.Time) error {
	return s.revoke(ctx, at, func(row auth.Session) bool { return row.Family == family })
}

// RevokePerson implements auth.SessionStore.
func (s *Sessions) RevokePerson(ctx context.Context, person record.ID, at time.Time) error {
	return s.revoke(ctx, at, func(row auth.Session) bool { return row.Person == person })
}

func (s *Sessions) revoke(ctx context.Context, at time.Time, match func(auth.Session) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for hash, row := range s.rows {
		if match(row) && row.RevokedAt.IsZero() {
			row.RevokedAt = at
			s.rows[hash] = row
		}
	}
	return nil
}

// DeleteExpired implements auth.SessionStore.
func (s *Sessions) DeleteExpired(ctx context.Context, before time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	for hash, row := range s.rows {
		if row.ExpiresAt.Before(before) {
			delete(s.rows, hash)
			n++
		}
	}
	return n, nil
}

// FamilyLive implements auth.Liveness.
func (s *Sessions) FamilyLive(ctx context.Context, family record.ID) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	for _, row := range s.rows {
		if row.Family == family && row.RevokedAt.IsZero() {
			return true, nil
		}
	}
	return false, nil
}

// Rows gives all rows, oldest first, to look for what must not be stored.
func (s *Sessions) Rows() []auth.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]auth.Session, 0, len(s.rows))
	for _, row := range s.rows {
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b auth.Session) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return out
}
