package synclink

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"
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
	for range 3 * socketFailuresMax {
		if l.ended(ending{detail: "no route to host", unreached: true}); l.lane() != LaneSocket {
			t.Fatal("POST is tried where nobody was there to connect to")
		}
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

// TestSpeed: only a whole reading counts, a line is what it was at its best of late, and of
// what lies behind a proxy nothing is known.
func TestSpeed(t *testing.T) {
	t.Parallel()
	var line carried
	s := speed{read: func() carried { return line }, fastFrom: fastLine}
	look := func(bytes uint64, busy time.Duration, want bool) {
		t.Helper()
		line.bytes += bytes
		line.busy += busy
		if s.look(); s.fast() != want {
			t.Errorf("%d bytes in %s: fast is %t", bytes, busy, !want)
		}
	}
	look(fastLine, time.Second, false)         // not quite
	look(readingBytes-1, 0, false)             // may lie in a modem
	look(1, time.Second, false)                // is a reading now, a slow one
	look(fastLine, time.Second-busyStep, true) // just
	for range readingsKept - 1 {
		look(readingBytes, time.Second, true) // has waited for the receiver
	}
	look(readingBytes, time.Second, false)
	for _, proxied := range []bool{false, true} {
		u := &Uplink{base: &url.URL{Scheme: "https", Host: "cloud.example"}, dialer: &websocket.Dialer{Proxy: func(*http.Request) (*url.URL, error) {
			if proxied {
				return &url.URL{Scheme: "http", Host: "proxy.example"}, nil
			}
			return nil, nil //nolint:nilnil // as the standard library's: no proxy
		}}}
		if known := u.carried(nil) != nil; known == proxied {
			t.Errorf("through a proxy %t, the line is known %t", proxied, known)
		}
	}
}
