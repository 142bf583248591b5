package bench

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// tick is how the kernel counts a process's time: 100 a second on every Linux.
	tick = 10 * time.Millisecond
	// sampleEvery is often enough for a peak and costs nothing that shows.
	sampleEvery = 250 * time.Millisecond
)

// spent is what a program took while it was watched.
type spent struct {
	cpu time.Duration
	// rss is the largest resident memory in bytes; memory that processes share counts once.
	rss int64
}

// meter watches programs: each is a process with its children.
type meter struct {
	names []string
	pids  []int
	began []time.Duration
	rss   []int64
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// watch begins to measure some programs.
func watch(ctx context.Context, programs map[string]int) *meter {
	m := &meter{}
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		pid := programs[name]
		m.names, m.pids = append(m.names, name), append(m.pids, pid)
		cpu, rss := tree(pid)
		m.began, m.rss = append(m.began, cpu), append(m.rss, rss)
	}
	ctx, m.stop = context.WithCancel(ctx)
	m.ended.Go(func() {
		ticker := time.NewTicker(sampleEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				m.sample()
			case <-ctx.Done():
				return
			}
		}
	})
	return m
}

func (m *meter) sample() {
	for i, pid := range m.pids {
		_, rss := tree(pid)
		m.rss[i] = max(m.rss[i], rss)
	}
}

// end gives what each program took.
func (m *meter) end() map[string]spent {
	m.stop()
	m.ended.Wait()
	m.sample()
	out := map[string]spent{}
	for i, pid := range m.pids {
		cpu, _ := tree(pid)
		out[m.names[i]] = spent{cpu - m.began[i], m.rss[i]}
	}
	return out
}

// usage are the lines of the report for what the programs spent on count things.
func usage(what string, count int, of map[string]spent) []figure {
	var out []figure
	for _, p := range []struct {
		name      string
		memoryMax float64 // megabytes; zero for no goal
	}{{"edge", edgeMemoryMax}, {"cloud", cloudMemoryMax}, {"PostgreSQL", 0}} {
		memory := plain(what+": peak RSS of "+p.name, float64(of[p.name].rss)/mega, "MB")
		if p.memoryMax > 0 {
			memory = memory.atMost(p.memoryMax)
		}
		out = append(out, memory, plain(what+": CPU of "+p.name+" for each", float64(of[p.name].cpu.Microseconds())/float64(count), "µs"))
	}
	return out
}

// ownTime is the CPU time of this program so far, without its children.
func ownTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// ownMemory is the resident memory of this program, without its children, in bytes.
func ownMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	private, common := memory(status)
	return private + common
}

// load is how many processes wanted a processor in the last minute; zero where the kernel
// does not say.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return n
}

// tree is the time of a process and its children so far, dead ones too, and the memory
// that they hold now. A process that is gone has none.
func tree(root int) (cpu time.Duration, rss int64) {
	var shared int64
	for _, pid := range append(children(root), root) {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			continue // it ended in the meantime; its parent has its time
		}
		status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		if err != nil {
			continue // likewise
		}
		cpu += cpuTime(stat)
		private, common := memory(status)
		rss, shared = rss+private, max(shared, common)
	}
	return cpu, rss + shared
}

func children(root int) []int {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", root))
	if err != nil {
		return nil
	}
	var out []int
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that ended
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				out = append(out, pid)
			}
		}
	}
	return out
}

// cpuTime reads /proc/PID/stat: the process's own time, and that of the children that
// ended. The command in brackets may hold anything.
func cpuTime(stat []byte) time.Duration {
	const own, ofChildren = 11, 15 // utime and cstime, counted after the brackets
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < ofChildren {
		return 0
	}
	var sum time.Duration
	for _, field := range fields[own:ofChildren] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		sum += time.Duration(n) * tick
	}
	return sum
}

// memory reads /proc/PID/status: what is the process's own, and what it shares with
// others of its program: files and shared memory.
func memory(status []byte) (private, shared int64) {
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			continue // not a size
		}
		switch name {
		case "RssAnon":
			private += kilobytes << 10
		case "RssFile", "RssShmem":
			shared += kilobytes << 10
		}
	}
	return private, shared
}
