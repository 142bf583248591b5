package cloud

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"estate/cloud/internal/fleet"
	"estate/sync/record"
)

const (
	// lineLease is for how long a line counts that no process renews: its process died.
	lineLease = 45 * time.Second
	// renewEvery leaves room for two renewals that fail.
	renewEvery = 15 * time.Second
	// linesRetry is the pause after the database refused.
	linesRetry = time.Second
	// linesAtOnce bounds one statement: it locks the rows of so many edges.
	linesAtOnce = 500
	// linesPause is what changes wait for others: a fleet that comes back is noted in few
	// statements, each of which wakes everybody who looks at its edges.
	linesPause = 50 * time.Millisecond
	// linesLast bounds the last word of a process that stops.
	linesLast = 3 * time.Second
)

// lines tells the other processes which edges hold a WebSocket here. The count of open
// lines is the truth; the worker brings the database up to it.
type lines struct {
	fleet   *fleet.Store
	process record.ID
	log     *slog.Logger
	wake    chan struct{}

	mu    sync.Mutex
	open  map[record.ID]int
	dirty map[record.ID]struct{}
	// touched are edges that were in touch, by a line or without one.
	touched map[record.ID]struct{}
}

func newLines(f *fleet.Store, process record.ID, log *slog.Logger) *lines {
	return &lines{fleet: f, process: process, log: log, wake: make(chan struct{}, 1), open: map[record.ID]int{}, dirty: map[record.ID]struct{}{}, touched: map[record.ID]struct{}{}}
}

func (l *lines) opened(_, node record.ID)           { l.count(node, 1) }
func (l *lines) closed(_, node record.ID, _ string) { l.count(node, -1) }

func (l *lines) count(node record.ID, by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[node] += by; l.open[node] <= 0 {
		delete(l.open, node)
	}
	l.dirty[node] = struct{}{}
	l.ring()
}

// seen notes that an edge was in touch. It does not wait for the database: when that was is
// for people to see.
func (l *lines) seen(node record.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched[node] = struct{}{}
	l.ring()
}

func (l *lines) ring() {
	select {
	case l.wake <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// holds reports whether a node has a line open here.
func (l *lines) holds(node record.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open[node] > 0
}

// Run writes until ctx ends, and then what is left.
func (l *lines) Run(ctx context.Context) {
	renew := time.NewTicker(renewEvery)
	defer renew.Stop()
	retry := time.NewTimer(linesRetry)
	defer retry.Stop()
	failing := false
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), linesLast)
			defer cancel()
			if err := l.flush(last); err != nil {
				l.log.WarnContext(last, "lines that were closed count until their lease ends", "error", err)
			}
			return
		case <-l.wake:
			l.gather(ctx)
			err = l.flush(ctx)
		case <-retry.C:
			err = l.flush(ctx)
		case <-renew.C:
			err = l.renew(ctx)
		}
		if err != nil {
			retry.Reset(linesRetry)
		}
		if failing != (err != nil) && ctx.Err() == nil {
			failing = err != nil
			l.log.WarnContext(ctx, "note lines of edges", "failing", failing, "error", err)
		}
	}
}

// gather waits a moment for others.
func (l *lines) gather(ctx context.Context) {
	timer := time.NewTimer(linesPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// flush writes what changed, many lines at once: after an outage all of a fleet come back
// together. What the database refuses stays dirty.
func (l *lines) flush(ctx context.Context) error {
	l.mu.Lock()
	dirty, touched := l.dirty, l.touched
	l.dirty, l.touched = map[record.ID]struct{}{}, map[record.ID]struct{}{}
	l.mu.Unlock()
	var held, gone, seen []record.ID
	for node := range dirty {
		if l.holds(node) {
			held = append(held, node)
			delete(touched, node) // Hold says it, too
		} else {
			gone = append(gone, node)
		}
	}
	for node := range touched {
		seen = append(seen, node)
	}
	var failed error
	for some := range slices.Chunk(held, linesAtOnce) {
		failed = errors.Join(failed, l.note(some, l.fleet.Hold(ctx, some, l.process, lineLease)))
	}
	for some := range slices.Chunk(gone, linesAtOnce) {
		failed = errors.Join(failed, l.note(some, l.fleet.Release(ctx, some, l.process)))
	}
	for some := range slices.Chunk(seen, linesAtOnce) {
		failed = errors.Join(failed, l.fleet.Seen(ctx, some)) // it will be in touch again
	}
	return failed
}

// note keeps lines dirty that could not be written.
func (l *lines) note(some []record.ID, err error) error {
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, node := range some {
		l.dirty[node] = struct{}{}
	}
	return err
}

func (l *lines) renew(ctx context.Context) error {
	l.mu.Lock()
	nodes := make([]record.ID, 0, len(l.open))
	for node := range l.open {
		nodes = append(nodes, node)
	}
	l.mu.Unlock()
	if len(nodes) == 0 {
		return nil
	}
	return l.fleet.Renew(ctx, nodes, l.process, lineLease)
}
