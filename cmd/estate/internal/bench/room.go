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
	"syscall"
	"time"
)

const (
	// memoryFloor is what is left to the machine and everybody else on it: a bench that
	// makes a machine swap stalls it, and measures nothing.
	memoryFloor = 2 << 30
	// diskFloor is what is left on the disk: below, a database that cannot write its log answers
	// nothing any more, and a bench would wait for it until its own time is over.
	diskFloor = 512 << 20
	// lookForRoomEvery is often enough for what can be allocated in the meantime.
	lookForRoomEvery = 250 * time.Millisecond
)

// errNoRoom ends a bench before the machine has no memory left, and errDiskFull before its disk is
// full.
var (
	errNoRoom   = errors.New("too little memory is free")
	errDiskFull = errors.New("the disk is full")
)

// resource is something of which so much must stay free.
type resource struct {
	floor int64
	free  func() int64 // in bytes; zero where nothing says
	short error
}

// resources are what a bench in a folder must leave to others.
func resources(dir string) []resource {
	return []resource{{memoryFloor, freeMemory, errNoRoom}, {diskFloor, func() int64 { return freeDisk(dir) }, errDiskFull}}
}

// check says what there is too little of.
func (r resource) check() error {
	if n := r.free(); n > 0 && n < r.floor {
		return fmt.Errorf("%w: %d MB, and %d MB must stay free for others", r.short, n>>20, r.floor>>20)
	}
	return nil
}

// freeDisk is what programs can still write where a folder is, in bytes; at least one where the
// kernel says, zero where it does not.
func freeDisk(dir string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0
	}
	return max(1, int64(s.Bavail)*int64(s.Bsize)) //nolint:unconvert // a disk has less than 8 EB; types differ by system
}

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

// guarded gives a context that ends once less than its floor is free of something.
func guarded(ctx context.Context, list []resource) (context.Context, context.CancelFunc) {
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
			for _, one := range list {
				if err := one.check(); err != nil {
					cancel(err)
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
