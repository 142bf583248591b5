// Package groupcommit lets concurrent writers share one commit: calls that arrive while a
// commit is under way are collected and run one after another in the next transaction.
//
// A caller whom nobody is before runs its batch itself; a goroutine runs those that gather
// meanwhile and ends when nobody waits. The package must never know what a transaction is;
// the store that uses it does.
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
	// Overlap is in place of Run where the next batch may begin while this one commits:
	// handOn lets it, at once, and at the latest the end of Overlap does. Whatever this batch
	// still has to do is then beside the next one, which must see to the order itself.
	Overlap func(batch []*Call[T], handOn func()) error
	// Max bounds a batch, so that a commit's latency stays bounded.
	Max int
	// Between, where it is set, is called after a batch of several, before the next is taken: who
	// comes until it returns is in that.
	Between func()

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
	c := &Call[T]{ctx: ctx, fn: fn, hint: hint, done: make(chan struct{})}
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
		if !q.run([]*Call[T]{c}) {
			q.handOn()
		}
	}
	if c.panicked != nil {
		panic(c.panicked)
	}
	return c.err
}

// Waiting is how many calls wait for a batch.
func (q *Queue[T]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// wait returns when the call's outcome is known; left says that the caller gave up before
// anything ran.
func (q *Queue[T]) wait(ctx context.Context, c *Call[T]) (left bool) {
	select {
	case <-c.done:
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
	<-c.done
	return false
}

// drain runs batches until nobody waits, or one of them handed on. It has a goroutine of its
// own: one of the callers would have to be woken for each batch, and the store would rest
// until it had its turn.
func (q *Queue[T]) drain(batch []*Call[T]) {
	for len(batch) > 0 {
		if q.run(batch) {
			return
		}
		if q.Between != nil && len(batch) > 1 {
			q.Between()
		}
		batch = q.take(batch)
	}
}

// handOn has those who wait run, or the next who comes run at once.
func (q *Queue[T]) handOn() {
	if batch := q.take(nil); len(batch) > 0 {
		go q.drain(batch)
	}
}

// take makes the next batch of those that wait, in the room of one that has ended; if there is
// none, the queue is free.
func (q *Queue[T]) take(room []*Call[T]) []*Call[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), max(q.Max, 1))
	if q.busy = n > 0; !q.busy {
		return nil
	}
	room = append(room[:0], q.waiting[:n]...)
	q.waiting = slices.Delete(q.waiting, 0, n)
	return room
}

// run reports whether the batch handed on.
func (q *Queue[T]) run(batch []*Call[T]) (handedOn bool) {
	var err error
	if q.Overlap == nil {
		err = q.Run(batch)
	} else {
		err = q.Overlap(batch, func() {
			if !handedOn {
				handedOn = true
				q.handOn()
			}
		})
	}
	for _, c := range batch {
		if c.err == nil {
			c.err = err
		}
		close(c.done)
	}
	return handedOn
}
