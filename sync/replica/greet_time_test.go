package replica_test

import (
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// TestGreetingRetriedLater: SPEC R16. A greeting that the busy store puts off is tried again
// with the peer's time as it is then, not as it was when its hello came: a node would follow
// a clock that is behind by its own delay.
func TestGreetingRetriedLater(t *testing.T) {
	t.Parallel()
	building, peer := record.DerivedID("building"), replica.Peer{Node: record.DerivedID("cloud"), Tier: record.TierCloud}
	const told = int64(1_700_000_000_000)
	s := replica.NewSession(replica.SessionConfig{Building: building, Peer: peer})
	s.Step(1, replica.Opened{Hello: wire.Hello{Protocol: wire.Protocol, Building: building, Tier: record.TierEdge}})
	greeted := func(effects []replica.SessionEffect) *replica.DoGreet {
		for _, e := range effects {
			if g, ok := e.(replica.DoGreet); ok {
				return &g
			}
		}
		return nil
	}
	hello := wire.Hello{Protocol: wire.Protocol, Building: building, Node: peer.Node, Tier: peer.Tier, Time: told}
	first := greeted(s.Step(1000, replica.Received{Message: hello}))
	if first == nil || first.Hello.Time != told {
		t.Fatalf("first greeting %+v", first)
	}
	s.Step(4000, replica.EffectFailed{Effect: *first, Busy: true})
	again := greeted(s.Step(9000, replica.Ticked{}))
	if again == nil || again.Hello.Time != told+8000 {
		t.Fatalf("greeting again %+v, want the time %d", again, told+8000)
	}
}
