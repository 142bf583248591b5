package synclink

import (
	"sync"

	"estate/sync/wire"
)

// outbox holds messages for the writer of one line, so that the loop that feeds it never
// waits for the network.
type outbox struct {
	mu     sync.Mutex
	queue  []wire.Message
	closed bool
	wake   chan struct{} // one pending wake is enough
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// put adds a message; false where too many wait for a reader that does not read.
func (o *outbox) put(m wire.Message) bool {
	o.mu.Lock()
	ok := len(o.queue) < outMessagesMax
	if ok && !o.closed {
		o.queue = append(o.queue, m)
	}
	o.mu.Unlock()
	o.signal()
	return ok
}

// close lets the writer end once everything before is written.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits, and whether more may come.
func (o *outbox) take() (messages []wire.Message, open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	messages, o.queue = o.queue, nil
	return messages, !o.closed
}
