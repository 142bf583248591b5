package people_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"estate/cloud/internal/people"
	"estate/internal/auth"
	"estate/sync/record"
)

// openSession gives a person an account and a session, and returns its family.
func openSession(t *testing.T, s *people.Store, name string, admin bool) (person, family record.ID) {
	t.Helper()
	person, family = record.DerivedID("person", name), record.DerivedID("family", name)
	if err := s.Create(t.Context(), people.Account{ID: person, Email: name + "@example.org", Name: name, Admin: admin}, "hash"); err != nil {
		t.Fatal(err)
	}
	row := auth.Session{Family: family, Person: person, CreatedAt: time.Unix(1, 0), ExpiresAt: time.Unix(2, 0)}
	copy(row.Hash[:], name)
	if err := s.CreateSession(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	return person, family
}

func TestStanding(t *testing.T) {
	t.Parallel()
	s := setup(t)
	boss, bossSession := openSession(t, s, "boss", true)
	_, annSession := openSession(t, s, "ann", false)
	expect := func(what string, family record.ID, want auth.Standing) {
		t.Helper()
		if got, err := s.FamilyStanding(t.Context(), family); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
		}
	}
	expect("no session", record.DerivedID("nobody"), auth.Standing{})
	expect("an admin", bossSession, auth.Standing{Live: true, Operator: true})
	expect("somebody else", annSession, auth.Standing{Live: true})
	disabled := true
	if err := s.Update(t.Context(), boss, people.Change{Disabled: &disabled}); err != nil {
		t.Fatal(err)
	}
	expect("a disabled admin", bossSession, auth.Standing{Live: true})
	if err := s.RevokeFamily(t.Context(), bossSession, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	expect("a revoked session", bossSession, auth.Standing{})
}

// Requests that ask together get each its own answer, and none of before its question: what
// was revoked before somebody asked is not alive.
func TestStandingsAskedTogether(t *testing.T) {
	t.Parallel()
	const sessions, rounds = 16, 12
	s := setup(t)
	var wg sync.WaitGroup
	for n := range sessions {
		_, family := openSession(t, s, fmt.Sprintf("person%d", n), n%2 == 0)
		wg.Go(func() {
			want := auth.Standing{Live: true, Operator: n%2 == 0}
			for round := range rounds {
				if round == n%rounds {
					if err := s.RevokeFamily(t.Context(), family, time.Unix(1, 0)); err != nil {
						t.Error(err)
					}
					want = auth.Standing{}
				}
				if got, err := s.FamilyStanding(t.Context(), family); err != nil || got != want {
					t.Errorf("person %d, round %d: %+v, %v; want %+v", n, round, got, err, want)
				}
			}
		})
	}
	wg.Wait()
}
