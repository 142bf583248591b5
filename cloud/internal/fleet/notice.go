package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/desk"
	"estate/sync/record"
)

// Note counts something that an operator must know.
func (s *Store) Note(ctx context.Context, building, node record.ID, code string) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO notice (building, node, code, first_at, last_at, count) VALUES ($1, $2, $3, $4, $4, 1)
		ON CONFLICT (building, node, code) DO UPDATE SET last_at = excluded.last_at, count = notice.count + 1`, [16]byte(building), [16]byte(node), code, s.now())
	if err != nil {
		return fmt.Errorf("keep a notice: %w", err)
	}
	return nil
}

// Notices lists what happened in a building since a time, the latest first.
func (s *Store) Notices(ctx context.Context, building record.ID, since time.Time) ([]desk.Notice, error) {
	rows, err := s.pool.Query(ctx, `SELECT node, code, first_at, last_at, count FROM notice WHERE building = $1 AND last_at >= $2 ORDER BY last_at DESC, code`,
		[16]byte(building), since)
	if err != nil {
		return nil, fmt.Errorf("list notices: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (n desk.Notice, err error) {
		var node [16]byte
		err = r.Scan(&node, &n.Code, &n.FirstAt, &n.LastAt, &n.Count)
		n.Node, n.FirstAt, n.LastAt = node, n.FirstAt.UTC(), n.LastAt.UTC()
		return n, err
	})
	if err != nil {
		return nil, fmt.Errorf("list notices: %w", err)
	}
	return out, nil
}

// runsKept is how many runs of an edge are remembered: enough for as many copies of one disk
// as anybody makes.
const runsKept = 16

// Run notes that a run of an edge spoke. It reports whether a later run had begun already:
// then two programs use the edge's key.
func (s *Store) Run(ctx context.Context, node, generation record.ID) (cloned bool, err error) {
	if latest, err := s.runs.Ask(ctx, run{node, generation}); err != nil || latest {
		return false, err // as nearly always: an edge comes back more often than it starts
	}
	err = s.pool.QueryRow(ctx, `WITH r AS (INSERT INTO edge_run (node, generation, first_at) VALUES ($1, $2, clock_timestamp())
			ON CONFLICT (node, generation) DO UPDATE SET first_at = edge_run.first_at RETURNING first_at),
		gone AS (DELETE FROM edge_run WHERE node = $1 AND first_at < (SELECT first_at FROM edge_run WHERE node = $1 ORDER BY first_at DESC OFFSET $3 LIMIT 1))
		SELECT EXISTS (SELECT FROM edge_run o, r WHERE o.node = $1 AND o.first_at > r.first_at)`, [16]byte(node), [16]byte(generation), runsKept).Scan(&cloned)
	if err != nil {
		return false, fmt.Errorf("note an edge's run: %w", err)
	}
	return cloned, nil
}
