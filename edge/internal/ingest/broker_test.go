package ingest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/broker"
	"estate/edge/internal/ingest"
	"estate/internal/lab"
	"estate/internal/lab/labtest"
	"estate/internal/rules"
)

// server is a broker that the suite runs against.
type server interface {
	link() ingest.Link
	address() string // for devices
	// login gives user and password of the gateway or of the plain sensor "s1".
	login(gateway bool) (user, password string)
	onSubscribed() func()
	onTaken() func(int)
}

type embedded struct {
	mu   sync.Mutex
	b    *broker.Broker
	dir  string
	addr string
	on   func(broker.Violation)
}

// grants are those of the gateway and of a plain sensor, the same at both brokers.
func grants() map[string]broker.Grant {
	return map[string]broker.Grant{
		"gw": {Role: broker.RoleZigbee2MQTT, ClientID: "gw", Base: "zigbee2mqtt"},
		"s1": {Role: broker.RoleDevice, ClientID: "s1", Building: "oak", Device: "s1"},
	}
}

func startEmbedded(t *testing.T, on func(broker.Violation)) *embedded {
	e := &embedded{dir: filepath.Join(t.TempDir(), "mqtt"), addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(labtest.FreePort(t))), on: on}
	e.start(t)
	t.Cleanup(func() { e.b.Close() })
	return e
}

func (e *embedded) start(t *testing.T) {
	t.Helper()
	grants := grants()
	b, err := broker.Start(broker.Config{Addr: e.addr, StoreDir: e.dir, Now: time.Now, OnViolation: e.on,
		Authenticate: func(_ context.Context, l broker.Login) (broker.Grant, bool) {
			g, ok := grants[l.Username]
			return g, ok && l.Password == "secret"
		}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.b, e.addr = b, b.Addr()
}

func (e *embedded) link() ingest.Link {
	in := e.b.Internal()
	return ingest.Link{URL: e.b.URL(), Username: in.Username, Password: in.Password, RetryMin: 10 * time.Millisecond}
}

func (e *embedded) address() string { return e.b.Addr() }

func (e *embedded) login(gateway bool) (string, string) {
	if gateway {
		return "gw", "secret"
	}
	return "s1", "secret"
}

func (e *embedded) onSubscribed() func() {
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.b.Admit()
	}
}

func (e *embedded) onTaken() func(int) {
	return func(count int) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.b.Taken(count)
	}
}

// mosquitto is Debian's broker, with the files of passwords and rights that the edge writes.
type mosquitto struct {
	conf string
	port int
	cmd  *exec.Cmd
}

func startMosquitto(t *testing.T) *mosquitto {
	return startMosquittoWith(t, "max_queued_messages 10000\n")
}

// startMosquittoWith starts it with lines of its configuration.
func startMosquittoWith(t *testing.T, lines string) *mosquitto {
	t.Helper()
	m := &mosquitto{conf: filepath.Join(t.TempDir(), "mosquitto.conf"), port: labtest.FreePort(t)}
	hash, err := broker.MosquittoHash("secret", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	logins := []broker.MosquittoLogin{{Username: "edge", Hash: hash, Rights: broker.EdgeRights()}}
	for name, g := range grants() {
		rights, err := g.Rights()
		if err != nil {
			t.Fatal(err)
		}
		logins = append(logins, broker.MosquittoLogin{Username: name, Hash: hash, Rights: rights})
	}
	passwords, rights, err := broker.MosquittoFiles(logins)
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("listener %d 127.0.0.1\nuser root\nallow_anonymous false\npassword_file %[2]s.passwords\nacl_file %[2]s.rights\npersistence false\nsys_interval 1\n%[3]s", m.port, m.conf, lines)
	for end, text := range map[string]string{"": conf, ".passwords": passwords, ".rights": rights} {
		if err := os.WriteFile(m.conf+end, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m.start(t)
	t.Cleanup(m.stop)
	return m
}

func (m *mosquitto) start(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	m.cmd = exec.Command(path, "-c", m.conf)
	if err := m.cmd.Start(); err != nil {
		t.Fatalf("start mosquitto: %v", err)
	}
	eventually(t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", m.port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (m *mosquitto) stop() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

func (m *mosquitto) address() string { return fmt.Sprintf("127.0.0.1:%d", m.port) }

func (m *mosquitto) link() ingest.Link {
	return ingest.Link{URL: fmt.Sprintf("tcp://127.0.0.1:%d", m.port), Username: "edge", Password: "secret", RetryMin: 10 * time.Millisecond, Others: true}
}

func (m *mosquitto) login(gateway bool) (string, string) {
	return map[bool]string{true: "gw", false: "s1"}[gateway], "secret"
}

func (m *mosquitto) onSubscribed() func() { return nil }

func (m *mosquitto) onTaken() func(int) { return nil }

// running is an Ingest under test.
type running struct {
	*ingest.Ingest
	stop func()
}

func run(t *testing.T, s server, sink ingest.Sink) *running {
	t.Helper()
	in, stop := runBlind(t, s, sink)
	eventually(t, "listening", func() bool { return in.Status().Connected })
	return &running{in, stop}
}

// runBlind does not wait for the broker.
func runBlind(t *testing.T, s server, sink ingest.Sink) (*ingest.Ingest, func()) {
	t.Helper()
	box := ""
	if _, is := sink.Known("box:1"); is {
		box = "box:1"
	}
	in, err := ingest.New(ingest.Config{Building: "oak", Box: box, Link: s.link(), Now: time.Now, OnSubscribed: s.onSubscribed(), OnTaken: s.onTaken(),
		Tick: 5 * time.Millisecond, Rules: quickRules(t),
	}, sink, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil && ctx.Err() == nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return in, stop
}

// publisher is a gateway or a sensor.
type publisher struct {
	t *testing.T
	c mqtt.Client
}

func connect(t *testing.T, s server, gateway bool) *publisher {
	t.Helper()
	user, password := s.login(gateway)
	id := map[bool]string{true: "gw", false: "s1"}[gateway]
	p := &publisher{t: t}
	eventually(t, "publisher let in", func() bool {
		p.c = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + s.address()).SetClientID(id).SetUsername(user).
			SetPassword(password).SetAutoReconnect(false))
		tok := p.c.Connect()
		return tok.Wait() && tok.Error() == nil
	})
	t.Cleanup(func() { p.c.Disconnect(0) })
	return p
}

func (p *publisher) send(topic, payload string, retained bool) {
	p.t.Helper()
	tok := p.c.Publish(topic, 1, retained, payload)
	if !tok.WaitTimeout(patience) || tok.Error() != nil {
		p.t.Fatalf("publish to %s: %v", topic, tok.Error())
	}
}

// mosquittoPub publishes with the real command line client.
func mosquittoPub(t *testing.T, s server, gateway bool, topic, payload string) {
	t.Helper()
	user, password := s.login(gateway)
	_, port, _ := net.SplitHostPort(s.address())
	args := []string{"-h", "127.0.0.1", "-p", port, "-q", "1", "-V", "mqttv311", "-t", topic, "-m", payload, "-u", user, "-P", password, "-i", user}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := lab.Publish(ctx, "mosquitto_pub", "", args...); err != nil {
		t.Fatal(err)
	}
}

// quickRules are the shipped ones, with a leak that ends soon and a gateway that is missed at once.
func quickRules(t *testing.T) []rules.Rule {
	t.Helper()
	list, found := rules.Shipped(), 0
	for i := range list {
		if list[i].Cause == "leak" || list[i].Cause == "gateway_away" {
			list[i].ClearAfter = rules.Duration(50 * time.Millisecond)
			found++
		}
		if list[i].Cause == "gateway_away" {
			list[i].When.Is.For = 0
		}
	}
	if found != 2 {
		t.Fatalf("%d of the two rules are shipped", found)
	}
	return list
}
