package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/sync/record"
)

const (
	// backOffMin and backOffMax bound the pause between attempts to listen again: soon
	// after a restart, and no storm while the server is away.
	backOffMin = 100 * time.Millisecond
	backOffMax = 2 * time.Second
	dialMax    = 10 * time.Second
	// compareEvery bounds how late a watcher wakes whom nobody told. It also shows whether
	// the connection still stands: a network may drop one without a word.
	compareEvery = 10 * time.Second

	selectPositions    = `SELECT building, position FROM building_state WHERE building = ANY ($1)`
	selectAllPositions = `SELECT building, position FROM building_state`
)

// dialListener opens the connection that listens; it is none of the pool's.
func (s *Store) dialListener(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialMax)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect to listen: %w", err)
	}
	if _, err := c.Exec(ctx, "LISTEN "+feedChannel); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), c.Close(ctx))
	}
	return c, nil
}

// listen wakes watchers until ctx ends. After each reconnection all are woken: what was
// committed meanwhile nobody told us.
func (s *Store) listen(ctx context.Context, c *pgx.Conn) {
	defer s.running.Done()
	pause := backOffMin
	for ctx.Err() == nil {
		if c != nil {
			err := s.hear(ctx, c)
			if ctx.Err() != nil {
				return
			}
			s.probes.listen(false)
			s.log.WarnContext(ctx, "listening for commits ended; connecting again", "error", err)
		}
		var err error
		if c, err = s.dialListener(ctx); err != nil {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, backOffMax)
			continue
		}
		pause = backOffMin
		s.probes.listen(true)
		s.log.InfoContext(ctx, "listening for commits")
		s.watchers.Wake(record.ID{})
	}
	if c != nil {
		_ = c.Close(context.WithoutCancel(ctx)) // nothing is lost with it
	}
}

// hear passes notifications on, and compares, until the connection ends, and closes it.
func (s *Store) hear(ctx context.Context, c *pgx.Conn) error {
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	for {
		wait, cancel := context.WithTimeout(ctx, s.compareEvery)
		err := s.hearUntil(wait, c)
		cancel()
		if c.IsClosed() || ctx.Err() != nil {
			return fmt.Errorf("wait for a notification: %w", err)
		}
		if err := s.compare(ctx, c); err != nil {
			return fmt.Errorf("compare positions: %w", err)
		}
	}
}

// hearUntil passes notifications on until ctx or the connection ends.
func (s *Store) hearUntil(ctx context.Context, c *pgx.Conn) error {
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		s.heard(n.Payload)
	}
}

// compare wakes watchers of buildings that have come further than anybody told.
func (s *Store) compare(ctx context.Context, c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, min(dialMax, s.compareEvery))
	defer cancel()
	before := s.marks.copy()
	found, err := s.positions(ctx, c)
	if err != nil {
		return err
	}
	for building, position := range found {
		s.probes.heard(building, position)
	}
	for _, building := range s.marks.compare(before, found) {
		s.watchers.Wake(building)
	}
	return nil
}

// positions reads how far the feeds that are watched, or probed, have come.
func (s *Store) positions(ctx context.Context, c *pgx.Conn) (map[record.ID]uint64, error) {
	text, args := selectAllPositions, []any{}
	probed := s.probes.tick()
	if watched, all := s.watchers.Watched(); !all {
		text, args = selectPositions, []any{uuids(append(watched, probed...))}
	}
	rows, err := c.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	found := map[record.ID]uint64{}
	var building record.ID
	var position uint64
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&building), (*int64bits)(&position)}, func() error {
		found[building] = position
		return nil
	})
	return found, err
}
