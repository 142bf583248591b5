package obs_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"estate/internal/obs"
)

func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := obs.NewLog(&out, slog.LevelInfo).With(obs.Part("api"))
	ctx := obs.WithRequestID(context.Background(), "r-1")
	log.InfoContext(ctx, "asked", slog.Any("text", obs.Redacted("my phone is 555")), obs.Duration(1500*time.Microsecond))
	for _, want := range []string{`"request_id":"r-1"`, `"part":"api"`, `"text":"[15 bytes]"`, `"duration_ms":1.5`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "555") {
		t.Error("a redacted text was logged")
	}
	if got := fmt.Sprintf("%s %v %#v", obs.Redacted("secret"), obs.Redacted("secret"), obs.Redacted("secret")); strings.Contains(got, "secret") {
		t.Errorf("printed %s", got)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	for id, good := range map[string]bool{
		"8f14e45f-ceea-467f-a0e6": true, "": false, "a\nb": false, "a b": false,
		strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, `a"b`: false,
	} {
		if obs.GoodRequestID(id) != good {
			t.Errorf("%q: good is not %v", id, good)
		}
	}
	if a, b := obs.NewRequestID(rand.Reader), obs.NewRequestID(rand.Reader); a == b || !obs.GoodRequestID(a) {
		t.Errorf("made %q and %q", a, b)
	}
	if id := obs.NewRequestID(iotest.ErrReader(errors.New("no entropy"))); !obs.GoodRequestID(id) {
		t.Errorf("made %q without random bytes", id)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		status int
	}{{nil, http.StatusOK}, {errors.New("password of the database"), http.StatusServiceUnavailable}} {
		w := httptest.NewRecorder()
		obs.Ready(func(context.Context) error { return test.err }, slog.New(slog.DiscardHandler)).
			ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != test.status || strings.Contains(w.Body.String(), "database") {
			t.Errorf("%v: %d %s", test.err, w.Code, w.Body)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := obs.NewRegistry()
	m := obs.NewHTTPMetrics(registry)
	m.Begin()("/buildings", http.MethodGet, http.StatusOK, time.Second)
	m.Socket()()
	m.Pushed(3)
	w := httptest.NewRecorder()
	obs.MetricsHandler(registry).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`estate_http_requests_total{method="GET",route="/buildings",status="200"} 1`,
		"estate_websocket_connections 0", "estate_websocket_messages_total 3", "go_goroutines",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not served", want)
		}
	}
}
