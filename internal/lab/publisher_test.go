package lab_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/lab"
)

// TestPublish: a program that was cut off is started again, one that was refused is not.
func TestPublish(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first   int    // exit status of the first start; later ones end with 0
		says    string // of each start
		starts  int
		refused bool
	}{
		"sent":       {starts: 1},
		"cut off":    {first: 7, starts: 2},
		"refused":    {first: 5, starts: 1, refused: true},
		"no rights":  {says: "Warning: not authorised.", starts: 1, refused: true},
		"no message": {first: 1, starts: 1, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			starts := filepath.Join(t.TempDir(), "starts")
			script := fmt.Sprintf("cat >> %[1]s; echo '%[2]s'; [ $(wc -l < %[1]s) -gt 1 ] || exit %[3]d", starts, c.says, c.first)
			err := lab.Publish(t.Context(), "sh", "on\n", "-c", script)
			if (err != nil) != c.refused {
				t.Errorf("answered %v", err)
			}
			got, err := os.ReadFile(starts)
			if err != nil || string(got) != strings.Repeat("on\n", c.starts) {
				t.Errorf("it read %q: %v", got, err)
			}
		})
	}
}

// TestSignIn: a client that the broker hung up on connects again, one that was refused does not.
func TestSignIn(t *testing.T) {
	t.Parallel()
	const granted, refused = "\x20\x02\x00\x00", "\x20\x02\x00\x05" // CONNACK
	for name, c := range map[string]struct {
		answers []string // to one connection after the other; an empty one hangs up
		in      bool
	}{
		"let in":         {answers: []string{granted}, in: true},
		"cut off":        {answers: []string{"", "", granted}, in: true},
		"refused":        {answers: []string{"", refused}},
		"always cut off": {answers: []string{"", "", "", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan int, 1)
			go func() {
				for n, answer := range c.answers {
					conn, err := listener.Accept()
					if err != nil {
						served <- n
						return
					}
					_, _ = conn.Read(make([]byte, 256)) // what it says
					_, _ = io.WriteString(conn, answer)
					if answer == "" {
						_ = conn.Close()
						continue
					}
					defer func() { _ = conn.Close() }()
				}
				served <- len(c.answers)
				_, _ = listener.Accept() // until the test ends
			}()
			client, err := lab.SignIn(t.Context(), mqtt.NewClientOptions().AddBroker("tcp://"+listener.Addr().String()).SetClientID("meter").SetProtocolVersion(4).SetAutoReconnect(false))
			if (err == nil) != c.in {
				t.Errorf("answered %v", err)
			}
			if client != nil {
				client.Disconnect(0)
			}
			if n := <-served; n != len(c.answers) {
				t.Errorf("it connected %d times", n)
			}
			_ = listener.Close()
		})
	}
}
