// Package hlc is a hybrid logical clock: timestamps that follow wall time, never repeat
// on one replica and respect the order in which values were seen.
//
// The method is Kulkarni et al., "Logical Physical Clocks" (2014), with 48 bits of Unix
// milliseconds and a 16-bit counter. The package is pure: wall time comes in as a value.
// It must never read a clock.
package hlc

import (
	"errors"
	"fmt"
	"time"
)

// AheadMax is how far in the future, in milliseconds, an upper tier accepts a stamp
// (design §3, Clocks).
const AheadMax = 5 * 60 * 1000

const counterBits = 16

// MillisMax is the largest wall time that a Stamp can carry (the year 10889).
const MillisMax = 1<<48 - 1

// ErrExhausted says that the 48-bit millisecond range is used up; only a broken clock
// can cause it.
var ErrExhausted = errors.New("hlc: clock beyond the 48-bit millisecond range")

// Stamp is a hybrid timestamp: milliseconds since the Unix epoch in the upper 48 bits and
// a counter in the lower 16. Stamps compare as integers. Zero means "no stamp".
type Stamp uint64

// At builds the first stamp of a millisecond.
func At(ms int64) Stamp {
	if ms < 0 {
		return 0
	}
	return Stamp(uint64(ms) << counterBits)
}

// Millis is the wall part, in Unix milliseconds.
func (s Stamp) Millis() int64 { return int64(s >> counterBits) }

// Counter is the logical part.
func (s Stamp) Counter() uint16 { return uint16(s & (1<<counterBits - 1)) }

// Time is the wall part as a UTC time.
func (s Stamp) Time() time.Time { return time.UnixMilli(s.Millis()).UTC() }

// String prints the stamp as wall time and counter, for logs.
func (s Stamp) String() string {
	return fmt.Sprintf("%s+%d", s.Time().Format("2006-01-02T15:04:05.000Z"), s.Counter())
}

// Next returns the stamp for a local event: after last, and not before the wall time.
func Next(last Stamp, wallMillis int64) (Stamp, error) {
	if wallMillis > MillisMax {
		return 0, ErrExhausted
	}
	if now := At(wallMillis); now > last {
		return now, nil
	}
	if last == ^Stamp(0) {
		return 0, ErrExhausted
	}
	return last + 1, nil
}

// Observe returns the clock after a stamp of another replica was seen: never behind it,
// unless it is too far ahead, in which case the clock stays as it is. Causality is in the
// dots; the stamp only ranks, so a wrong remote clock must not drag this one along.
func Observe(last, seen Stamp, wallMillis int64) Stamp {
	if Ahead(seen, wallMillis) || seen <= last {
		return last
	}
	return seen
}

// Ahead reports whether a stamp lies more than AheadMax in the future of the wall time.
func Ahead(s Stamp, wallMillis int64) bool {
	return s.Millis()-AheadMax > wallMillis // a stamp's millis cannot overflow; a broken clock's could
}
