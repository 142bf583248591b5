package synclink_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"estate/internal/synclink"
	"estate/sync/wire"
)

// TestFastLineIsNotCompressed: what is faster than the compressor carries a backlog as it is;
// a line of a rented speed gets every page compressed.
func TestFastLineIsNotCompressed(t *testing.T) {
	t.Parallel()
	const (
		tickets = 1000 // some twelve pages
		each    = 6000
		rented  = 5_000_000
	)
	for name, rate := range map[string]int64{"Fast": 0, "Rented": rented} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var plain, compressed atomic.Int64
			w := setup(t, func(c *synclink.UplinkConfig) {
				c.Hooks.FrameOut = func(n int) {
					switch {
					case n > wire.PageBytesGoal:
						plain.Add(1)
					case n > wire.PageBytesGoal/4:
						compressed.Add(1)
					}
				}
			})
			w.proxy.SetRate(rate)
			write(t, w.edge, "backlog 0", tickets, each)
			w.run()
			w.state(synclink.Synced)
			w.converged(tickets)
			if compressed.Load() == 0 {
				t.Error("no page was compressed before the line was known")
			}
			if rate > 0 {
				if n := plain.Load(); n > 0 {
					t.Errorf("%d pages went as they are", n)
				}
				return
			}
			// A machine under load may make a loopback slow for a while.
			for more := 1; plain.Load() == 0; more++ {
				if t.Context().Err() != nil || more > 20 {
					t.Fatal("no page went as it is")
				}
				w.proxy.Cut()
				write(t, w.edge, fmt.Sprint("backlog ", more), tickets, each)
				w.proxy.Restore()
				w.state(synclink.Synced)
				w.converged(tickets * (more + 1))
			}
		})
	}
}
