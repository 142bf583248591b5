package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/backup"
	"estate/internal/projection"
	"estate/schema"
	"estate/sync/record"
)

// Backups are copies of the tables themselves in PostgreSQL's binary COPY form, read in one
// snapshot. The tables of kinds are left out: a store makes them anew from the records.

const (
	selectTables = `SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' GROUP BY 1 ORDER BY 1`
	selectReferences = `SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
		WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND conrelid <> confrelid`
	selectContent = `SELECT building, position, (SELECT count(*) FROM record r WHERE r.building = s.building),
		(SELECT count(*) FROM event e WHERE e.building = s.building), (SELECT count(*) FROM chain c WHERE c.building = s.building)
		FROM building_state s WHERE stored ORDER BY building`
	selectOthers = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`
)

// ErrNotEmpty says that a database holds something already: a restore replaces nothing.
var ErrNotEmpty = errors.New("pgstore: the database is not empty")

// Dump reads every table of a store in one snapshot, while others go on writing, and writes
// each to the writer that open gives for it. It fills in the manifest's schema, tables and
// buildings.
func Dump(ctx context.Context, url string, m *backup.Manifest, open func(table string) (io.WriteCloser, error)) (err error) {
	c, err := connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin the snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only read
	if err := tx.QueryRow(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`).Scan(&m.Schema); err != nil {
		return fmt.Errorf("read the database's version: %w", err)
	}
	if m.Tables, err = tablesIn(ctx, tx); err != nil {
		return err
	}
	for i := range m.Tables {
		t := &m.Tables[i]
		w, err := open(t.Name)
		if err != nil {
			return err
		}
		done, err := c.PgConn().CopyTo(ctx, w, "COPY "+dumped(*t)+" TO STDOUT (FORMAT binary)")
		if err := errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("copy table %s: %w", t.Name, err)
		}
		t.Rows = done.RowsAffected()
	}
	m.Buildings, err = content(ctx, tx)
	return err
}

func dumped(t backup.Table) string {
	columns := ""
	for i, c := range t.Columns {
		if i > 0 {
			columns += ", "
		}
		columns += quote(c)
	}
	return quote(t.Name) + " (" + columns + ")"
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database URL cannot be read") // the cause would show its password
	}
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return c, nil
}

// tablesIn lists the tables to back up, each after those that it refers to.
func tablesIn(ctx context.Context, tx pgx.Tx) ([]backup.Table, error) {
	made := []string{"goose_db_version", "projection"}
	for _, t := range projection.Tables(schema.Kinds()) {
		made = append(made, t.Kind)
	}
	rows, err := tx.Query(ctx, selectTables)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (t backup.Table, err error) {
		return t, r.Scan(&t.Name, &t.Columns)
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	all = slices.DeleteFunc(all, func(t backup.Table) bool { return slices.Contains(made, t.Name) })
	if rows, err = tx.Query(ctx, selectReferences); err != nil {
		return nil, fmt.Errorf("list the references: %w", err)
	}
	refers := map[string][]string{}
	var from, to string
	if _, err := pgx.ForEachRow(rows, []any{&from, &to}, func() error {
		refers[from] = append(refers[from], to)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list the references: %w", err)
	}
	var out []backup.Table
	for len(all) > 0 {
		before := len(out)
		all = slices.DeleteFunc(all, func(t backup.Table) bool {
			for _, to := range refers[t.Name] {
				if !slices.ContainsFunc(out, func(o backup.Table) bool { return o.Name == to }) {
					return false
				}
			}
			out = append(out, t)
			return true
		})
		if len(out) == before {
			return nil, fmt.Errorf("tables refer to each other in a circle: %s", all[0].Name)
		}
	}
	return out, nil
}

func content(ctx context.Context, tx pgx.Tx) ([]backup.Building, error) {
	rows, err := tx.Query(ctx, selectContent)
	if err != nil {
		return nil, fmt.Errorf("read what the database holds: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (b backup.Building, err error) {
		var id [16]byte
		var position int64
		err = r.Scan(&id, &position, &b.Records, &b.Events, &b.Chains)
		b.ID, b.Position = record.ID(id).String(), uint64(position)
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what the database holds: %w", err)
	}
	return out, nil
}

// Fill restores a dump into an empty database: it brings the database to the dump's
// version, copies every table in one transaction, signs everybody out, and holds what is
// there against the manifest. It returns ErrNotEmpty, and backup.ErrArchive where the two
// differ; then nothing was restored. Open brings the database to this release's version
// and makes the tables of kinds.
func Fill(ctx context.Context, url string, m backup.Manifest, open func(table string) (io.ReadCloser, error)) (err error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return errors.New("the database URL cannot be read") // the cause would show its password
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer pool.Close()
	if err := deserted(ctx, pool, leaveWait); err != nil {
		return err
	}
	if err := vacant(ctx, pool); err != nil {
		return err
	}
	if err := migrateTo(ctx, pool, m.Schema); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		known, err := tablesIn(ctx, tx)
		if err != nil {
			return err
		}
		for _, t := range m.Tables {
			if !slices.ContainsFunc(known, func(k backup.Table) bool { return k.Name == t.Name && slices.Equal(k.Columns, t.Columns) }) {
				return fmt.Errorf("%w: it has a table %s that version %d of the database does not have", backup.ErrArchive, t.Name, m.Schema)
			}
			if err := fillTable(ctx, tx, t, open); err != nil {
				return err
			}
		}
		found, err := content(ctx, tx)
		if err != nil {
			return err
		}
		if !slices.Equal(found, m.Buildings) {
			return fmt.Errorf("%w: the restored buildings are not those of the manifest", backup.ErrArchive)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM session`); err != nil {
			return fmt.Errorf("sign everybody out: %w", err)
		}
		return nil
	})
}

func fillTable(ctx context.Context, tx pgx.Tx, t backup.Table, open func(table string) (io.ReadCloser, error)) error {
	r, err := open(t.Name)
	if err != nil {
		return err
	}
	done, err := tx.Conn().PgConn().CopyFrom(ctx, r, "COPY "+dumped(t)+" FROM STDIN (FORMAT binary)")
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("restore table %s: %w", t.Name, err)
	}
	if done.RowsAffected() != t.Rows {
		return fmt.Errorf("%w: %d rows of table %s, the manifest says %d", backup.ErrArchive, done.RowsAffected(), t.Name, t.Rows)
	}
	return nil
}

const (
	// leaveWait is how long a restore waits for programs to be gone: the server notices only a
	// moment later that one has ended.
	leaveWait = 5 * time.Second
	leaveLook = 50 * time.Millisecond
)

// deserted makes sure that a restore meets nobody.
func deserted(ctx context.Context, pool *pgxpool.Pool, wait time.Duration) error {
	over := time.NewTimer(wait)
	defer over.Stop()
	look := time.NewTicker(leaveLook)
	defer look.Stop()
	for {
		var others int64
		if err := pool.QueryRow(ctx, selectOthers).Scan(&others); err != nil {
			return fmt.Errorf("see who uses the database: %w", err)
		}
		if others == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return fmt.Errorf("%w: %d programs are connected to it, stop them first", ErrNotEmpty, others)
		case <-look.C:
		}
	}
}

// vacant makes sure that a restore meets nothing.
func vacant(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		tables, err := tablesIn(ctx, tx)
		if err != nil {
			return err
		}
		if len(tables) > 0 {
			return fmt.Errorf("%w: it has a table %s; create an empty one (createdb) and restore into that", ErrNotEmpty, tables[0].Name)
		}
		return nil
	})
}
