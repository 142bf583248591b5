package authtest_test

import (
	"testing"

	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/sync/record"
)

func TestSessionsInMemory(t *testing.T) {
	t.Parallel()
	authtest.TestSessionStore(t, func(*testing.T) auth.SessionStore { return authtest.NewSessions() })
}

func TestEnrolmentsInMemory(t *testing.T) {
	t.Parallel()
	authtest.TestEnrolStore(t, func(*testing.T) (auth.EnrolStore, record.ID, record.ID) {
		return authtest.NewEnrolments(), record.DerivedID("building"), record.DerivedID("person")
	})
}
