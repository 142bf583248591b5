package local_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/local"
	"estate/edge/internal/sqlitestore"
	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/media"
	"estate/internal/problem"
	"estate/internal/rules"
	"estate/sync/record"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC)

// open gives the store of one file; calling reopen again is a restart.
func open(t *testing.T) (s *local.Store, reopen func() *local.Store) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edge.db")
	var store *sqlitestore.Store
	reopen = func() *local.Store {
		var err error
		if store != nil {
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if store, err = sqlitestore.Open(context.Background(), path, sqlitestore.Options{}); err != nil {
			t.Fatal(err)
		}
		return local.New(store)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return reopen(), reopen
}

func TestSessions(t *testing.T) {
	t.Parallel()
	authtest.TestSessionStore(t, func(t *testing.T) auth.SessionStore {
		s, _ := open(t)
		return s
	})
}

func TestEnrolment(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, reopen := open(t)
	if _, err := s.Enrolment(ctx); !errors.Is(err, local.ErrNotEnrolled) {
		t.Fatalf("a new box: %v", err)
	}
	public := bytes.Repeat([]byte{7}, ed25519.PublicKeySize)
	e := local.Enrolment{Node: record.DerivedID("node"), Building: record.DerivedID("oak"), CloudURL: "http://cloud", Server: "cloud",
		CloudKey: public, TokenKeys: []auth.IssuerKey{{Issuer: "cloud", Public: public}}, At: t0}
	if err := s.Enrol(ctx, e); err != nil {
		t.Fatal(err)
	}
	if got, err := reopen().Enrolment(ctx); err != nil || !reflect.DeepEqual(got, e) {
		t.Fatalf("after a restart %+v, %v", got, err)
	}
	s = reopen()
	again := e
	again.CloudURL = "https://cloud"
	if err := s.Enrol(ctx, again); err != nil {
		t.Fatalf("the same again: %v", err)
	}
	for name, change := range map[string]func(*local.Enrolment){
		"Building": func(e *local.Enrolment) { e.Building = record.DerivedID("elm") },
		"Node":     func(e *local.Enrolment) { e.Node = record.DerivedID("other") },
		"Cloud":    func(e *local.Enrolment) { e.CloudKey = bytes.Repeat([]byte{8}, ed25519.PublicKeySize) },
	} {
		other := e
		change(&other)
		if err := s.Enrol(ctx, other); !errors.Is(err, local.ErrEnrolled) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if got, err := s.Enrolment(ctx); err != nil || got.CloudURL != "https://cloud" || got.Building != e.Building {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, reopen := open(t)
	states := []rules.Saved{{Rule: "leak", Version: 1, Device: "z2m:0x1", State: []byte("{}")}}
	announced := []decode.Message{{Topic: "zigbee2mqtt/bridge/devices", Payload: []byte("[]"), Retained: true, Arrival: t0}}
	older := []rules.Saved{{Rule: "leak", Version: 1, Device: "z2m:0x1", State: []byte("[]")}}
	if err := s.SaveDevices(ctx, append(older, states...), []decode.Message{{Topic: "zigbee2mqtt/bridge/devices", Payload: []byte("[1]")}, {Topic: "gone", Payload: []byte("x")}, {Topic: "gone"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveDevices(ctx, nil, announced); err != nil {
		t.Fatal(err)
	}
	s = reopen()
	if got, err := s.RuleStates(ctx); err != nil || !reflect.DeepEqual(got, states) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := s.Announced(ctx); err != nil || !reflect.DeepEqual(got, announced) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, _ := open(t)
	hash := func(string, io.Reader) (string, error) { return "hash", nil }
	for _, bad := range []local.Login{{Username: ""}, {Username: "a/b"}, {Username: "a b"}, {Username: strings.Repeat("a", 65)}} {
		if _, err := s.AddLogin(ctx, bad, rand.Reader, hash); !problem.HasCode(err, problem.InvalidInput) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	first, err := s.AddLogin(ctx, local.Login{Username: "s1", Role: "device", At: t0}, rand.Reader, hash)
	if err != nil {
		t.Fatal(err)
	}
	gateway := local.Login{Username: "gw", Role: "zigbee2mqtt", Base: "zigbee2mqtt", MAC: "A8032AB12345", Person: record.DerivedID("p"), At: t0}
	if _, err := s.AddLogin(ctx, gateway, rand.Reader, hash); err != nil {
		t.Fatal(err)
	}
	check := func(user, secret string, want bool) {
		t.Helper()
		if _, ok, err := s.CheckLogin(ctx, user, secret); err != nil || ok != want {
			t.Errorf("%s: %v, %v", user, ok, err)
		}
	}
	check("s1", first.Reveal(), true)
	check("s1", "", false)
	check("gw", first.Reveal(), false)
	check("nobody", first.Reveal(), false)
	second, err := s.AddLogin(ctx, local.Login{Username: "s1", Role: "device", At: t0}, rand.Reader, hash)
	if err != nil {
		t.Fatal(err)
	}
	check("s1", first.Reveal(), false)
	check("s1", second.Reveal(), true)
	gateway.Mosquitto = "hash"
	if list, err := s.Logins(ctx); err != nil || len(list) != 2 || list[0] != gateway || list[1].Username != "s1" {
		t.Errorf("%+v, %v", list, err)
	}
	if err := s.RemoveLogin(ctx, "s1"); err != nil {
		t.Fatal(err)
	}
	check("s1", second.Reveal(), false)
	if err := s.RemoveLogin(ctx, "s1"); !problem.HasCode(err, problem.NotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, reopen := open(t)
	oak := record.DerivedID("oak")
	item := func(n byte, thumb bool, age time.Duration) local.Wanted {
		return local.Wanted{Direction: local.Up, Item: media.Item{Hash: media.Hash{n}, Bytes: 10, Thumb: thumb, Added: t0.Add(-age), Metadata: media.Metadata{"a": "b"}}}
	}
	if err := s.Want(ctx, oak, 7, []local.Wanted{item(1, false, time.Hour), item(2, false, 0), item(3, true, 0), item(1, false, 0)}); err != nil {
		t.Fatal(err)
	}
	s = reopen()
	if mark, err := s.Mark(ctx, oak); err != nil || mark != 7 {
		t.Fatalf("mark %d, %v", mark, err)
	}
	q := s.Blobs(local.Up)
	if _, ok, err := s.Blobs(local.Down).Next(ctx, t0); ok || err != nil {
		t.Fatalf("down: %v, %v", ok, err)
	}
	next := func(now time.Time) media.Item {
		t.Helper()
		i, _, err := q.Next(ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	thumb := next(t0)
	if thumb.Hash[0] != 3 || !thumb.Thumb || thumb.Metadata["a"] != "b" {
		t.Fatalf("first %+v", thumb)
	}
	if err := errors.Join(q.Done(ctx, thumb), q.Started(ctx, next(t0), "/u/1"), q.Failed(ctx, media.Item{Hash: media.Hash{1}}, "unavailable", t0.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	if i := next(t0); i.Hash[0] != 1 && i.Hash[0] != 2 {
		t.Fatalf("second %+v", i)
	} else if i.Hash[0] == 1 {
		t.Fatal("an item whose time to try again has not come")
	}
	if st, err := q.Status(ctx, t0); err != nil || st.Items != 2 || st.Bytes != 20 || !st.NextAt.Equal(t0) || !st.Oldest.Equal(t0.Add(-time.Hour)) {
		t.Errorf("status %+v, %v", st, err)
	}
	if err := q.Done(ctx, media.Item{Hash: media.Hash{2}}); err != nil {
		t.Fatal(err)
	}
	if i := next(t0.Add(time.Minute)); i.Hash[0] != 1 || i.Resume != "/u/1" || i.Attempts != 1 {
		t.Fatalf("last %+v", i)
	}
	if st, err := q.Status(ctx, t0); err != nil || !st.NextAt.Equal(t0.Add(time.Minute)) {
		t.Errorf("status %+v, %v", st, err)
	}
}

// A record may claim any size for its blob: the queue keeps to what a file can have, and
// its sums stay numbers.
func TestBlobsOfClaimedSize(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	var wanted []local.Wanted
	for i, size := range []int64{math.MaxInt64, math.MaxInt64, math.MinInt64, 7} {
		wanted = append(wanted, local.Wanted{Direction: local.Down, Item: media.Item{Hash: media.Hash{byte(i + 1)}, Bytes: size, Added: t0}})
	}
	if err := s.Queue(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	got, err := s.Blobs(local.Down).Status(t.Context(), t0)
	if err != nil || got.Items != 4 || got.Bytes != 2*media.BytesMaxDefault+7 {
		t.Fatalf("%+v, %v", got, err)
	}
}
