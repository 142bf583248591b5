// Package faultproxy stands between two programs on this machine and makes the
// line between them as bad as a test or the demo asks: slow, cut, silent, or
// torn in the middle of a frame.
//
// It must never forward to, or listen on, anything but loopback.
package faultproxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialTimeout: a loopback target answers at once or not at all.
const dialTimeout = 5 * time.Second

// mode is what the line does to bytes and new connections.
type mode int

const (
	passing mode = iota
	cut
	silent
)

// Proxy is one faulty line. Its methods may be called at any time from any
// goroutine.
type Proxy struct {
	target   string
	seed     uint64
	listener net.Listener
	closing  context.Context
	close    context.CancelFunc
	running  sync.WaitGroup
	sent     atomic.Int64 // bytes that reached the target
	answered atomic.Int64 // bytes that came back

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at each change of state
	mode       mode
	latencyMin time.Duration
	latencyMax time.Duration
	rate       int64 // bytes a second each way; zero: no bound
	bytesLeft  int64 // until the next Drop; negative: no limit
	opened     uint64
	lines      map[*line]struct{}
}

// Start listens on a free loopback port and forwards to target, which must be
// a loopback host and port. The seed decides the latencies.
func Start(ctx context.Context, target string, seed uint64) (*Proxy, error) {
	target, err := loopback(target)
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the faulty line: %w", err)
	}
	closing, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		target: target, seed: seed, listener: listener, closing: closing, close: cancel,
		changed: make(chan struct{}), bytesLeft: -1, lines: map[*line]struct{}{},
	}
	p.running.Go(p.accept)
	return p, nil
}

func loopback(target string) (string, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return "", fmt.Errorf("read the faulty line's target %q: %w", target, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("refuse a faulty line to %q: not a loopback address", target)
	}
	return net.JoinHostPort(host, port), nil
}

// Addr is the host and port to connect to instead of the target.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetLatency delays each piece of data by a random time from min to max, in
// both directions and in order.
func (p *Proxy) SetLatency(least, most time.Duration) {
	p.change(func() { p.latencyMin, p.latencyMax = least, max(least, most) })
}

// SetRate bounds the bytes a second in each direction, on connections that
// are made from now on. Such a line takes little ahead of what it carries.
func (p *Proxy) SetRate(bytes int64) { p.change(func() { p.rate = bytes }) }

// Cut resets every connection and refuses new ones until Restore.
func (p *Proxy) Cut() {
	p.change(func() { p.mode = cut })
	p.Drop()
}

// HalfOpen leaves connections open and takes new ones, but nothing comes
// through: as when a router in the middle dies. After Restore what was sent
// meanwhile arrives, as TCP would send it again.
func (p *Proxy) HalfOpen() { p.change(func() { p.mode = silent }) }

// Restore ends Cut and HalfOpen. Latency stays.
func (p *Proxy) Restore() { p.change(func() { p.mode = passing }) }

// CloseAfter resets all connections once n more bytes came through in either
// direction, in the middle of a piece where n says so; then the line works
// again.
func (p *Proxy) CloseAfter(n int64) {
	p.change(func() { p.bytesLeft = max(n, 0) })
}

// Drop resets every connection and keeps taking new ones.
func (p *Proxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.lines {
		l.reset()
	}
}

// Connections is how many connections are open.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// Carried is how many bytes came through so far: to the target, and back.
func (p *Proxy) Carried() (sent, answered int64) { return p.sent.Load(), p.answered.Load() }

// Close resets everything and returns when no goroutine of the proxy is left.
func (p *Proxy) Close() error {
	p.close()
	err := p.listener.Close()
	p.Drop()
	p.running.Wait()
	if err != nil {
		return fmt.Errorf("close the faulty line: %w", err)
	}
	return nil
}

func (p *Proxy) change(apply func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	apply()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		l := p.add(conn)
		if l == nil {
			reset(conn)
			continue
		}
		p.running.Go(func() { p.serve(l) })
	}
}

// add registers a connection, or gives nil while the line is cut.
func (p *Proxy) add(conn net.Conn) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == cut || p.closing.Err() != nil {
		return nil
	}
	l := &line{proxy: p, number: p.opened, near: conn, rate: p.rate, done: make(chan struct{})}
	p.opened++
	p.lines[l] = struct{}{}
	return l
}

func (p *Proxy) serve(l *line) {
	defer func() {
		l.reset()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.lines, l)
	}()
	if !p.awaitPassing(l.done) {
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	far, err := dialer.DialContext(p.closing, "tcp", p.target)
	if err != nil {
		return // the target is down: the near side sees a reset
	}
	if l.connect(far) {
		l.run()
		l.finish()
	}
}

// awaitPassing waits until bytes may pass; false means that the connection
// was reset first.
func (p *Proxy) awaitPassing(done <-chan struct{}) bool {
	for {
		p.mu.Lock()
		state, changed := p.mode, p.changed
		p.mu.Unlock()
		if state == passing {
			return true
		}
		select {
		case <-done:
			return false
		case <-changed:
		}
	}
}

// take asks to let n bytes through: how many may, and whether the line must
// be dropped after them.
func (p *Proxy) take(n int) (allowed int, drop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytesLeft < 0 {
		return n, false
	}
	if int64(n) < p.bytesLeft {
		p.bytesLeft -= int64(n)
		return n, false
	}
	allowed = int(p.bytesLeft)
	p.bytesLeft = -1
	return allowed, true
}

func (p *Proxy) latency() (least, most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latencyMin, p.latencyMax
}
