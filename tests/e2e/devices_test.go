package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab/labtest"
	"estate/internal/lab/stack"
)

// TestMosquittoSensor: a plain sensor is heard, adopted and believed: from mosquitto_pub at
// the edge to the ticket on a WebSocket at the cloud.
func TestMosquittoSensor(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	manager := w.as(e.Base(), "manager")
	login, err := e.AddDevice(t.Context(), "boiler-leak")
	if err != nil {
		t.Fatal(err)
	}
	topic := login.Topic
	say := func(payload string, retain bool) {
		t.Helper()
		if err := publish(t, e, login, topic, payload, retain); err != nil {
			t.Fatal(err)
		}
	}
	say(`{"leak":true}`, false) // nobody adopted it yet: no alarm
	device := heard(t, manager, e, "boiler-leak")
	if device.Adopted {
		t.Fatalf("a device that nobody adopted is adopted: %+v", device)
	}
	say(`{"leak":false}`, false)
	if _, err := manager.AdoptDevice(t.Context(), e.Place.ID, device.ID, desk.Adoption{Name: "Boiler", Unit: new(e.Place.Units["Lobby"])}); err != nil {
		t.Fatal(err)
	}
	if got := openTickets(t, manager, e); got != 0 {
		t.Fatalf("%d tickets of a device that nobody had adopted", got)
	}
	a := listen(t, e.Place.ID, w.as(cloud.Base(), "manager"))
	say(`{"leak":true}`, true)
	say(`{"leak":true}`, false)
	event := a.await(t, "the ticket", func(e apiclient.Event) bool { return e.Kind == "ticket" })
	var ticket desk.Ticket
	if err := json.Unmarshal(event.Record, &ticket); err != nil || ticket.Device != device.ID || ticket.Priority != "urgent" {
		t.Errorf("got %+v, %v", ticket, err)
	}
	say("not JSON", false)
	say(`{"leak":"perhaps","temperature":1e99}`, false)
	if got := openTickets(t, manager, e); got != 1 {
		t.Errorf("%d open tickets, one was expected", got)
	}
}

// TestReadingsReachTheCloud: what a sensor measured is shown at the edge reading by reading, and
// at the cloud, once it heard of it, by quarters of an hour; around an alarm reading by reading.
func TestReadingsReachTheCloud(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	manager, above := w.as(e.Base(), "manager"), w.as(cloud.Base(), "manager")
	login, err := e.AddDevice(t.Context(), "cellar")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-6 * time.Hour).Truncate(time.Hour).UTC()
	say := func(after time.Duration, field string, value any) {
		t.Helper()
		text, err := json.Marshal(map[string]any{field: value, "ts": begin.Add(after).Format(time.RFC3339)})
		if err != nil {
			t.Fatal(err)
		}
		if err := publish(t, e, login, login.Topic, string(text), false); err != nil {
			t.Fatal(err)
		}
	}
	say(0, "temperature", 20)
	device := heard(t, manager, e, "cellar")
	if _, err := manager.AdoptDevice(t.Context(), e.Place.ID, device.ID, desk.Adoption{Name: "Cellar", Unit: new(e.Place.Units["Lobby"])}); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		say(time.Duration(i)*5*time.Minute, "temperature", 20+i)
	}
	say(4*time.Hour, "leak", true)
	ask := desk.ReadingQuery{Key: "temperature", UnitOfMeasure: "°C", From: begin, To: begin.Add(time.Hour), Points: 100}
	measured := func(c *apiclient.Client, span, points int, mean float64) func() error {
		return func() error {
			got, err := c.Readings(t.Context(), e.Place.ID, device.ID, ask)
			if err != nil {
				return err
			}
			if got.SpanSeconds != span || len(got.Points) != points || got.Points[0].Mean != mean {
				return fmt.Errorf("%+v", got)
			}
			return nil
		}
	}
	until(t, "the readings at the edge", every, measured(manager, 0, 8, 20))
	until(t, "quarters of an hour at the cloud", every, measured(above, 900, 3, 21))
	until(t, "the readings around the alarm at the cloud", every, func() error {
		got, err := above.Readings(t.Context(), e.Place.ID, device.ID, desk.ReadingQuery{Key: "leak", From: begin.Add(3 * time.Hour), To: begin.Add(5 * time.Hour)})
		if err != nil || len(got.Points) != 1 || got.SpanSeconds != 0 || got.Points[0].Last != 1 {
			return fmt.Errorf("%+v, %w", got, err)
		}
		return nil
	})
	_, err = w.as(cloud.Base(), "tenant-a").Series(t.Context(), e.Place.ID, device.ID)
	if !apiclient.HasStatus(err, http.StatusNotFound) && !apiclient.HasStatus(err, http.StatusForbidden) {
		t.Errorf("a tenant sees what devices measure: %v", err)
	}
}

// heard waits until the edge knows a device by its name.
func heard(t *testing.T, client *apiclient.Client, e *stack.Edge, name string) (found desk.Device) {
	t.Helper()
	until(t, "the edge to know "+name, every, func() error {
		all, err := client.Devices(t.Context(), e.Place.ID)
		if err != nil {
			return err
		}
		for _, d := range all {
			if strings.HasSuffix(d.Hardware, name) || d.Name == name {
				found = d
				return nil
			}
		}
		return fmt.Errorf("it is none of %d devices", len(all))
	})
	return found
}

func openTickets(t *testing.T, client *apiclient.Client, e *stack.Edge) int {
	t.Helper()
	open, err := client.Tickets(t.Context(), e.Place.ID, url.Values{"open": {"true"}})
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// TestReplay: the recorded messages of a real building go through the broker, in front of
// an adopted sensor of ours. No crash, and no ticket but the one that our sensor makes.
func TestReplay(t *testing.T) {
	t.Parallel()
	file, err := os.Open(labtest.Data(t, "mqtt_payloads/zigbee2mqtt.jsonl")[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	manager := w.as(e.Base(), "manager")
	gateway, err := e.Gateway(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var message struct {
			Topic, Payload string
			Retain         *bool
		}
		if err := json.Unmarshal(lines.Bytes(), &message); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(message.Topic, "zigbee2mqtt/") || strings.Contains(message.Topic, " ") {
			continue // the gateway may not, and the embedded broker ends who sends white space
		}
		if err := publish(t, e, gateway, message.Topic, message.Payload, message.Retain != nil && *message.Retain); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	if lines.Err() != nil || sent < 50 {
		t.Fatalf("%d messages, %v", sent, lines.Err())
	}
	const ours = "0x00158d00deadbeef"
	if _, err := manager.CreateDevice(t.Context(), e.Place.ID, apiclient.NewDevice{Hardware: "z2m:" + ours, Name: "marker"}); err != nil {
		t.Fatal(err)
	}
	for _, m := range [][2]string{
		{"zigbee2mqtt/bridge/devices", `[{"ieee_address":"` + ours + `","type":"EndDevice","friendly_name":"marker","definition":{"model":"SJCGQ11LM"}}]`},
		{"zigbee2mqtt/marker", `{"water_leak":true}`},
	} {
		if err := publish(t, e, gateway, m[0], m[1], false); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "our own leak", every, func() error {
		if n := openTickets(t, manager, e); n == 0 {
			return errNotYet
		}
		return nil
	})
	all, err := manager.Tickets(t.Context(), e.Place.ID, nil)
	if err != nil || len(all) != 1 {
		t.Errorf("%d tickets, one was expected: %+v, %v", len(all), all, err)
	}
	var devices []desk.Device
	until(t, "the devices to be listed for adoption", every, func() (err error) {
		if devices, err = manager.Devices(t.Context(), e.Place.ID); err == nil && len(devices) < 10 {
			err = fmt.Errorf("%d are", len(devices))
		}
		return err
	})
	for _, d := range devices {
		if d.Adopted && d.Name != "marker" {
			t.Errorf("nobody adopted %+v", d)
		}
	}
	t.Logf("%d messages, %d devices heard, one ticket", sent, len(devices))
}
