// Package groupcommit lets concurrent writers share one commit: calls that arrive while a
// commit is under way are collected and run one after another in the next transaction.
//
// It starts no goroutine: one of the callers leads each batch. It must never know what a
// transaction is; the store that uses it does.
package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// errPanicked makes a batch roll back what a panicking call did.
var errPanicked = errors.New("groupcommit: call panicked")

// Call is one caller's part of a batch, running on a transaction of type T.
type Call[T any] struct {
	ctx      context.Context //nolint:containedctx // the caller waits on it; it lives no longer than Do
	fn       func(T) error
	hint     any
	err      error
	panicked any
	lead     chan struct{}
	done     chan struct{}
}

// Try runs the call on a transaction; on an error the batch must undo what it did there.
// It may be called again on a fresh transaction.
func (c *Call[T]) Try(tx T) (err error) {
	c.panicked = nil
	defer func() {
		if p := recover(); p != nil {
			c.panicked, err = p, errPanicked
		}
		c.err = err
	}()
	if err := c.ctx.Err(); err != nil {
		return err
	}
	return c.fn(tx)
}

// Hint is what the caller told of the call.
func (c *Call[T]) Hint() any { return c.hint }

// Failed reports whether the last Try returned an error.
func (c *Call[T]) Failed() bool { return c.err != nil }

// Fail sets the call's outcome: nil for success, or to have it count as not run yet.
func (c *Call[T]) Fail(err error) { c.err = err }

// Queue collects calls. Set the fields before first use; it is safe for concurrent use.
type Queue[T any] struct {
	// Run runs Try of each call and commits. An error fails every call of the batch that
	// did not fail by itself.
	Run func(batch []*Call[T]) error
	// Max bounds a batch, so that a commit's latency stays bounded.
	Max int

	mu      sync.Mutex
	busy    bool
	waiting []*Call[T]
}

// Do runs fn in some batch and returns its error, or the batch's. A caller whose context
// ends while it still waits leaves with the context's error; once its batch runs, it waits
// for the outcome.
func (q *Queue[T]) Do(ctx context.Context, fn func(T) error) error {
	return q.DoFor(ctx, nil, fn)
}

// DoFor is Do with a hint for Run of what fn is about to do.
func (q *Queue[T]) DoFor(ctx context.Context, hint any, fn func(T) error) error {
	c := &Call[T]{ctx: ctx, fn: fn, hint: hint, lead: make(chan struct{}, 1), done: make(chan struct{})}
	q.mu.Lock()
	if q.busy {
		q.waiting = append(q.waiting, c)
		q.mu.Unlock()
		if left := q.wait(ctx, c); left {
			return fmt.Errorf("wait for a turn: %w", ctx.Err())
		}
	} else {
		q.busy = true
		q.mu.Unlock()
		q.runBatch(c)
	}
	if c.panicked != nil {
		panic(c.panicked)
	}
	return c.err
}

// wait returns when the call's outcome is known, leading a batch if asked to; left says
// that the caller gave up before anything ran.
func (q *Queue[T]) wait(ctx context.Context, c *Call[T]) (left bool) {
	select {
	case <-c.done:
		return false
	case <-c.lead:
		q.runBatch(c)
		return false
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, c)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i >= 0 {
		return true
	}
	select {
	case <-c.done:
	case <-c.lead:
		q.runBatch(c)
	}
	return false
}

// runBatch runs the leader's call with those that wait, then hands the lead on.
func (q *Queue[T]) runBatch(leader *Call[T]) {
	q.mu.Lock()
	n := min(len(q.waiting), max(q.Max, 1)-1)
	batch := append([]*Call[T]{leader}, q.waiting[:n]...)
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.mu.Unlock()
	err := q.Run(batch)
	for _, c := range batch {
		if c.err == nil {
			c.err = err
		}
	}
	q.mu.Lock()
	if len(q.waiting) > 0 {
		next := q.waiting[0]
		q.waiting = slices.Delete(q.waiting, 0, 1)
		next.lead <- struct{}{}
	} else {
		q.busy = false
	}
	q.mu.Unlock()
	for _, c := range batch[1:] {
		close(c.done)
	}
}
