package synclink_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/replica"
)

// SPEC R16: an edge whose clock jumps while its line stays up follows the cloud's time with
// the next heartbeat, and the line lives on.
func TestClockJumpsWithinALine(t *testing.T) {
	t.Parallel()
	const jump = 7 * time.Minute
	var steady, wall atomic.Int64 // what the test adds to the line's clock, and to the edge's
	w := setup(t, func(c *synclink.UplinkConfig) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(steady.Load())) }
		c.Node.(*replica.Node).Now = func() int64 { return time.Now().Add(time.Duration(wall.Load())).UnixMilli() }
	})
	w.run()
	title(t, w.edge, record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("before")}, "before the jump")
	w.converged(1)
	w.state(synclink.Synced)
	sockets := w.sockets.Load()
	wall.Store(int64(jump))
	offset := func() time.Duration {
		have, err := w.edgeStore.Load(context.Background(), building, replica.Need{})
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(have.State.ClockOffset) * time.Millisecond
	}
	steady.Store(int64(replica.PingEvery * time.Millisecond)) // the next heartbeat is due
	eventually(t, "the edge to follow the cloud's time", func() bool { return offset() < time.Minute-jump })
	key := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("after")}
	title(t, w.edge, key, "after the jump")
	w.converged(2)
	have, err := w.cloudStore.Load(t.Context(), building, replica.Need{Keys: []record.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	at := have.Records[key].Record.Siblings("description")[0].Stamp.Time()
	if off := time.Since(at).Abs(); off > time.Minute {
		t.Errorf("what is written after the jump is stamped %s off", off)
	}
	if n := w.sockets.Load(); n != sockets {
		t.Errorf("%d lines were opened after the jump", n-sockets)
	}
}
