package local

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"estate/internal/media"
	"estate/sync/record"
)

// Direction says which way blobs move.
type Direction string

// The directions: to the cloud, and from it.
const (
	Up   Direction = "up"
	Down Direction = "down"
)

// Queue is the media.Queue of one direction.
type Queue struct {
	store     *Store
	direction Direction
}

var _ media.Queue = (*Queue)(nil)

// Blobs is the queue of one direction.
func (s *Store) Blobs(d Direction) *Queue { return &Queue{store: s, direction: d} }

// Mark is up to which position a building's feed was searched for blobs.
func (s *Store) Mark(ctx context.Context, building record.ID) (uint64, error) {
	var position int64
	err := s.tables.DB().QueryRowContext(ctx, `SELECT position FROM blob_scan WHERE building = ?`, building[:]).Scan(&position)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read blob mark: %w", err)
	}
	return uint64(position), nil
}

// Wanted is one blob that is to move.
type Wanted struct {
	Direction Direction
	Item      media.Item
}

// Queue adds blobs. One that waits already stays as it is.
func (s *Store) Queue(ctx context.Context, wanted []Wanted) error {
	if err := s.tables.Local(ctx, func(tx *sql.Tx) error { return queue(ctx, tx, wanted) }); err != nil {
		return fmt.Errorf("queue blobs: %w", err)
	}
	return nil
}

func queue(ctx context.Context, tx *sql.Tx, wanted []Wanted) error {
	for _, w := range wanted {
		meta, err := json.Marshal(w.Item.Metadata)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO blob_queue (direction, hash, bytes, thumb, added_at, metadata) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (direction, hash) DO NOTHING`, w.Direction, w.Item.Hash[:], claimed(w.Item.Bytes), w.Item.Thumb, milli(w.Item.Added), string(meta))
		if err != nil {
			return err
		}
	}
	return nil
}

// claimed is a size that a record claims, within what a file can have: zero for not known.
func claimed(size int64) int64 { return min(max(size, 0), media.BytesMaxDefault) }

// Want queues blobs and notes up to where the feed was searched, together.
func (s *Store) Want(ctx context.Context, building record.ID, mark uint64, wanted []Wanted) error {
	err := s.tables.Local(ctx, func(tx *sql.Tx) error {
		if err := queue(ctx, tx, wanted); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO blob_scan (building, position) VALUES (?, ?)
			ON CONFLICT (building) DO UPDATE SET position = excluded.position`,
			building[:], int64(mark))
		return err
	})
	if err != nil {
		return fmt.Errorf("queue blobs: %w", err)
	}
	return nil
}

// Next implements media.Queue.
func (q *Queue) Next(ctx context.Context, now time.Time) (media.Item, bool, error) {
	found, err := all(ctx, q.store.tables.DB(), scanItem, `SELECT hash, bytes, thumb, added_at, metadata, attempts, resume FROM blob_queue
		WHERE direction = ? AND retry_at <= ? ORDER BY thumb DESC, attempts > 0, added_at, hash LIMIT 1`, q.direction, milli(now))
	if err != nil {
		return media.Item{}, false, fmt.Errorf("next blob: %w", err)
	}
	if len(found) == 0 {
		return media.Item{}, false, nil
	}
	return found[0], true, nil
}

func scanItem(rows *sql.Rows) (media.Item, error) {
	var i media.Item
	var hash []byte
	var added int64
	var meta string
	if err := rows.Scan(&hash, &i.Bytes, &i.Thumb, &added, &meta, &i.Attempts, &i.Resume); err != nil {
		return i, err
	}
	if copy(i.Hash[:], hash) != len(hash) {
		return i, fmt.Errorf("a hash of %d bytes", len(hash))
	}
	i.ID, i.Added = hex.EncodeToString(hash), fromMilli(added)
	return i, json.Unmarshal([]byte(meta), &i.Metadata)
}

// Started implements media.Queue.
func (q *Queue) Started(ctx context.Context, item media.Item, resume string) error {
	_, err := q.store.exec(ctx, "note where a blob can be resumed", `UPDATE blob_queue SET resume = ? WHERE direction = ? AND hash = ?`, resume, q.direction, item.Hash[:])
	return err
}

// Done implements media.Queue.
func (q *Queue) Done(ctx context.Context, item media.Item) error {
	_, err := q.store.exec(ctx, "forget a moved blob", `DELETE FROM blob_queue WHERE direction = ? AND hash = ?`, q.direction, item.Hash[:])
	return err
}

// Failed implements media.Queue.
func (q *Queue) Failed(ctx context.Context, item media.Item, code string, retryAt time.Time) error {
	_, err := q.store.exec(ctx, "note a failed blob", `UPDATE blob_queue SET attempts = attempts + 1, code = ?, retry_at = ? WHERE direction = ? AND hash = ?`,
		code, milli(retryAt), q.direction, item.Hash[:])
	return err
}

// Status implements media.Queue.
func (q *Queue) Status(ctx context.Context, now time.Time) (media.Status, error) {
	var st media.Status
	var oldest, next sql.NullInt64
	err := q.store.tables.DB().QueryRowContext(ctx, `SELECT count(*), coalesce(sum(bytes), 0), min(added_at), min(retry_at) FROM blob_queue WHERE direction = ?`, q.direction).
		Scan(&st.Items, &st.Bytes, &oldest, &next)
	if err != nil {
		return st, fmt.Errorf("count waiting blobs: %w", err)
	}
	st.Oldest = fromMilli(oldest.Int64)
	if st.Items > 0 {
		st.NextAt = fromMilli(max(next.Int64, milli(now)))
	}
	return st, nil
}
