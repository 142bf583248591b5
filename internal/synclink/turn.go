package synclink

import (
	"context"
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"estate/sync/replica"
)

// When a fleet comes back at once, a server takes its lines in turn: a line that has its
// turn is brought into step before others begin. Otherwise all greet, then all send what
// they have, and the pages of thousands wait in memory for a few connections of the store.
//
// A line waits for its turn before it is greeted, so that its peer sends nothing yet, and
// hears of it by the pings of the WebSocket. Its turn ends once it is in step, or waits for
// its peer: a slow line costs the server nothing and holds up nobody.

const (
	// turnsAtOnce is some times more than a pool of connections is large, which so always
	// has something to do.
	turnsAtOnce = 64
	// turnQuiet is how long nothing is to be done for a line whose turn ends.
	turnQuiet = 250 * time.Millisecond
	// turnPing keeps a line open that waits: both sides give up a silent one.
	turnPing = 10 * time.Second
)

// turns is who has one now; the zero value lets everybody in at once.
type turns struct {
	taken chan struct{} // holds one for each
	ping  time.Duration
}

func newTurns(atOnce int) turns {
	return turns{taken: make(chan struct{}, atOnce), ping: turnPing}
}

// turn is one line's. Its loop alone uses it.
type turn struct {
	of    turns
	held  bool
	quiet *time.Timer
}

// await waits for the line's turn. It fails where the line ends before.
func (t *turns) await(ctx context.Context, l *line) (*turn, error) {
	own := &turn{of: *t}
	if t.taken == nil {
		return own, nil
	}
	ping := time.NewTicker(t.ping)
	defer ping.Stop()
	for !own.held {
		select {
		case t.taken <- struct{}{}: // who waits longest is served first
			own.held, own.quiet = true, time.NewTimer(turnQuiet)
		case <-ping.C:
			if err := l.conn.WriteControl(websocket.PingMessage, nil, l.now().Add(closeWait)); err != nil {
				return nil, fmt.Errorf("wait for a turn: %w", err)
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return own, nil
}

// over tells when the line may have become quiet.
func (t *turn) over() <-chan time.Time {
	if !t.held {
		return nil
	}
	return t.quiet.C
}

// stirred says that something was done for the line.
func (t *turn) stirred() {
	if t.held {
		t.quiet.Reset(turnQuiet)
	}
}

// end lets the next one in; a second call does nothing.
func (t *turn) end() {
	if t.held {
		t.held = false
		t.quiet.Stop()
		<-t.of.taken
	}
}

// heardPings has the session know of a peer that has this line wait for its turn.
func (l *line) heardPings(ctx context.Context) {
	l.conn.SetPingHandler(func(text string) error {
		if err := l.conn.SetReadDeadline(l.now().Add(readWait)); err != nil {
			return fmt.Errorf("wait for the next frame: %w", err)
		}
		l.report(ctx, replica.Heard{})
		_ = l.conn.WriteControl(websocket.PongMessage, []byte(text), l.now().Add(closeWait)) // a line that is gone shows by itself
		return nil
	})
}
