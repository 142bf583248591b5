package desk_test

import (
	"testing"

	"estate/internal/desk"
	"estate/internal/desk/desktest"
	"estate/sync/memstore"
	"estate/sync/replica"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	desktest.Run(t, func(*testing.T) (replica.Store, desk.Query) { return memstore.New(), nil })
}
