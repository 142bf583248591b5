package auth_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"estate/internal/auth"
	"estate/internal/problem"
)

func TestRefresh(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*testing.T, *fixture){
		"Rotates": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			f.clock.Add(29 * 24 * time.Hour)
			second := f.mustRefresh(t, first.Refresh)
			f.clock.Add(29 * 24 * time.Hour) // each use begins the life anew
			third := f.mustRefresh(t, second.Refresh)
			if _, err := f.Verify(t.Context(), third.Access); err != nil {
				t.Fatal(err)
			}
		},
		"Expires": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			f.clock.Add(auth.RefreshLife)
			_, err := f.Refresh(t.Context(), first.Refresh, client("app"))
			wantCode(t, err, problem.TokenExpired)
		},
		"ReuseEndsFamily": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			second := f.mustRefresh(t, first.Refresh)
			f.clock.Add(auth.ResendGrace + time.Millisecond)
			_, err := f.Refresh(t.Context(), first.Refresh, client("app"))
			wantCode(t, err, problem.RefreshReused)
			_, err = f.Refresh(t.Context(), second.Refresh, client("app"))
			wantCode(t, err, problem.TokenInvalid)
			_, err = f.Verify(t.Context(), second.Access)
			wantCode(t, err, problem.TokenInvalid)
			f.mustSignIn(t)
		},
		"ReuseByAnotherClientAtOnce": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			f.mustRefresh(t, first.Refresh)
			_, err := f.Refresh(t.Context(), first.Refresh, client("thief"))
			wantCode(t, err, problem.RefreshReused)
		},
		"LostAnswersThenAnswer": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			for range 3 {
				f.mustRefresh(t, first.Refresh)
				f.clock.Add(10 * time.Second)
			}
			got := f.mustRefresh(t, first.Refresh)
			f.clock.Add(time.Hour)
			f.mustRefresh(t, got.Refresh)
		},
		"LostTokenIsCaught": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			lost := f.mustRefresh(t, first.Refresh)
			f.mustRefresh(t, first.Refresh)
			f.clock.Add(time.Hour)
			_, err := f.Refresh(t.Context(), lost.Refresh, client("app"))
			wantCode(t, err, problem.RefreshReused)
		},
		"ResendAfterAnswerArrived": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			second := f.mustRefresh(t, first.Refresh)
			f.mustRefresh(t, second.Refresh)
			_, err := f.Refresh(t.Context(), first.Refresh, client("app"))
			wantCode(t, err, problem.RefreshReused)
		},
		"ResendsBounded": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			var err error
			for range 30 {
				if _, err = f.Refresh(t.Context(), first.Refresh, client("app")); err != nil {
					break
				}
			}
			wantCode(t, err, problem.RefreshReused)
		},
		"DisabledAccount": func(t *testing.T, f *fixture) {
			first := f.mustSignIn(t)
			f.accounts.Put(auth.Account{Person: f.person, Email: goodEmail, Disabled: true})
			_, err := f.Refresh(t.Context(), first.Refresh, client("app"))
			wantCode(t, err, problem.AccountDisabled)
			_, err = f.Verify(t.Context(), first.Access)
			wantCode(t, err, problem.TokenInvalid)
		},
		"Garbage": func(t *testing.T, f *fixture) {
			for _, text := range []string{"", "x", "estate_rt_", auth.RefreshText(), auth.RefreshText() + "A", f.mustSignIn(t).Access.Reveal()} {
				_, err := f.Refresh(t.Context(), auth.NewSecret(text), client("app"))
				wantCode(t, err, problem.TokenInvalid)
			}
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

// TestRefreshRace lets a thief and the owner use one token at once: at most one of them may
// be left with a sign-in, and none once the other comes back.
func TestRefreshRace(t *testing.T) {
	t.Parallel()
	for range 20 {
		f := setup(t)
		first := f.mustSignIn(t)
		var won atomic.Int32
		var wg sync.WaitGroup
		ctx := context.WithoutCancel(t.Context())
		for _, who := range []string{"app", "thief", "app", "thief"} {
			wg.Go(func() {
				_, err := f.Refresh(ctx, first.Refresh, client(who))
				switch {
				case err == nil:
					won.Add(1)
				case !problem.HasCode(err, problem.RefreshReused) && !problem.HasCode(err, problem.TokenInvalid):
					t.Errorf("loser got %v", err)
				}
			})
		}
		wg.Wait()
		for _, row := range f.sessions.Rows() {
			if row.RevokedAt.IsZero() {
				t.Fatal("a family lives on although two clients used one token")
			}
		}
		if won.Load() == 0 {
			t.Fatal("nobody was first")
		}
	}
}

// TestRefreshModel plays random uses of any token minted so far and holds the promises: one
// unrotated token at most in a live family, and no token works after its family ended.
func TestRefreshModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := setup(t)
		tokens := []auth.Secret{f.mustSignIn(t).Refresh}
		ended := false
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			f.clock.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "seconds")) * time.Second)
			token := rapid.SampledFrom(tokens).Draw(rt, "token")
			who := rapid.SampledFrom([]string{"app", "app", "app", "thief"}).Draw(rt, "who")
			got, err := f.Refresh(t.Context(), token, client(who))
			if ended && !problem.HasCode(err, problem.TokenInvalid) {
				rt.Fatalf("after the end of the family: %v", err)
			}
			switch {
			case err == nil:
				tokens = append(tokens, got.Refresh)
			case problem.HasCode(err, problem.RefreshReused):
				ended = true
			case !ended:
				rt.Fatalf("unexpected %v", err)
			}
			current := 0
			for _, row := range f.sessions.Rows() {
				if row.RotatedAt.IsZero() && row.RevokedAt.IsZero() {
					current++
				}
			}
			if want := map[bool]int{false: 1, true: 0}[ended]; current != want {
				rt.Fatalf("%d current tokens, want %d", current, want)
			}
		}
	})
}
