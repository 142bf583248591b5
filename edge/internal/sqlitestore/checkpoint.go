package sqlitestore

import (
	"context"
	"database/sql/driver"
	"log/slog"
)

const (
	// checkpointBytes is after how much has been saved the log is looked at: some 1,000 pages.
	checkpointBytes = 1 << 20
	// logPagesMax is how long the log may grow, 16 MB, before writers wait for its end to be
	// moved, so that it begins anew.
	logPagesMax = 4_000
	// logPagesFar is where the writer moves all of it, should the rest have failed. No reader
	// of this package holds a snapshot for as long as that takes.
	logPagesFar = 4 * logPagesMax
	// moveLog moves what no reader needs, and keeps nobody from writing or reading.
	moveLog = `PRAGMA wal_checkpoint(PASSIVE)`
)

// checkpoint moves what is in the log into the file, and gives the length of the log as it
// was when this began.
func (c *conn) checkpoint() (pages uint64, err error) {
	err = c.one(moveLog, nil, func(row []driver.Value) error {
		pages = number(row[1])
		return nil
	})
	return pages, err
}

// checkpoints moves the log into the file beside the writer, whose commits would stand still
// for as long as thousands of pages take. Only the end of a long log, what was committed
// meanwhile, is left to the writer: it moves that between two commits.
func (s *Store) checkpoints() {
	defer s.background.Done()
	c, failing := &conn{db: s.read}, false
	defer func() { _ = c.close() }() // nothing was written by it
	for {
		select {
		case <-s.closed:
			return
		case <-s.due:
		}
		if s.rest.Load() {
			continue // the writer moves the rest, and finds it locked by whoever moves at that moment
		}
		err := c.connect()
		var pages uint64
		if err == nil {
			pages, err = c.checkpoint()
		}
		long := pages >= logPagesMax
		if err == nil && long {
			_, err = c.checkpoint() // what was committed during the first: little is left to the writer
		}
		if failing != (err != nil) {
			failing = err != nil
			s.log.WarnContext(context.Background(), "move the store's log into its file", slog.Bool("failing", failing), slog.Any("error", err))
		}
		if err == nil && long {
			s.rest.Store(true)
		}
	}
}

// saved counts what a commit saved, and has the log looked at now and then.
func (s *Store) saved(bytes int) {
	if s.unmoved += bytes; s.unmoved < checkpointBytes {
		return
	}
	s.unmoved = 0
	select {
	case s.due <- struct{}{}:
	default: // it is under way
	}
}

// moveRest moves the end of a long log, so that the next transaction begins it anew. A
// failure loses nothing: the log keeps what it has, and the next look tries again.
func (s *Store) moveRest() {
	if s.rest.Swap(false) && s.writer.connect() == nil {
		_, _ = s.writer.checkpoint()
	}
}
