package synclink

import (
	"context"
	"time"
)

// State is what a screen shows of an uplink.
type State string

// The states. Synced is said only when everything of this side is acknowledged by the
// other's store, and everything that the other had at its last page is applied here.
const (
	Offline    State = "offline"
	Connecting State = "connecting"
	Syncing    State = "syncing"
	Synced     State = "synced"
)

// Lane is how an uplink reaches the server.
type Lane string

// The lanes.
const (
	LaneSocket Lane = "websocket"
	LanePost   Lane = "post"
)

// Waiting is what has not been acknowledged by the other side yet.
type Waiting struct {
	Items  int
	Oldest time.Time // zero for nothing
}

// Status describes an uplink.
type Status struct {
	State State
	Since time.Time // of this state
	Lane  Lane
	// ReceiptAt is when the last acknowledgement was stored here; HeardAt when anything
	// was heard. Zero for never.
	ReceiptAt time.Time
	HeardAt   time.Time
	// Code, Detail and Remedy say why the link last failed; empty once it is synced again.
	Code   string
	Detail string
	Remedy string
	// Attempts counts tries since the link last worked, and Next is when the next one
	// starts: a queue that is not empty always has an attempt ahead.
	Attempts int
	Next     time.Time
	BytesIn  uint64
	BytesOut uint64
	Waiting  Waiting
}

// Status reports the uplink's state. The context bounds the count of what waits, which is
// left out where it cannot be had.
func (u *Uplink) Status(ctx context.Context) Status {
	u.mu.Lock()
	s := u.status
	u.mu.Unlock()
	s.BytesIn, s.BytesOut = u.bytesIn.Load(), u.bytesOut.Load()
	if u.config.Waiting != nil {
		if w, err := u.config.Waiting(ctx); err == nil {
			s.Waiting = w
		}
	}
	return s
}

// change edits the status and tells who follows it, if the state is another one.
func (u *Uplink) change(edit func(*Status)) {
	u.mu.Lock()
	before := u.status.State
	edit(&u.status)
	moved := u.status.State != before
	if moved {
		u.status.Since = u.config.Now()
	}
	s := u.status
	u.mu.Unlock()
	if moved && u.config.Changed != nil {
		u.config.Changed(s)
	}
}
