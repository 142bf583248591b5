package ingest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/ingest"
)

// TestWays: a broker is listened to in each way that its address may name.
func TestWays(t *testing.T) {
	t.Parallel()
	for scheme, reach := range map[string]func(*testing.T, *embedded) ingest.Link{"tcp": nil, "ws": overWebSocket, "wss": overSecureWebSocket, "ssl": overTLS} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			s := startEmbedded(t, nil)
			sink := newStore(s1)
			way := reached{s, s.link()}
			if reach != nil {
				way.at = reach(t, s)
			}
			if !strings.HasPrefix(way.at.URL, scheme+"://") {
				t.Fatal(way.at.URL)
			}
			run(t, way, sink)
			connect(t, s, false).send(s1State, `{"leak":true}`, false)
			eventually(t, "heard", sink.alarms(1, 0))
		})
	}
	m := startMosquitto(t)
	link := m.link()
	link.URL = strings.Replace(link.URL, "tcp://", "gopher://", 1)
	in, _ := runBlind(t, reached{m, link}, newStore())
	eventually(t, "what is wrong with the address is said", func() bool { return strings.Contains(in.Status().Cause, "none of tcp, ssl, ws and wss") })
}

// reached is a broker that the edge reaches in another way than devices do.
type reached struct {
	server
	at ingest.Link
}

func (r reached) link() ingest.Link { return r.at }

func (e *embedded) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.b.WebSocket(w, r, nil) })
}

func overWebSocket(t *testing.T, e *embedded) ingest.Link {
	server := httptest.NewServer(e.handler())
	t.Cleanup(server.Close)
	return e.by("ws" + strings.TrimPrefix(server.URL, "http"))
}

func overSecureWebSocket(t *testing.T, e *embedded) ingest.Link {
	server := httptest.NewTLSServer(e.handler())
	t.Cleanup(server.Close)
	link := e.by("wss" + strings.TrimPrefix(server.URL, "https"))
	link.TLS = trusting(server)
	return link
}

func overTLS(t *testing.T, e *embedded) ingest.Link {
	certified := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(certified.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.b.ServeTLS(ctx, l, certified.TLS) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	link := e.by("ssl://" + l.Addr().String())
	link.TLS = trusting(certified)
	return link
}

func (e *embedded) by(url string) ingest.Link {
	link := e.link()
	link.URL, link.RetryMin = url, 10*time.Millisecond
	return link
}

func trusting(server *httptest.Server) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
