package faultproxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"estate/internal/lab/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen; silence is how long
// it watches that nothing does.
const (
	patience = time.Minute
	silence  = 50 * time.Millisecond
)

// echo answers every byte with itself until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); running.Wait() })
	return listener.Addr().String()
}

func setup(t *testing.T) *faultproxy.Proxy {
	t.Helper()
	proxy, err := faultproxy.Start(t.Context(), echo(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}

func dial(t *testing.T, proxy *faultproxy.Proxy) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", proxy.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("received %q (%v), want %q", got, err, want)
	}
}

// ended reads until the line breaks and gives what still came.
func ended(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection is still open")
	}
	return got
}

func TestPassesBytesAndTheEnd(t *testing.T) {
	t.Parallel()
	conn := dial(t, setup(t))
	want := bytes.Repeat([]byte("leak"), 300_000)
	go func() {
		_, _ = conn.Write(want)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	if got := ended(t, conn); !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes back, want the %d sent", len(got), len(want))
	}
}

func TestCutDropsAndRefusesUntilRestore(t *testing.T) {
	t.Parallel()
	proxy := setup(t)
	conn := dial(t, proxy)
	send(t, conn, "before")
	receive(t, conn, "before")
	proxy.Cut()
	ended(t, conn)
	// The kernel may take the connection before the line resets it, or see the reset first.
	if refused, err := net.DialTimeout("tcp", proxy.Addr(), patience); err == nil {
		t.Cleanup(func() { _ = refused.Close() })
		ended(t, refused)
	}
	proxy.Restore()
	again := dial(t, proxy)
	send(t, again, "after")
	receive(t, again, "after")
}

func TestHalfOpenIsSilentThenDelivers(t *testing.T) {
	t.Parallel()
	proxy := setup(t)
	conn := dial(t, proxy)
	send(t, conn, "before")
	receive(t, conn, "before")
	proxy.HalfOpen()
	fresh := dial(t, proxy)
	for _, c := range []net.Conn{conn, fresh} {
		send(t, c, "held")
		if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read %d bytes (%v) through a silent line", n, err)
		}
	}
	proxy.Restore()
	receive(t, conn, "held")
	receive(t, fresh, "held")
}

func TestCloseAfterTearsAFrame(t *testing.T) {
	t.Parallel()
	proxy := setup(t)
	conn := dial(t, proxy)
	// Ten bytes there and five of the ten back.
	proxy.CloseAfter(15)
	send(t, conn, "0123456789")
	if got := ended(t, conn); string(got) != "01234" {
		t.Fatalf("got %q back, want the first half", got)
	}
	again := dial(t, proxy)
	send(t, again, "whole again")
	receive(t, again, "whole again")
}

func TestLatencyDelaysAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	proxy := setup(t)
	proxy.SetLatency(20*time.Millisecond, 40*time.Millisecond)
	conn := dial(t, proxy)
	began := time.Now()
	var want strings.Builder
	for _, word := range []string{"one ", "two ", "three ", "four"} {
		send(t, conn, word)
		want.WriteString(word)
	}
	receive(t, conn, want.String())
	if took := time.Since(began); took < 40*time.Millisecond {
		t.Fatalf("there and back took %s, want at least twice the least latency", took)
	}
}

func TestRateBoundsWhatComesThrough(t *testing.T) {
	t.Parallel()
	proxy := setup(t)
	proxy.SetRate(1 << 20)
	conn := dial(t, proxy)
	text := strings.Repeat("slow", 32<<10) // an eighth of a second each way
	began := time.Now()
	go func() { _, _ = io.WriteString(conn, text) }()
	receive(t, conn, text)
	if took := time.Since(began); took < 125*time.Millisecond {
		t.Fatalf("%d bytes took %s", len(text), took)
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	proxy := setup(t)
	conn := dial(t, proxy)
	send(t, conn, "x")
	receive(t, conn, "x")
	if n := proxy.Connections(); n != 1 {
		t.Fatalf("%d connections, want 1", n)
	}
}

func TestOnlyLoopbackIsATarget(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"192.0.2.1:80", "example.org:80", "0.0.0.0:80", "127.0.0.1", ""} {
		if proxy, err := faultproxy.Start(t.Context(), target, 1); err == nil {
			_ = proxy.Close()
			t.Errorf("target %q was taken", target)
		}
	}
}

func TestCarriedCountsBothWays(t *testing.T) {
	t.Parallel()
	proxy := setup(t)
	conn := dial(t, proxy)
	send(t, conn, "hello")
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if sent, answered := proxy.Carried(); sent != 5 || answered != 5 {
		t.Errorf("carried %d and %d bytes", sent, answered)
	}
}
