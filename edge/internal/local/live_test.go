package local_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"estate/edge/internal/local"
	"estate/internal/auth"
	"estate/sync/record"
)

// begin begins a session and looks it up, as a request does.
func begin(t *testing.T, s *local.Store, name string, person record.ID) record.ID {
	t.Helper()
	row := auth.Session{Hash: auth.TokenHash(record.HashEvent([]byte(name))), Family: record.DerivedID("family", name), Person: person, CreatedAt: t0, ExpiresAt: t0.Add(time.Hour)}
	if err := s.CreateSession(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if live, err := s.FamilyLive(t.Context(), row.Family); err != nil || !live {
			t.Fatalf("session %s is alive: %v, %v", name, live, err)
		}
	}
	return row.Family
}

// TestEndedSessionIsNotRemembered: a session that was found alive has ended for the next
// request, however it was ended, and others go on.
func TestEndedSessionIsNotRemembered(t *testing.T) {
	t.Parallel()
	ann, bob := record.DerivedID("ann"), record.DerivedID("bob")
	for name, end := range map[string]func(context.Context, *local.Store, record.ID) error{
		"SignedOut": func(ctx context.Context, s *local.Store, family record.ID) error {
			return s.RevokeFamily(ctx, family, t0)
		},
		"Everywhere": func(ctx context.Context, s *local.Store, _ record.ID) error { return s.RevokePerson(ctx, ann, t0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := open(t)
			ended, other := begin(t, s, "one", ann), begin(t, s, "two", bob)
			if err := end(t.Context(), s, ended); err != nil {
				t.Fatal(err)
			}
			if live, err := s.FamilyLive(t.Context(), ended); err != nil || live {
				t.Errorf("alive after its end: %v, %v", live, err)
			}
			if live, err := s.FamilyLive(t.Context(), other); err != nil || !live {
				t.Errorf("another's is alive: %v, %v", live, err)
			}
		})
	}
	t.Run("Expired", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		ended := begin(t, s, "one", ann)
		if n, err := s.DeleteExpired(t.Context(), t0.Add(2*time.Hour)); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if live, err := s.FamilyLive(t.Context(), ended); err != nil || live {
			t.Errorf("alive after it was deleted: %v, %v", live, err)
		}
	})
}

// TestEndAmongLookUps: a look-up that began before the end of a session does not bring it back.
func TestEndAmongLookUps(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	person := record.DerivedID("ann")
	for round := range 20 {
		family := begin(t, s, fmt.Sprint(round), person)
		var readers sync.WaitGroup
		done := make(chan struct{})
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if _, err := s.FamilyLive(t.Context(), family); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		if err := s.RevokeFamily(t.Context(), family, t0); err != nil {
			t.Error(err)
		}
		for range 3 {
			if live, err := s.FamilyLive(t.Context(), family); err != nil || live {
				t.Errorf("alive after its end: %v, %v", live, err)
			}
		}
		close(done)
		readers.Wait()
		if live, err := s.FamilyLive(t.Context(), family); err != nil || live {
			t.Errorf("alive again: %v, %v", live, err)
		}
	}
}
