package synclink_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/wire"
)

func TestUplink(t *testing.T) {
	t.Parallel()
	t.Run("BothDirections", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		write(t, w.edge, "edge", 300, 400)
		write(t, w.cloud, "cloud", 300, 400)
		w.run()
		w.converged(600)
		w.state(synclink.Synced)
		s := w.uplink.Status(context.Background())
		if s.ReceiptAt.IsZero() || s.BytesIn == 0 || s.BytesOut == 0 || s.Lane != synclink.LaneSocket {
			t.Fatalf("status %+v", s)
		}
		// Live, without polling, both ways; and what came from the other side is not sent
		// back to it: the positions of both feeds stay as they are.
		title(t, w.edge, record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("one")}, "from edge")
		w.converged(601)
		title(t, w.cloud, record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("two")}, "from cloud")
		w.converged(602)
	})
	t.Run("OfflineAndBack", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.proxy.Cut()
		w.run()
		write(t, w.edge, "edge", 5, 10)
		eventually(t, "a failed attempt", func() bool { return w.uplink.Status(context.Background()).Attempts > 0 })
		w.state(synclink.Offline)
		w.proxy.Restore()
		w.uplink.Kick()
		w.converged(5)
		w.state(synclink.Synced)
		w.proxy.Cut()
		w.state(synclink.Offline)
		write(t, w.cloud, "cloud", 5, 10)
		write(t, w.edge, "later", 5, 10)
		w.proxy.Restore()
		w.converged(15)
	})
	t.Run("KilledInMidPage", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		write(t, w.edge, "edge", 400, 150)
		write(t, w.cloud, "cloud", 400, 150)
		for i := range 6 {
			w.proxy.CloseAfter(int64(2000 + 7000*i))
			if i == 0 {
				w.run()
			}
			sockets := w.sockets.Load()
			w.uplink.Kick()
			eventually(t, "another attempt, or done", func() bool {
				w.uplink.Kick()
				return w.sockets.Load() > sockets || equal(contents(t, w.edgeStore), contents(t, w.cloudStore))
			})
		}
		w.converged(800)
	})
	t.Run("FallsBackToPost", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.brokenWS.Store(true)
		write(t, w.edge, "edge", 50, 100)
		write(t, w.cloud, "cloud", 50, 100)
		w.run()
		eventually(t, "the POST lane", func() bool {
			w.uplink.Kick()
			return w.uplink.Status(context.Background()).Lane == synclink.LanePost
		})
		w.converged(100)
		w.state(synclink.Synced)
		title(t, w.edge, record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("one")}, "a local change goes at once")
		w.converged(101)
		write(t, w.cloud, "later", 3, 10)
		w.converged(104)
	})
	t.Run("RevokedIsDisconnected", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.run()
		w.state(synclink.Synced)
		w.revoked.Store(true)
		w.server.Revoke(w.edge.ID())
		eventually(t, "the reason on the edge's screen", func() bool {
			s := w.uplink.Status(context.Background())
			return s.State == synclink.Offline && s.Code == wire.CodeNodeRevoked && s.Remedy != ""
		})
		write(t, w.cloud, "secret", 1, 1)
		eventually(t, "further attempts", func() bool {
			w.uplink.Kick()
			return w.uplink.Status(context.Background()).Attempts > 2
		})
		if n := len(contents(t, w.edgeStore)); n != 0 {
			t.Fatalf("a revoked edge received %d records", n)
		}
	})
	t.Run("RevokedElsewhereIsFoundByLooking", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.run()
		w.state(synclink.Synced)
		w.revoked.Store(true) // at another process: no signal comes
		eventually(t, "the end of the line", func() bool {
			return w.uplink.Status(context.Background()).Code == wire.CodeNodeRevoked && !w.server.Connected(building, w.edge.ID())
		})
	})
	t.Run("ForgedServer", func(t *testing.T) {
		t.Parallel()
		// The edge knows the cloud's node from enrolment; whoever else answers gets nothing.
		w := setup(t, func(c *synclink.UplinkConfig) { c.Peer.Node = record.DerivedID("node", "the real cloud") })
		write(t, w.edge, "secret", 3, 10)
		for _, post := range []bool{false, true} {
			w.brokenWS.Store(post)
			if !post {
				w.run()
			}
			eventually(t, "refusals", func() bool {
				w.uplink.Kick()
				s := w.uplink.Status(context.Background())
				return s.Code == wire.CodeNodeUnknown && (s.Lane == synclink.LanePost) == post
			})
		}
		if n := len(contents(t, w.cloudStore)); n != 0 {
			t.Fatalf("a forged server received %d records", n)
		}
	})
	t.Run("ClosedServerHasNoLines", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.run()
		w.state(synclink.Synced)
		w.server.Close()
		if w.server.Connected(building, w.edge.ID()) {
			t.Fatal("a closed server has a line")
		}
		w.state(synclink.Offline)
	})
	t.Run("BusyStore", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		full := make(chan struct{})
		w.cloudStore.FailCommit = func(record.ID) error {
			select {
			case <-full:
				return nil
			default:
				return context.DeadlineExceeded
			}
		}
		write(t, w.edge, "edge", 20, 10)
		w.run()
		w.state(synclink.Syncing)
		close(full)
		w.converged(20)
		w.state(synclink.Synced)
	})
}

func TestUplinkRefusesBadAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "cloud.example", "ftp://cloud.example", "http://", "://"} {
		c := synclink.UplinkConfig{Node: newNode("edge", record.TierEdge, nil), Watch: func(record.ID) (<-chan struct{}, func()) { return nil, func() {} },
			URL: address, Token: func(context.Context) (string, error) { return "", nil }, Now: time.Now, Jitter: func() float64 { return 0 }, Log: quiet(), Transport: &http.Transport{}}
		if _, err := synclink.NewUplink(c); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
}
