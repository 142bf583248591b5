package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// memoryFloor is what is left to the machine and everybody else on it: a bench that
	// makes a machine swap stalls it, and measures nothing.
	memoryFloor = 2 << 30
	// lookForRoomEvery is often enough for what can be allocated in the meantime.
	lookForRoomEvery = 250 * time.Millisecond
)

// errNoRoom ends a bench before the machine has no memory left.
var errNoRoom = errors.New("too little memory is free")

// freeMemory is what the kernel can give without swapping, in bytes; zero where it does
// not say.
func freeMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	return available(text)
}

func available(meminfo []byte) int64 {
	lines := bufio.NewScanner(bytes.NewReader(meminfo))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if name != "MemAvailable" {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0
		}
		return n << 10
	}
	return 0
}

// roomFor refuses what would take more memory than is free above the floor. Where the
// kernel does not say what is free, nothing is refused.
func roomFor(what string, bytes, free int64) error {
	if free == 0 || bytes+memoryFloor <= free {
		return nil
	}
	return fmt.Errorf("%w: %s takes %d MB, and %d MB must stay free for others; %d MB are free", errNoRoom, what, bytes>>20, int64(memoryFloor)>>20, free>>20)
}

// guarded gives a context that ends once less than the floor is free.
func guarded(ctx context.Context, free func() int64) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		ticker := time.NewTicker(lookForRoomEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			if n := free(); n > 0 && n < memoryFloor {
				cancel(fmt.Errorf("%w: %d MB, and %d MB must stay free for others", errNoRoom, n>>20, int64(memoryFloor)>>20))
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
