package e2e_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"estate/internal/lab/stack"
)

// TestDeviceCommands: an installer with the command line alone replays a capture, finds the
// device waiting, adopts it, sees what it says, and learns what was refused and what to do.
func TestDeviceCommands(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	w.as(e.Base(), "manager")
	login, err := e.AddDevice(t.Context(), "probe")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	capture, secret := filepath.Join(dir, "capture.jsonl"), filepath.Join(dir, "secret")
	lines := `{"topic":"` + login.Topic + `","payload":{"temperature":21.5}}
{"topic":"` + login.Topic + `","payload":"{\"leak\":\"perhaps\"}"}
`
	for path, text := range map[string]string{capture: lines, secret: login.Password + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	estate := func(wants string, args ...string) {
		t.Helper()
		output, err := run(t, w.credentials(e.Base(), "manager"), args...)
		if err != nil || !strings.Contains(output, wants) {
			t.Fatalf("estate %s: %v, without %q:\n%s", strings.Join(args, " "), err, wants, output)
		}
	}
	replay := []string{"mqtt", "replay", capture, "--broker", "tcp://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(e.MQTTPort())), "--user", login.Username, "--password-file", secret}
	estate("2 of 2 messages acknowledged", replay...)
	heard(t, w.as(e.Base(), "manager"), e, "probe")
	// The box's own broker ends the connection at white space in a topic; all else arrives.
	spaced := filepath.Join(dir, "spaced.jsonl")
	text := strings.Replace(lines, `state"`, `living room"`, 1) + strings.Replace(lines, "21.5", "22.5", 1)
	if err := os.WriteFile(spaced, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	again := append([]string{"mqtt", "replay", spaced}, replay[3:]...)
	if output, err := run(t, w.credentials(e.Base(), "manager"), again...); err == nil || !strings.Contains(output, "3 of 4 messages acknowledged") ||
		!strings.Contains(output, "not taken: spaced.jsonl:1") || !strings.Contains(output, "Name the device without blanks") {
		t.Fatalf("a capture with white space in a topic: %v\n%s", err, output)
	}
	estate("plain:oak/probe", "device", "list", "--waiting")
	estate("is not adopted", "device", "test", "probe", "--for", "1s")
	estate("temperature = 22.5 °C", "device", "test", "probe", "--for", "1s")
	estate("is adopted as \"Boiler\"", "device", "adopt", "probe", "--name", "Boiler")
	estate("is adopted as \"Boiler\"", "device", "adopt", "PROBE") // by its login's name; what is not said stays
	estate(`"name":"Boiler"`, "device", "adopt", "Boiler", "--json")
	if output, err := run(t, w.credentials(e.Base(), "manager"), "device", "order", "Boiler", "valve", "open"); err == nil || strings.Count(output, "What to do: ") != 1 || strings.Count(output, "Choose one of the device's controls") != 1 {
		t.Errorf("an order that it cannot take: %v\n%s", err, output)
	}
	if output, err := run(t, w.credentials(e.Base(), "manager"), "device", "adopt", "nobody"); err == nil || !strings.Contains(output, "see estate device list") {
		t.Errorf("a device that is not there: %v\n%s", err, output)
	}
	estate("mqtt_payload_refused", "device", "refused")
	b := &ruleCommands{w: w, edge: e, login: login, dir: dir, estate: estate}
	b.run(t)
	if output, err := run(t, w.credentials(e.Base(), "manager"), "device", "test", "Boiler", "--for", "1s"); err == nil || !strings.Contains(output, "What to do: ") {
		t.Errorf("a silent device whose messages were refused: %v\n%s", err, output)
	}
	if output, err := run(t, w.credentials(cloud.Base(), "manager"), "device", "refused", "--building", "OAK"); err == nil || !strings.Contains(output, "only the building's own box can tell") {
		t.Errorf("at the cloud: %v\n%s", err, output)
	}
}

// ruleCommands is a manager with the command line who wants to be told when a boiler is too hot.
type ruleCommands struct {
	w      *world
	edge   *stack.Edge
	login  stack.Login
	dir    string
	estate func(wants string, args ...string)
}

// run tries a rule on what was measured, saves it, sees it act, and takes it away.
func (r *ruleCommands) run(t *testing.T) {
	t.Helper()
	path := filepath.Join(r.dir, "rule.json")
	text := `{"name":"Boiler too hot","cause":"too_hot","severity":"urgent","category":"heating","ticket":true,"when":{"threshold":{"kind":"temperature","above":60,"clear":50}},"clear_after":"1s"}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.estate("No device that is in service has measured", "rule", "try", path)
	for _, payload := range []string{`{"temperature":70}`, `{"temperature":40}`} {
		if err := publish(t, r.edge, r.login, r.login.Topic, payload, false); err != nil {
			t.Fatal(err)
		}
	}
	manager := r.w.as(r.edge.Base(), "manager")
	until(t, "the readings", every, func() error {
		trial, err := manager.TryRule(t.Context(), r.edge.Place.ID, json.RawMessage(text), time.Time{}, time.Time{})
		if err == nil && trial.Tickets == 0 {
			err = errNotYet
		}
		return err
	})
	r.estate("1 alarms and 1 tickets", "rule", "try", path, "--days", "1")
	r.estate("begins  Boiler", "rule", "try", path, "--days", "1")
	r.estate("Water leak", "rule", "list")
	r.estate(`"clear_after": "30s"`, "rule", "show", "leak")
	r.estate("0 alarms and 0 tickets", "rule", "try", "freezing")
	r.estate("too_hot is saved as version 1 (own)", "rule", "save", "too_hot", path)
	r.estate("yes     own", "rule", "list")
	until(t, "the alarm of the rule that was saved", every, func() error {
		if err := publish(t, r.edge, r.login, r.login.Topic, `{"temperature":70}`, false); err != nil {
			return err
		}
		if openTickets(t, manager, r.edge) == 0 {
			return errNotYet
		}
		return nil
	})
	r.estate("too_hot is as it was shipped, or gone", "rule", "reset", "too_hot")
	if output, err := run(t, r.w.credentials(r.edge.Base(), "manager"), "rule", "try", "too_hot"); err == nil || !strings.Contains(output, "estate rule list") {
		t.Errorf("a rule that is gone: %v\n%s", err, output)
	}
}
