package broker

import (
	"context"
	"errors"
	"testing"
	"time"
)

// never is longer than a test takes.
const never = time.Hour

// entered reports whether a connection that asked is let in by now.
func entered(asked <-chan error) bool {
	select {
	case err := <-asked:
		return err == nil
	default:
		return false
	}
}

// ask enters in a goroutine of its own, and returns once it waits or is in.
func ask(t *testing.T, ctx context.Context, w *window, count int) <-chan error {
	t.Helper()
	w.mu.Lock()
	before := len(w.waiting)
	w.mu.Unlock()
	asked := make(chan error, 1)
	go func() { asked <- w.enter(ctx, count) }()
	for len(asked) == 0 {
		w.mu.Lock()
		waits := len(w.waiting) > before
		w.mu.Unlock()
		if waits {
			break
		}
	}
	return asked
}

func TestWindow(t *testing.T) {
	t.Parallel()
	w := newWindow(10, never)
	if !entered(ask(t, t.Context(), w, 8)) {
		t.Fatal("8 of 10 had to wait")
	}
	large, small := ask(t, t.Context(), w, 5), ask(t, t.Context(), w, 1)
	if entered(large) || entered(small) {
		t.Fatal("5 went in where 2 had room, or 1 before them")
	}
	w.left(2)
	if entered(large) || entered(small) {
		t.Fatal("5 went in where 4 had room, or 1 before them")
	}
	w.left(1)
	if err := <-large; err != nil {
		t.Fatal(err)
	}
	w.left(1)
	if err := <-small; err != nil {
		t.Fatal(err)
	}
	w.left(1000) // more than came in
	if !entered(ask(t, t.Context(), w, 10)) || entered(ask(t, t.Context(), w, 1)) {
		t.Error("room for 10 at once, not more")
	}
}

// TestWindowTooLarge: who has more than the window holds goes in alone.
func TestWindowTooLarge(t *testing.T) {
	t.Parallel()
	w := newWindow(10, never)
	if !entered(ask(t, t.Context(), w, 11)) || entered(ask(t, t.Context(), w, 1)) {
		t.Error("11 go in where there is room for 10, and nobody beside them")
	}
}

// TestWindowGivesUp: a connection that ended while it waited takes no room, and holds nobody up.
func TestWindowGivesUp(t *testing.T) {
	t.Parallel()
	w := newWindow(10, never)
	ask(t, t.Context(), w, 10)
	ctx, cancel := context.WithCancel(t.Context())
	gone, next := ask(t, ctx, w, 10), ask(t, t.Context(), w, 1)
	w.left(1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := <-next; err != nil {
		t.Fatal(err)
	}
	w.left(10)
	if !entered(ask(t, t.Context(), w, 10)) {
		t.Error("the room of who gave up is lost")
	}
}

// TestWindowForgets: what the server threw away is never taken; the others go on after a while,
// but not while the edge takes anything.
func TestWindowForgets(t *testing.T) {
	t.Parallel()
	w := newWindow(10, time.Millisecond)
	for range 3 {
		if err := w.enter(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	w = newWindow(10, never)
	ask(t, t.Context(), w, 10)
	waits := ask(t, t.Context(), w, 10)
	since := w.stalled(-1)
	w.left(1)
	if w.stalled(since); entered(waits) {
		t.Error("let in though one was taken meanwhile")
	}
	since = w.stalled(-1)
	w.stalled(since)
	if err := <-waits; err != nil {
		t.Error(err)
	}
	if w.free != 0 {
		t.Errorf("free %d", w.free)
	}
}
