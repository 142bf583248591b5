package synclink

import (
	"testing"
	"time"
)

func TestLanes(t *testing.T) {
	t.Parallel()
	l := lanes{}
	for range socketFailuresMax {
		if l.lane() != LaneSocket {
			t.Fatal("gave the WebSocket up too early")
		}
		l.ended(ending{detail: "no hello came"})
	}
	if l.lane() != LanePost || l.hold() != 0 {
		t.Fatal("POST is not tried once after the WebSocket failed")
	}
	worked := ending{streamed: true, synced: true}
	l.ended(worked)
	if l.lane() != LaneSocket || !l.again(worked) {
		t.Fatal("the WebSocket is not tried at once when POST finds the network back")
	}
	l.ended(ending{detail: "no hello came"})
	if l.lane() != LanePost || l.hold() != socketAgainFirst {
		t.Fatal("POST is not kept where the WebSocket fails and it works")
	}
	l.ended(worked)
	if l.lane() != LaneSocket || !l.again(worked) {
		t.Fatal("the WebSocket is not tried again once POST worked for its time")
	}
	l.ended(ending{detail: "no hello came"})
	if l.lane() != LanePost || l.hold() != 2*socketAgainFirst {
		t.Fatal("one failure does not lead back to POST, for longer")
	}
	for range 20 {
		if l.hold() > socketAgainMax {
			t.Fatal("POST is kept beyond its limit")
		}
	}
	down := ending{detail: "connection refused"}
	l.ended(down)
	if l.lane() != LaneSocket || l.again(down) {
		t.Fatal("a network that is down says nothing about WebSockets")
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, jitter := range []float64{0, 0.5, 0.999} {
		b := backoff{jitter: func() float64 { return jitter }}
		limit := BackoffFirst
		for range 12 {
			if wait := b.next(); wait < limit/2 || wait > limit {
				t.Fatalf("waits %v, want between %v and %v", wait, limit/2, limit)
			}
			limit = min(2*limit, BackoffMax)
		}
		b.reset()
		if wait := b.next(); wait > BackoffFirst || wait < 100*time.Millisecond {
			t.Fatalf("waits %v after a reset", wait)
		}
	}
}
