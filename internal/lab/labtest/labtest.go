// Package labtest gives tests the system's real programs and processes that
// end with the test.
//
// It must never be linked by what ships.
package labtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"estate/internal/lab"
)

const (
	// buildTimeout covers a build from an empty cache on two cores.
	buildTimeout = 10 * time.Minute
	// readyTimeout covers migrations and a cold start under load.
	readyTimeout = 60 * time.Second
)

// builtOnce remembers this process's one build.
type builtOnce struct {
	mu   sync.Mutex
	dir  string
	bins lab.Binaries
	err  error
}

// built is the single place where this process remembers its build: tests of
// one package have no other common owner.
var built builtOnce

// Main runs a package's tests and removes what Binaries built: call it from
// TestMain of each package that uses Binaries.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has more to do before it exits.
func Run(m *testing.M) int {
	code := m.Run()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.dir == "" {
		return code
	}
	if err := os.RemoveAll(built.dir); err != nil {
		fmt.Fprintln(os.Stderr, "remove the built programs:", err)
		return max(code, 1)
	}
	return code
}

// Binaries gives the programs in ESTATE_BIN, else builds them once per test
// process.
func Binaries(t testing.TB) lab.Binaries {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.bins.Edge == "" && built.err == nil {
		built.bins, built.err = find()
	}
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.bins
}

// find requires built.mu.
func find() (lab.Binaries, error) {
	if dir := os.Getenv("ESTATE_BIN"); dir != "" {
		return lab.BinariesIn(dir)
	}
	dir, err := os.MkdirTemp("", "estate-bin-*")
	if err != nil {
		return lab.Binaries{}, fmt.Errorf("make a folder for the programs: %w", err)
	}
	built.dir = dir
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	return lab.Build(ctx, dir)
}

// Start starts a program, waits until it is ready and kills it when the test
// ends. A failed test prints the end of its log. An empty LogPath is a file in
// the test's own folder.
func Start(t testing.TB, spec lab.Spec) *lab.Process {
	t.Helper()
	if spec.LogPath == "" {
		spec.LogPath = filepath.Join(t.TempDir(), spec.Name+".log")
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	process, err := lab.StartReady(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", spec.Name, process.LogTail())
		}
		if err := process.Kill9(); err != nil {
			t.Error(err)
		}
	})
	return process
}

// FreePort picks a loopback TCP port that nobody listens on, for a program that the test starts,
// ends and starts again: no other test gets it before this one has ended.
func FreePort(t testing.TB) int {
	t.Helper()
	port, release, err := lab.ReservedPort(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	})
	return port
}
