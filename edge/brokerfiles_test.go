package edge_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"estate/edge"
	"estate/internal/httpapi"
	"estate/internal/lab"
	"estate/internal/lab/labtest"
	"estate/internal/problem"
)

// mosquitto is Debian's broker with the files that estate-edge broker files writes.
type mosquitto struct {
	t      *testing.T
	dir    string
	listen string
	user   string
	cmd    *exec.Cmd
}

func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	listen := net.JoinHostPort("127.0.0.1", strconv.Itoa(labtest.FreePort(t)))
	m := &mosquitto{t: t, dir: filepath.Join(t.TempDir(), "mosquitto"), listen: listen, user: must(user.Current())(t).Username}
	t.Cleanup(m.kill)
	return m
}

// write runs what the command line does.
func (m *mosquitto) write(cfg edge.Config) edge.BrokerFiles {
	m.t.Helper()
	return must(edge.BrokerFilesAt(m.t.Context(), cfg, time.Now, edge.BrokerFilesInput{Dir: m.dir, Listen: m.listen, User: m.user}))(m.t)
}

func (m *mosquitto) start() {
	m.t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	m.cmd = exec.Command(path, "-c", filepath.Join(m.dir, "mosquitto.conf"))
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", m.listen)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// kill ends it as a power cut would.
func (m *mosquitto) kill() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

// publish sends with the real command line client.
func (m *mosquitto) publish(login edge.LoginResult, topic, payload string, more ...string) error {
	host, port, err := net.SplitHostPort(m.listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	args := append([]string{"-h", host, "-p", port, "-V", "mqttv311", "-q", "1", "-i", login.ClientID, "-u", login.Username, "-P", login.Password, "-t", topic, "-m", payload}, more...)
	return lab.Publish(ctx, "mosquitto_pub", "", args...)
}

// onMosquitto is a box whose devices are heard through a mosquitto that does not run yet.
func onMosquitto(t *testing.T, c *cloud, m *mosquitto) *box {
	t.Helper()
	cfg := config(t.TempDir())
	b := enrolledWith(t, c, cfg)
	files := m.write(b.cfg)
	b.stop()
	cfg.BrokerURL, cfg.BrokerUsername, cfg.BrokerPasswordFile = "tcp://"+m.listen, "estate-edge", filepath.Join(cfg.Data, "mosquitto.password")
	if !slices.ContainsFunc(files.Next, func(s string) bool {
		return strings.Contains(s, cfg.BrokerURL) && strings.Contains(s, cfg.BrokerUsername) && strings.Contains(s, cfg.BrokerPasswordFile)
	}) {
		t.Errorf("what to do next does not name the settings: %q", files.Next)
	}
	b = startBox(t, cfg)
	eventually(t, "the box runs without its broker", b.ready)
	b.signIn()
	return b
}

// TestBrokerFiles: a device, a gateway and the box itself work over a real mosquitto with just
// the files that the box writes; a foreign topic, another's client id and no login are refused;
// what changes counts from the next reading of the files on.
func TestBrokerFiles(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	m := newMosquitto(t)
	b := onMosquitto(t, c, m)
	building := c.building.String()
	sensor := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	gateway := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "gw", Role: "zigbee2mqtt"}))(t)
	if sensor.Note == "" {
		t.Error("nothing is said about the files")
	}
	if _, err := edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "estate-edge"}); err == nil {
		t.Error("a device got the box's own name")
	}
	first := must(os.ReadFile(filepath.Join(b.cfg.Data, "mosquitto.password")))(t)
	files := m.write(b.cfg)
	if files.Logins != 3 || len(files.LeftOut) > 0 {
		t.Errorf("%+v", files)
	}
	if again := must(os.ReadFile(filepath.Join(b.cfg.Data, "mosquitto.password")))(t); string(again) != string(first) {
		t.Error("the box's own secret changed: it would be shut out")
	}
	for _, path := range files.Files {
		if info := must(os.Stat(path))(t); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
	}
	m.start()
	eventually(t, "the box hears", func() bool { return b.hearing(building).Heard })
	if err := m.publish(sensor, sensor.Topic, `{"temperature":20}`); err != nil {
		t.Error(err)
	}
	if err := m.publish(gateway, "zigbee2mqtt/cellar", `{"temperature":21}`); err != nil {
		t.Error(err)
	}
	eventually(t, "both devices", func() bool { return len(b.devices(building)) == 2 })
	// mosquitto acknowledges and drops what is forbidden: a device of another name must not appear.
	_ = m.publish(sensor, "estate/v1/oak/dev/s2/state", `{"temperature":22}`)
	other := sensor
	other.ClientID = "gw" // the name counts, not the id: the gateway's session is not touched
	_ = m.publish(other, "zigbee2mqtt/attic", `{"temperature":22}`)
	if err := m.publish(edge.LoginResult{Username: "s1", ClientID: "s1", Password: "wrong"}, sensor.Topic, `{}`); err == nil {
		t.Error("a wrong password got in")
	}
	late := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "late"}))(t)
	must(edge.RemoveLoginAt(t.Context(), b.cfg, time.Now, edge.LoginName{Name: "gw"}))(t)
	if files = m.write(b.cfg); files.Logins != 3 {
		t.Errorf("%+v", files)
	}
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new login gets in", func() bool { return m.publish(late, late.Topic, `{"temperature":23}`) == nil })
	eventually(t, "the removed one does not", func() bool { return m.publish(gateway, "zigbee2mqtt/attic", `{"temperature":24}`) != nil })
	eventually(t, "the late one is heard", func() bool { return len(b.devices(building)) == 3 })
	for _, d := range b.devices(building) {
		if strings.Contains(d.Hardware, "s2") || strings.Contains(d.Hardware, "attic") {
			t.Errorf("%s came by a topic that is not its own", d.Hardware)
		}
	}
}

// TestBlind: the box starts without its broker, says since when it hears nobody, hears once the
// broker is there, sees it killed, subscribes anew at one that forgot the session, says for how
// long it was blind, and takes what the broker kept for a state and not for an event.
func TestBlind(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	m := newMosquitto(t)
	b := onMosquitto(t, c, m)
	building := c.building.String()
	sensor := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	m.write(b.cfg)
	var got httpapi.Hearing
	eventually(t, "that it is blind", func() bool { got = b.hearing(building); return got.Code == string(problem.MQTTAway) })
	if got.Heard || got.BlindSince == nil || got.Detail == "" || got.Remedy == "" || got.Broker != "external" {
		t.Errorf("%+v", got)
	}
	var state httpapi.SyncBody
	if b.call(http.MethodGet, "/buildings/"+building+"/sync", nil, &state); state.Hearing == nil || state.Hearing.BlindSince == nil {
		t.Errorf("the state of the box does not tell: %+v", state.Hearing)
	}
	since := *got.BlindSince
	m.start()
	eventually(t, "it hears", func() bool { got = b.hearing(building); return got.Heard })
	if got.LastBlind == nil || !got.LastBlind.From.Equal(since) || got.BlindSince != nil || got.Code != "" {
		t.Errorf("after the first time: %+v", got)
	}
	if err := m.publish(sensor, sensor.Topic, `{"leak":false}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the device", func() bool { return len(b.devices(building)) == 1 })
	b.call(http.MethodPost, "/buildings/"+building+"/devices/"+b.devices(building)[0].ID.String()+"/adopt", map[string]string{}, nil)

	m.kill()
	eventually(t, "that it is blind again", func() bool { got = b.hearing(building); return !got.Heard && got.BlindSince != nil })
	if !got.BlindSince.After(since) || got.LastBlind == nil {
		t.Errorf("after the kill: %+v", got)
	}
	since = *got.BlindSince
	if err := os.RemoveAll(filepath.Join(m.dir, "store", "mosquitto.db")); err != nil { // it forgets sessions
		t.Fatal(err)
	}
	// The box is kept out until the message is at the broker.
	passwords := filepath.Join(m.dir, "passwords")
	all := must(os.ReadFile(passwords))(t)
	others := slices.DeleteFunc(strings.SplitAfter(string(all), "\n"), func(line string) bool { return strings.HasPrefix(line, "estate-edge:") })
	if err := os.WriteFile(passwords, []byte(strings.Join(others, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	if err := m.publish(sensor, sensor.Topic, `{"leak":true}`, "-r"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(passwords, all, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it hears again", func() bool { got = b.hearing(building); return got.Heard })
	if got.LastBlind == nil || !got.LastBlind.From.Equal(since) {
		t.Errorf("%+v since %s", got, since)
	}
	if err := m.publish(sensor, sensor.Topic, `{"temperature":20}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a live message after it", func() bool { return b.measures(building, "temperature") })
	if alarms := b.alarms(building); len(alarms) > 0 {
		t.Errorf("an alarm of what the broker had kept: %+v", alarms[0])
	}
	if err := m.publish(sensor, sensor.Topic, `{"leak":true}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the alarm", func() bool { return len(b.alarms(building)) == 1 })
}

// measures reports whether the building's only device has told a value.
func (b *box) measures(building, key string) bool {
	b.t.Helper()
	var got struct {
		Items []struct{ Key string } `json:"items"`
	}
	var text json.RawMessage
	b.call(http.MethodGet, "/buildings/"+building+"/devices/"+b.devices(building)[0].ID.String()+"/series", nil, &text)
	return json.Unmarshal(text, &got) == nil && slices.ContainsFunc(got.Items, func(s struct{ Key string }) bool { return s.Key == key })
}
