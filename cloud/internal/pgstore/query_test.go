package pgstore

import (
	"testing"

	"estate/internal/desk"
	"estate/internal/desk/desktest"
	"estate/internal/lab/pglab/pgtest"
	"estate/schema"
	"estate/sync/replica"
)

func TestDesk(t *testing.T) {
	t.Parallel()
	desktest.Run(t, func(t *testing.T) (replica.Store, desk.Query) {
		s := openTest(t, pgtest.Database(t))
		return s, NewQueries(s, schema.Kinds())
	})
}
