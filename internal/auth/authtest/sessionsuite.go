package authtest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/auth"
	"estate/sync/record"
)

// rowTime is a time with milliseconds, to see that a store keeps them. Nothing writes to it.
var rowTime = time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC)

// TestSessionStore runs the conformance suite of auth.SessionStore. The factory gives an
// empty store, or one whose rows no other test uses, and cleans up by t.Cleanup.
func TestSessionStore(t *testing.T, factory func(t *testing.T) auth.SessionStore) {
	for name, test := range map[string]func(*testing.T, auth.SessionStore){
		"CreateThenFind":         testCreateThenFind,
		"FindUnknown":            testFindUnknown,
		"CreateTwice":            testCreateTwice,
		"Rotate":                 testRotate,
		"RotateRefused":          testRotateRefused,
		"RotateRace":             testRotateRace,
		"RevokeFamily":           testRevokeFamily,
		"RevokePerson":           testRevokePerson,
		"RevokeRacesRotate":      testRevokeRacesRotate,
		"RevokePersonRaceRotate": testRevokePersonRacesRotate,
		"DeleteExpired":          testDeleteExpired,
		"FamilyLive":             testFamilyLive,
		"CancelledContext":       testCancelledContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, factory(t))
		})
	}
}

// newRow makes a current token of a family, derived from the test's name so that tests may
// share a database.
func newRow(t *testing.T, name, family, person string) auth.Session {
	t.Helper()
	var hash auth.TokenHash
	a, b := record.DerivedID("hash", t.Name(), name), record.DerivedID("hash2", t.Name(), name)
	copy(hash[:16], a[:])
	copy(hash[16:], b[:])
	return auth.Session{
		Hash: hash, Family: record.DerivedID("family", t.Name(), family), Person: record.DerivedID("person", t.Name(), person),
		ClientID: "app-1", Agent: "Ünïcode/1.0 ' \" --", CreatedAt: rowTime, ExpiresAt: rowTime.Add(time.Hour),
	}
}

func mustCreate(t *testing.T, s auth.SessionStore, rows ...auth.Session) {
	t.Helper()
	for _, row := range rows {
		if err := s.CreateSession(t.Context(), row); err != nil {
			t.Fatalf("CreateSession: %v", err)
		}
	}
}

func mustFind(t *testing.T, s auth.SessionStore, hash auth.TokenHash) auth.Session {
	t.Helper()
	row, err := s.FindByHash(t.Context(), hash)
	if err != nil {
		t.Fatalf("FindByHash: %v", err)
	}
	return row
}

func testCreateThenFind(t *testing.T, s auth.SessionStore) {
	row := newRow(t, "a", "f", "p")
	row.Resent = true
	mustCreate(t, s, row)
	if got := mustFind(t, s, row.Hash); got != row {
		t.Fatalf("found %+v, stored %+v", got, row)
	}
}

func testFindUnknown(t *testing.T, s auth.SessionStore) {
	if _, err := s.FindByHash(t.Context(), newRow(t, "nobody", "f", "p").Hash); !errors.Is(err, auth.ErrNoSession) {
		t.Fatalf("error %v, want ErrNoSession", err)
	}
}

func testCreateTwice(t *testing.T, s auth.SessionStore) {
	row := newRow(t, "a", "f", "p")
	mustCreate(t, s, row)
	other := row
	other.Person = record.DerivedID("thief", t.Name())
	if err := s.CreateSession(t.Context(), other); err == nil {
		t.Fatal("a second row with the same hash was stored")
	}
	if got := mustFind(t, s, row.Hash); got != row {
		t.Fatalf("the first row changed to %+v", got)
	}
}

func testRotate(t *testing.T, s auth.SessionStore) {
	old, next := newRow(t, "a", "f", "p"), newRow(t, "b", "f", "p")
	next.CreatedAt = rowTime.Add(time.Minute)
	mustCreate(t, s, old)
	if err := s.Rotate(t.Context(), old.Hash, next); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	want := old
	want.RotatedAt, want.Successor = next.CreatedAt, next.Hash
	if got := mustFind(t, s, old.Hash); got != want {
		t.Fatalf("old row is %+v, want %+v", got, want)
	}
	if got := mustFind(t, s, next.Hash); got != next {
		t.Fatalf("new row is %+v, want %+v", got, next)
	}
}

func testRotateRefused(t *testing.T, s auth.SessionStore) {
	current, spent, revoked, both := newRow(t, "c", "f", "p"), newRow(t, "s", "f", "p"), newRow(t, "r", "g", "p"), newRow(t, "x", "h", "p")
	mustCreate(t, s, spent, revoked, both)
	if err := errors.Join(
		s.Rotate(t.Context(), spent.Hash, current),
		s.Rotate(t.Context(), both.Hash, newRow(t, "y", "h", "p")),
		s.RevokeFamily(t.Context(), revoked.Family, rowTime),
		s.RevokeFamily(t.Context(), both.Family, rowTime),
	); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old  auth.TokenHash
		want error
	}{
		"unknown":             {newRow(t, "nobody", "f", "p").Hash, auth.ErrNoSession},
		"rotated":             {spent.Hash, auth.ErrRotated},
		"revoked":             {revoked.Hash, auth.ErrRevoked},
		"rotated and revoked": {both.Hash, auth.ErrRevoked},
	} {
		next := newRow(t, "never "+name, "f", "p")
		if err := s.Rotate(t.Context(), c.old, next); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if _, err := s.FindByHash(t.Context(), next.Hash); !errors.Is(err, auth.ErrNoSession) {
			t.Errorf("%s: a refused rotation stored its successor (%v)", name, err)
		}
	}
}

func testRotateRace(t *testing.T, s auth.SessionStore) {
	const racers = 8
	old := newRow(t, "a", "f", "p")
	mustCreate(t, s, old)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range racers {
		next := newRow(t, string(rune('b'+i)), "f", "p")
		wg.Go(func() {
			switch err := s.Rotate(context.WithoutCancel(t.Context()), old.Hash, next); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, auth.ErrRotated):
				t.Errorf("loser got %v, want ErrRotated", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d rotations of one token succeeded", won.Load())
	}
	if mustFind(t, s, mustFind(t, s, old.Hash).Successor).Family != old.Family {
		t.Fatal("the successor is not of the family")
	}
}

func testRevokeFamily(t *testing.T, s auth.SessionStore) {
	a, b, other := newRow(t, "a", "f", "p"), newRow(t, "b", "f", "p"), newRow(t, "o", "g", "p")
	mustCreate(t, s, a, other)
	at := rowTime.Add(time.Second)
	if err := errors.Join(s.Rotate(t.Context(), a.Hash, b), s.RevokeFamily(t.Context(), a.Family, at),
		s.RevokeFamily(t.Context(), a.Family, at.Add(time.Hour)),
		s.RevokeFamily(t.Context(), record.DerivedID("no family"), at)); err != nil {
		t.Fatal(err)
	}
	for _, hash := range []auth.TokenHash{a.Hash, b.Hash} {
		if got := mustFind(t, s, hash).RevokedAt; !got.Equal(at) {
			t.Errorf("revoked at %v, want the first time, %v", got, at)
		}
	}
	if got := mustFind(t, s, other.Hash); got != other {
		t.Errorf("another family changed to %+v", got)
	}
}

func testRevokePerson(t *testing.T, s auth.SessionStore) {
	a, b, other := newRow(t, "a", "f", "p"), newRow(t, "b", "g", "p"), newRow(t, "o", "h", "q")
	mustCreate(t, s, a, b, other)
	if err := s.RevokePerson(t.Context(), a.Person, rowTime); err != nil {
		t.Fatal(err)
	}
	for _, hash := range []auth.TokenHash{a.Hash, b.Hash} {
		if mustFind(t, s, hash).RevokedAt.IsZero() {
			t.Error("a family of the person is not revoked")
		}
	}
	if got := mustFind(t, s, other.Hash); got != other {
		t.Errorf("another person's row changed to %+v", got)
	}
}

func testRevokeRacesRotate(t *testing.T, s auth.SessionStore) {
	raceRevoke(t, s, func(ctx context.Context, row auth.Session) error { return s.RevokeFamily(ctx, row.Family, rowTime) })
}

func testRevokePersonRacesRotate(t *testing.T, s auth.SessionStore) {
	raceRevoke(t, s, func(ctx context.Context, row auth.Session) error { return s.RevokePerson(ctx, row.Person, rowTime) })
}

// raceRevoke rotates a chain while it is revoked: afterwards nothing of it may rotate.
func raceRevoke(t *testing.T, s auth.SessionStore, revoke func(context.Context, auth.Session) error) {
	const rounds, links = 5, 200
	ctx := context.WithoutCancel(t.Context())
	for round := range rounds {
		name := func(i int) string { return string(rune('A'+round)) + string(rune('0'+i)) }
		first := newRow(t, name(0), name(0), name(0))
		mustCreate(t, s, first)
		var wg sync.WaitGroup
		started := make(chan struct{})
		start := sync.OnceFunc(func() { close(started) })
		tip := first
		wg.Go(func() {
			defer start() // also where a rotation failed
			for i := 1; i <= links; i++ {
				next := newRow(t, name(i), name(0), name(0))
				err := s.Rotate(ctx, tip.Hash, next)
				if errors.Is(err, auth.ErrRevoked) {
					break
				}
				if err != nil {
					t.Errorf("Rotate: %v", err)
					break
				}
				tip = next
				if i == 3+round {
					start()
				}
			}
		})
		<-started
		if err := revoke(ctx, first); err != nil {
			t.Errorf("revoke: %v", err)
		}
		wg.Wait()
		if err := s.Rotate(ctx, tip.Hash, newRow(t, name(links+1), name(0), name(0))); !errors.Is(err, auth.ErrRevoked) {
			t.Fatalf("round %d: the last token of a revoked family still rotates (%v)", round, err)
		}
	}
}

func testDeleteExpired(t *testing.T, s auth.SessionStore) {
	gone, kept := newRow(t, "a", "f", "p"), newRow(t, "b", "g", "p")
	gone.ExpiresAt, kept.ExpiresAt = rowTime.Add(-time.Millisecond), rowTime
	mustCreate(t, s, gone, kept)
	n, err := s.DeleteExpired(t.Context(), rowTime)
	if err != nil || n < 1 {
		t.Fatalf("deleted %d, %v", n, err)
	}
	if _, err := s.FindByHash(t.Context(), gone.Hash); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("the expired row is still there (%v)", err)
	}
	if got := mustFind(t, s, kept.Hash); got != kept {
		t.Errorf("the row that ends at that time changed to %+v", got)
	}
}

// testFamilyLive holds for stores that offer auth.Liveness; others have nothing to hold.
func testFamilyLive(t *testing.T, s auth.SessionStore) {
	live, ok := s.(auth.Liveness)
	if !ok {
		return
	}
	row := newRow(t, "a", "f", "p")
	expect := func(want bool, when string) {
		t.Helper()
		if got, err := live.FamilyLive(t.Context(), row.Family); err != nil || got != want {
			t.Errorf("%s: live %v (%v), want %v", when, got, err, want)
		}
	}
	expect(false, "before it exists")
	mustCreate(t, s, row)
	expect(true, "after sign-in")
	if err := s.Rotate(t.Context(), row.Hash, newRow(t, "b", "f", "p")); err != nil {
		t.Fatal(err)
	}
	expect(true, "after a rotation")
	if err := s.RevokeFamily(t.Context(), row.Family, rowTime); err != nil {
		t.Fatal(err)
	}
	expect(false, "after revocation")
}

func testCancelledContext(t *testing.T, s auth.SessionStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	row := newRow(t, "a", "f", "p")
	if err := s.CreateSession(ctx, row); err == nil {
		t.Error("CreateSession ignored a cancelled context")
	}
	if _, err := s.FindByHash(ctx, row.Hash); err == nil || errors.Is(err, auth.ErrNoSession) {
		t.Errorf("FindByHash answered under a cancelled context: %v", err)
	}
}
