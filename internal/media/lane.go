package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"estate/internal/problem"
)

const (
	// The delays before an item is tried again: from a hiccup to what a person who fixed
	// the cause is willing to wait.
	retryMinDefault = 2 * time.Second
	retryMaxDefault = 5 * time.Minute
	// pauseMax is the longest pause of a lane whose every attempt fails.
	pauseMax = time.Minute
	// idleMax is how long a lane waits without being woken: the queue may have been filled
	// by another process.
	idleMax = 30 * time.Second
)

// Item is one file that is wanted on the other side.
type Item struct {
	ID       string // of the queue's row
	Hash     Hash
	Bytes    int64
	Thumb    bool
	Added    time.Time
	Metadata Metadata // sent with the upload; sha256 is filled in
	Attempts int      // failed so far
	Resume   string   // what Started noted: the address of the half-sent upload
}

// Queue holds what a lane has to move. The lane never loses an item: it stays until Done.
type Queue interface {
	// Next gives the item to move now and true; previews first, then the oldest, without
	// items whose time to try again has not come. It gives false where there is none.
	Next(ctx context.Context, now time.Time) (Item, bool, error)
	// Started notes where a transfer can be resumed after a restart.
	Started(ctx context.Context, item Item, resume string) error
	// Done removes an item: the other side has it, verified.
	Done(ctx context.Context, item Item) error
	// Failed notes an attempt with its code and when to try again.
	Failed(ctx context.Context, item Item, code string, retryAt time.Time) error
	// Status describes what is left.
	Status(ctx context.Context, now time.Time) (Status, error)
}

// Status of a lane.
type Status struct {
	Items  int
	Bytes  int64
	Oldest time.Time // when the oldest item was added; zero if there is none
	NextAt time.Time // when the next item may be tried; zero if there is none
	Moving bool      // set by the lane
}

// Mover moves one file and returns nil once it is verified at its destination. started is
// called when there is something to resume.
type Mover interface {
	Move(ctx context.Context, item Item, started func(resume string) error) error
}

// Lane moves the files of a queue, one at a time. A file that fails goes behind the
// others; the lane always has a next attempt scheduled.
type Lane struct {
	Queue Queue
	Mover Mover
	Log   *slog.Logger
	Now   func() time.Time

	RetryMin time.Duration // 2 s if 0
	RetryMax time.Duration // 5 min if 0

	wake   chan struct{}
	moving chan struct{} // holds one value while a file is on its way
}

// NewLane builds a lane; Run moves.
func NewLane(queue Queue, mover Mover, log *slog.Logger, now func() time.Time) *Lane {
	return &Lane{Queue: queue, Mover: mover, Log: log, Now: now, RetryMin: retryMinDefault, RetryMax: retryMaxDefault,
		wake: make(chan struct{}, 1), moving: make(chan struct{}, 1)}
}

// Wake tells the lane that the queue has grown or the link is back.
func (l *Lane) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Status describes the queue.
func (l *Lane) Status(ctx context.Context) (Status, error) {
	s, err := l.Queue.Status(ctx, l.Now())
	if err != nil {
		return Status{}, fmt.Errorf("status of media queue: %w", err)
	}
	s.Moving = len(l.moving) > 0
	return s, nil
}

// Run moves files until the context ends.
func (l *Lane) Run(ctx context.Context) error {
	failures := 0
	for {
		worked, err := l.step(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var pause time.Duration
		switch {
		case err != nil:
			failures++
			if failures == 1 {
				l.Log.Warn("media transfer failed and will be tried again", "error", err)
			}
			pause = backoff(l.RetryMin, min(pauseMax, l.RetryMax), failures)
		case worked:
			if failures > 0 {
				l.Log.Info("media transfer works again", "failures", failures)
			}
			failures = 0
		default:
			pause = l.untilNext(ctx)
		}
		if pause > 0 && !l.wait(ctx, pause) {
			return ctx.Err()
		}
	}
}

// step moves one item. It reports whether there was one; the error is of the queue or of
// an attempt that a lost connection ended.
func (l *Lane) step(ctx context.Context) (bool, error) {
	item, ok, err := l.Queue.Next(ctx, l.Now())
	if err != nil {
		return false, fmt.Errorf("next media file: %w", err)
	}
	if !ok {
		return false, nil
	}
	l.moving <- struct{}{}
	moveErr := l.Mover.Move(ctx, item, func(resume string) error { return l.Queue.Started(ctx, item, resume) })
	<-l.moving
	if moveErr == nil {
		if err := l.Queue.Done(ctx, item); err != nil {
			return true, fmt.Errorf("note moved file: %w", err)
		}
		return true, nil
	}
	if ctx.Err() != nil {
		return true, moveErr // stopped by us: no attempt of the item's
	}
	retryAt := l.Now().Add(backoff(l.RetryMin, l.RetryMax, item.Attempts+1))
	if err := l.Queue.Failed(ctx, item, codeOf(moveErr), retryAt); err != nil {
		return true, fmt.Errorf("note failed file: %w", err)
	}
	l.Log.Debug("a file was not moved", "blob", item.Hash.String(), "attempts", item.Attempts+1, "error", moveErr)
	if answered(moveErr) {
		return true, nil // the other side is there: go on with the next file at once
	}
	return true, moveErr
}

// untilNext is the pause of a lane that has nothing to move now.
func (l *Lane) untilNext(ctx context.Context) time.Duration {
	s, err := l.Queue.Status(ctx, l.Now())
	if err != nil || s.NextAt.IsZero() {
		return idleMax
	}
	return min(idleMax, max(l.RetryMin, s.NextAt.Sub(l.Now())))
}

func (l *Lane) wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-l.wake:
	case <-timer.C:
	}
	return true
}

// backoff doubles with every failure up to a limit; a random half keeps many boxes apart.
func backoff(low, high time.Duration, failures int) time.Duration {
	d := high
	if shift := failures - 1; shift < 32 && low<<shift > 0 {
		d = min(high, low<<shift)
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // spreads load, protects nothing
}

// answered reports whether an attempt failed for a reason of this one file.
func answered(err error) bool {
	var network net.Error
	var lost *LinkError
	return !errors.As(err, &lost) && !errors.As(err, &network)
}

func codeOf(err error) string {
	var refused *RefusedError
	var p *problem.Problem
	switch {
	case errors.As(err, &refused) && refused.Code != "":
		return refused.Code
	case errors.As(err, &p):
		return string(p.Code)
	case errors.Is(err, ErrNoBlob):
		return string(problem.NotFound)
	case errors.Is(err, ErrHash):
		return string(problem.MediaHashMismatch)
	case !answered(err):
		return string(problem.Unavailable)
	}
	return string(problem.Internal)
}
