package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
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
	estate("plain:oak/probe", "device", "list", "--waiting")
	estate("is not adopted", "device", "test", "probe", "--for", "1s")
	estate("is adopted as \"Boiler\"", "device", "adopt", "probe", "--name", "Boiler")
	estate("mqtt_payload_refused", "device", "refused")
	if output, err := run(t, w.credentials(e.Base(), "manager"), "device", "test", "Boiler", "--for", "1s"); err == nil || !strings.Contains(output, "What to do: ") {
		t.Errorf("a silent device whose messages were refused: %v\n%s", err, output)
	}
	if output, err := run(t, w.credentials(cloud.Base(), "manager"), "device", "refused", "--building", "OAK"); err == nil || !strings.Contains(output, "only the building's own box can tell") {
		t.Errorf("at the cloud: %v\n%s", err, output)
	}
}
