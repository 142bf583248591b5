package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/sync/record"
)

// channel carries one payload for each change of an edge: verb, building, node.
const (
	channel    = "estate_edge"
	verbChange = "change"
	verbRevoke = "revoke"
)

const (
	// pauseMin and pauseMax bound the pause between attempts to listen again.
	pauseMin = 100 * time.Millisecond
	pauseMax = 2 * time.Second
	dialMax  = 10 * time.Second
	// beat is how often everything is looked at anew although nobody said anything: a
	// lease ends without a word.
	beat = 15 * time.Second
)

// Event says which edge changed. The zero event says that any may have.
type Event struct {
	Building record.ID
	Node     record.ID
	Revoked  bool
}

func payload(e Event) string {
	verb := verbChange
	if e.Revoked {
		verb = verbRevoke
	}
	return verb + " " + e.Building.String() + " " + e.Node.String()
}

// parse reads a payload; what is none means that any edge may have changed.
func parse(text string) Event {
	parts := strings.Fields(text)
	if len(parts) != 3 {
		return Event{}
	}
	building, err := record.ParseID(parts[1])
	node, err2 := record.ParseID(parts[2])
	if errors.Join(err, err2) != nil {
		return Event{}
	}
	return Event{Building: building, Node: node, Revoked: parts[0] == verbRevoke}
}

// Listener hears of changes that any process makes, on a connection of its own.
type Listener struct {
	Pool *pgxpool.Pool // for its settings
	On   func(Event)
	Log  *slog.Logger
}

// Run listens until ctx ends. After each connection anything may have changed, for nobody
// told what happened before it.
func (l *Listener) Run(ctx context.Context) {
	pause, failing := pauseMin, false
	for ctx.Err() == nil {
		heard, err := l.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause, failing = pauseMin, false
		}
		if !failing {
			failing = true
			l.Log.WarnContext(ctx, "listening for changes of edges ended; connecting again", "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, pauseMax)
	}
}

// listen passes notifications on until the connection ends. heard is whether it stood.
func (l *Listener) listen(ctx context.Context) (heard bool, err error) {
	dial, cancel := context.WithTimeout(ctx, dialMax)
	defer cancel()
	c, err := pgx.ConnectConfig(dial, l.Pool.Config().ConnConfig)
	if err != nil {
		return false, fmt.Errorf("connect to listen: %w", err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // nothing is lost with it
	if _, err := c.Exec(dial, "LISTEN "+channel); err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	l.On(Event{})
	for {
		wait, cancel := context.WithTimeout(ctx, beat)
		n, err := c.WaitForNotification(wait)
		idle := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			l.On(parse(n.Payload))
		case idle && ctx.Err() == nil && !c.IsClosed():
			l.On(Event{})
		default:
			return true, fmt.Errorf("wait for a notification: %w", err)
		}
	}
}
