package signin_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/signin"
)

// TestSignInWaits: a script of many commands is put off by its server for a moment, and goes on.
func TestSignInWaits(t *testing.T) {
	for name, c := range map[string]struct {
		wait      string
		refusals  int32
		wantTries int32
		wantErr   bool
	}{
		"a moment":             {"1", 2, 3, false},
		"longer than it waits": {"3600", 1, 1, true},
		"no word of how long":  {"", 1, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tries.Add(1) > c.refusals {
					_, _ = w.Write([]byte(`{"access_token":"a"}`))
					return
				}
				if c.wait != "" {
					w.Header().Set("Retry-After", c.wait)
				}
				w.WriteHeader(http.StatusTooManyRequests)
				_, _ = w.Write([]byte(`{"code":"rate_limited","message":"Too many requests"}`))
			}))
			t.Cleanup(server.Close)
			t.Setenv("ESTATE_PASSWORD", "a secret of some length")
			var flags signin.Flags
			cmd := &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}
			flags.Add(cmd)
			if err := cmd.ParseFlags([]string{"--api", server.URL, "--email", "a@example.org"}); err != nil {
				t.Fatal(err)
			}
			_, err := flags.SignIn(t.Context())
			if (err != nil) != c.wantErr || tries.Load() != c.wantTries {
				t.Errorf("after %d tries: %v", tries.Load(), err)
			}
		})
	}
}
