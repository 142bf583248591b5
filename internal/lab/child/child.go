// Package child knows how the lab's operating-system processes are born and
// how to see whether they are gone.
//
// It must never signal a process that the caller did not name by id.
package child

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"time"
)

// pollInterval is how often a vanished process is looked for: short against
// the tens of milliseconds that ending PostgreSQL takes, long enough to cost
// nothing.
const pollInterval = 10 * time.Millisecond

// Poll calls done at once and then every few milliseconds until it answers
// true, fails, or ctx ends. It names what was awaited in the error.
func Poll(ctx context.Context, what string, done func() (bool, error)) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
}

// WaitGone waits until none of the processes runs any more. A zombie counts
// as gone: its files and sockets are closed.
func WaitGone(ctx context.Context, pids ...int) error {
	return Poll(ctx, fmt.Sprintf("end of processes %v", pids), func() (bool, error) {
		for _, pid := range pids {
			if Alive(pid) {
				return false, nil
			}
		}
		return true, nil
	})
}

// Ports below those that systems give to outgoing connections: one of these would take a
// port between our look and the program's start.
const (
	portFirst    = 20_000
	portLast     = 32_000
	portTriesMax = 200
)

// FreePort picks a loopback TCP port that nobody listens on or has reserved. Another process may
// take it before the caller does, so the caller reserves it, or retries a failed start.
func FreePort(ctx context.Context) (int, error) {
	var last error
	for range portTriesMax {
		port := portFirst + rand.IntN(portLast-portFirst) //nolint:gosec // any port will do
		if last = TryPort(ctx, port); last == nil {
			last = tryReserve(ctx, port)
		}
		if last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("choose a free port: %w", last)
}

// tryReserve says whether a port is reserved; for the lock see TryPort.
func tryReserve(ctx context.Context, port int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	held, err := Reserve(ctx, port)
	if err != nil {
		return err
	}
	return held.Close()
}

// Reserve keeps a TCP port from all others who choose theirs here until what it gives is closed,
// also while the program that listens there has not begun yet, or was killed: it holds the UDP
// port of the same number, which nothing here uses, and the kernel gives it back whatever becomes
// of this process.
func Reserve(ctx context.Context, port int) (net.PacketConn, error) {
	var config net.ListenConfig
	held, err := config.ListenPacket(ctx, "udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("reserve port %d: %w", port, err)
	}
	return held, nil
}

// TryPort says why a loopback TCP port cannot be listened on. While it looks, this process
// starts no other: a child that has not yet begun its program would hold the port open.
func TryPort(ctx context.Context, port int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}
