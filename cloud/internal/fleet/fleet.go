// Package fleet keeps the edges that may replicate with the cloud: their one-time codes,
// their keys, what they last reported, and who was revoked.
//
// It must never forget a node: a revoked edge's cards are still genuine.
package fleet

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/auth"
	"estate/internal/groupcommit"
	"estate/internal/problem"
	"estate/sync/record"
)

// Edge is one enrolled box.
type Edge struct {
	Node       record.ID
	Building   record.ID
	Public     ed25519.PublicKey
	EnrolledAt time.Time
	RevokedAt  *time.Time
	LastSeenAt *time.Time
	State      State
	// Held is up to where the cloud holds the chain that the edge last reported as its own.
	Held uint64
}

// Store keeps edges in PostgreSQL. It implements auth.EnrolStore and auth.Revocations and
// is safe for concurrent use by many processes.
type Store struct {
	pool *pgxpool.Pool
	now  func() time.Time
	// edges and runs are asked together: a fleet that comes back asks thousands of times at
	// once, and each of them waits for a connection of the pool.
	edges *groupcommit.Gatherer[record.ID, *Edge]
	runs  *groupcommit.Gatherer[run, bool]
}

// New returns a store on a pool whose database is migrated.
func New(pool *pgxpool.Pool, now func() time.Time) *Store {
	s := &Store{pool: pool, now: now}
	s.edges = groupcommit.NewGatherer(gatherMax, s.edgesOf)
	s.runs = groupcommit.NewGatherer(gatherMax, s.latest)
	return s
}

// CreateEnrolment implements auth.EnrolStore.
func (s *Store) CreateEnrolment(ctx context.Context, e auth.Enrolment) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO enrolment (hash, building, created_by, created_at, expires_at) VALUES ($1,$2,$3,$4,$5)`,
		e.Hash[:], [16]byte(e.Building), [16]byte(e.By), e.CreatedAt, e.ExpiresAt)
	if err != nil {
		return fmt.Errorf("create enrolment: %w", err)
	}
	return nil
}

// FindEnrolment implements auth.EnrolStore.
func (s *Store) FindEnrolment(ctx context.Context, hash auth.TokenHash) (auth.Enrolment, error) {
	e := auth.Enrolment{Hash: hash}
	var building, by [16]byte
	var used *time.Time
	var usedBy *[16]byte
	err := s.pool.QueryRow(ctx, `SELECT e.building, e.created_by, e.created_at, e.expires_at, e.used_at, e.used_by, n.public_key
		FROM enrolment e LEFT JOIN edge_node n ON n.id = e.used_by WHERE e.hash=$1`, hash[:]).
		Scan(&building, &by, &e.CreatedAt, &e.ExpiresAt, &used, &usedBy, (*[]byte)(&e.Public))
	if errors.Is(err, pgx.ErrNoRows) {
		return auth.Enrolment{}, auth.ErrNoEnrolment
	}
	if err != nil {
		return auth.Enrolment{}, fmt.Errorf("find enrolment: %w", err)
	}
	e.Building, e.By, e.CreatedAt, e.ExpiresAt = building, by, e.CreatedAt.UTC(), e.ExpiresAt.UTC()
	if used != nil && usedBy != nil {
		e.UsedAt, e.UsedBy = used.UTC(), *usedBy
	}
	return e, nil
}

// UseEnrolment implements auth.EnrolStore.
func (s *Store) UseEnrolment(ctx context.Context, hash auth.TokenHash, node record.ID, public ed25519.PublicKey, at time.Time) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var building [16]byte
		var used *time.Time
		err := tx.QueryRow(ctx, `SELECT building, used_at FROM enrolment WHERE hash=$1 FOR UPDATE`, hash[:]).Scan(&building, &used)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return auth.ErrNoEnrolment
		case err != nil:
			return err
		case used != nil:
			return auth.ErrEnrolmentUsed
		}
		_, err = tx.Exec(ctx, `INSERT INTO edge_node (id, building, public_key, enrolled_at) VALUES ($1,$2,$3,$4)`, [16]byte(node), building, []byte(public), at)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "23505" {
			return auth.ErrNodeExists
		}
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `UPDATE enrolment SET used_at=$2, used_by=$3 WHERE hash=$1`, hash[:], at, [16]byte(node)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `SELECT pg_notify($1, $2)`, channel, payload(Event{Building: building, Node: node}))
		return err
	})
	if err != nil {
		return fmt.Errorf("use enrolment: %w", err)
	}
	return nil
}

// selectEdges joins the chain that the edge reported as its own.
const selectEdges = `SELECT e.id, e.building, e.public_key, e.enrolled_at, e.revoked_at, e.last_seen_at, e.state, coalesce(c.held, 0)
	FROM edge_node e LEFT JOIN chain c ON c.building = e.building AND c.replica = (e.state->>'replica')::uuid `

func scanEdge(row pgx.CollectableRow) (Edge, error) {
	var e Edge
	var id, building [16]byte
	var state []byte
	var held int64
	err := row.Scan(&id, &building, (*[]byte)(&e.Public), &e.EnrolledAt, &e.RevokedAt, &e.LastSeenAt, &state, &held)
	if err != nil {
		return e, err
	}
	e.Node, e.Building, e.Held = id, building, uint64(max(held, 0))
	if err := json.Unmarshal(state, &e.State); err != nil {
		return e, fmt.Errorf("read the state of edge %s: %w", e.Node, err)
	}
	return e, nil
}

// Edge returns one edge. It returns problem node_unknown.
func (s *Store) Edge(ctx context.Context, node record.ID) (Edge, error) {
	e, err := s.edges.Ask(ctx, node)
	if err != nil {
		return Edge{}, fmt.Errorf("read edge: %w", err)
	}
	if e == nil {
		return Edge{}, problem.New(problem.NodeUnknown, "")
	}
	return *e, nil
}

// List returns the edges of one building, or all for the zero building, the newest first.
func (s *Store) List(ctx context.Context, building record.ID) ([]Edge, error) {
	rows, err := s.pool.Query(ctx, selectEdges+`WHERE e.building=$1 OR $2 ORDER BY e.enrolled_at DESC LIMIT 1000`, [16]byte(building), building.IsZero())
	if err != nil {
		return nil, fmt.Errorf("list edges: %w", err)
	}
	return pgx.CollectRows(rows, scanEdge)
}

// Revoke ends an edge's right to replicate. A second call changes nothing.
func (s *Store) Revoke(ctx context.Context, node record.ID) error {
	found, err := s.update(ctx, verbRevoke, `revoked_at=coalesce(revoked_at, $2) WHERE id=$1`, [16]byte(node), s.now())
	if err != nil {
		return fmt.Errorf("revoke edge: %w", err)
	}
	if !found {
		return problem.New(problem.NodeUnknown, "")
	}
	return nil
}

// Revoked implements auth.Revocations.
func (s *Store) Revoked(ctx context.Context, node record.ID) (bool, error) {
	e, err := s.Edge(ctx, node)
	if err != nil {
		return false, err
	}
	return e.RevokedAt != nil, nil
}

// Genuine reports whether a node was ever enrolled for a building, revoked or not.
func (s *Store) Genuine(ctx context.Context, building, node record.ID) (bool, error) {
	e, err := s.Edge(ctx, node)
	if problem.HasCode(err, problem.NodeUnknown) {
		return false, nil
	}
	return err == nil && e.Building == building, err
}
