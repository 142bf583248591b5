package authtest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"sync"
	"time"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/sync/record"
)

// Enrolments is a store of enrolment codes and nodes in memory.
type Enrolments struct {
	mu      sync.Mutex
	rows    map[auth.TokenHash]auth.Enrolment
	nodes   map[record.ID]ed25519.PublicKey
	revoked map[record.ID]bool
}

// NewEnrolments makes an empty store.
func NewEnrolments() *Enrolments {
	return &Enrolments{rows: make(map[auth.TokenHash]auth.Enrolment),
		nodes: make(map[record.ID]ed25519.PublicKey), revoked: make(map[record.ID]bool)}
}

// CreateEnrolment implements auth.EnrolStore.
func (s *Enrolments) CreateEnrolment(_ context.Context, e auth.Enrolment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, held := s.rows[e.Hash]; held {
		return errors.New("authtest: enrolment exists")
	}
	s.rows[e.Hash] = e
	return nil
}

// FindEnrolment implements auth.EnrolStore.
func (s *Enrolments) FindEnrolment(_ context.Context, hash auth.TokenHash) (auth.Enrolment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, held := s.rows[hash]
	if !held {
		return auth.Enrolment{}, auth.ErrNoEnrolment
	}
	return row, nil
}

// UseEnrolment implements auth.EnrolStore.
func (s *Enrolments) UseEnrolment(_ context.Context, hash auth.TokenHash, node record.ID, public ed25519.PublicKey, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, held := s.rows[hash]
	if !held {
		return auth.ErrNoEnrolment
	}
	if !row.UsedAt.IsZero() {
		return auth.ErrEnrolmentUsed
	}
	if _, enrolled := s.nodes[node]; enrolled {
		return auth.ErrNodeExists
	}
	row.UsedAt, row.UsedBy, row.Public = at, node, slices.Clone(public)
	s.rows[hash], s.nodes[node] = row, row.Public
	return nil
}

// Revoked implements auth.Revocations.
func (s *Enrolments) Revoked(_ context.Context, node record.ID) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, enrolled := s.nodes[node]; !enrolled {
		return false, problem.New(problem.NodeUnknown, "")
	}
	return s.revoked[node], nil
}

// Revoke revokes a node.
func (s *Enrolments) Revoke(node record.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked[node] = true
}
