package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"estate/internal/desk"
	"estate/internal/projection"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// projectChunk is how many records are decoded between two statements while a kind is
// projected again: enough to be fast, little enough for a small box's memory.
const projectChunk = 500

const (
	selectFingerprint = `SELECT fingerprint FROM projection WHERE kind = ?`
	upsertFingerprint = `INSERT INTO projection (kind, fingerprint) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET fingerprint = excluded.fingerprint`
	selectChunk       = `SELECT id, position, body FROM record WHERE building = ? AND kind = ? AND id > ? ORDER BY id LIMIT ?`
	selectColumns     = `SELECT name FROM pragma_table_info(?)`
)

// tableText is one kind's table with its statement, made once at the start.
type tableText struct {
	projection.Table
	upsert string
	// leads are the fields by which a shape looks records up. SQLite can use an index for no
	// other condition of a shape, and each would cost every write.
	leads  map[string]bool
	probed int // the column of a probed shape's lead
}

func newTableText(t projection.Table) tableText {
	names, marks, sets := []string{"building", "id", "position"}, "?, ?, ?", []string{"position = excluded.position"}
	for _, c := range t.Columns {
		names, marks = append(names, quote(c.Name)), marks+", ?"
		sets = append(sets, quote(c.Name)+" = excluded."+quote(c.Name))
	}
	return tableText{Table: t, leads: leads(t), probed: t.Index(desk.ProbedLead(t.Kind)), upsert: "INSERT INTO " + quote(t.Kind) + " (" + strings.Join(names, ", ") + ") VALUES (" + marks +
		") ON CONFLICT (building, id) DO UPDATE SET " + strings.Join(sets, ", ")}
}

// leads are the indexed fields that a shape begins with.
func leads(t projection.Table) map[string]bool {
	out := map[string]bool{}
	for _, c := range t.Columns {
		out[c.Name] = c.Indexed && !c.Set && slices.ContainsFunc(desk.Shapes(), func(s desk.Shape) bool { return s.Kind == t.Kind && s.Lead == c.Name })
	}
	return out
}

func (t tableText) args(key record.Key, position uint64, r record.Record) []any {
	args := append(make([]any, 0, len(t.Columns)+3), key.Building[:], key.ID[:], bits(position))
	for _, v := range t.Row(r) {
		if id, ok := v.(record.ID); ok {
			v = id[:]
		}
		args = append(args, v)
	}
	return args
}

// adds is what a row with these arguments adds to what the kind's list shows.
func (t tableText) adds(args []any, fresh bool) added {
	if i := slices.IndexFunc(t.Columns, func(c projection.Column) bool { return c.Name == "deleted" }); i >= 0 {
		if hidden, _ := args[len(args)-len(t.Columns)+i].(bool); hidden {
			return added{unsure: !fresh}
		}
	}
	return added{shown: 1, unsure: !fresh}
}

// project makes the tables of kinds fit this release: what is new or shown differently is
// made again from the records. Columns are only ever added.
func (s *Store) project(ctx context.Context, tables []projection.Table) error {
	s.tables = map[string]tableText{}
	for _, t := range tables {
		text := newTableText(t)
		s.tables[t.Kind] = text
		err := s.Local(ctx, func(*sql.Tx) error { return s.writer.project(text) })
		if err != nil {
			return fmt.Errorf("project kind %s: %w", t.Kind, err)
		}
	}
	return nil
}

func (c *conn) project(t tableText) error {
	var have string
	err := c.each(selectFingerprint, []any{t.Kind}, func(rows *sql.Rows) (bool, error) { return true, rows.Scan(&have) })
	if err != nil {
		return err
	}
	if have == t.Fingerprint {
		return c.order(t)
	}
	if err := errors.Join(c.shape(t), c.order(t)); err != nil {
		return err
	}
	var buildings []record.ID
	err = c.each(selectBuildings, nil, func(rows *sql.Rows) (bool, error) {
		var b []byte
		err := rows.Scan(&b)
		buildings = append(buildings, record.ID(b))
		return true, err
	})
	if err != nil {
		return err
	}
	for _, b := range buildings {
		if err := c.projectBuilding(t, b); err != nil {
			return fmt.Errorf("building %s: %w", b, err)
		}
	}
	return c.exec(upsertFingerprint, t.Kind, t.Fingerprint)
}

// shape makes the table, its missing columns and its indexes, and drops those that nothing
// uses any more. What a record does not show costs no index entry.
func (c *conn) shape(t tableText) error {
	err := c.exec("CREATE TABLE IF NOT EXISTS " + quote(t.Kind) + " (building BLOB NOT NULL, id BLOB NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (building, id))")
	if err != nil {
		return err
	}
	have := map[string]bool{}
	err = c.each(selectColumns, []any{t.Kind}, func(rows *sql.Rows) (bool, error) {
		var name string
		err := rows.Scan(&name)
		have[name] = true
		return true, err
	})
	if err != nil {
		return err
	}
	if !have["building"] || !have["id"] || !have["position"] {
		return errors.New("its name is that of another table")
	}
	for _, column := range t.Columns {
		if !have[column.Name] {
			if err := c.exec("ALTER TABLE " + quote(t.Kind) + " ADD COLUMN " + quote(column.Name) + " " + columnType(column)); err != nil {
				return err
			}
		}
		index := quote(t.Kind + "_by_" + column.Name)
		text := "DROP INDEX IF EXISTS " + index
		if t.leads[column.Name] {
			text = "CREATE INDEX IF NOT EXISTS " + index + " ON " + quote(t.Kind) + " (building, " + quote(column.Name) + ") WHERE " + quote(column.Name) + " IS NOT NULL"
		}
		if err := c.exec(text); err != nil {
			return err
		}
	}
	return nil
}

// order makes the indexes of lists that show the latest first and begin with no field: such
// grow for ever, and their first page costs what it shows.
func (c *conn) order(t tableText) error {
	if t.Kind == "ticket" {
		if err := c.orderStanding(t); err != nil {
			return err
		}
	}
	for _, s := range desk.Shapes() {
		if s.Kind != t.Kind || s.Lead != "" || !s.Desc {
			continue
		}
		i := slices.IndexFunc(t.Columns, func(c projection.Column) bool { return c.Name == s.Order })
		if i < 0 {
			continue
		}
		columns := "(building, " + orderOf(quote(s.Order), t.Columns[i].Type) + ", id"
		if s.Hides {
			columns += ", deleted" // so that all are counted in the index alone
		}
		if err := c.exec("CREATE INDEX IF NOT EXISTS " + quote(t.Kind+"_in_order") + " ON " + quote(t.Kind) + " " + columns + ")"); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) projectBuilding(t tableText, building record.ID) error {
	type row struct {
		id       record.ID
		position int64
		body     []byte
	}
	last := []byte{}
	for {
		var chunk []row
		err := c.each(selectChunk, []any{building[:], t.Kind, last, projectChunk}, func(rows *sql.Rows) (bool, error) {
			var id []byte
			var r row
			err := rows.Scan(&id, &r.position, &r.body)
			copy(r.id[:], id)
			chunk = append(chunk, r)
			return true, err
		})
		if err != nil || len(chunk) == 0 {
			return err
		}
		for _, r := range chunk {
			key := record.Key{Building: building, Kind: t.Kind, ID: r.id}
			decoded, err := record.Decode(r.body)
			if err != nil {
				return fmt.Errorf("%w: %s: %w", replica.ErrCorrupt, key, err)
			}
			if err := c.exec(t.upsert, t.args(key, uint64(r.position), decoded)...); err != nil {
				return err
			}
		}
		id := chunk[len(chunk)-1].id
		last = id[:]
	}
}

func columnType(c projection.Column) string {
	switch {
	case c.Set:
		return "TEXT"
	case c.Type == schema.Int, c.Type == schema.Time, c.Type == schema.Bool:
		return "INTEGER"
	case c.Type == schema.Float:
		return "REAL"
	case c.Type == schema.ID, c.Type == schema.Digest, c.Type == schema.Blob:
		return "BLOB"
	}
	return "TEXT"
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
