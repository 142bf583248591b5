package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"estate/internal/httpapi"
	"estate/internal/obs"
)

// Run serves until the context ends, then lets open requests finish and closes the store.
func (c *Cloud) Run(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", c.cfg.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", c.cfg.Listen, err), c.Close())
	}
	return c.serve(ctx, listener)
}

func (c *Cloud) serve(ctx context.Context, listener net.Listener) (err error) {
	room := headroom()
	defer runtime.KeepAlive(room)
	server := httpapi.NewServer(c.api, c.cfg.Log)
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, job := range []func(context.Context){c.jobs.Run, c.runUploads, c.sweep, c.serveMetrics, c.lines.Run, c.followFleet, c.rest, c.watchBoxes} {
		running.Go(func() { job(work) })
	}
	failed := make(chan error, 1)
	running.Go(func() { failed <- server.Serve(listener) })
	c.cfg.Log.InfoContext(ctx, "cloud serves", "address", listener.Addr().String(), "node", c.node.ID(), "version", c.cfg.Version)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.ShutdownMax)
	defer cancel()
	if down := server.Shutdown(ending); down != nil {
		err = errors.Join(err, server.Close())
	}
	c.api.Close()
	c.links.Close()
	stop()
	running.Wait()
	return errors.Join(err, c.store.Close())
}

// Close releases the database of a process that never ran.
func (c *Cloud) Close() error { return c.store.Close() }

func (c *Cloud) runUploads(ctx context.Context) {
	if err := c.uploads.Run(ctx); err != nil && ctx.Err() == nil {
		c.cfg.Log.ErrorContext(ctx, "uploads stopped", slog.Any("error", err))
	}
}

// serveMetrics ends alone where its address cannot be had: figures are no reason to stop.
func (c *Cloud) serveMetrics(ctx context.Context) {
	if err := obs.ServeMetrics(ctx, c.cfg.MetricsListen, c.metrics); err != nil {
		c.cfg.Log.ErrorContext(ctx, "metrics are not served", slog.Any("error", err))
	}
}

// sweep removes sign-ins that have ended, and readings that are older than anyone looks.
func (c *Cloud) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, err := c.people.DeleteExpired(ctx, c.cfg.Now()); err != nil && ctx.Err() == nil {
			c.cfg.Log.WarnContext(ctx, "expired sign-ins stay", "error", err)
		}
		if _, err := c.readings.DeleteBefore(ctx, c.cfg.Now().AddDate(0, 0, -c.cfg.ReadingsDays)); err != nil && ctx.Err() == nil {
			c.cfg.Log.WarnContext(ctx, "old readings stay", "error", err)
		}
	}
}
