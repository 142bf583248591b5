package auth_test

import (
	"fmt"
	"testing"
	"time"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/sync/record"
)

// TestVerifiedBefore holds that a token that was verified before is still refused for all
// that can change after.
func TestVerifiedBefore(t *testing.T) {
	t.Parallel()
	type bench struct {
		ring *auth.Keyring
		key  auth.IssuerKey
		now  time.Time
	}
	cases := map[string]struct {
		change func(*testing.T, *bench)
		want   problem.Code
	}{
		"Nothing":          {func(*testing.T, *bench) {}, ""},
		"LastMoment":       {func(_ *testing.T, b *bench) { b.now = b.now.Add(auth.AccessLife + time.Minute - time.Second) }, ""},
		"Expired":          {func(_ *testing.T, b *bench) { b.now = b.now.Add(auth.AccessLife + time.Minute) }, problem.TokenExpired},
		"ClockBackALittle": {func(_ *testing.T, b *bench) { b.now = b.now.Add(-time.Minute) }, ""},
		"ClockBack":        {func(_ *testing.T, b *bench) { b.now = b.now.Add(-2 * time.Minute) }, problem.TokenInvalid},
		"SameKeysAgain": {func(t *testing.T, b *bench) {
			if err := b.ring.Replace(b.key); err != nil {
				t.Fatal(err)
			}
		}, ""},
		"KeyGone": {func(t *testing.T, b *bench) {
			if err := b.ring.Replace(auth.IssuerKey{Issuer: "other", Public: newSigner(t, "other").Public()}); err != nil {
				t.Fatal(err)
			}
		}, problem.TokenInvalid},
		"OtherBuilding": {func(t *testing.T, b *bench) {
			b.key.Building = record.DerivedID("elsewhere")
			if err := b.ring.Replace(b.key); err != nil {
				t.Fatal(err)
			}
		}, problem.TokenInvalid},
		"Rotated": {func(t *testing.T, b *bench) {
			next := auth.IssuerKey{Issuer: b.key.Issuer, Public: newSigner(t, "x").Public()}
			if err := b.ring.Rotate(next, b.now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}, ""},
		"RotatedLongAgo": {func(t *testing.T, b *bench) {
			next := auth.IssuerKey{Issuer: b.key.Issuer, Public: newSigner(t, "x").Public()}
			if err := b.ring.Rotate(next, b.now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			b.now = b.now.Add(time.Hour)
		}, problem.TokenInvalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring, clock, good := tokenBench(t)
			f := good()
			b := &bench{ring: ring, now: clock.at, key: auth.IssuerKey{Issuer: "edge:1", Public: publicOf(f), Building: record.DerivedID("building")}}
			token := f.sign(t)
			first, err := ring.Verify(token, b.now)
			if err != nil {
				t.Fatal(err)
			}
			c.change(t, b)
			again, err := ring.Verify(token, b.now)
			if c.want != "" {
				wantCode(t, err, c.want)
				return
			}
			if err != nil || again != first {
				t.Errorf("%+v, %v, want %+v", again, err, first)
			}
		})
	}
}

// TestVerifiedKeyEnds holds that a key's end counts for tokens that were verified before it.
func TestVerifiedKeyEnds(t *testing.T) {
	t.Parallel()
	ring, clock, good := tokenBench(t)
	f := good()
	until := clock.at.Add(time.Hour)
	if err := ring.Replace(auth.IssuerKey{Issuer: "edge:1", Public: publicOf(f), Building: record.DerivedID("building"), Until: until}); err != nil {
		t.Fatal(err)
	}
	token := f.sign(t)
	if _, err := ring.Verify(token, clock.at); err != nil {
		t.Fatal(err)
	}
	_, err := ring.Verify(token, until)
	wantCode(t, err, problem.TokenInvalid)
}

// TestVerifiedAmongMany holds that tokens beyond what is remembered are verified as ever.
func TestVerifiedAmongMany(t *testing.T) {
	t.Parallel()
	ring, clock, good := tokenBench(t)
	var tokens []auth.Secret
	for i := range 3 {
		f := good()
		f.claims["sid"] = record.DerivedID(fmt.Sprint(i)).String()
		tokens = append(tokens, f.sign(t))
	}
	auth.FillVerified(ring)
	for range 2 {
		for i, token := range tokens {
			id, err := ring.Verify(token, clock.at)
			if err != nil || id.Session != record.DerivedID(fmt.Sprint(i)) {
				t.Errorf("token %d is %+v, %v", i, id, err)
			}
		}
	}
}

func BenchmarkVerifyToken(b *testing.B) {
	for name, fresh := range map[string]bool{"First": true, "Again": false} {
		b.Run(name, func(b *testing.B) {
			ring, clock, good := tokenBench(b)
			token := good().sign(b)
			b.ReportAllocs()
			for b.Loop() {
				if fresh {
					auth.ForgetVerified(ring)
				}
				if _, err := ring.Verify(token, clock.at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
