package ingest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"estate/edge/internal/decode"
)

// slow is a store that takes its time, and notes when it had stored how many.
type slow struct {
	last
	takes time.Duration
	done  []stored
}

type stored struct {
	at    time.Time
	count int
}

func (s *slow) Observe(ctx context.Context, list []decode.Observation) error {
	select {
	case <-ctx.Done():
	case <-time.After(s.takes):
	}
	s.done = append(s.done, stored{time.Now(), len(list)})
	return nil
}

// TestPace: one message alone is stored at once; while messages keep coming they are gathered for
// some times of what storing takes, and none longer than the limit.
func TestPace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ takes, rest time.Duration }{
		{100 * time.Microsecond, paceMin}, {5 * time.Millisecond, paceFactor * 5 * time.Millisecond}, {80 * time.Millisecond, paceMax},
	} {
		t.Run(c.takes.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { paced(t, c.takes, c.rest) })
		})
	}
}

func paced(t *testing.T, takes, rest time.Duration) {
	sink := &slow{takes: takes}
	i, err := New(Config{Building: "oak", Link: Link{URL: "tcp://127.0.0.1:1"}, Tick: time.Hour, Now: time.Now}, sink, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- i.work(ctx) }()
	sent := 0
	send := func() {
		sent++
		i.link.queue.put(message{topic: i.link.queue.topic([]byte("estate/v1/oak/dev/s1/state")), payload: fmt.Appendf(nil, `{"energy":%d}`, sent), qos: 1, from: io.Discard, arrival: time.Now()})
	}
	wait := func(d time.Duration) { <-time.After(d) }
	alone := func(what string) {
		t.Helper()
		sink.done = nil
		began := time.Now()
		send()
		wait(time.Second)
		if len(sink.done) != 1 || sink.done[0].at.Sub(began) != takes {
			t.Errorf("%s: stored %v after %s", what, sink.done, began)
		}
	}
	alone("the first")
	alone("one after a rest")
	sink.done = nil
	before, began := sent, time.Now()
	for time.Since(began) < time.Second {
		send()
		wait(time.Millisecond)
	}
	wait(time.Second)
	count := 0
	for n, s := range sink.done {
		count += s.count
		if n > 0 {
			if gap := s.at.Sub(sink.done[n-1].at); gap < rest+takes || gap > rest+takes+2*time.Millisecond {
				t.Errorf("batch %d came %s after the one before, want %s", n, gap, rest+takes)
			}
		}
	}
	if count != sent-before || len(sink.done) < 3 {
		t.Errorf("%d of %d messages in %d batches", count, sent-before, len(sink.done))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
