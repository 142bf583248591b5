package local

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// Note counts something that an operator must know.
func (s *Store) Note(ctx context.Context, building, node record.ID, code string, at time.Time) error {
	_, err := s.exec(ctx, "keep a notice", `INSERT INTO notice (building, node, code, first_at, last_at, count) VALUES (?1, ?2, ?3, ?4, ?4, 1)
		ON CONFLICT (building, node, code) DO UPDATE SET last_at = excluded.last_at, count = count + 1`, building[:], node[:], code, at.UnixMilli())
	return err
}

// Notices lists what happened in a building since a time, the latest first.
func (s *Store) Notices(ctx context.Context, building record.ID, since time.Time) ([]desk.Notice, error) {
	out, err := all(ctx, s.tables.DB(), func(rows *sql.Rows) (desk.Notice, error) {
		var n desk.Notice
		var node []byte
		var first, last int64
		err := rows.Scan(&node, &n.Code, &first, &last, &n.Count)
		copy(n.Node[:], node)
		n.FirstAt, n.LastAt = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		return n, err
	}, `SELECT node, code, first_at, last_at, count FROM notice WHERE building = ? AND last_at >= ? ORDER BY last_at DESC, code`, building[:], since.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("list notices: %w", err)
	}
	return out, nil
}
