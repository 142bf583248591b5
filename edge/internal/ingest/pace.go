package ingest

import (
	"context"
	"time"
)

const (
	// batchMax bounds what is stored in one go: enough to pay for one sync of the disk.
	batchMax = 2000
	// paceFactor is how long messages that keep coming are gathered, in times of how long the
	// last batch took to store: on the box's own broker each message is synced to the disk before
	// its sender is answered, and what we sync is time that the broker waits for.
	paceFactor = 4
	// paceMin and paceMax bound it: an alarm must not be felt to wait. One message alone never does.
	paceMin, paceMax = 5 * time.Millisecond, 100 * time.Millisecond
)

// pace says when the next batch is to be stored. It belongs to one goroutine.
type pace struct {
	settled <-chan time.Duration // how long each job took; nil when none is stored any more
	under   int                  // jobs that are not stored yet
	rest    *time.Timer          // until the next batch
	open    bool                 // it is over
}

func newPace(settled <-chan time.Duration) *pace {
	return &pace{settled: settled, rest: time.NewTimer(0)}
}

// took begins the rest after a job.
func (p *pace) took(d time.Duration, more bool) {
	if !more {
		p.settled = nil
		return
	}
	p.under--
	p.open = false
	p.rest.Reset(min(max(paceFactor*d, paceMin), paceMax))
}

// gather takes what waits, and more while the last batch is being stored and for a while after it.
func (p *pace) gather(ctx context.Context, q *queue) []message {
	batch := q.take(nil, batchMax)
	for len(batch) < batchMax && p.settled != nil && (p.under > 0 || !p.open) {
		select {
		case <-ctx.Done():
			return batch
		case <-q.ready:
			batch = q.take(batch, batchMax-len(batch))
		case d, more := <-p.settled:
			p.took(d, more)
		case <-p.rest.C:
			p.open = true
		}
	}
	return batch
}

// hand gives a job to who stores them; false where ctx ended or none is stored any more.
func (p *pace) hand(ctx context.Context, j job, jobs chan<- job) bool {
	for p.settled != nil {
		select {
		case <-ctx.Done():
			return false
		case d, more := <-p.settled:
			p.took(d, more)
		case jobs <- j:
			p.under++
			return true
		}
	}
	return false
}
