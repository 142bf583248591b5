package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// packet is one of MQTT with a body of some length.
func packet(first byte, length int) string {
	head := binary.AppendUvarint([]byte{first}, uint64(length))
	return string(head) + strings.Repeat("\x30", length) // a body that looks like packets
}

// stream is a connection's beginning, with three messages of QoS 0.
func stream() string {
	return packet(0x10, 30) + packet(0x30, 5) + packet(0x32, 200) + packet(0x31, 0) + packet(0x3d, 1) +
		packet(0xc0, 0) + packet(0x38, 20_000) + packet(0x40, 2) + packet(0x34, 127) + packet(0x82, 128) + packet(0xe0, 0)
}

func TestLoose(t *testing.T) {
	t.Parallel()
	for _, step := range []int{1, 2, 3, 7, 4096, 1 << 20} {
		var p packets
		got := 0
		for rest := stream(); rest != ""; {
			n := min(step, len(rest))
			got += p.loose([]byte(rest[:n]))
			rest = rest[n:]
		}
		if got != 3 || p.broken || p.begun || p.rest != 0 {
			t.Errorf("%d bytes at once: %d messages of QoS 0, %+v", step, got, p)
		}
	}
}

// FuzzLoose: wherever the bytes of a stream are parted, they mean the same, and what is not MQTT
// harms nothing.
func FuzzLoose(f *testing.F) {
	f.Add([]byte(stream()), 5)
	f.Add([]byte("\x30\xff\xff\xff\xff\x01"), 2)
	f.Fuzz(func(t *testing.T, all []byte, at int) {
		var whole, parted packets
		at = max(0, min(at, len(all)))
		count := whole.loose(all)
		if got := parted.loose(all[:at]) + parted.loose(all[at:]); got != count || whole != parted {
			t.Errorf("%d whole and %d parted at %d: %+v, %+v", count, got, at, whole, parted)
		}
		if whole.rest < 0 || count > len(all) {
			t.Errorf("%d of %d bytes, %+v", count, len(all), whole)
		}
	})
}

// TestBackPressure: senders at QoS 0 are held up while as many of their messages are under way as
// there is room for, those that have left already, too; nothing is left out, and QoS 1 is not
// concerned.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	const size, each, surely = 100, 2000, 20
	topics := []string{"a", "b", "c"}
	b := narrow(t, size)
	var came, left, most, sure atomic.Int64
	all, take := make(chan struct{}), make(chan struct{}, len(topics)*each)
	edge := client(t, b.URL(), b.internal, func(m mqtt.Message) {
		if m.Qos() > 0 {
			sure.Add(1)
		} else {
			most.Store(max(most.Load(), came.Add(1)-left.Load()))
			take <- struct{}{}
		}
		if came.Load()+sure.Load() == int64(len(topics)*each+surely) {
			close(all)
		}
	})
	if err := settle(edge.Subscribe("#", 1, nil), "subscribe"); err != nil {
		t.Fatal(err)
	}
	b.Admit()
	for _, id := range topics {
		c := client(t, "tcp://"+b.Addr(), Login{Username: id, ClientID: id}, nil)
		go func() { // until it is held up itself
			for n := range each {
				c.Publish("estate/v1/oak/dev/"+id+"/state", 0, false, fmt.Sprintf(`{"energy":%d}`, n)).Wait()
			}
			c.Disconnect(1000)
		}()
	}
	for began, held := time.Now(), false; !held; { // one of them, with more than there is room for
		b.window.mu.Lock()
		held = len(b.window.waiting) > 0
		b.window.mu.Unlock()
		if time.Since(began) > time.Minute {
			t.Fatal("nobody is held up")
		}
	}
	c := client(t, "tcp://"+b.Addr(), Login{Username: "d", ClientID: "d"}, nil)
	for range surely {
		if err := settle(c.Publish("estate/v1/oak/dev/d/state", 1, false, `{}`), "publish"); err != nil {
			t.Fatal(err)
		}
	}
	for {
		select {
		case <-take:
			left.Add(1)
			b.Taken(1)
			continue
		case <-all:
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d came, and %d of QoS 1", came.Load(), len(topics)*each, sure.Load())
		}
		break
	}
	if most.Load() > size {
		t.Errorf("%d were under way, room for %d", most.Load(), size)
	}
}

// narrow is a broker that lets in whoever comes, with room for so many messages of QoS 0.
func narrow(t *testing.T, size int) *Broker {
	t.Helper()
	b, err := Start(Config{Addr: "127.0.0.1:0", StoreDir: filepath.Join(t.TempDir(), "mqtt"), Now: time.Now,
		Authenticate: func(_ context.Context, l Login) (Grant, bool) {
			return Grant{Role: RoleDevice, ClientID: l.ClientID, Building: "oak", Device: l.ClientID}, true
		}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	b.window = newWindow(size, never)
	return b
}

func client(t *testing.T, url string, l Login, on func(mqtt.Message)) mqtt.Client {
	t.Helper()
	id := l.ClientID
	if id == "" {
		id = "edge"
	}
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetUsername(l.Username).SetPassword(l.Password + "x").SetAutoReconnect(false).SetOrderMatters(true)
	if l.Password != "" {
		o.SetPassword(l.Password)
	}
	if on != nil {
		o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { on(m) })
	}
	c := mqtt.NewClient(o)
	if err := settle(c.Connect(), "connect"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// TestTakesNoAnswer: a device that takes nothing any more is cut off, and the server is heard until
// it has had all that the device sent.
func TestTakesNoAnswer(t *testing.T) {
	t.Parallel()
	server, inner := net.Pipe()
	device, front := net.Pipe()
	_ = device.Close()
	ended := make(chan struct{})
	var answered atomic.Bool
	go func() {
		defer close(ended)
		down(inner, front, &answered)
	}()
	for range 3 {
		if _, err := server.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
	}
	_ = server.Close()
	<-ended
	if _, err := front.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) || !answered.Load() {
		t.Errorf("not cut off: %v", err)
	}
}

// TestLeavesAtOnce: what a device sent before it left arrives, though it is held up.
func TestLeavesAtOnce(t *testing.T) {
	t.Parallel()
	const size, count = 10, 1000
	b := narrow(t, size)
	came := make(chan struct{}, count)
	edge := client(t, b.URL(), b.internal, func(mqtt.Message) { came <- struct{}{} })
	if err := settle(edge.Subscribe("#", 1, nil), "subscribe"); err != nil {
		t.Fatal(err)
	}
	b.Admit()
	device, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	const topic = "estate/v1/oak/dev/a/state"
	body := "\x00" + string(rune(len(topic))) + topic + "{}"
	message := "\x30" + string(rune(len(body))) + body + "\xc0\x00" // and a ping
	if _, err := device.Write([]byte("\x10\x16\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01a\x00\x01a\x00\x04abcd")); err != nil {
		t.Fatal(err)
	}
	if _, err := device.Read(make([]byte, 4)); err != nil { // it is let in
		t.Fatal(err)
	}
	if _, err := device.Write([]byte(strings.Repeat(message, count))); err != nil {
		t.Fatal(err)
	}
	half, ok := device.(*net.TCPConn)
	if !ok || half.CloseWrite() != nil {
		t.Fatalf("half of %T is not closed", device)
	}
	defer func() { _ = device.Close() }()
	for n := range count {
		select {
		case <-came:
			b.Taken(1)
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d came", n, count)
		}
	}
}
