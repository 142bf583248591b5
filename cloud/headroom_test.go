package cloud

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
)

// TestHeadroom: it moves the collector's goal and takes no memory.
func TestHeadroom(t *testing.T) {
	before, resident := goal(), rss(t)
	room := headroom()
	if room == nil {
		t.Fatal("none, though GOMEMLIMIT is not set")
	}
	after, taken := goal(), rss(t)-resident
	runtime.KeepAlive(room)
	if after < before+headroomBytes {
		t.Errorf("the goal was %d bytes and is %d", before, after)
	}
	if taken > headroomBytes/4 {
		t.Errorf("%d bytes became resident", taken)
	}
}

func goal() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func rss(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
