package sqlitestore

import (
	"path/filepath"
	"testing"

	"estate/internal/desk"
	"estate/internal/desk/desktest"
	"estate/schema"
	"estate/sync/replica"
)

func TestDesk(t *testing.T) {
	t.Parallel()
	desktest.Run(t, func(t *testing.T) (replica.Store, desk.Query) {
		s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
		return s, NewQueries(s, schema.Kinds())
	})
}
