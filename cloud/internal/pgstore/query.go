package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/desk"
	"estate/internal/groupcommit"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// The statements of Queries that do not depend on the table of kinds.
const (
	selectKeys = `SELECT k.building, k.kind, k.id, r.position, r.body FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS k (building, kind, id), LATERAL
		(SELECT position, body FROM record WHERE building = k.building AND kind = k.kind AND id = k.id OFFSET 0) r`
	// Ids stand in an event's bytes as they are.
	mentions = ` FROM event e WHERE e.building = $1 AND e.position > 0 AND e.position < $2
		AND ($3::bytea IS NULL OR position($3 IN e.body) > 0) AND ($4::bytea IS NULL OR position($4 IN e.body) > 0)`
	selectTrail = `SELECT ` + eventColumns + mentions + ` ORDER BY e.position DESC LIMIT $5`
	countTrail  = `SELECT count(*)` + mentions
	countOpen   = `SELECT coalesce(t.priority, ''), count(*), count(*) FILTER (WHERE t.reported_at < l.before) FROM ticket t
		LEFT JOIN unnest($3::text[], $4::bigint[]) AS l (priority, before) ON l.priority = t.priority
		WHERE t.building = $1 AND t.status = ANY ($2) AND NOT coalesce(t.deleted, false) GROUP BY 1`
	selectBehind = `SELECT kind, id, peer, theirs, code, detail, since FROM quarantine WHERE building = $1 ORDER BY since, kind COLLATE "C", id, peer, theirs LIMIT $2`
)

// Queries implements desk.Query over the tables of kinds.
type Queries struct {
	store  *Store
	shapes map[string]shapeText
	leads  groupcommit.Keyed[leadKey, *leadGatherer]
}

var _ desk.Query = (*Queries)(nil)

// NewQueries generates the text of every shape, once.
func NewQueries(s *Store, kinds []schema.Kind) *Queries {
	q := &Queries{store: s, shapes: map[string]shapeText{}}
	q.leads.New = q.newLeads
	table := schema.NewTable(kinds)
	for _, shape := range desk.Shapes() {
		kind, _ := table.Lookup(shape.Kind)
		q.shapes[shape.Name] = newShapeText(shape, kind)
	}
	return q
}

// Select implements desk.Query: rows and total in one snapshot and one round trip.
func (q *Queries) Select(ctx context.Context, s desk.Selection) (desk.Selected, error) {
	var out desk.Selected
	shape, ok := q.shapes[s.Shape]
	if !ok {
		return out, fmt.Errorf("select: no shape %q", s.Shape)
	}
	if q.nothing(ctx, shape, s) {
		return out, nil
	}
	if shape.byLead(s) {
		return q.selectLead(ctx, s)
	}
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		row := desk.Row{Key: record.Key{Building: s.Building, Kind: shape.kind}}
		err := rows.Scan((*[16]byte)(&row.Key.ID), (*int64bits)(&row.Position), &row.Body)
		out.Rows = append(out.Rows, row)
		return err
	}, shape.rows.text, shape.rows.args(s)...)
	if s.Count {
		query(b, func(rows pgx.Rows) error { return rows.Scan(&out.Total) }, shape.count.text, shape.count.args(s)...)
	}
	return out, q.store.snapshot(ctx, "select "+s.Shape, b)
}

// Records implements desk.Query.
func (q *Queries) Records(ctx context.Context, keys []record.Key) ([]desk.Row, error) {
	buildings, kinds, ids := make([]record.ID, len(keys)), make([]string, len(keys)), make([]record.ID, len(keys))
	for i, k := range keys {
		buildings[i], kinds[i], ids[i] = k.Building, k.Kind, k.ID
	}
	var out []desk.Row
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		var row desk.Row
		err := rows.Scan((*[16]byte)(&row.Key.Building), &row.Key.Kind, (*[16]byte)(&row.Key.ID), (*int64bits)(&row.Position), &row.Body)
		out = append(out, row)
		return err
	}, selectKeys, uuids(buildings), kinds, uuids(ids))
	return out, q.store.snapshot(ctx, "read records", b)
}

// Events implements desk.Query.
func (q *Queries) Events(ctx context.Context, s desk.EventSelection) (events []replica.EventRow, total int, err error) {
	before := uint64(lastSigned)
	if s.Before > 0 {
		before = min(before, s.Before)
	}
	if len(s.Mentions) > 2 {
		return nil, 0, fmt.Errorf("list events: %d ids, at most 2", len(s.Mentions))
	}
	of := [16]byte(s.Building)
	var ids [2][]byte
	for i, id := range s.Mentions {
		ids[i] = id[:]
	}
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		e, err := scanEvent(rows)
		events = append(events, e)
		return err
	}, selectTrail, of, bits(before), ids[0], ids[1], s.Limit)
	if s.Count {
		query(b, func(rows pgx.Rows) error { return rows.Scan(&total) }, countTrail, of, bits(lastSigned), ids[0], ids[1])
	}
	return events, total, q.store.snapshot(ctx, "list events", b)
}

// OpenTickets implements desk.Query. The cloud has no index for it as an edge has: nothing there
// asks it at each write, and an index would cost each.
func (q *Queries) OpenTickets(ctx context.Context, building record.ID, before map[string]time.Time) (map[string]desk.Standing, error) {
	out, priorities, limits := map[string]desk.Standing{}, []string{}, []int64{}
	for priority, limit := range before {
		priorities, limits = append(priorities, priority), append(limits, limit.UnixMilli())
	}
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		var priority string
		var n desk.Standing
		err := rows.Scan(&priority, &n.Open, &n.Older)
		out[priority] = n
		return err
	}, countOpen, [16]byte(building), desk.OpenStates(), priorities, limits)
	return out, q.store.snapshot(ctx, "count open tickets", b)
}

// Quarantine implements desk.Query.
func (q *Queries) Quarantine(ctx context.Context, building record.ID, limit int) ([]replica.QuarantineRow, error) {
	var out []replica.QuarantineRow
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		row := replica.QuarantineRow{Key: record.Key{Building: building}}
		err := rows.Scan(&row.Key.Kind, (*[16]byte)(&row.Key.ID), (*[16]byte)(&row.Peer), &row.Theirs, &row.Code, &row.Detail, &row.Since)
		out = append(out, row)
		return err
	}, selectBehind, [16]byte(building), limit)
	return out, q.store.snapshot(ctx, "list quarantine", b)
}
