package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"estate/sync/record"
	"estate/sync/replica"
)

// selectFeed is the union of events and records by position. The sum of sizes ends a page
// in the server: what the reader would not take is not sent.
const selectFeed = `SELECT position, n, id, kind, hash, body, details FROM (
	SELECT u.*, sum(size) OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM (
		(SELECT position, n, replica AS id, '' AS kind, hash, body, details, octet_length(body) + coalesce(octet_length(details), 0) AS size
			FROM event WHERE building = $1 AND position > 0 AND position > $2 ORDER BY position LIMIT $3)
		UNION ALL
		(SELECT position, 0, id, kind, NULL, body, NULL, octet_length(body)
			FROM record WHERE building = $1 AND position > 0 AND position > $2 ORDER BY position LIMIT $3)
		ORDER BY position LIMIT $3) u) page
	WHERE before IS NULL OR before < $4 ORDER BY position`

// lastSigned is the end of PostgreSQL's bigint; no position or number comes near it.
const lastSigned = 1<<63 - 1

// Feed implements replica.Store.
func (s *Store) Feed(ctx context.Context, building record.ID, after uint64, limit, bytesMax int) (replica.FeedPage, error) {
	page := replica.FeedPage{State: replica.State{Building: building}}
	if s.marks.reached(building, after) {
		// Most who read again were woken by what they wrote themselves: the end alone says so.
		have, err := s.readState(ctx, building)
		if page.End, page.State = have.Position, have; err != nil || page.End <= after {
			return page, err
		}
		page.State = replica.State{Building: building}
	}
	b := &pgx.Batch{}
	queueState(b, building, &page.State)
	query(b, func(rows pgx.Rows) error {
		item, err := scanItem(rows, building)
		page.Items = append(page.Items, item)
		return err
	}, selectFeed, [16]byte(building), bits(min(after, lastSigned)), max(limit, 1), max(bytesMax, 0))
	err := s.snapshot(ctx, "read feed", b)
	page.End = page.State.Position
	return page, err
}

func scanItem(rows pgx.Rows, building record.ID) (replica.FeedItem, error) {
	var item replica.FeedItem
	var id record.ID
	var n uint64
	var kind string
	var hash, body, details []byte
	err := rows.Scan((*int64bits)(&item.Position), (*int64bits)(&n), (*[16]byte)(&id), &kind, &hash, &body, &details)
	if n == 0 {
		item.Key, item.Body = record.Key{Building: building, Kind: kind, ID: id}, body
	} else {
		item.Event = &replica.EventRow{Replica: id, N: n, Hash: toHash(hash), Body: body, Details: details, Position: item.Position}
	}
	return item, err
}

// Chains implements replica.Store, ordered by replica.
func (s *Store) Chains(ctx context.Context, building record.ID) (chains []replica.Chain, err error) {
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		c, err := scanChain(rows)
		chains = append(chains, c)
		return err
	}, selectChains, [16]byte(building))
	return chains, s.snapshot(ctx, "list chains", b)
}

// Events implements replica.Store.
func (s *Store) Events(ctx context.Context, building record.ID, id record.ReplicaID, from, to uint64, limit int) ([]replica.EventRow, error) {
	return s.events(ctx, "read events", selectEvents, [16]byte(building), [16]byte(id), bits(min(from, lastSigned)), bits(min(to, lastSigned)), max(limit, 0))
}

// Branches implements replica.Store.
func (s *Store) Branches(ctx context.Context, building record.ID, after replica.EventRow, limit int) ([]replica.EventRow, error) {
	return s.events(ctx, "read branches", selectBranches, [16]byte(building), [16]byte(after.Replica), bits(after.N), after.Hash[:], max(limit, 0))
}

func (s *Store) events(ctx context.Context, what, text string, args ...any) (events []replica.EventRow, err error) {
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		e, err := scanEvent(rows)
		events = append(events, e)
		return err
	}, text, args...)
	return events, s.snapshot(ctx, what, b)
}

// Buildings implements replica.Store, ordered by id.
func (s *Store) Buildings(ctx context.Context) (ids []record.ID, err error) {
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		var id record.ID
		err := rows.Scan((*[16]byte)(&id))
		ids = append(ids, id)
		return err
	}, selectBuildings)
	return ids, s.snapshot(ctx, "list buildings", b)
}

func (s *Store) readState(ctx context.Context, building record.ID) (replica.State, error) {
	state := replica.State{Building: building}
	b := &pgx.Batch{}
	queueState(b, building, &state)
	return state, s.snapshot(ctx, "read state", b)
}
