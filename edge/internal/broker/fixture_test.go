package broker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/broker"
)

// wait is how long a test waits for what must happen, on the busiest machine.
const wait = time.Minute

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
	l.list["installer"] = entry{"pw-installer", broker.Grant{Role: broker.RoleZigbee2MQTT, ClientID: "z2m", Base: "zigbee2mqtt"}}
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
	lost chan struct{}
}

func dial(t *testing.T, url, user, password, id string, clean bool) (*client, error) {
	t.Helper()
	c := &client{got: make(chan received, 10000), lost: make(chan struct{})}
	opts := mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetUsername(user).SetPassword(password).
		SetCleanSession(clean).SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(wait).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			c.got <- received{m.Topic(), string(m.Payload()), m.Retained()}
		}).
		SetConnectionLostHandler(func(mqtt.Client, error) { close(c.lost) })
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
	c, err := dial(t, "tcp://"+f.b.Addr(), user, "pw-"+user, id, true)
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

// acknowledged reports whether the broker took a message; if not, it has cut the client off.
func (c *client) acknowledged(t *testing.T, tok mqtt.Token) bool {
	t.Helper()
	select {
	case <-tok.Done():
		return tok.Error() == nil
	case <-c.lost:
		return false
	case <-time.After(wait):
		t.Fatal("neither acknowledged nor cut off")
		return false
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
