package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	// readBuffer takes what a busy broker sends between two looks; the MQTT client reads a
	// packet in three parts, each of which would be a call of the system.
	readBuffer = 64 << 10
	// writeBufferMax bounds what waits to be sent: acknowledgements of 4 bytes, mostly.
	writeBufferMax = 64 << 10
	// closeWait is how long a goodbye may take.
	closeWait = time.Second
)

// wire is a connection that reads and writes much at once, and gives messages to its tap. What is
// written leaves at once as well, together with what else is written while the one before leaves;
// an error is that of the next call.
type wire struct {
	net.Conn
	tap     tap
	in      *bufio.Reader
	passing int // bytes of a packet that are not read yet and are the client's

	mu      sync.Mutex
	room    sync.Cond // for writers that wait
	work    sync.Cond // for the goroutine that sends
	waiting []byte
	err     error
	closed  bool
	gone    chan struct{} // closed when the goroutine has ended
}

// newWire wraps a connection; Close ends what it starts.
func newWire(conn net.Conn, t tap) *wire {
	w := &wire{Conn: conn, tap: t, in: bufio.NewReaderSize(conn, readBuffer), gone: make(chan struct{})}
	w.room.L, w.work.L = &w.mu, &w.mu
	go w.send()
	return w
}

// Write implements net.Conn. It waits only where too much waits already.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 && len(w.waiting)+len(p) > writeBufferMax && w.err == nil && !w.closed {
		w.room.Wait()
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case w.closed:
		return 0, net.ErrClosed
	}
	w.waiting = append(w.waiting, p...)
	w.work.Signal()
	return len(p), nil
}

// send sends what waits until the connection is closed, and then what is left.
func (w *wire) send() {
	defer close(w.gone)
	var under []byte
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.waiting) == 0 && !w.closed {
			w.work.Wait()
		}
		if len(w.waiting) == 0 || w.err != nil {
			return
		}
		under, w.waiting = w.waiting, under[:0]
		w.room.Broadcast()
		w.mu.Unlock()
		_, err := w.Conn.Write(under)
		w.mu.Lock()
		if cap(under) > writeBufferMax {
			under = nil // a large message is over
		}
		if err != nil {
			w.err = err
			w.room.Broadcast()
			return
		}
	}
}

// SetWriteDeadline implements net.Conn: a write does not wait for the line. One that is dead shows
// in the answers to pings that do not come.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Close implements net.Conn. What was written leaves first, a goodbye among it.
func (w *wire) Close() error {
	w.mu.Lock()
	w.closed = true
	w.work.Signal()
	w.room.Broadcast()
	w.mu.Unlock()
	enough := time.AfterFunc(closeWait, func() { _ = w.Conn.Close() })
	<-w.gone
	enough.Stop()
	return w.Conn.Close()
}

// dial connects to a broker; messages that come on the connection go to the queue.
func (l *link) dial(ctx context.Context) mqtt.OpenConnectionFunc {
	return func(uri *url.URL, o mqtt.ClientOptions) (conn net.Conn, err error) {
		dialer := &net.Dialer{Timeout: connectTimeout}
		switch plain := *uri; uri.Scheme {
		case "tcp":
			conn, err = dialer.DialContext(ctx, "tcp", uri.Host)
		case "ssl":
			conn, err = (&tls.Dialer{NetDialer: dialer, Config: o.TLSConfig}).DialContext(ctx, "tcp", uri.Host)
		case "ws", "wss":
			plain.User = nil // it goes into MQTT's own login
			conn, err = mqtt.NewWebsocket(plain.String(), o.TLSConfig, connectTimeout, nil, nil)
		default:
			err = fmt.Errorf("the broker's address begins with none of tcp, ssl, ws and wss: %s", redacted(uri.String()))
		}
		if err != nil {
			return nil, err
		}
		return newWire(conn, tap{topic: l.queue.topic, take: l.offer, now: l.now}), nil
	}
}
