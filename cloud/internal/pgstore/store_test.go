package pgstore

import (
	"context"
	"testing"

	"estate/internal/lab/pglab/pgtest"
	"estate/sync/replica"
	"estate/sync/storetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func openTest(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(context.Background(), url, Options{})
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
