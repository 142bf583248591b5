package broker

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// windowSize is how many messages of QoS 0 may be under way between a device and the edge. It is
	// below what the edge lets wait to be stored for one topic, so that nothing is left out.
	windowSize = 3072
	// windowStall is how long the edge may take none of them before those that are under way are
	// taken for lost: the server throws away what it does not permit, and what nobody hears.
	windowStall = 250 * time.Millisecond
)

// window is back-pressure for messages of QoS 0. Nobody acknowledges them, so a sender does not
// notice that the edge stores less than it sends, and what there is no room for would be left out.
// So a connection is not read while too many are under way, and TCP holds its sender up. Messages
// of QoS 1 need no such thing. It is safe for concurrent use.
type window struct {
	size  int
	stall time.Duration

	mu      sync.Mutex
	free    int
	taken   int // in all
	waiting []*turn
}

// turn is a connection that waits, in the order of coming.
type turn struct {
	count int
	ready chan struct{}
}

func newWindow(size int, stall time.Duration) *window {
	return &window{size: size, stall: stall, free: size}
}

// enter waits for room for some messages; its error is the context's.
func (w *window) enter(ctx context.Context, count int) error {
	w.mu.Lock()
	count = min(count, w.size)
	if len(w.waiting) == 0 && w.free >= count {
		w.free -= count
		w.mu.Unlock()
		return nil
	}
	t := &turn{count, make(chan struct{})}
	w.waiting = append(w.waiting, t)
	taken := w.taken
	w.mu.Unlock()
	stall := time.NewTimer(w.stall)
	defer stall.Stop()
	for {
		select {
		case <-t.ready:
			return nil
		case <-ctx.Done():
			w.giveUp(t)
			return ctx.Err()
		case <-stall.C:
			taken = w.stalled(taken)
			stall.Reset(w.stall)
		}
	}
}

// left tells that messages are no longer under way. There may be more of them than came in: the
// edge's own come back to it.
func (w *window) left(count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken += count
	w.free = min(w.free+count, w.size)
	w.admit()
}

// stalled forgets what is under way where none was taken since, and gives what was taken by now.
func (w *window) stalled(since int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken == since {
		w.taken++ // once for all who wait
		w.free = w.size
		w.admit()
	}
	return w.taken
}

// giveUp takes a connection out that has ended.
func (w *window) giveUp(t *turn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := slices.Index(w.waiting, t); n >= 0 {
		w.waiting = slices.Delete(w.waiting, n, n+1)
	} else { // it was let in at that moment
		w.free = min(w.free+t.count, w.size)
	}
	w.admit()
}

// admit lets those in who came first.
func (w *window) admit() {
	n := 0
	for n < len(w.waiting) && w.waiting[n].count <= w.free {
		w.free -= w.waiting[n].count
		close(w.waiting[n].ready)
		n++
	}
	w.waiting = slices.Delete(w.waiting, 0, n)
}

// Taken tells how many messages of QoS 0 the edge has taken: as many may come in.
func (b *Broker) Taken(count int) { b.window.left(count) }
