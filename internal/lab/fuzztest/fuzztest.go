// Package fuzztest holds what fuzz targets of several packages share.
//
// It must never be linked by what ships.
package fuzztest

import (
	"runtime/metrics"
	"testing"
)

// baseBytes is what any call may allocate: errors, tables, one buffer of a decoder.
const baseBytes = 512 << 10

// tries is how often f must take too much: the first call makes tables that stay, and what
// the whole process allocates is counted, its fuzzing engine's share included.
const tries = 3

// Bounded runs f, which decodes an input of so many bytes, and fails the test if f takes
// more memory than perByte for each of them, each time: a length must be checked before
// memory is spent (SPEC R28). It is for fuzz targets and other tests that run alone, and f
// must be fit to run again.
func Bounded(t testing.TB, inputBytes, perByte int, f func()) {
	t.Helper()
	var spent uint64
	for range tries {
		before := allocated()
		f()
		if spent = allocated() - before; spent <= baseBytes+uint64(inputBytes)*uint64(perByte) {
			return
		}
	}
	t.Fatalf("%d bytes allocated for an input of %d", spent, inputBytes)
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
