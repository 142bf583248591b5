package synclink_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"estate/internal/synclink"
	"estate/sync/wire"
)

// TestFastLineIsNotCompressed: what is faster than the compressor carries a backlog as it is,
// either way; on a line of a rented speed, and by a server behind a proxy, every page is
// compressed.
func TestFastLineIsNotCompressed(t *testing.T) {
	t.Parallel()
	const (
		tickets = 1000 // some twelve pages
		each    = 6000
		rented  = 5_000_000
	)
	for name, c := range map[string]struct {
		rate                int64
		fromCloud, behind   bool
		everyPageCompressed bool
	}{
		"Fast":          {},
		"Rented":        {rate: rented, everyPageCompressed: true},
		"FastDown":      {fromCloud: true},
		"RentedDown":    {rate: rented, fromCloud: true, everyPageCompressed: true},
		"BehindAProxy":  {fromCloud: true, behind: true, everyPageCompressed: true},
		"ToBehindProxy": {behind: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var plain, compressed atomic.Int64
			count := func(n int) {
				switch {
				case n > wire.PageBytesGoal:
					plain.Add(1)
				case n > wire.PageBytesGoal/4:
					compressed.Add(1)
				}
			}
			w := setup(t, func(u *synclink.UplinkConfig) {
				if c.fromCloud {
					u.Hooks.FrameIn = count
				} else {
					u.Hooks.FrameOut = count
				}
			})
			w.forwarded.Store(c.behind)
			w.proxy.SetRate(c.rate)
			writer := w.edge
			if c.fromCloud {
				writer = w.cloud
			}
			write(t, writer, "backlog 0", tickets, each)
			w.run()
			w.state(synclink.Synced)
			w.converged(tickets)
			if compressed.Load() == 0 {
				t.Error("no page was compressed before the line was known")
			}
			if c.everyPageCompressed {
				if n := plain.Load(); n > 0 {
					t.Errorf("%d pages went as they are", n)
				}
				return
			}
			// A machine under load may make a loopback slow for long: less and less counts as fast.
			for more := 1; plain.Load() == 0; more++ {
				if t.Context().Err() != nil || more > 20 {
					t.Fatal("no page went as it is")
				}
				w.proxy.Cut()
				synclink.FastFrom(w.uplink, w.server, synclink.FastLine>>more)
				write(t, writer, fmt.Sprint("backlog ", more), tickets, each)
				w.proxy.Restore()
				w.state(synclink.Synced)
				w.converged(tickets * (more + 1))
			}
		})
	}
}
