package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestRawConn holds that one connection serves answers of every form, one after the other.
func TestRawConn(t *testing.T) {
	t.Parallel()
	peers := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers[r.RemoteAddr] = true
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("body %q, %v, header %v", body, err, r.Header)
		}
		switch r.URL.Path {
		case "/length":
			w.WriteHeader(http.StatusCreated)
		case "/chunked":
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		case "/refused":
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	}))
	defer server.Close()
	c, err := dialRaw(t.Context(), server.URL, netip.AddrFrom4([4]byte{127, 0, 1, 9}), "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	long := strings.Repeat("x", 3*rawBuffer)
	for _, path := range []string{"/length", "/chunked", "/length", "/chunked"} {
		got, err := c.post(t.Context(), path, []byte(long))
		if want := path + " " + long; err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v, want %d", path, len(got), err, len(want))
		}
	}
	if _, err := c.post(t.Context(), "/refused", nil); err == nil || !strings.Contains(err.Error(), "403: /refused") {
		t.Errorf("a refusal is %v", err)
	}
	if len(peers) != 1 {
		t.Errorf("%d connections, want 1", len(peers))
	}
	for peer := range peers {
		if !strings.HasPrefix(peer, "127.0.1.9:") {
			t.Errorf("from %s", peer)
		}
	}
}

func TestCreatedID(t *testing.T) {
	t.Parallel()
	const id = "0192b5c4-7a00-7000-8000-000000000001"
	got, err := createdID([]byte(`{"ticket":{"id":"` + id + `","building":"x"}}`))
	if err != nil || got.String() != id {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{``, `{}`, `{"ticket":{"id":"0192`} {
		if _, err := createdID([]byte(bad)); err == nil {
			t.Errorf("%q has an id", bad)
		}
	}
}
