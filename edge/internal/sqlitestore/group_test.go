package sqlitestore

import (
	"path/filepath"
	"testing"

	"estate/sync/storetest"
)

func TestGrouped(t *testing.T) {
	t.Parallel()
	storetest.RunGrouped(t, openTest(t, filepath.Join(t.TempDir(), "edge.db")))
}
