package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/sync/record"
)

// feedChannel carries the id of each building whose feed a commit moved.
const feedChannel = "estate_feed"

const (
	// backOffMin and backOffMax bound the pause between attempts to listen again: soon
	// after a restart, and no storm while the server is away.
	backOffMin = 100 * time.Millisecond
	backOffMax = 2 * time.Second
	dialMax    = 10 * time.Second
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
	defer close(s.stopped)
	pause := backOffMin
	for ctx.Err() == nil {
		if c != nil {
			err := s.hear(ctx, c)
			if ctx.Err() != nil {
				return
			}
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
		s.log.InfoContext(ctx, "listening for commits")
		s.watchers.Wake(record.ID{})
	}
	if c != nil {
		_ = c.Close(context.WithoutCancel(ctx)) // nothing is lost with it
	}
}

// hear passes notifications on until the connection ends, and closes it.
func (s *Store) hear(ctx context.Context, c *pgx.Conn) error {
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for a notification: %w", err)
		}
		// What is not a building's id wakes everybody: waking too often is harmless.
		building, err := record.ParseID(n.Payload)
		if err != nil {
			building = record.ID{}
		}
		s.watchers.Wake(building)
	}
}
