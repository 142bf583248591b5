package broker_test

import (
	"bufio"
	"bytes"
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
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/broker"
)

const wait = 15 * time.Second

// logins is a table of credentials that can change while the broker runs.
type logins struct {
	mu   sync.Mutex
	list map[string]entry
}

type entry struct {
	password string
	grant    broker.Grant
}

func (l *logins) authenticate(_ context.Context, in broker.Login) (broker.Grant, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.list[in.Username]
	return e.grant, ok && e.password == in.Password
}

func (l *logins) device(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list[name] = entry{"pw-" + name, broker.Grant{Role: broker.RoleDevice, ClientID: name, Building: "oak", Device: name}}
}

func (l *logins) remove(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.list, name)
}

func newLogins() *logins {
	l := &logins{list: map[string]entry{}}
	l.device("leak1")
	l.device("leak2")
	l.list["installer"] = entry{"pw-installer", broker.Grant{Role: broker.RoleGateway, ClientID: "z2m", Base: "zigbee2mqtt"}}
	return l
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type fixture struct {
	b          *broker.Broker
	logins     *logins
	log        *logBuffer
	violations chan broker.Violation
}

func config(dir string, f *fixture) broker.Config {
	return broker.Config{Addr: "127.0.0.1:0", StoreDir: dir, Now: time.Now, Authenticate: f.logins.authenticate,
		OnViolation: func(v broker.Violation) {
			select {
			case f.violations <- v:
			default:
			}
		}}
}

func startAt(t *testing.T, dir string) *fixture {
	t.Helper()
	f := &fixture{logins: newLogins(), log: &logBuffer{}, violations: make(chan broker.Violation, 16)}
	b, err := broker.Start(config(dir, f), slog.New(slog.NewTextHandler(f.log, nil)))
	if err != nil {
		t.Fatalf("start: %v\n%s", err, f.log)
	}
	f.b = b
	return f
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := startAt(t, filepath.Join(t.TempDir(), "mqtt"))
	t.Cleanup(f.b.Close)
	f.b.Admit()
	return f
}

type received struct {
	topic, payload string
	retained       bool
}

type client struct {
	mqtt.Client
	got  chan received
	lost chan error
}

func dial(t *testing.T, url, user, password, id string, clean bool) (*client, error) {
	t.Helper()
	c := &client{got: make(chan received, 10000), lost: make(chan error, 1)}
	opts := mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetUsername(user).SetPassword(password).
		SetCleanSession(clean).SetAutoReconnect(false).SetConnectTimeout(wait).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			c.got <- received{m.Topic(), string(m.Payload()), m.Retained()}
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.lost <- err })
	c.Client = mqtt.NewClient(opts)
	t.Cleanup(func() { c.Disconnect(0) })
	tok := c.Connect()
	if !tok.WaitTimeout(wait) {
		return c, errors.New("connect: no answer")
	}
	return c, tok.Error()
}

func mustDial(t *testing.T, f *fixture, user, id string) *client {
	t.Helper()
	c, err := dial(t, f.b.URL(), user, "pw-"+user, id, true)
	if err != nil {
		t.Fatalf("dial %s: %v\n%s", user, err, f.log)
	}
	return c
}

func inside(t *testing.T, f *fixture, id string, clean bool) *client {
	t.Helper()
	in := f.b.Internal()
	c, err := dial(t, f.b.URL(), in.Username, in.Password, id, clean)
	if err != nil {
		t.Fatalf("internal login: %v\n%s", err, f.log)
	}
	return c
}

func done(t *testing.T, tok mqtt.Token) {
	t.Helper()
	if !tok.WaitTimeout(wait) {
		t.Fatal("broker did not answer")
	}
	if tok.Error() != nil {
		t.Fatal(tok.Error())
	}
}

func (c *client) next(t *testing.T) received {
	t.Helper()
	select {
	case m := <-c.got:
		return m
	case <-time.After(wait):
		t.Fatal("no message")
		return received{}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	f := setup(t)
	all := inside(t, f, "reader", true)
	done(t, all.Subscribe("estate/#", 1, nil))
	done(t, all.Subscribe("zigbee2mqtt/#", 1, nil))

	t.Run("OwnBranch", func(t *testing.T) {
		c := mustDial(t, f, "leak1", "leak1")
		done(t, c.Publish("estate/v1/oak/dev/leak1/state", 1, false, "wet"))
		if m := all.next(t); m.payload != "wet" {
			t.Fatalf("got %+v", m)
		}
	})
	t.Run("OtherBranchIsDroppedAndReported", func(t *testing.T) {
		c := mustDial(t, f, "leak1", "leak1")
		for _, topic := range []string{"estate/v1/oak/dev/leak2/state", "estate/v1/elm/dev/leak1/state",
			"zigbee2mqtt/x", "estate/v1/oak/alarm/1", "estate/v1/oak/dev/leak1x/state"} {
			done(t, c.Publish(topic, 1, true, "forged"))
			v := <-f.violations
			if v.Topic != topic || v.ClientID != "leak1" || v.Grant.Device != "leak1" || v.Reason == "" {
				t.Fatalf("violation %+v for %s", v, topic)
			}
		}
		done(t, c.Publish("estate/v1/oak/dev/leak1/state", 1, false, "after"))
		if m := all.next(t); m.payload != "after" {
			t.Fatalf("a forged message passed: %+v", m)
		}
		late := inside(t, f, "late", true)
		done(t, late.Subscribe("#", 1, nil))
		done(t, late.Publish("estate/end", 1, false, "end"))
		if m := late.next(t); m.payload != "end" {
			t.Fatalf("a forged message was retained: %+v", m)
		}
		all.next(t)
	})
	t.Run("DeviceCannotListenElsewhere", func(t *testing.T) {
		c := mustDial(t, f, "leak1", "leak1")
		tok, _ := c.Subscribe("estate/#", 1, nil).(*mqtt.SubscribeToken)
		tok.WaitTimeout(wait)
		if code := tok.Result()["estate/#"]; code != 0x80 {
			t.Fatalf("subscription answered %#x", code)
		}
		done(t, c.Subscribe("estate/v1/oak/dev/leak1/#", 1, nil))
		done(t, all.Publish("estate/v1/oak/dev/leak1/error", 1, false, "why"))
		if m := c.next(t); m.payload != "why" {
			t.Fatalf("got %+v", m)
		}
		all.next(t)
	})
	t.Run("GatewayBelowItsBase", func(t *testing.T) {
		c := mustDial(t, f, "installer", "z2m")
		done(t, c.Publish("zigbee2mqtt/cellar/leak", 1, false, "{}"))
		if m := all.next(t); m.topic != "zigbee2mqtt/cellar/leak" {
			t.Fatalf("got %+v", m)
		}
		done(t, c.Publish("estate/v1/oak/dev/leak1/state", 1, false, "forged"))
		done(t, c.Publish("zigbee2mqtt/last", 1, false, "ok"))
		if m := all.next(t); m.payload != "ok" {
			t.Fatalf("got %+v", m)
		}
	})
	t.Run("Refused", func(t *testing.T) {
		for _, c := range []struct{ user, password, id string }{
			{"leak1", "wrong", "leak1"}, {"nobody", "x", "nobody"}, {"", "", "x"},
			{"leak1", "pw-leak1", "leak2"}, {"leak1", "pw-leak1", ""}, {"estate-internal", "guess", "reader"},
		} {
			if _, err := dial(t, f.b.URL(), c.user, c.password, c.id, true); err == nil {
				t.Errorf("user %q client %q was let in", c.user, c.id)
			}
		}
		for _, secret := range []string{"pw-leak1", "guess", f.b.Internal().Password} {
			if strings.Contains(f.log.String(), secret) {
				t.Errorf("the log holds a password")
			}
		}
	})
}

func TestDevicesComeAndGoLive(t *testing.T) {
	t.Parallel()
	f := setup(t)
	if _, err := dial(t, f.b.URL(), "new1", "pw-new1", "new1", true); err == nil {
		t.Fatal("unknown device let in")
	}
	f.logins.device("new1")
	c := mustDial(t, f, "new1", "new1")
	f.logins.remove("new1")
	if err := f.b.Disconnect("new1"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.lost:
	case <-time.After(wait):
		t.Fatal("a removed device stayed connected")
	}
	if _, err := dial(t, f.b.URL(), "new1", "pw-new1", "new1", true); err == nil {
		t.Fatal("a removed device was let in")
	}
}

func TestDevicesWaitForAdmit(t *testing.T) {
	t.Parallel()
	f := startAt(t, filepath.Join(t.TempDir(), "mqtt"))
	t.Cleanup(f.b.Close)
	if f.b.Ready() {
		t.Fatal("ready before Admit")
	}
	if _, err := dial(t, f.b.URL(), "leak1", "pw-leak1", "leak1", true); err == nil {
		t.Fatal("a device was let in before the edge listens")
	}
	f.b.Admit()
	mustDial(t, f, "leak1", "leak1")
	if !f.b.Ready() {
		t.Fatal("not ready after Admit")
	}
}

func TestWhiteSpaceInTopicIsReported(t *testing.T) {
	t.Parallel()
	f := setup(t)
	c := mustDial(t, f, "installer", "z2m")
	c.Publish("zigbee2mqtt/dining room", 1, false, "{}")
	select {
	case v := <-f.violations:
		if v.ClientID != "z2m" || !strings.Contains(v.Reason, "white space") {
			t.Fatalf("violation %+v", v)
		}
	case <-time.After(wait):
		t.Fatalf("not reported\n%s", f.log)
	}
	<-c.lost
	mustDial(t, f, "leak1", "leak1")
}

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

func TestTakenPortLeavesTheStoreAlone(t *testing.T) {
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
	_, err = broker.Start(cfg, slog.New(slog.DiscardHandler))
	if !errors.Is(err, broker.ErrListen) {
		t.Fatalf("error %v", err)
	}
	left, _ := filepath.Glob(dir + ".broken-*")
	if len(left) != 0 {
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
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHelperBroker$")
	cmd.Env = append(os.Environ(), "ESTATE_BROKER_HELPER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
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
		if tok.WaitTimeout(time.Second) && tok.Error() == nil {
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

// TestHelperBroker is the child process of TestAcknowledgedSurvivesKill; on its own it
// checks nothing but that it is not the child.
func TestHelperBroker(t *testing.T) {
	dir := os.Getenv("ESTATE_BROKER_HELPER")
	if dir == "" {
		return
	}
	f := startAt(t, dir)
	reader := inside(t, f, "reader", false)
	done(t, reader.Subscribe("zigbee2mqtt/#", 1, nil))
	reader.Disconnect(100)
	f.b.Admit()
	fmt.Println(f.b.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	select {}
}
