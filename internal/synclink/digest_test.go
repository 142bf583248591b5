package synclink_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// speaking is a node whose hello names another protocol version, where one is set.
type speaking struct {
	*replica.Node
	protocol *atomic.Uint64
}

func (s speaking) Hello(ctx context.Context, building record.ID, peer replica.Peer) (wire.Hello, error) {
	h, err := s.Node.Hello(ctx, building, peer)
	if v := s.protocol.Load(); v != 0 {
		h.Protocol = v
	}
	return h, err
}

// noise makes n tickets with half a kilobyte each that no compressor makes smaller.
func noise(t *testing.T, n *replica.Node, label string, count int) {
	t.Helper()
	for i := range count {
		var text strings.Builder
		for part := range 16 {
			text.WriteString(record.DerivedID("noise", label, fmt.Sprint(i), fmt.Sprint(part)).String())
		}
		title(t, n, record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket", label, fmt.Sprint(i))}, text.String())
	}
}

// reconnected is what a link put on the line after both stores were started anew, with all
// records but two equal.
func reconnected(t *testing.T, records int, edgeSpeaks, cloudSpeaks uint64) (bytes uint64) {
	t.Helper()
	first := setup(t)
	noise(t, first.edge, "edge", records/2)
	noise(t, first.cloud, "cloud", records/2)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- first.uplink.Run(ctx) }()
	first.converged(records)
	first.state(synclink.Synced)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	first.server.Close()
	var spoken atomic.Uint64
	spoken.Store(edgeSpeaks)
	again := setup(t, func(c *synclink.UplinkConfig) { c.Node = speaking{c.Node.(*replica.Node), &spoken} })
	again.spoken.Store(cloudSpeaks)
	again.edgeStore, again.cloudStore = first.edgeStore, first.cloudStore
	again.edge.Store, again.cloud.Store = first.edgeStore, first.cloudStore
	title(t, again.edge, record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket", "cloud", "1")}, "changed at the edge")
	title(t, again.cloud, record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket", "edge", "1")}, "changed at the cloud")
	again.run()
	again.converged(records)
	again.state(synclink.Synced)
	s := again.uplink.Status(context.Background())
	return s.BytesIn + s.BytesOut
}

// TestReconnectSendsNoEqualRecord: after new runs of both stores only digests go over the
// line, and what differs; a peer of the protocol before, on either side, is sent all of it.
// Cites SPEC R31, SPEC R26.
func TestReconnectSendsNoEqualRecord(t *testing.T) {
	t.Parallel()
	const records = 400
	// One record's digest is 36 bytes, and both sides ask at once.
	most := uint64(2*records*36 + 20_000)
	if sent := reconnected(t, records, 0, 0); sent > most {
		t.Errorf("%d bytes for %d equal records, at most %d expected", sent, records, most)
	}
	for _, old := range [][2]uint64{{wire.ProtocolDigests - 1, 0}, {0, wire.ProtocolDigests - 1}} {
		if sent := reconnected(t, records, old[0], old[1]); sent < most {
			t.Errorf("edge and cloud speak %s: only %d bytes", fmt.Sprint(old), sent)
		}
	}
}
