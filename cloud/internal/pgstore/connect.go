package pgstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// bootKey is where a connection remembers the boot it was made in: no connection outlives
// the server's run.
const bootKey = "estate boot"

// greet prepares each new connection of the pool.
func (s *Store) greet(ctx context.Context, c *pgx.Conn) error {
	// An acknowledged write must survive power loss; a server's default may say otherwise.
	_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	if err != nil {
		return fmt.Errorf("require durable commits: %w", err)
	}
	boot, err := readBoot(ctx, c)
	if err != nil {
		return err
	}
	c.PgConn().CustomData()[bootKey] = boot
	s.boot.Store(&boot)
	return nil
}

// readBoot derives the run's id from what changes when a server is restarted, restored,
// promoted or replaced; when only the tables are made or filled anew under a server that
// runs on: then the state's table lies in another file; and when the server recovers from the
// death of one of its processes: then its statistics begin anew, and numbers of transactions
// that were lost are given out again.
func readBoot(ctx context.Context, c *pgx.Conn) (record.ID, error) {
	var cause string
	err := c.QueryRow(ctx, `SELECT concat_ws('/', s.system_identifier, k.timeline_id, extract(epoch FROM pg_postmaster_start_time()), extract(epoch FROM a.stats_reset), d.oid,
		pg_relation_filenode(to_regclass('building_state')))
		FROM pg_control_system() s, pg_control_checkpoint() k, pg_stat_archiver a, pg_database d WHERE d.datname = current_database()`).Scan(&cause)
	if err != nil {
		return record.ID{}, fmt.Errorf("read the server's identity: %w", err)
	}
	sum := sha256.Sum256([]byte("estate boot v1\x00" + cause))
	return record.ID(sum[:16]), nil
}

func bootOf(c *pgx.Conn) record.ID {
	boot, _ := c.PgConn().CustomData()[bootKey].(record.ID)
	return boot
}

// migrate brings the database to this release's form, one process at a time.
func (s *Store) migrate(ctx context.Context) (err error) {
	migrations, done, err := migrationsOf(s.pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	have, want, err := migrations.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the database's version: %w", err)
	}
	// A newer database is fine: migrations only add, and releases overlap while they roll out.
	if have >= want {
		return nil
	}
	if _, err := migrations.Up(ctx); err != nil {
		return fmt.Errorf("migrate from version %d to %d: %w", have, want, err)
	}
	s.log.InfoContext(ctx, "store migrated", "from", have, "to", want)
	s.pool.Reset() // connections made before it took another boot for this one
	return nil
}

// migrateTo brings an empty database to the version of a backup.
func migrateTo(ctx context.Context, pool *pgxpool.Pool, version int64) (err error) {
	migrations, done, err := migrationsOf(pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	known := migrations.ListSources()
	if len(known) == 0 || known[len(known)-1].Version < version {
		return fmt.Errorf("the backup is of database version %d, which this program does not know: use the newer program", version)
	}
	if _, err := migrations.UpTo(ctx, version); err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	return nil
}

func migrationsOf(pool *pgxpool.Pool) (*goose.Provider, func() error, error) {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, nil, fmt.Errorf("make the migration lock: %w", err)
	}
	db := sql.OpenDB(stdlib.GetPoolConnector(pool))
	migrations, err := goose.NewProvider(goose.DialectPostgres, db, schema.PostgresMigrations(), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read migrations: %w", err), db.Close())
	}
	return migrations, db.Close, nil
}

// translate names what an error of the driver means to the caller.
func translate(err error) error {
	if err == nil || errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrCorrupt) || errors.Is(err, replica.ErrScope) {
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code[:2] == "23", pg.Code == "XX001", pg.Code == "XX002": // constraint; damaged data; damaged index
			return fmt.Errorf("%w: %w", replica.ErrCorrupt, err)
		case pg.Code[:2] == "08", pg.Code[:2] == "53", pg.Code[:2] == "57", pg.Code[:2] == "40", pg.Code[:2] == "58",
			pg.Code == "55P03", pg.Code == "25006", pg.Code == "25P03": // connection, resources, operator, conflict, disk; lock; standby; idle
			return fmt.Errorf("%w: %w", replica.ErrBusy, err)
		}
		return err
	}
	if lostConnection(err) {
		return fmt.Errorf("%w: %w", replica.ErrBusy, err)
	}
	return err
}

// lostConnection reports whether the server did not get to answer.
func lostConnection(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}
