package pgstore

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"estate/internal/lab/pglab/pgtest"
	"estate/sync/replica"
	"estate/sync/storetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childEnv); url != "" {
		if err := writeUntold(context.Background(), url, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	pgtest.Main(m)
}

func openTest(t testing.TB, url string) *Store { return openPaced(t, url, Options{}) }

func openPaced(t testing.TB, url string, options Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) replica.Store { return openTest(t, pgtest.Database(t)) })
}

func TestConformanceOfTwoProcesses(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, func(t *testing.T) (a, b replica.Store) {
		url := pgtest.Database(t)
		return openTest(t, url), openTest(t, url)
	})
}

func BenchmarkPages(b *testing.B) {
	storetest.BenchPages(b, openTest(b, benchURL(b)), 1000)
}

func BenchmarkSingles(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			storetest.BenchSingles(b, openTest(b, benchURL(b)), writers)
		})
	}
}

// benchURL is a database of a cluster that syncs, as in service.
func benchURL(b *testing.B) string {
	b.Helper()
	cluster := pgtest.Cluster(b)
	if err := cluster.CreateDatabase(b.Context(), "bench", ""); err != nil {
		b.Fatal(err)
	}
	return cluster.URL("bench")
}
