package cloud

import (
	"runtime"
	"runtime/metrics"
	"testing"
)

// TestHeadroom: it moves the collector's goal.
func TestHeadroom(t *testing.T) {
	before := goal()
	room := headroom()
	if room == nil {
		t.Fatal("none, though GOMEMLIMIT is not set")
	}
	after := goal()
	runtime.KeepAlive(room)
	if after < before+headroomBytes {
		t.Errorf("the goal was %d bytes and is %d", before, after)
	}
}

func goal() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
