package synclink

import (
	"slices"
	"sync/atomic"
	"time"
)

const (
	// fastLine, in bytes a second, is where bytes cost less than to make them fewer: zstd
	// saves 1 of a ticket's 2 KB in 18 µs on a server, and in three times that on a small box. No mobile or rented line of a building sends that fast, so what is
	// slow or metered is always compressed.
	fastLine = 50_000_000
	// readingBytes is how much must have been acknowledged for a reading to mean anything:
	// less may lie in the memory of a modem on its way.
	readingBytes = 2 << 20
	// readingsKept is how long a good reading counts: a line is as fast as it was at its best,
	// for other readings have waited for the receiver.
	readingsKept = 16
	// busyStep is how coarse the kernel's clock is.
	busyStep = 4 * time.Millisecond
)

// carried is what a connection brought over in its life, and how long something waited to be
// acknowledged in that time.
type carried struct {
	bytes uint64
	busy  time.Duration
}

// speed tells a line that is faster than the compressor from all others. Its zero value
// knows of none.
type speed struct {
	read     func() carried // nothing carried where it is unknown
	fastFrom int64          // in bytes a second
	last     carried
	readings [readingsKept]float64
	next     int
	quick    atomic.Bool
}

// look reads once a page was acknowledged: only by then has all of it gone over the line, and
// not only into the kernel's memory. The reader alone calls it.
func (s *speed) look() {
	if s.read == nil {
		return
	}
	now := s.read()
	bytes, busy := now.bytes-s.last.bytes, now.busy-s.last.busy+busyStep
	if now.bytes < s.last.bytes || bytes < readingBytes {
		return
	}
	s.last, s.readings[s.next] = now, float64(bytes)/busy.Seconds()
	s.next = (s.next + 1) % readingsKept
	s.quick.Store(slices.Max(s.readings[:]) >= float64(s.fastFrom))
}

func (s *speed) fast() bool { return s.quick.Load() }
