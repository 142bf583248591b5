package cloud

import (
	"context"
	"runtime"
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
	// idleBytes is what may gather in a rest before the collector runs again: heartbeats alone
	// would use up all of headroomBytes before it did by itself.
	idleBytes = 8 << 20
	// quietBytes is what a process allocates between two looks that has a little work to do: it
	// would want back at once what it gave away.
	quietBytes = 16 << 20
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
		switch r.due(allocated()) {
		case release:
			debug.FreeOSMemory()
		case collect:
			runtime.GC()
		case nothing:
		}
	}
}

// resting tells a rest from a pause.
type resting struct {
	total   uint64
	left    int    // rounds to go
	garbage uint64 // of the rest, since the last round
}

// round is what a look at the memory leads to.
type round int

const (
	nothing round = iota
	collect       // the garbage of a little work
	release       // to the system, what nothing needs
)

// due takes all that was ever allocated, and says what is to be done now.
func (r *resting) due(total uint64) round {
	made := total - r.total
	r.total = total
	r.garbage += made
	switch {
	case made >= busyBytes:
		r.left, r.garbage = restRounds, 0
	case r.left > 0:
		r.left, r.garbage = r.left-1, 0
		return release
	case r.garbage >= idleBytes && made < quietBytes:
		r.garbage = 0
		return release
	case r.garbage >= quietBytes:
		r.garbage = 0
		return collect
	}
	return nothing
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
