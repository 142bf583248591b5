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
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// handshakeWait is what a slow microcontroller gets for TLS.
	handshakeWait = 30 * time.Second
	// frontsMax bounds the connections that come in through TLS or a WebSocket.
	frontsMax = connectionsMax
	// acceptPause is between attempts to accept while the machine has no room for more.
	acceptPause = 100 * time.Millisecond
)

// ServeTLS lets devices in that speak TLS, until ctx ends. Their connections go on to the
// broker's own address in this machine.
func (b *Broker) ServeTLS(ctx context.Context, l net.Listener, cfg *tls.Config) error {
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
			return fmt.Errorf("accept mqtt over TLS: %w", err)
		case err != nil: // too many open files: those that leave make room
			pause := time.NewTimer(acceptPause)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Stop()
			continue
		}
		if b.fronts.Add(1) > frontsMax {
			b.fronts.Add(-1)
			b.log.Warn("mqtt over TLS: too many connections", "remote", conn.RemoteAddr().String())
			_ = conn.Close()
			continue
		}
		open.Go(func() {
			defer b.fronts.Add(-1)
			b.front(ctx, tls.Server(conn, cfg))
		})
	}
}

// front ends TLS and joins the connection to the broker.
func (b *Broker) front(ctx context.Context, conn *tls.Conn) {
	defer func() { _ = conn.Close() }()
	hello, cancel := context.WithTimeout(ctx, handshakeWait)
	err := conn.HandshakeContext(hello)
	cancel()
	if err != nil {
		b.log.Info("mqtt over TLS: no handshake", "remote", conn.RemoteAddr().String(), "cause", err)
		return
	}
	b.join(ctx, conn)
}

// join passes bytes between a connection and the broker until either ends.
func (b *Broker) join(ctx context.Context, conn net.Conn) {
	var dial net.Dialer
	inner, err := dial.DialContext(ctx, "tcp", hostPort(b.URL()))
	if err != nil {
		return // the broker is down; the device comes again
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _, _ = conn.Close(), inner.Close() })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{conn, inner}, {inner, conn}} {
		both.Go(func() {
			defer cancel()
			_, _ = io.Copy(way[1], way[0]) // how a connection ended is between the two ends
		})
	}
	both.Wait()
}

func hostPort(url string) string { return url[len("tcp://"):] }

// WebSocket lets clients in that speak MQTT over a WebSocket, as browsers must. Pages of other
// origins than those given, and the server's own, are refused.
func (b *Broker) WebSocket(w http.ResponseWriter, r *http.Request, origins []string) {
	if b.fronts.Add(1) > frontsMax {
		b.fronts.Add(-1)
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	defer b.fronts.Add(-1)
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
	defer func() { _ = conn.Close() }()
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
