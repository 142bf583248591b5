package bench

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAvailable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want int64
	}{
		"linux":   {"MemTotal:       24732112 kB\nMemFree:          123 kB\nMemAvailable:   2048 kB\n", 2 << 20},
		"absent":  {"MemTotal:       24732112 kB\n", 0},
		"garbled": {"MemAvailable: much kB\n", 0},
		"empty":   {"", 0},
	} {
		if got := available([]byte(c.text)); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestRoomFor(t *testing.T) {
	t.Parallel()
	if err := roomFor("a fleet", 1<<30, memoryFloor+1<<30); err != nil {
		t.Errorf("refused what fits: %v", err)
	}
	if err := roomFor("a fleet", 1<<30, 0); err != nil {
		t.Errorf("refused where the kernel says nothing: %v", err)
	}
	err := roomFor("a fleet", 1<<30, memoryFloor+1<<30-1)
	if !errors.Is(err, errNoRoom) || !strings.Contains(err.Error(), "a fleet takes 1024 MB, and 2048 MB must stay free for others; 3071 MB are free") {
		t.Errorf("got %v", err)
	}
}

// The machine must never be brought to swap, whatever the bench got wrong.
func TestGuarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(memoryFloor)
		ctx, stop := guarded(t.Context(), free.Load)
		defer stop()
		<-time.After(time.Minute) // the bubble's time
		if ctx.Err() != nil {
			t.Fatalf("ended at the floor: %v", context.Cause(ctx))
		}
		free.Store(memoryFloor - 1)
		<-time.After(lookForRoomEvery)
		synctest.Wait()
		if !errors.Is(context.Cause(ctx), errNoRoom) {
			t.Fatalf("below the floor: %v", context.Cause(ctx))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := guarded(t.Context(), func() int64 { return 0 })
		<-time.After(time.Minute)
		if ctx.Err() != nil {
			t.Fatalf("ended where the kernel says nothing: %v", context.Cause(ctx))
		}
		stop()
		synctest.Wait()
	})
}
