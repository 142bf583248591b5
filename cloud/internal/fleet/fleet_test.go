package fleet_test

import (
	"os"
	"testing"
	"time"

	"estate/cloud/internal/fleet"
	"estate/cloud/internal/pgstore"
	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/lab/pglab/pgtest"
	"estate/internal/problem"
	"estate/sync/record"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func setup(t *testing.T) *fleet.Store {
	t.Helper()
	db, err := pgstore.Open(t.Context(), pgtest.Database(t), pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return fleet.New(db.Pool(), func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) })
}

func TestEnrolments(t *testing.T) {
	t.Parallel()
	authtest.TestEnrolStore(t, func(t *testing.T) (auth.EnrolStore, record.ID, record.ID) {
		return setup(t), record.DerivedID("building"), record.DerivedID("person")
	})
}

func TestUnknownEdge(t *testing.T) {
	t.Parallel()
	s, node := setup(t), record.DerivedID("node")
	if _, err := s.Revoked(t.Context(), node); !problem.HasCode(err, problem.NodeUnknown) {
		t.Fatalf("revoked: %v", err)
	}
	if err := s.Revoke(t.Context(), node); !problem.HasCode(err, problem.NodeUnknown) {
		t.Fatalf("revoke: %v", err)
	}
	if ok, err := s.Genuine(t.Context(), record.DerivedID("building"), node); ok || err != nil {
		t.Fatalf("genuine %t, %v", ok, err)
	}
}
