package people_test

import (
	"os"
	"testing"
	"time"

	"estate/cloud/internal/people"
	"estate/cloud/internal/pgstore"
	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/lab/pglab/pgtest"
	"estate/internal/problem"
	"estate/sync/record"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func setup(t *testing.T) *people.Store {
	t.Helper()
	db, err := pgstore.Open(t.Context(), pgtest.Database(t), pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return people.New(db.Pool(), func() time.Time { return at })
}

func TestSessions(t *testing.T) {
	t.Parallel()
	authtest.TestSessionStore(t, func(t *testing.T) auth.SessionStore { return setup(t) })
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	s, ctx := setup(t), t.Context()
	person, building, unit := record.DerivedID("p"), record.DerivedID("b"), record.DerivedID("u")
	if err := s.Create(ctx, people.Account{ID: person, Email: "ann@example.org", Name: "Ann"}, "hash1"); err != nil {
		t.Fatal(err)
	}
	err := s.Create(ctx, people.Account{ID: record.DerivedID("q"), Email: "ann@example.org", Name: "Other"}, "hash2")
	if !problem.HasCode(err, problem.Conflict) {
		t.Fatalf("second account with one address: %v", err)
	}
	if _, err := s.FindByEmail(ctx, "nobody@example.org"); err == nil {
		t.Fatal("found an account that does not exist")
	}
	a, err := s.FindByEmail(ctx, "ann@example.org")
	if err != nil || a.Person != person || a.PasswordHash != "hash1" {
		t.Fatalf("sign-in sees %+v, %v", a, err)
	}
	if err := s.SetMembership(ctx, person, people.Membership{Building: building, Role: "tenant", Units: []record.ID{unit}, Active: true}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Memberships(ctx, person)
	if err != nil || len(got) != 1 || got[0].Units[0] != unit {
		t.Fatalf("account %+v, %v", got, err)
	}
	if err := s.SetMembership(ctx, record.DerivedID("nobody"), people.Membership{Building: building, Role: "tenant"}); !problem.HasCode(err, problem.NotFound) {
		t.Fatalf("membership of nobody: %v", err)
	}
}

func TestJobsSurviveAChangeWhileTheyRun(t *testing.T) {
	t.Parallel()
	s, ctx := setup(t), t.Context()
	person, building := record.DerivedID("p"), record.DerivedID("b")
	if err := s.Create(ctx, people.Account{ID: person, Email: "ann@example.org", Name: "Ann"}, "hash1"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMembership(ctx, person, people.Membership{Building: building, Role: "tenant", Active: true}); err != nil {
		t.Fatal(err)
	}
	listed, err := s.NextJobs(ctx, 10)
	if err != nil || len(listed) != 1 || listed[0].PasswordHash != "hash1" {
		t.Fatalf("jobs %+v, %v", listed, err)
	}
	hash := "hash2"
	if err := s.Update(ctx, person, people.Change{PasswordHash: &hash}); err != nil {
		t.Fatal(err)
	}
	if err := s.Done(ctx, listed[0]); err != nil {
		t.Fatal(err)
	}
	again, err := s.NextJobs(ctx, 10)
	if err != nil || len(again) != 1 || again[0].PasswordHash != "hash2" {
		t.Fatalf("the password changed while the job ran, and the job is gone: %+v, %v", again, err)
	}
	if err := s.Done(ctx, again[0]); err != nil {
		t.Fatal(err)
	}
	if left, err := s.NextJobs(ctx, 10); err != nil || len(left) != 0 {
		t.Fatalf("left %+v, %v", left, err)
	}
}

func TestSeedIsOneForAllProcesses(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a, err := s.Seed(t.Context(), "node", []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Seed(t.Context(), "node", []byte("other"))
	if err != nil || string(a) != string(b) {
		t.Fatalf("%q then %q, %v", a, b, err)
	}
}
