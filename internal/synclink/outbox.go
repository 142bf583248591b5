package synclink

import (
	"sync"

	"estate/sync/wire"
)

// outbox holds messages for the writer of one line, so that the loop that feeds it never
// waits for the network. There is a writer only while something waits.
type outbox struct {
	// written is closed once the goodbye is written or cannot be.
	written chan struct{}
	once    sync.Once

	mu      sync.Mutex
	queue   []wire.Message
	closed  bool
	writing bool
}

func newOutbox() *outbox { return &outbox{written: make(chan struct{})} }

// put adds a message. It fails where too many wait for a reader that does not read; idle
// says that a writer must be started.
func (o *outbox) put(m wire.Message) (ok, idle bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) >= outMessagesMax {
		return false, false
	}
	if !o.closed {
		o.queue = append(o.queue, m)
	}
	return true, o.wake()
}

// close lets the writer end once everything before is written. It reports whether one must
// be started for that.
func (o *outbox) close() (idle bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return o.wake()
}

func (o *outbox) wake() (idle bool) {
	idle = !o.writing
	o.writing = true
	return idle
}

// take returns all that waits, and whether it is the last; ok is false where nothing waits,
// and then the writer is to end.
func (o *outbox) take() (messages []wire.Message, last, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 && !o.closed {
		o.writing = false
		return nil, false, false
	}
	messages, o.queue = o.queue, nil
	return messages, o.closed, true
}

// end says that nothing more will be written.
func (o *outbox) end() { o.once.Do(func() { close(o.written) }) }
