package authtest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/auth"
	"estate/sync/record"
)

// TestEnrolStore runs the conformance suite of auth.EnrolStore. The factory gives an empty
// store and a building and a person that exist in it.
func TestEnrolStore(t *testing.T, factory func(t *testing.T) (store auth.EnrolStore, building, person record.ID)) {
	for name, test := range map[string]func(*testing.T, auth.EnrolStore, auth.Enrolment){
		"CreateThenFind": testEnrolFind,
		"Use":            testEnrolUse,
		"UseRace":        testEnrolRace,
		"NodeExists":     testEnrolNodeExists,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, building, person := factory(t)
			row := auth.Enrolment{Hash: newRow(t, "code", "", "").Hash, Building: building, By: person,
				CreatedAt: rowTime, ExpiresAt: rowTime.Add(auth.EnrolCodeLife)}
			if err := store.CreateEnrolment(t.Context(), row); err != nil {
				t.Fatalf("CreateEnrolment: %v", err)
			}
			test(t, store, row)
		})
	}
}

// testNode makes a node's id and public key from a name.
func testNode(t *testing.T, name string) (record.ID, ed25519.PublicKey) {
	t.Helper()
	hash := newRow(t, name, "", "").Hash
	public, _ := ed25519.NewKeyFromSeed(hash[:]).Public().(ed25519.PublicKey)
	return record.DerivedID("node", t.Name(), name), public
}

func testEnrolFind(t *testing.T, s auth.EnrolStore, row auth.Enrolment) {
	got, err := s.FindEnrolment(t.Context(), row.Hash)
	if err != nil || len(got.Public) != 0 {
		t.Fatalf("FindEnrolment: %+v, %v", got, err)
	}
	got.Public = nil
	if !reflect.DeepEqual(got, row) {
		t.Errorf("found %+v, stored %+v", got, row)
	}
	if _, err := s.FindEnrolment(t.Context(), newRow(t, "nobody", "", "").Hash); !errors.Is(err, auth.ErrNoEnrolment) {
		t.Errorf("unknown code: %v", err)
	}
	if err := s.CreateEnrolment(t.Context(), row); err == nil {
		t.Error("the same code was stored twice")
	}
}

func testEnrolUse(t *testing.T, s auth.EnrolStore, row auth.Enrolment) {
	node, public := testNode(t, "node")
	at := rowTime.Add(time.Minute)
	if err := s.UseEnrolment(t.Context(), newRow(t, "nobody", "", "").Hash, node, public, at); !errors.Is(err, auth.ErrNoEnrolment) {
		t.Errorf("unknown code: %v", err)
	}
	if err := s.UseEnrolment(t.Context(), row.Hash, node, public, at); err != nil {
		t.Fatalf("UseEnrolment: %v", err)
	}
	want := row
	want.UsedAt, want.UsedBy, want.Public = at, node, public
	if got, err := s.FindEnrolment(t.Context(), row.Hash); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v (%v), want %+v", got, err, want)
	}
	other, otherPublic := testNode(t, "other")
	if err := s.UseEnrolment(t.Context(), row.Hash, other, otherPublic, at); !errors.Is(err, auth.ErrEnrolmentUsed) {
		t.Errorf("second use: %v, want ErrEnrolmentUsed", err)
	}
}

func testEnrolRace(t *testing.T, s auth.EnrolStore, row auth.Enrolment) {
	const racers = 8
	ctx := context.WithoutCancel(t.Context())
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range racers {
		node, public := testNode(t, string(rune('a'+i)))
		wg.Go(func() {
			switch err := s.UseEnrolment(ctx, row.Hash, node, public, rowTime); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, auth.ErrEnrolmentUsed):
				t.Errorf("loser got %v, want ErrEnrolmentUsed", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d nodes enrolled with one code", won.Load())
	}
}

func testEnrolNodeExists(t *testing.T, s auth.EnrolStore, row auth.Enrolment) {
	node, public := testNode(t, "node")
	if err := s.UseEnrolment(t.Context(), row.Hash, node, public, rowTime); err != nil {
		t.Fatal(err)
	}
	second := row
	second.Hash = newRow(t, "second code", "", "").Hash
	if err := s.CreateEnrolment(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	_, thief := testNode(t, "thief")
	if err := s.UseEnrolment(t.Context(), second.Hash, node, thief, rowTime); !errors.Is(err, auth.ErrNodeExists) {
		t.Errorf("a node id was taken over: %v", err)
	}
	if got, err := s.FindEnrolment(t.Context(), second.Hash); err != nil || !got.UsedAt.IsZero() {
		t.Errorf("a refused use spent the code: %+v, %v", got, err)
	}
}
