package bench

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestCPUTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, stat string
		want       time.Duration
	}{
		{"OwnAndChildren", "12 (estate-edge) S 1 12 12 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 9 0", 1270 * time.Millisecond},
		{"BracketsInTheName", "12 (a) b) S 1 12 12 0 -1 4194560 1 2 3 4 1 1 1 1 20 0", 40 * time.Millisecond},
		{"Torn", "12 (x) S 1", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := cpuTime([]byte(test.stat)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	private, shared := memory([]byte("Name:\tpostgres\nVmRSS:\t   40 kB\nRssAnon:\t    10 kB\nRssFile:\t    20 kB\nRssShmem:\t     5 kB\nThreads:\t1\n"))
	if private != 10<<10 || shared != 25<<10 {
		t.Errorf("got %d and %d", private, shared)
	}
}

// TestWatchSeesAProcess: this test burns time in a child and finds it.
func TestWatchSeesAProcess(t *testing.T) {
	t.Parallel()
	m := watch(t.Context(), map[string]int{"test": os.Getpid()})
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	got := m.end()["test"]
	if got.cpu < tick || got.rss < 1<<20 {
		t.Errorf("got %s and %d bytes", got.cpu, got.rss)
	}
}
