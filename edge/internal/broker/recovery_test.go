package broker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/broker"
	"estate/internal/problem"
)

func TestRestartKeepsSessionAndRetained(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mqtt")
	f := startAt(t, dir)
	reader := inside(t, f, "reader", false)
	done(t, reader.Subscribe("zigbee2mqtt/#", 1, nil))
	f.b.Admit()
	reader.Disconnect(100)
	z := mustDial(t, f, "installer", "z2m")
	done(t, z.Publish("zigbee2mqtt/a", 1, false, "while away"))
	done(t, z.Publish("zigbee2mqtt/bridge/state", 1, true, "online"))
	f.b.Close()

	f = startAt(t, dir)
	defer f.b.Close()
	if f.b.StoreMovedTo() != "" {
		t.Fatalf("a healthy store was moved aside\n%s", f.log)
	}
	reader = inside(t, f, "reader", false)
	seen := map[string]bool{}
	for range 2 {
		m := reader.next(t)
		seen[m.payload] = true
	}
	if !seen["while away"] || !seen["online"] {
		t.Fatalf("the session lost messages: %v", seen)
	}
	fresh := inside(t, f, "fresh", true)
	done(t, fresh.Subscribe("zigbee2mqtt/#", 1, nil))
	if m := fresh.next(t); m.payload != "online" || !m.retained {
		t.Fatalf("retained state lost: %+v", m)
	}
}

func TestBrokenStoreIsMovedAside(t *testing.T) {
	t.Parallel()
	overwrite := func(match func(string) bool) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			n := 0
			err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || !match(d.Name()) {
					return err
				}
				n++
				return os.WriteFile(p, []byte("\x00garbage\xff"), 0o600)
			})
			if err != nil || n == 0 {
				t.Fatalf("nothing to break: %v", err)
			}
		}
	}
	for name, harm := range map[string]func(*testing.T, string){
		"EveryFileOverwritten": overwrite(func(string) bool { return true }),
		"MetadataOverwritten":  overwrite(func(n string) bool { return n == "meta.inf" }),
		"StoreIsAFile": func(t *testing.T, dir string) {
			if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "mqtt")
			f := startAt(t, dir)
			r := inside(t, f, "reader", false)
			done(t, r.Subscribe("zigbee2mqtt/#", 1, nil))
			done(t, r.Publish("zigbee2mqtt/x", 1, true, "y"))
			r.Disconnect(50)
			f.b.Close()
			harm(t, dir)

			f = startAt(t, dir)
			defer f.b.Close()
			if f.b.StoreMovedTo() == "" || !strings.Contains(f.log.String(), "moved aside") {
				t.Fatalf("not moved aside\n%s", f.log)
			}
			if _, err := os.Stat(f.b.StoreMovedTo()); err != nil {
				t.Fatalf("the broken store was not kept: %v", err)
			}
			r = inside(t, f, "reader", false)
			done(t, r.Subscribe("zigbee2mqtt/#", 1, nil))
			done(t, r.Publish("zigbee2mqtt/x", 1, false, "again"))
			if m := r.next(t); m.payload != "again" {
				t.Fatalf("got %+v", m)
			}
		})
	}
}

// TestTakenPort: the broker waits for an address that another program has, says so, and
// serves once it is free.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	dir := filepath.Join(t.TempDir(), "mqtt")
	f := &fixture{logins: newLogins(), violations: make(chan broker.Violation, 1)}
	cfg := config(dir, f)
	cfg.Addr = taken.Addr().String()
	b, err := broker.Start(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if got := b.Trouble(); got.Code != problem.MQTTListen || !strings.Contains(got.Detail, cfg.Addr) || b.Ready() {
		t.Fatalf("trouble %+v, ready %v", got, b.Ready())
	}
	ctx, cancel := context.WithCancel(t.Context())
	mended := make(chan error, 1)
	go func() { mended <- b.Mend(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-mended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	_ = taken.Close()
	for deadline := time.After(wait); b.Trouble().Code != ""; {
		select {
		case <-deadline:
			t.Fatalf("still %+v", b.Trouble())
		case <-time.After(10 * time.Millisecond):
		}
	}
	b.Admit()
	f.b = b
	mustDial(t, f, "leak1", "leak1")
	if left, _ := filepath.Glob(dir + ".broken-*"); len(left) != 0 {
		t.Fatalf("store moved aside: %v", left)
	}
}

// TestAcknowledgedSurvivesKill runs the broker in a child process, publishes to it, kills
// the child with SIGKILL and reads the same store in this process.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mqtt")
	ctx, cancel := context.WithTimeout(context.Background(), 2*wait)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), helperVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("helper: %v", err)
	}
	c, err := dial(t, strings.TrimSpace(line), "installer", "pw-installer", "z2m", true)
	if err != nil {
		t.Fatal(err)
	}
	acked := map[string]bool{}
	for i := range 200 {
		text := fmt.Sprint(i)
		tok := c.Publish("zigbee2mqtt/n", 1, false, text)
		if i == 150 { // in mid-stream, with publishes under way
			_ = cmd.Process.Kill()
		}
		if c.acknowledged(t, tok) {
			acked[text] = true
		} else if i >= 150 {
			break
		}
	}
	_ = cmd.Wait()
	if len(acked) < 100 {
		t.Fatalf("only %d acknowledged", len(acked))
	}
	f := startAt(t, dir)
	defer f.b.Close()
	if f.b.StoreMovedTo() != "" {
		t.Fatalf("an unclean stop is not a broken store\n%s", f.log)
	}
	reader := inside(t, f, "reader", false)
	deadline := time.After(wait)
	for len(acked) > 0 {
		select {
		case m := <-reader.got:
			delete(acked, m.payload)
		case <-deadline:
			t.Fatalf("%d acknowledged messages lost", len(acked))
		}
	}
}

// helperMain is the child process of TestAcknowledgedSurvivesKill: a broker that prints its
// address once our session exists, and runs until it is killed.
func helperMain(dir string) error {
	f := &fixture{logins: newLogins(), violations: make(chan broker.Violation, 1)}
	b, err := broker.Start(config(dir, f), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	in := b.Internal()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID("reader").
		SetUsername(in.Username).SetPassword(in.Password).SetCleanSession(false))
	for _, step := range []func() mqtt.Token{c.Connect, func() mqtt.Token { return c.Subscribe("zigbee2mqtt/#", 1, nil) }} {
		if tok := step(); !tok.WaitTimeout(wait) || tok.Error() != nil {
			return fmt.Errorf("helper session: %w", tok.Error())
		}
	}
	c.Disconnect(100)
	b.Admit()
	fmt.Println("tcp://" + b.Addr())
	_, err = io.Copy(io.Discard, os.Stdin) // ends with the parent at the latest
	return err
}
