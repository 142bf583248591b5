// Package pgtest gives tests a real PostgreSQL: one throw-away cluster per
// test process and an empty database per test.
//
// It must never be linked by what ships, nor offer a test another test's data.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"estate/internal/lab/pglab"
)

// shared is the process's one cluster; the mutex guards its single start.
type sharedCluster struct {
	mu      sync.Mutex
	cluster *pglab.Cluster
	err     error
}

// shared is the single place where this process remembers its cluster: tests
// of one package have no other common owner.
var shared sharedCluster

// Main runs a package's tests and stops the shared cluster: call it from
// TestMain of each package that uses Shared or Database.
func Main(m *testing.M) {
	os.Exit(Run(m))
}

// Run is Main for a TestMain that has more to do before it exits.
func Run(m *testing.M) int {
	code := m.Run()
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the shared PostgreSQL:", err)
		return max(code, 1)
	}
	return code
}

// Stop ends the shared cluster where one was started.
func Stop() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil {
		return nil
	}
	cluster := shared.cluster
	shared.cluster = nil
	return cluster.Stop()
}

// Shared returns the process's cluster, started at the first call, with fsync
// off: it is for tests that do not crash it.
func Shared(t testing.TB) *pglab.Cluster {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil && shared.err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), pglab.Deadline)
		defer cancel()
		shared.cluster, shared.err = pglab.Start(ctx, pglab.Options{})
	}
	if shared.err != nil {
		t.Fatalf("start the shared PostgreSQL: %v", shared.err)
	}
	return shared.cluster
}

// Database makes an empty database in the shared cluster and returns its URL;
// it is dropped, with whoever is still connected, when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	return create(t, Shared(t), "")
}

// Copy is Database with the tables and rows of another database of the shared
// cluster, to which nobody may be connected: migrate one once, then copy it.
func Copy(t testing.TB, template string) string {
	t.Helper()
	return create(t, Shared(t), template)
}

// Cluster starts a cluster of the test's own, to be killed and restarted at
// will, with fsync on.
func Cluster(t testing.TB) *pglab.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), pglab.Deadline)
	defer cancel()
	cluster, err := pglab.Start(ctx, pglab.Options{FullDurability: true})
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return cluster
}

func create(t testing.TB, cluster *pglab.Cluster, template string) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	ctx, cancel := context.WithTimeout(context.Background(), pglab.Deadline)
	defer cancel()
	if err := cluster.CreateDatabase(ctx, name, template); err != nil {
		t.Fatalf("make a test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), pglab.Deadline)
		defer cancel()
		if err := cluster.DropDatabase(ctx, name); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	return cluster.URL(name)
}
