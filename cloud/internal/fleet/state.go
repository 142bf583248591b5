package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"estate/sync/record"
)

// State is what the cloud's processes know of an edge, and what it last reported.
type State struct {
	// Report is the edge's own words; empty before the first.
	Report     json.RawMessage `json:"report,omitempty"`
	ReportedAt *time.Time      `json:"reported_at,omitempty"`
	// Replica is the chain that the report says is the edge's own.
	Replica record.ID `json:"replica,omitempty,omitzero"`
	Line    *Line     `json:"line,omitempty"`
}

// Line says which process holds the edge's WebSocket, until when that counts if nobody
// renews it, or when it was closed.
type Line struct {
	Process  record.ID  `json:"process"`
	Until    time.Time  `json:"until"`
	ClosedAt *time.Time `json:"closed_at,omitempty"`
}

// update changes edges and tells all processes in the same transaction. It reports whether
// there was one to change. The edge, or all of them, is $1.
func (s *Store) update(ctx context.Context, verb, set string, args ...any) (found bool, err error) {

	text := fmt.Sprintf(`WITH u AS (UPDATE edge_node SET %s RETURNING id, building),
		told AS (SELECT pg_notify('%s', '%s ' || building || ' ' || id) FROM u) SELECT count(*) > 0 FROM told`, set, channel, verb)
	err = s.pool.QueryRow(ctx, text, args...).Scan(&found)
	return found, err
}

// Seen notes that edges were in touch.
func (s *Store) Seen(ctx context.Context, nodes []record.ID) error {
	if _, err := s.pool.Exec(ctx, `UPDATE edge_node SET last_seen_at=$2 WHERE id = ANY($1)`, raw(nodes), s.now()); err != nil {
		return fmt.Errorf("note edges: %w", err)
	}
	return nil
}

// Report keeps what an edge said of itself, and the replica that it named as its own.
func (s *Store) Report(ctx context.Context, node, replica record.ID, report json.RawMessage) error {
	now := s.now()
	state, err := json.Marshal(State{Report: report, ReportedAt: &now, Replica: replica})
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if _, err := s.update(ctx, verbChange, `last_seen_at=$2, state=state - 'replica' || $3::jsonb WHERE id=$1`, [16]byte(node), now, state); err != nil {
		return fmt.Errorf("keep report: %w", err)
	}
	return nil
}

// Hold notes that a process holds the lines of edges, for a while, and that they are in touch.
func (s *Store) Hold(ctx context.Context, nodes []record.ID, process record.ID, lease time.Duration) error {
	now := s.now()
	state, err := json.Marshal(State{Line: &Line{Process: process, Until: now.Add(lease)}})
	if err != nil {
		return fmt.Errorf("encode line: %w", err)
	}
	if _, err := s.update(ctx, verbChange, `last_seen_at=$3, state=state || $2::jsonb WHERE id = ANY($1)`, raw(nodes), state, now); err != nil {
		return fmt.Errorf("note lines: %w", err)
	}
	return nil
}

// Renew extends the leases of the lines that a process holds still.
func (s *Store) Renew(ctx context.Context, nodes []record.ID, process record.ID, lease time.Duration) error {
	state, err := json.Marshal(State{Line: &Line{Process: process, Until: s.now().Add(lease)}})
	if err != nil {
		return fmt.Errorf("encode lines: %w", err)
	}
	_, err = s.pool.Exec(ctx, `UPDATE edge_node SET state=state || $2::jsonb WHERE id = ANY($1) AND state->'line'->>'process' = $3`, raw(nodes), state, process.String())
	if err != nil {
		return fmt.Errorf("renew lines: %w", err)
	}
	return nil
}

// raw gives ids the form in which they are sent.
func raw(nodes []record.ID) [][16]byte {
	ids := make([][16]byte, len(nodes))
	for i, n := range nodes {
		ids[i] = n
	}
	return ids
}

// Release notes that a process's lines to edges were closed; those that another process
// holds by now stay.
func (s *Store) Release(ctx context.Context, nodes []record.ID, process record.ID) error {
	now := s.now()
	state, err := json.Marshal(State{Line: &Line{Process: process, Until: now, ClosedAt: &now}})
	if err != nil {
		return fmt.Errorf("encode line: %w", err)
	}
	_, err = s.update(ctx, verbChange, `state=state || $2::jsonb WHERE id = ANY($1) AND state->'line'->>'process' = $3`, raw(nodes), state, process.String())
	if err != nil {
		return fmt.Errorf("note closed lines: %w", err)
	}
	return nil
}
