package cloud

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	restEvery = 5 * time.Second
	// busyBytes is what a process allocates between two looks that has work to do. Thousands
	// of idle lines take less.
	busyBytes = 64 << 20
	// restRounds is how often the collector runs in a rest: each round halves the stacks of
	// goroutines that once went deep.
	restRounds = 3
)

// rest gives back what a burst of work took. A collector that waits for the heap to double
// may wait for days where all that happens is heartbeats, and with it wait the garbage and
// the deep stacks of thousands of lines that greeted at once.
func (c *Cloud) rest(ctx context.Context) {
	ticker := time.NewTicker(restEvery)
	defer ticker.Stop()
	var r resting
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if r.due(allocated()) {
			debug.FreeOSMemory()
		}
	}
}

// resting tells a rest from a pause.
type resting struct {
	total uint64
	left  int // rounds to go
}

// due takes all that was ever allocated, and reports whether a round is to be run now.
func (r *resting) due(total uint64) bool {
	busy := total-r.total >= busyBytes
	r.total = total
	switch {
	case busy:
		r.left = restRounds
	case r.left > 0:
		r.left--
		return true
	}
	return false
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
