package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/desk"
	"estate/internal/projection"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

const (
	// projectChunk is how many records one transaction projects again: the building is
	// locked for writers meanwhile.
	projectChunk = 500
	// projectLock is the advisory lock under which one process shapes the tables of kinds.
	projectLock = 0x65737461746501
)

const (
	selectFingerprint = `SELECT coalesce(max(fingerprint), '') FROM projection WHERE kind = $1`
	upsertFingerprint = `INSERT INTO projection (kind, fingerprint) VALUES ($1, $2) ON CONFLICT (kind) DO UPDATE SET fingerprint = excluded.fingerprint`
	selectColumns     = `SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1`
	selectChunk       = `SELECT id, position, body FROM record WHERE building = $1 AND kind = $2 AND id > $3 ORDER BY id LIMIT $4`
	lockBuilding      = `SELECT 1 FROM building_state WHERE building = $1 FOR UPDATE`
)

// upsertsMax bounds the forms of one kind's upsert: a connection keeps each prepared.
const upsertsMax = 16

// tableText is one kind's table with its statements.
type tableText struct {
	projection.Table
	upserts *upserts
	copy    string
	remove  string
	probed  int // the column whose values a probe knows, -1 for none
}

// hashed marks a fingerprint of tables whose probed column has an index of hashes.
const hashed = " hashed"

// fingerprint is what the table was last made from, the form of its indexes included.
func (t tableText) fingerprint() string {
	if t.probed < 0 {
		return t.Fingerprint
	}
	return t.Fingerprint + hashed
}

// indexText are the statements for a column's index, with those that drop what releases before
// or beside this one made of it. Of a probed column one value is looked up at a time, and those
// of new records fall anywhere: an index of their hashes takes half of what a tree does.
func (t tableText) indexText(column int) []string {
	c, table := t.Columns[column], quote(t.Kind)
	tree, hash, name := quote(t.Kind+"_by_"+c.Name), quote(t.Kind+"_by_"+c.Name+"_hash"), quote(c.Name)
	switch {
	case !c.Indexed || c.Set:
		return []string{"DROP INDEX IF EXISTS " + tree, "DROP INDEX IF EXISTS " + hash}
	case column == t.probed:
		return []string{"DROP INDEX IF EXISTS " + tree, "CREATE INDEX IF NOT EXISTS " + hash + " ON " + table + " USING hash (" + name + ")"}
	}
	return []string{"DROP INDEX IF EXISTS " + hash, "CREATE INDEX IF NOT EXISTS " + tree + " ON " + table + " (building, " + name + ") WHERE " + name + " IS NOT NULL"}
}

func newTableText(t projection.Table) tableText {
	// As in Load, each key is looked up in the primary key, whatever the planner believes: it
	// would join all of a building's rows where it has no statistics yet, or old ones.
	remove := "DELETE FROM " + quote(t.Kind) + " WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM unnest($2::uuid[]) AS k (id), LATERAL (SELECT ctid FROM " +
		quote(t.Kind) + " WHERE building = $1 AND id = k.id OFFSET 0) t))"
	return tableText{Table: t, probed: t.Index(desk.ProbedLead(t.Kind)), copy: copyText(t.Kind, copyColumns(t)...), remove: remove,
		upserts: &upserts{table: t, texts: map[string]string{}}}
}

// upserts are the forms of one kind's upsert, by the columns that hold something in any of the
// rows: the server takes an array for each column, and most rows leave half of them empty.
type upserts struct {
	table projection.Table
	mu    sync.Mutex
	texts map[string]string // by a byte for each column, 1 for those that are sent
}

// text gives the statement for columns of which some are sent; all of them are once there are
// many forms.
func (u *upserts) text(sent []byte) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	text, ok := u.texts[string(sent)]
	if !ok && len(u.texts) >= upsertsMax {
		for i := range sent {
			sent[i] = 1
		}
		text, ok = u.texts[string(sent)]
	}
	if !ok {
		text = upsertText(u.table, sent)
		u.texts[string(sent)] = text
	}
	return text
}

// upsertText writes some columns, and null into the others.
func upsertText(t projection.Table, sent []byte) string {
	names, values := []string{"building", "id", "position"}, []string{"$1", "u.id", "u.position"}
	arrays, aliases := []string{"$2::uuid[]", "$3::bigint[]"}, []string{"id", "position"}
	sets := []string{"position = excluded.position"}
	for i, c := range t.Columns {
		sets = append(sets, quote(c.Name)+" = excluded."+quote(c.Name))
		if sent[i] == 0 {
			continue
		}
		alias := "c" + strconv.Itoa(i)
		names, aliases = append(names, quote(c.Name)), append(aliases, alias)
		as, value := columnType(c), "u."+alias
		if c.Set {
			as, value = "text", value+"::jsonb"
		}
		values = append(values, value)
		arrays = append(arrays, "$"+strconv.Itoa(len(arrays)+2)+"::"+as+"[]")
	}
	return "INSERT INTO " + quote(t.Kind) + " (" + strings.Join(names, ", ") + ") SELECT " + strings.Join(values, ", ") +
		" FROM unnest(" + strings.Join(arrays, ", ") + ") AS u (" + strings.Join(aliases, ", ") + ") ON CONFLICT (building, id) DO UPDATE SET " + strings.Join(sets, ", ")
}

// upsertRows is the statement that projects records of this kind.
func (t tableText) upsertRows(building record.ID, rows []replica.RecordRow) statement {
	ids, at := make([]record.ID, len(rows)), make([]int64, len(rows))
	columns, sent := make([]column, len(t.Columns)), make([]byte, len(t.Columns))
	for i, r := range rows {
		ids[i], at[i] = r.Key.ID, bits(r.Position)
		for j, v := range t.Row(r.Record) {
			if v == nil {
				continue
			}
			if sent[j] == 0 {
				columns[j], sent[j] = newColumn(t.Columns[j], len(rows)), 1
			}
			columns[j].set(i, v)
		}
	}
	text := t.upserts.text(sent)
	args := append(make([]any, 0, len(columns)+3), [16]byte(building), uuids(ids), at)
	for j, c := range columns {
		switch {
		case c != nil:
			args = append(args, c.array())
		case sent[j] != 0: // sent for want of a form without it
			args = append(args, newColumn(t.Columns[j], len(rows)).array())
		}
	}
	return statement{text: text, args: args}
}

// deleteRows is the statement that makes room for records of this kind.
func (t tableText) deleteRows(building record.ID, rows []replica.RecordRow) statement {
	ids := make([]record.ID, len(rows))
	for i := range rows {
		ids[i] = rows[i].Key.ID
	}
	return statement{text: t.remove, args: []any{[16]byte(building), uuids(ids)}, first: true}
}

// column collects one column's values as a typed array with nulls.
type column interface {
	set(i int, v any)
	array() any
}

type pointers[T any] []*T

func (p pointers[T]) set(i int, v any) {
	if v, ok := v.(T); ok {
		p[i] = &v
	}
}
func (p pointers[T]) array() any { return pgtype.FlatArray[*T](p) }

type uuidColumn []pgtype.UUID

func (c uuidColumn) set(i int, v any) {
	if id, ok := v.(record.ID); ok {
		c[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
}
func (c uuidColumn) array() any { return pgtype.FlatArray[pgtype.UUID](c) }

type bytesColumn [][]byte

func (c bytesColumn) set(i int, v any) { c[i], _ = v.([]byte) }
func (c bytesColumn) array() any       { return pgtype.FlatArray[[]byte](c) }

func newColumn(c projection.Column, rows int) column {
	if c.Set {
		return make(pointers[string], rows)
	}
	switch c.Type {
	case schema.Int, schema.Time:
		return make(pointers[int64], rows)
	case schema.Float:
		return make(pointers[float64], rows)
	case schema.Bool:
		return make(pointers[bool], rows)
	case schema.ID:
		return make(uuidColumn, rows)
	case schema.Digest, schema.Blob:
		return make(bytesColumn, rows)
	case schema.Text, schema.Enum:
	}
	return make(pointers[string], rows)
}

func columnType(c projection.Column) string {
	if c.Set {
		return "jsonb"
	}
	switch c.Type {
	case schema.Int, schema.Time:
		return "bigint"
	case schema.Float:
		return "double precision"
	case schema.Bool:
		return "boolean"
	case schema.ID:
		return "uuid"
	case schema.Digest, schema.Blob:
		return "bytea"
	case schema.Text, schema.Enum:
	}
	return "text"
}

// project makes the tables of kinds fit this release: what is new or shown differently is
// made again from the records. Columns are only ever added, so that an older release can
// go on writing beside this one.
func (s *Store) project(ctx context.Context, tables []projection.Table) error {
	s.tables = map[string]tableText{}
	for _, t := range tables {
		s.tables[t.Kind] = newTableText(t)
	}
	return s.pool.AcquireFunc(ctx, func(pooled *pgxpool.Conn) (err error) {
		c := pooled.Conn()
		// Another process may project a large database: wait for as long as that takes.
		if _, err := c.Exec(ctx, "SELECT set_config('lock_timeout', '0', false), pg_advisory_lock($1)", projectLock); err != nil {
			return fmt.Errorf("wait to shape the tables of kinds: %w", err)
		}
		defer func() {
			_, end := c.Exec(ctx, "SELECT set_config('lock_timeout', $2, false), pg_advisory_unlock($1)", projectLock, lockTimeout)
			err = errors.Join(err, end)
		}()
		for _, t := range tables {
			if err := projectKind(ctx, c, s.tables[t.Kind]); err != nil {
				return fmt.Errorf("project kind %s: %w", t.Kind, err)
			}
		}
		return nil
	})
}

func projectKind(ctx context.Context, c *pgx.Conn, t tableText) error {
	var have string
	if err := c.QueryRow(ctx, selectFingerprint, t.Kind).Scan(&have); err != nil || have == t.fingerprint() {
		return err
	}
	if err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return shape(ctx, tx, t) }); err != nil {
		return err
	}
	if have != t.Fingerprint { // otherwise its rows are right, and only an index was not
		if err := projectAll(ctx, c, t); err != nil {
			return err
		}
	}
	_, err := c.Exec(ctx, upsertFingerprint, t.Kind, t.fingerprint())
	return err
}

// projectAll makes a table's rows again from the records.
func projectAll(ctx context.Context, c *pgx.Conn, t tableText) error {
	rows, err := c.Query(ctx, selectBuildings)
	if err != nil {
		return err
	}
	buildings, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil {
		return err
	}
	for _, b := range buildings {
		last := &record.ID{}
		for last != nil {
			err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) (err error) {
				last, err = projectSome(ctx, tx, t, b, *last)
				return err
			})
			if err != nil {
				return fmt.Errorf("building %s: %w", record.ID(b), err)
			}
		}
	}
	return nil
}

// shape makes the table, its missing columns and its indexes, and drops those that no release
// wants any more. What a record does not show costs no index entry.
func shape(ctx context.Context, tx pgx.Tx, t tableText) error {
	table := quote(t.Kind)
	_, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (building uuid NOT NULL, id uuid NOT NULL, position bigint NOT NULL, PRIMARY KEY (building, id))")
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, selectColumns, t.Kind)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, n := range names {
		have[n] = true
	}
	if !have["building"] || !have["id"] || !have["position"] {
		return errors.New("its name is that of another table")
	}
	for i, column := range t.Columns {
		name := quote(column.Name)
		if !have[column.Name] {
			if _, err := tx.Exec(ctx, "ALTER TABLE "+table+" ADD COLUMN "+name+" "+columnType(column)); err != nil {
				return err
			}
		}
		for _, text := range t.indexText(i) {
			if _, err := tx.Exec(ctx, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// projectSome projects the records after one id under the building's lock, and returns the
// last of them; nil when there are no more.
func projectSome(ctx context.Context, tx pgx.Tx, t tableText, building, after record.ID) (*record.ID, error) {
	if _, err := tx.Exec(ctx, lockBuilding, [16]byte(building)); err != nil {
		return nil, err
	}
	found, err := tx.Query(ctx, selectChunk, [16]byte(building), t.Kind, [16]byte(after), projectChunk)
	if err != nil {
		return nil, err
	}
	var rows []replica.RecordRow
	for found.Next() {
		r := replica.RecordRow{Key: record.Key{Building: building, Kind: t.Kind}}
		if err := found.Scan((*[16]byte)(&r.Key.ID), (*int64bits)(&r.Position), &r.Body); err != nil {
			return nil, err
		}
		if r.Record, err = record.Decode(r.Body); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", replica.ErrCorrupt, r.Key, err)
		}
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil || len(rows) == 0 {
		return nil, err
	}
	s := t.upsertRows(building, rows)
	if _, err := tx.Exec(ctx, s.text, s.args...); err != nil {
		return nil, err
	}
	return &rows[len(rows)-1].Key.ID, nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
