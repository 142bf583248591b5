package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"estate/internal/desk"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// The statements of Queries that do not depend on the table of kinds.
const (
	// Keys come as a JSON array of [building, kind, id] in hex: one statement reads them all.
	// CROSS JOIN fixes the order: the planner would scan the table for each key otherwise.
	selectKeys = `SELECT r.building, r.kind, r.id, r.position, r.body FROM json_each(?1) k
		CROSS JOIN record r ON r.building = unhex(k.value ->> 0) AND r.kind = k.value ->> 1 AND r.id = unhex(k.value ->> 2)`
	// Ids stand in an event's bytes as they are; only the columns of the index and the body
	// are read to find them.
	mentions     = ` FROM event e WHERE e.building = ?1 AND e.position > 0 AND e.position < ?2 AND (?3 IS NULL OR instr(e.body, ?3) > 0) AND (?4 IS NULL OR instr(e.body, ?4) > 0)`
	selectTrail  = `SELECT ` + eventColumns + mentions + ` ORDER BY e.position DESC LIMIT ?5`
	countTrail   = `SELECT count(*)` + mentions
	selectBehind = `SELECT kind, id, peer, theirs, code, detail, since FROM quarantine WHERE building = ? ORDER BY since, kind, id, peer, theirs LIMIT ?`
)

// Queries implements desk.Query over the tables of kinds.
type Queries struct {
	store  *Store
	shapes map[string]shapeText
}

var _ desk.Query = (*Queries)(nil)

// NewQueries generates the text of every shape, once.
func NewQueries(s *Store, kinds []schema.Kind) *Queries {
	q := &Queries{store: s, shapes: map[string]shapeText{}}
	table := schema.NewTable(kinds)
	for _, shape := range desk.Shapes() {
		kind, _ := table.Lookup(shape.Kind)
		q.shapes[shape.Name] = newShapeText(shape, kind)
	}
	return q
}

// Select implements desk.Query: rows and total in one snapshot.
func (q *Queries) Select(ctx context.Context, s desk.Selection) (out desk.Selected, err error) {
	shape, ok := q.shapes[s.Shape]
	if !ok {
		return out, fmt.Errorf("select: no shape %q", s.Shape)
	}
	if q.nothing(ctx, shape, s) {
		return out, nil
	}
	run, commits := q.store.reading, q.store.hot.count()
	if s.Count {
		run = q.store.snapshot
	}
	err = run(ctx, "select "+s.Shape, func(c *conn) error {
		out = desk.Selected{}
		err := c.walk(shape.rows.args(s), func(rows []*walk) (err error) {
			for w := rows[0]; w.row != nil && err == nil; err = w.next() {
				row := desk.Row{Key: record.Key{Building: s.Building, Kind: shape.kind}, Position: number(w.row[1]), Body: blob(w.row[2])}
				copy(row.Key.ID[:], blob(w.row[0]))
				out.Rows = append(out.Rows, row)
			}
			return err
		}, shape.rows.text)
		if err != nil || !s.Count {
			return err
		}
		out.Total, err = q.total(c, commits, shape, s)
		return err
	})
	return out, err
}

// total counts what a selection selects, and remembers the number of all. commits had been
// counted when the snapshot began.
func (q *Queries) total(c *conn, commits uint64, shape shapeText, s desk.Selection) (total int, err error) {
	text, of := shape.count, kindOf{s.Building, shape.kind}
	if shape.unrestricted(s) {
		if total, known := q.store.hot.total(commits, of); known {
			return total, nil
		}
		text = shape.all
	}
	err = c.one(text.text, text.args(s), func(row []driver.Value) error {
		total = int(number(row[0]))
		return nil
	})
	if err == nil && shape.unrestricted(s) {
		q.store.hot.keepTotal(commits, of, total)
	}
	return total, err
}

// Records implements desk.Query.
func (q *Queries) Records(ctx context.Context, keys []record.Key) (out []desk.Row, err error) {
	list := make([][3]string, len(keys))
	for i, k := range keys {
		list[i] = [3]string{hex.EncodeToString(k.Building[:]), k.Kind, hex.EncodeToString(k.ID[:])}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	err = q.store.snapshot(ctx, "read records", func(c *conn) error {
		out = nil
		return c.each(selectKeys, []any{string(text)}, func(rows *sql.Rows) (bool, error) {
			var row desk.Row
			var building, id sql.RawBytes
			var position int64
			err := rows.Scan(&building, &row.Key.Kind, &id, &position, &row.Body)
			copy(row.Key.Building[:], building)
			copy(row.Key.ID[:], id)
			row.Position = uint64(position)
			out = append(out, row)
			return true, err
		})
	})
	return out, err
}

// Events implements desk.Query.
func (q *Queries) Events(ctx context.Context, s desk.EventSelection) (events []replica.EventRow, total int, err error) {
	const last = 1<<63 - 1
	before := int64(last)
	if s.Before > 0 && s.Before < last {
		before = int64(s.Before)
	}
	args := []any{s.Building[:], before, nil, nil}
	if len(s.Mentions) > 2 {
		return nil, 0, fmt.Errorf("list events: %d ids, at most 2", len(s.Mentions))
	}
	for i, id := range s.Mentions {
		args[2+i] = id[:]
	}
	err = q.store.snapshot(ctx, "list events", func(c *conn) error {
		var err error
		if events, err = c.events(selectTrail, append(args, s.Limit)...); err != nil || !s.Count {
			return err
		}
		all := append([]any{args[0], int64(last)}, args[2:]...)
		return c.each(countTrail, all, func(rows *sql.Rows) (bool, error) { return true, rows.Scan(&total) })
	})
	return events, total, err
}

// Quarantine implements desk.Query.
func (q *Queries) Quarantine(ctx context.Context, building record.ID, limit int) (out []replica.QuarantineRow, err error) {
	err = q.store.snapshot(ctx, "list quarantine", func(c *conn) error {
		out = nil
		return c.each(selectBehind, []any{building[:], limit}, func(rows *sql.Rows) (bool, error) {
			row := replica.QuarantineRow{Key: record.Key{Building: building}}
			var id, peer sql.RawBytes
			err := rows.Scan(&row.Key.Kind, &id, &peer, &row.Theirs, &row.Code, &row.Detail, &row.Since)
			copy(row.Key.ID[:], id)
			copy(row.Peer[:], peer)
			out = append(out, row)
			return true, err
		})
	})
	return out, err
}
