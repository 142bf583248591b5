package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"estate/internal/groupcommit"
	"estate/sync/record"
	"estate/sync/replica"
)

// conn is one connection with its prepared statements, used by one goroutine at a time.
// Every query of this package is bounded, so none carries a caller's deadline: the driver
// would start a goroutine for each.
type conn struct {
	db         *sql.DB
	c          *sql.Conn
	statements map[string]*sql.Stmt
	walked     map[string]walkStmt
	args       []driver.NamedValue // of the statement that runs
}

func (c *conn) connect() (err error) {
	if c.c != nil {
		return nil
	}
	if c.c, err = c.db.Conn(context.Background()); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.statements, c.walked = map[string]*sql.Stmt{}, map[string]walkStmt{}
	return nil
}

func (c *conn) begin() (*sql.Tx, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	return c.c.BeginTx(context.Background(), nil)
}

// stmt returns the prepared form of a constant text.
func (c *conn) stmt(text string) (*sql.Stmt, error) {
	if s, ok := c.statements[text]; ok {
		return s, nil
	}
	s, err := c.c.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, translate(err))
	}
	c.statements[text] = s
	return s, nil
}

// pragma sets what holds for the connection. It answers with a row, which a kept statement
// would leave open.
func (c *conn) pragma(text string) error {
	if _, err := c.c.ExecContext(context.Background(), text); err != nil {
		return translate(err)
	}
	return nil
}

// each runs a query and calls row for every row of its answer, until it returns false.
func (c *conn) each(text string, args []any, row func(*sql.Rows) (bool, error)) (err error) {
	s, err := c.stmt(text) //nolint:sqlclosecheck // kept for the life of the connection
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, translate(rows.Close())) }()
	for rows.Next() {
		if more, err := row(rows); err != nil || !more {
			return translate(err)
		}
	}
	return translate(rows.Err())
}

func (c *conn) close() error {
	if c.c == nil {
		return nil
	}
	errs := []error{c.unwalk()}
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	errs = append(errs, c.c.Close())
	c.c = nil
	return errors.Join(errs...)
}

// discard closes the connection itself, not only its place in the pool.
func (c *conn) discard() error {
	if c.c == nil {
		return nil
	}
	err := c.c.Raw(func(any) error { return nil })
	if err == nil {
		// Before the connection goes: a statement that is closed after it reaches into memory
		// that the driver gave back, and takes the process with it.
		for _, s := range c.statements {
			_ = s.Close() // says again what the transaction already said
		}
		_ = c.unwalk() // likewise
		err = c.c.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = c.c.Close() // done by then
	c.c, c.statements, c.walked = nil, nil, nil
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

// snapshot runs fn on a reading connection, in one snapshot.
func (s *Store) snapshot(ctx context.Context, what string, fn func(*conn) error) error {
	return s.reading(ctx, what, func(c *conn) error {
		tx, err := c.begin()
		if err != nil {
			return fmt.Errorf("%w: %w", replica.ErrBusy, errors.Join(err, c.discard()))
		}
		err = fn(c)
		if end := tx.Rollback(); end != nil {
			err = errors.Join(err, end, c.discard())
		}
		return err
	})
}

// reading runs fn on a reading connection. Each statement is a snapshot of its own.
func (s *Store) reading(ctx context.Context, what string, fn func(*conn) error) error {
	var c *conn
	select {
	case c = <-s.readers:
	case <-ctx.Done():
		return fmt.Errorf("%w: %s: %w", replica.ErrBusy, what, ctx.Err())
	case <-s.closed:
		return fmt.Errorf("%w: %s: store is closed", replica.ErrBusy, what)
	}
	defer func() { s.readers <- c }()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %s: %w", replica.ErrBusy, what, err)
	}
	if err := c.connect(); err != nil {
		return fmt.Errorf("%w: %s: %w", replica.ErrBusy, what, err)
	}
	if err := fn(c); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// session is one shared write transaction.
type session struct {
	conn    *conn
	tx      *sql.Tx
	hot     *hot
	changes *changes    // of the calls that succeeded
	own     *changes    // of the call that runs
	moved   []record.ID // buildings whose feed moved
	bytes   int         // of what was saved
	begun   bool        // the call that runs may have written
	careful bool        // each call that writes has a savepoint
}

// begins comes before the first write of a call, which a failure takes back.
func (t *session) begins() error {
	if t.begun {
		return nil
	}
	t.begun = true
	if !t.careful {
		return nil
	}
	return t.conn.exec("SAVEPOINT call")
}

// errAnew says that a call failed that had written, where nothing can take that back alone.
var errAnew = errors.New("sqlitestore: a call of the batch failed")

// commit runs a batch in one transaction and makes it durable. Calls that write and then fail
// are rare, and a savepoint for each has SQLite copy every page that it changes, into memory: so
// the first time goes without, and where one of several failed the batch runs anew, each call in
// a savepoint.
func (s *Store) commit(batch []*groupcommit.Call[*session]) error {
	err := s.attempt(batch, false)
	if errors.Is(err, errAnew) {
		return s.attempt(batch, true)
	}
	return err
}

func (s *Store) attempt(batch []*groupcommit.Call[*session], careful bool) error {
	select {
	case <-s.closed:
		return fmt.Errorf("%w: store is closed", replica.ErrBusy)
	default:
	}
	s.moveRest()
	tx, err := s.writer.begin()
	if err != nil {
		return fmt.Errorf("%w: begin: %w", replica.ErrBusy, errors.Join(err, s.writer.discard()))
	}
	t := &session{conn: s.writer, tx: tx, hot: &s.hot, changes: newChanges(), own: newChanges(), careful: careful}
	for _, call := range batch {
		err := t.try(call)
		if errors.Is(err, errAnew) {
			if err := tx.Rollback(); err != nil {
				return s.abandon(tx, err)
			}
			if len(batch) == 1 {
				return nil // nobody else's work is gone, and the call has its own error
			}
			return errAnew
		}
		if err != nil {
			return s.abandon(tx, err)
		}
	}
	if err := errors.Join(s.writer.saveStates(t.changes), s.writer.saveChains(t.changes)); err != nil {
		return s.abandon(tx, fmt.Errorf("save states and chains: %w", err))
	}
	known := s.hot.ending(t.changes)
	err = tx.Commit()
	s.hot.ended(t.changes, known, err == nil)
	if err != nil {
		return s.abandon(tx, fmt.Errorf("commit: %w", err))
	}
	for _, building := range t.moved {
		s.watchers.Wake(building)
	}
	for of := range t.changes.totals {
		s.kinds.Wake(of.building, of.kind)
	}
	s.saved(t.bytes)
	return nil
}

// try runs one call; an error means that the whole transaction is gone, or goes.
func (t *session) try(call *groupcommit.Call[*session]) error {
	t.begun = false
	moved := len(t.moved)
	if err := call.Try(t); err != nil {
		t.moved = t.moved[:moved]
		if !t.begun {
			return nil
		}
		if !t.careful {
			return errAnew
		}
		if err := t.conn.exec("ROLLBACK TO call"); err != nil {
			return err
		}
	}
	if !t.begun || !t.careful {
		return nil
	}
	return t.conn.exec("RELEASE call")
}

// abandon drops a transaction that cannot be committed, and its connection with it: after
// a failed sync nothing that the connection remembers can be trusted.
func (s *Store) abandon(tx *sql.Tx, cause error) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		cause = errors.Join(cause, err)
	}
	return fmt.Errorf("%w: %w", replica.ErrBusy, errors.Join(cause, s.writer.discard()))
}

// translate names what an SQLite error means to the caller.
func translate(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) || errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrCorrupt) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
		return fmt.Errorf("%w: %w", replica.ErrBusy, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT:
		return fmt.Errorf("%w: %w", replica.ErrCorrupt, err)
	}
	return err
}
