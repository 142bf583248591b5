package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// handshakeWait is what a slow microcontroller gets for TLS.
	handshakeWait = 30 * time.Second
	// acceptPause is between attempts to accept while the machine has no room for more.
	acceptPause = 100 * time.Millisecond
)

// Devices come in by plain MQTT, by TLS or by a WebSocket. Each connection goes on to the server
// inside, which listens for this machine alone: so messages that nobody waits for can be held up
// before the server has read them (see window).

// listen takes the address for plain MQTT and serves it until Close. It does nothing where it was
// taken before.
func (b *Broker) listen() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listener != nil {
		return nil
	}
	host, port, err := splitAddr(b.addr)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		end()
		return fmt.Errorf("%w: %w", ErrListen, err)
	}
	if at, ok := l.Addr().(*net.TCPAddr); ok {
		b.addr = net.JoinHostPort(host, strconv.Itoa(at.Port))
	}
	b.listener, b.end = l, end
	b.serving.Go(func() {
		err := b.serve(ctx, l, b.join)
		b.log.Debug("mqtt listener ended", "cause", err) // by Close
	})
	return nil
}

// ServeTLS lets devices in that speak TLS, until ctx ends.
func (b *Broker) ServeTLS(ctx context.Context, l net.Listener, cfg *tls.Config) error {
	return b.serve(ctx, l, func(ctx context.Context, conn net.Conn) { b.secured(ctx, tls.Server(conn, cfg)) })
}

// serve hands each connection that a listener accepts to one goroutine, until ctx ends.
func (b *Broker) serve(ctx context.Context, l net.Listener, each func(context.Context, net.Conn)) error {
	ctx, cancel := context.WithCancel(ctx)
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept mqtt: %w", err)
		case err != nil: // too many open files: those that leave make room
			pause := time.NewTimer(acceptPause)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Stop()
			continue
		}
		if !b.enter() {
			b.log.Warn("mqtt: too many connections", "remote", conn.RemoteAddr().String())
			_ = conn.Close()
			continue
		}
		open.Go(func() {
			defer b.leave()
			each(ctx, conn)
		})
	}
}

// freeAddr is an address of this machine alone, with a port that is free.
func freeAddr() (string, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// enter counts a connection, where there is room for one more.
func (b *Broker) enter() bool {
	if b.fronts.Add(1) <= connectionsMax {
		return true
	}
	b.leave()
	return false
}

func (b *Broker) leave() { b.fronts.Add(-1) }

// secured ends TLS and joins the connection to the server.
func (b *Broker) secured(ctx context.Context, conn *tls.Conn) {
	hello, cancel := context.WithTimeout(ctx, handshakeWait)
	err := conn.HandshakeContext(hello)
	cancel()
	if err != nil {
		_ = conn.Close()
		b.log.Info("mqtt over TLS: no handshake", "remote", conn.RemoteAddr().String(), "cause", err)
		return
	}
	b.join(ctx, conn)
}

// WebSocket lets clients in that speak MQTT over a WebSocket, as browsers must. Pages of other
// origins than those given, and the server's own, are refused.
func (b *Broker) WebSocket(w http.ResponseWriter, r *http.Request, origins []string) {
	if !b.enter() {
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	defer b.leave()
	upgrade := websocket.Upgrader{HandshakeTimeout: handshakeWait, Subprotocols: []string{"mqtt", "mqttv3.1"}, CheckOrigin: func(r *http.Request) bool {
		origin := r.Header.Get("Origin")
		u, err := url.Parse(origin)
		return origin == "" || err == nil && strings.EqualFold(u.Host, r.Host) || slices.Contains(origins, origin)
	}}
	conn, err := upgrade.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	conn.SetReadLimit(payloadBytesMax + 1<<10)
	b.join(r.Context(), &messages{Conn: conn.NetConn(), ws: conn})
}

// messages is a WebSocket as a stream of bytes: MQTT's packets may lie across its messages.
type messages struct {
	net.Conn
	ws      *websocket.Conn
	current io.Reader
}

// Read implements net.Conn.
func (m *messages) Read(p []byte) (int, error) {
	for {
		if m.current == nil {
			kind, next, err := m.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("MQTT comes in binary messages")
			}
			m.current = next
		}
		n, err := m.current.Read(p)
		if errors.Is(err, io.EOF) {
			m.current, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (m *messages) Write(p []byte) (int, error) {
	if err := m.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}
