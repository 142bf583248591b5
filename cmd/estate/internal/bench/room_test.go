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
		ctx, stop := guarded(t.Context(), []resource{{memoryFloor, free.Load, errNoRoom}})
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
		ctx, stop := guarded(t.Context(), []resource{{memoryFloor, func() int64 { return 0 }, errNoRoom}})
		<-time.After(time.Minute)
		if ctx.Err() != nil {
			t.Fatalf("ended where the kernel says nothing: %v", context.Cause(ctx))
		}
		stop()
		synctest.Wait()
	})
}

// A bench whose programs cannot write any more ends at once, and says why.
func TestGuardedDisk(t *testing.T) {
	t.Parallel()
	if n := freeDisk(t.TempDir()); n <= 0 {
		t.Errorf("%d bytes are free where this test writes", n)
	}
	if n := freeDisk("/nowhere/at/all"); n != 0 {
		t.Errorf("%d bytes are free where nothing is", n)
	}
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(diskFloor)
		list := resources(".")
		list[0].free, list[1].free = func() int64 { return 0 }, free.Load
		ctx, stop := guarded(t.Context(), list)
		defer stop()
		free.Store(1)
		<-time.After(lookForRoomEvery)
		synctest.Wait()
		if cause := context.Cause(ctx); !errors.Is(cause, errDiskFull) || !strings.Contains(cause.Error(), "the disk is full: 0 MB, and 512 MB must stay free") {
			t.Fatalf("a full disk: %v", cause)
		}
	})
}
