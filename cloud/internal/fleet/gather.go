package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/sync/record"
)

const (
	// gatherMax bounds how many askers share a statement, and so how long the first waits.
	gatherMax = 256
	// gatherTimeout is for a server that hangs: what is asked together is no caller's alone.
	gatherTimeout = 10 * time.Second
)

// edgesOf reads edges in the order in which they are asked for, nil for one there is not.
func (s *Store) edgesOf(nodes []record.ID) ([]*Edge, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, selectEdges+`WHERE e.id = ANY($1)`, raw(nodes))
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanEdge)
	if err != nil {
		return nil, err
	}
	at := make(map[record.ID]*Edge, len(found))
	for i := range found {
		at[found[i].Node] = &found[i]
	}
	out := make([]*Edge, len(nodes))
	for i, n := range nodes {
		out[i] = at[n]
	}
	return out, nil
}

// run is one start of an edge.
type run struct{ node, generation record.ID }

// latest reports of each run whether it is known as its edge's latest: then there is nothing
// to note of it.
func (s *Store) latest(runs []run) ([]bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
	defer cancel()
	nodes := make([]record.ID, len(runs))
	for i, r := range runs {
		nodes[i] = r.node
	}
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT ON (node) node, generation FROM edge_run WHERE node = ANY($1) ORDER BY node, first_at DESC`, raw(nodes))
	if err != nil {
		return nil, fmt.Errorf("read edges' runs: %w", err)
	}
	known := map[run]bool{}
	var r run
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&r.node), (*[16]byte)(&r.generation)}, func() error {
		known[r] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read edges' runs: %w", err)
	}
	out := make([]bool, len(runs))
	for i, r := range runs {
		out[i] = known[r]
	}
	return out, nil
}
