package obs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metricsWait is what a scraper gets for its headers, and a scrape to end at a shutdown.
const metricsWait = 5 * time.Second

// ServeMetrics serves /metrics on an address of its own until the context ends, so that
// figures are for the operator's machines and not for whoever reaches the API. An empty
// address serves nothing and waits.
func ServeMetrics(ctx context.Context, address string, from prometheus.Gatherer) error {
	if address == "" {
		<-ctx.Done()
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", MetricsHandler(from))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: metricsWait}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), metricsWait)
	defer cancel()
	err = server.Shutdown(ending)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
