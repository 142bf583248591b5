package cloud

import (
	"math"
	"runtime/debug"
)

// headroomBytes is what the collector lets gather as garbage beyond as much again as is in
// use. A process in which nothing happens uses some ten megabytes: it would collect them anew
// for each five pages that an edge sends, at a fifth of what it takes to receive them.
const headroomBytes = 20 << 20

// headroom is memory that is counted as in use and never touched: a process that has just
// begun is given none for it, and the collector lets as much more gather before it runs. It is right at any size of
// the heap, unlike a higher GOGC, which would let a large one grow by several times its size.
// An operator who sets GOMEMLIMIT has said what the process may take: then there is none.
func headroom() []byte {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return nil
	}
	return make([]byte, headroomBytes)
}
