package obs_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"estate/internal/obs"
)

func TestServeMetrics(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := taken.Addr().String()
	if err := obs.ServeMetrics(t.Context(), address, prometheus.NewRegistry()); err == nil {
		t.Fatal("served on an address that is taken")
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- obs.ServeMetrics(ctx, address, prometheus.NewRegistry()) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		answer, err := client.Get("http://" + address + "/metrics")
		if errors.As(err, new(*net.OpError)) {
			continue // not listening yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK {
			t.Errorf("/metrics answers %s", answer.Status)
		}
		_ = answer.Body.Close()
		break
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
