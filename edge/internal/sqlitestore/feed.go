package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"estate/sync/record"
	"estate/sync/replica"
)

// The two halves of a feed, each in the order of its index of positions. SQLite searches by
// the first of two lower bounds, so the caller's comes first: by the other, which only makes
// the partial index fit, each page would walk all events before it. The plus hides a parameter
// from the planner: it would look whether its value makes the index fit, and so plan the
// statement anew for each page.
const (
	selectFeedEvents = `SELECT position, n, replica, hash, body, details FROM event
		WHERE building = ?1 AND position > +?2 AND position > 0 ORDER BY position LIMIT ?3`
	selectFeedRecords = `SELECT position, kind, id, body FROM record WHERE building = ?1 AND position > ?2 ORDER BY position LIMIT ?3`
	// feedChunk is how many events of a page share an allocation.
	feedChunk = 64
	// itemBytesUsual is what an event or record takes of a page, so that its list grows little.
	itemBytesUsual = 1 << 10
)

// Feed implements replica.Store.
func (s *Store) Feed(ctx context.Context, building record.ID, after uint64, limit, bytesMax int) (page replica.FeedPage, err error) {
	err = s.snapshot(ctx, "read feed", func(c *conn) error {
		page, err = c.feed(building, after, limit, bytesMax)
		return err
	})
	return page, err
}

func (c *conn) feed(building record.ID, after uint64, limit, bytesMax int) (replica.FeedPage, error) {
	state, err := c.state(building)
	page := replica.FeedPage{End: state.Position, State: state}
	if err != nil || after >= state.Position {
		return page, err
	}
	limit = max(limit, 1)
	args := []any{building[:], int64(after), int64(limit)}
	err = c.walk(args, func(halves []*walk) error {
		page.Items, err = mergeFeed(building, halves[0], halves[1], limit, bytesMax)
		return err
	}, selectFeedEvents, selectFeedRecords)
	return page, err
}

// mergeFeed takes from the half that is behind, and so reads no more than the page holds.
func mergeFeed(building record.ID, events, records *walk, limit, bytesMax int) (items []replica.FeedItem, err error) {
	items = make([]replica.FeedItem, 0, min(limit, bytesMax/itemBytesUsual))
	var chunk []replica.EventRow
	for size := 0; len(items) < limit && (len(items) == 0 || size < bytesMax); {
		var item replica.FeedItem
		half := events
		switch {
		case records.row != nil && (events.row == nil || number(records.row[0]) < number(events.row[0])):
			half = records
			item.Key = record.Key{Building: building, Kind: text(records.row[1])}
			copy(item.Key.ID[:], blob(records.row[2]))
			item.Body = blob(records.row[3])
			size += len(item.Body)
		case events.row != nil:
			if len(chunk) == cap(chunk) {
				chunk = make([]replica.EventRow, 0, feedChunk)
			}
			chunk = append(chunk, eventOf(events.row))
			item.Event = &chunk[len(chunk)-1]
			size += len(item.Event.Body) + len(item.Event.Details)
		default:
			return items, nil
		}
		item.Position = number(half.row[0])
		items = append(items, item)
		if err := half.next(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func eventOf(row []driver.Value) replica.EventRow {
	e := replica.EventRow{Position: number(row[0]), N: number(row[1]), Body: blob(row[4]), Details: blob(row[5])}
	copy(e.Replica[:], blob(row[2]))
	copy(e.Hash[:], blob(row[3]))
	return e
}

// Chains implements replica.Store, ordered by replica.
func (s *Store) Chains(ctx context.Context, building record.ID) (chains []replica.Chain, err error) {
	err = s.snapshot(ctx, "list chains", func(c *conn) error {
		return c.each(selectChains, []any{building[:]}, func(rows *sql.Rows) (bool, error) {
			chain, err := scanChain(rows)
			chains = append(chains, chain)
			return true, err
		})
	})
	return chains, err
}

// Events implements replica.Store.
func (s *Store) Events(ctx context.Context, building record.ID, id record.ReplicaID, from, to uint64, limit int) (events []replica.EventRow, err error) {
	// The column is signed; no chain comes near its end.
	const last = 1<<63 - 1
	err = s.snapshot(ctx, "read events", func(c *conn) error {
		events, err = c.events(selectEvents, building[:], id[:], int64(min(from, last)), int64(min(to, last)), max(limit, 0))
		return err
	})
	return events, err
}

// Branches implements replica.Store.
func (s *Store) Branches(ctx context.Context, building record.ID, after replica.EventRow, limit int) (events []replica.EventRow, err error) {
	err = s.snapshot(ctx, "read branches", func(c *conn) error {
		events, err = c.events(selectBranches, building[:], after.Replica[:], bits(after.N), after.Hash[:], max(limit, 0))
		return err
	})
	return events, err
}

// Buildings implements replica.Store, ordered by id.
func (s *Store) Buildings(ctx context.Context) (ids []record.ID, err error) {
	err = s.snapshot(ctx, "list buildings", func(c *conn) error {
		return c.each(selectBuildings, nil, func(rows *sql.Rows) (bool, error) {
			var b sql.RawBytes
			var id record.ID
			err := rows.Scan(&b)
			copy(id[:], b)
			ids = append(ids, id)
			return true, err
		})
	})
	return ids, err
}

func (c *conn) events(text string, args ...any) (events []replica.EventRow, err error) {
	err = c.each(text, args, func(rows *sql.Rows) (bool, error) {
		var id, hash sql.RawBytes
		var n, position int64
		var e replica.EventRow
		err := rows.Scan(&id, &n, &hash, &e.Body, &e.Details, &position)
		copy(e.Replica[:], id)
		copy(e.Hash[:], hash)
		e.N, e.Position = uint64(n), uint64(position)
		events = append(events, e)
		return true, err
	})
	return events, err
}

func scanChain(rows *sql.Rows) (replica.Chain, error) {
	var id, card, hash, signed, receipt, proof sql.RawBytes
	var held, receipted, fork, cut int64
	if err := rows.Scan(&id, &card, &held, &hash, &signed, &receipted, &receipt, &fork, &cut, &proof); err != nil {
		return replica.Chain{}, fmt.Errorf("scan: %w", err)
	}
	c := replica.Chain{Held: uint64(held), Receipted: uint64(receipted), Fork: uint64(fork), Cut: uint64(cut)}
	copy(c.Replica[:], id)
	copy(c.Hash[:], hash)
	if len(card) > 0 {
		c.Card = &record.Card{}
		if err := record.Unmarshal(card, c.Card); err != nil {
			return c, fmt.Errorf("%w: card of %s: %w", replica.ErrCorrupt, c.Replica, err)
		}
	}
	if len(signed) > 0 {
		c.Signed = &record.Head{}
		if err := record.Unmarshal(signed, c.Signed); err != nil {
			return c, fmt.Errorf("%w: head of %s: %w", replica.ErrCorrupt, c.Replica, err)
		}
	}
	if err := c.DecodeProofs(proof); err != nil {
		return c, fmt.Errorf("%w: proof of %s: %w", replica.ErrCorrupt, c.Replica, err)
	}
	if len(receipt) > 0 {
		c.Receipt = &record.Receipt{}
		if err := record.Unmarshal(receipt, c.Receipt); err != nil {
			return c, fmt.Errorf("%w: receipt for %s: %w", replica.ErrCorrupt, c.Replica, err)
		}
	}
	return c, nil
}
