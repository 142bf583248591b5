package sqlitestore

import (
	"context"
	"path/filepath"
	"testing"

	"estate/sync/replica"
	"estate/sync/storetest"
)

func openTest(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, Options{})
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
	storetest.Run(t, func(t *testing.T) replica.Store { return openTest(t, filepath.Join(t.TempDir(), "store.db")) })
}
