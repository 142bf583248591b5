package synclink_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/synclink"
	"estate/sync/replica"
)

// A line that waits for its turn is neither greeted nor given up, however long that takes:
// thousands that return at once would else begin anew in a circle.
func TestTurnIsWaitedFor(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w := setup(t, func(c *synclink.UplinkConfig) { c.Now = now })
	w.server.LimitTurns(1, 5*time.Millisecond)
	giveBack := w.server.TakeTurn()
	w.run()
	eventually(t, "the line to be open", func() bool { return w.server.Connected(building, w.edge.ID()) })
	for range 4 {
		from := now().Add(replica.DeadAfter / 2 * time.Millisecond)
		ahead.Add(int64(replica.DeadAfter / 2 * time.Millisecond))
		eventually(t, "the edge to hear that it waits", func() bool { return w.uplink.Status(context.Background()).HeardAt.After(from) })
	}
	if s := w.uplink.Status(t.Context()); s.State != synclink.Connecting || w.sockets.Load() != 1 {
		t.Fatalf("the edge is %s (%s) after %d connections", s.State, s.Detail, w.sockets.Load())
	}
	giveBack()
	w.state(synclink.Synced)
	if w.sockets.Load() != 1 {
		t.Fatalf("%d connections were made", w.sockets.Load())
	}
	eventually(t, "the turn to end, for the line is in step", func() bool { return w.server.TurnsTaken() == 0 })
}

// A peer that says nothing has its turn only for as long as there is something to do for it.
func TestTurnOfASlowPeerEnds(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.server.LimitTurns(1, time.Minute)
	conn, answer, err := w.dial("edge")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if _, _, err := conn.ReadMessage(); err != nil {
		t.Fatalf("the hello of one that has its turn: %v", err)
	}
	if w.server.TurnsTaken() != 1 {
		t.Fatal("the line was greeted without a turn")
	}
	eventually(t, "the turn of a silent peer to end", func() bool { return w.server.TurnsTaken() == 0 })
	if !w.server.Connected(building, w.edge.ID()) {
		t.Fatal("the line ended with its turn")
	}
}
