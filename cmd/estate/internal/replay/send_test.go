package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sys/unix"

	"estate/internal/lab/labtest"
)

// patience is how long a test waits for what must happen, on the busiest machine.
const patience = 90 * time.Second

// startBroker starts a mosquitto that ends the connection at packets above a size.
func startBroker(t *testing.T) (url string) {
	t.Helper()
	port := strconv.Itoa(labtest.FreePort(t))
	address := net.JoinHostPort("127.0.0.1", port)
	conf := write(t, "mosquitto.conf", "listener "+port+" 127.0.0.1\nuser root\nallow_anonymous true\npersistence false\nmax_packet_size 2000\n")
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	broker := exec.Command(path, "-c", conf)
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = broker.Process.Kill()
		_ = broker.Wait()
	})
	await(t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return "tcp://" + address
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("after %s still not: %s", patience, what)
		case <-poll.C:
		}
	}
}

// arrival is a message as a subscriber got it.
type arrival struct {
	topic, payload string
	at             time.Time
}

// subscribe listens to everything; the function gives what came so far.
func subscribe(t *testing.T, url string) func() []arrival {
	t.Helper()
	var mu sync.Mutex
	var got []arrival
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("listener"))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { client.Disconnect(0) })
	token := client.Subscribe("#", 1, func(_ mqtt.Client, m mqtt.Message) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, arrival{m.Topic(), string(m.Payload()), time.Now()})
	})
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	return func() []arrival {
		mu.Lock()
		defer mu.Unlock()
		return append([]arrival{}, got...)
	}
}

// capture makes a file of messages, some time apart.
func capture(t *testing.T, apart time.Duration, payloads ...string) string {
	t.Helper()
	var text strings.Builder
	for i, payload := range payloads {
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * apart)
		fmt.Fprintf(&text, `{"topic":"dev/%d","payload":%q,"at":%q}`+"\n", i, payload, at.Format(time.RFC3339Nano))
	}
	return write(t, "capture.jsonl", text.String())
}

// TestInTime: messages come with the pauses of the recording, in real and in compressed time.
func TestInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		apart time.Duration
		speed float64
	}{"Real": {200 * time.Millisecond, 1}, "Compressed": {200 * time.Second, 1000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := startBroker(t)
			got := subscribe(t, url)
			path, began := capture(t, c.apart, "a", "b", "c", "d"), time.Now()
			if err := run(t.Context(), options{broker: url, clientID: "replay", qos: 1, speed: c.speed}, []string{path}, io.Discard, io.Discard); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < 600*time.Millisecond {
				t.Errorf("three pauses of 200 ms took %s", took)
			}
			await(t, "all four", func() bool { return len(got()) == 4 })
			for i, one := range got() {
				if want := fmt.Sprintf("dev/%d", i); one.topic != want {
					t.Errorf("message %d is of %s", i, one.topic)
				}
				// What is sent late leaves less of the pause after it, so each is held against the first.
				if i > 0 && one.at.Sub(began) < time.Duration(i)*200*time.Millisecond {
					t.Errorf("message %d came after %s", i, one.at.Sub(began))
				}
			}
		})
	}
}

// TestNotTaken: where the broker ends the connection at a message, that one is named and left out,
// and all others arrive.
func TestNotTaken(t *testing.T) {
	t.Parallel()
	url := startBroker(t)
	got := subscribe(t, url)
	large := strings.Repeat("x", 3000)
	path := write(t, "capture.jsonl", `{"topic":"a","payload":"1"}`+"\n"+`{"topic":"b/#","payload":"2"}`+"\n"+`{"topic":"c","payload":"`+large+`"}`+"\n"+
		`{"topic":"living room","payload":"`+large+`"}`+"\n"+`{"topic":"e","payload":"5"}`+"\n")
	var out bytes.Buffer
	err := run(t.Context(), options{broker: url, clientID: "replay", qos: 1}, []string{path}, io.Discard, &out)
	if err == nil || err.Error() != "3 of 5 messages were not taken" {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"2 of 5 messages acknowledged", `not taken: capture.jsonl:2 "b/#": not a topic`, `not taken: capture.jsonl:3 "c": the broker ended the connection` + "\n",
		`not taken: capture.jsonl:4 "living room": the broker ended the connection: white space in the topic`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("without %q:\n%s", want, out.String())
		}
	}
	await(t, "what was taken", func() bool {
		topics := map[string]bool{}
		for _, one := range got() {
			topics[one.topic] = true
		}
		return topics["a"] && topics["e"]
	})
	for _, one := range got() {
		if one.topic != "a" && one.topic != "e" {
			t.Errorf("%s arrived", one.topic)
		}
	}
}

// TestUnwelcome: a broker that ends the connection at each message is not asked for ever.
func TestUnwelcome(t *testing.T) {
	t.Parallel()
	url := startBroker(t)
	large := strings.Repeat("x", 3000)
	var list []string
	for range hungUpMax + 5 {
		list = append(list, large)
	}
	err := run(t.Context(), options{broker: url, clientID: "replay", qos: 1}, []string{capture(t, 0, list...)}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "ended the connection at each of 10 messages") {
		t.Errorf("%v", err)
	}
}

// TestCancelled: who is tired of a long pause ends it at once.
func TestCancelled(t *testing.T) {
	t.Parallel()
	url := startBroker(t)
	got := subscribe(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	path := capture(t, time.Hour, "a", "b")
	var out bytes.Buffer
	go func() {
		ended <- run(ctx, options{broker: url, clientID: "replay", qos: 1, speed: 1}, []string{path}, io.Discard, &out)
	}()
	await(t, "the first message", func() bool { return len(got()) == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || !strings.Contains(out.String(), "1 of 2 messages acknowledged") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// openTerminal gives both ends of a pseudo-terminal: what a person sees, and what a program has.
func openTerminal(t *testing.T) (seen, has *os.File) {
	t.Helper()
	seen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seen.Close() })
	if err := unix.IoctlSetPointerInt(int(seen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(seen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if has, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return seen, has
}

// TestProgress: on a terminal a bar shows how far it is; a file gets none.
func TestProgress(t *testing.T) {
	t.Parallel()
	url := startBroker(t)
	seen, has := openTerminal(t)
	var mu sync.Mutex
	var shown bytes.Buffer
	text := func() string {
		mu.Lock()
		defer mu.Unlock()
		return shown.String()
	}
	go func() {
		part := make([]byte, 4096)
		for {
			n, err := seen.Read(part)
			mu.Lock()
			shown.Write(part[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	o := options{broker: url, clientID: "replay", qos: 1, speed: 1}
	path := capture(t, 150*time.Millisecond, "a", "b", "c")
	if err := run(t.Context(), o, []string{path}, has, io.Discard); err != nil {
		t.Fatal(err)
	}
	await(t, "the bar, step by step", func() bool {
		got := text()
		return strings.Contains(got, "(1/3)") && strings.Contains(got, "(2/3)") && strings.Contains(got, "100% |") && strings.Contains(got, "(3/3)")
	})
	_ = has.Close()

	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := run(t.Context(), o, []string{path}, file, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file.Name()); err != nil || strings.Contains(string(got), "%") {
		t.Errorf("a file got %q, %v", got, err)
	}
}
