package edge_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"estate/edge"
	"estate/internal/desk"
	"estate/internal/lab"
	"estate/internal/problem"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

type list[T any] struct {
	Items []T `json:"items"`
	Total int `json:"total"`
}

func (b *box) tickets(building string) []desk.Ticket {
	b.t.Helper()
	var got list[desk.Ticket]
	b.call(http.MethodGet, "/buildings/"+building+"/tickets", nil, &got)
	return got.Items
}

func (b *box) alarms(building string) []desk.Alarm {
	b.t.Helper()
	var got list[desk.Alarm]
	b.call(http.MethodGet, "/buildings/"+building+"/alarms", nil, &got)
	return got.Items
}

func (b *box) devices(building string) []desk.Device {
	b.t.Helper()
	var got list[desk.Device]
	b.call(http.MethodGet, "/buildings/"+building+"/devices", nil, &got)
	return got.Items
}

// publish sends one message with the real command line client; it returns once the broker
// has acknowledged it.
func (b *box) publish(login edge.LoginResult, topic, payload string) {
	b.t.Helper()
	if err := b.tryPublish(login, topic, payload); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) tryPublish(login edge.LoginResult, topic, payload string) error {
	_, port, err := net.SplitHostPort(b.MQTTAddr())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	return lab.Publish(ctx, "mosquitto_pub", "", "-h", "127.0.0.1", "-p", port, "-V", "mqttv311", "-q", "1", "-i", login.ClientID,
		"-u", login.Username, "-P", login.Password, "-t", topic, "-m", payload)
}

// enrolled starts a box, enrols it while it runs, and waits until it is in step.
func enrolled(t *testing.T, c *cloud) *box {
	t.Helper()
	return enrolledWith(t, c, config(t.TempDir()))
}

func enrolledWith(t *testing.T, c *cloud, cfg edge.Config) *box {
	t.Helper()
	b := startBox(t, cfg)
	in := edge.EnrolInput{Code: c.code(), Cloud: c.http.URL}
	got, err := edge.EnrolAt(t.Context(), b.cfg, time.Now, in)
	if err != nil {
		t.Fatal(err)
	}
	if got.Building != c.building.String() || got.Node != b.Node().String() {
		t.Fatalf("enrolled as %+v", got)
	}
	eventually(t, "ready", b.ready)
	return b
}

// restart stops the box and starts it again on the same data.
func (b *box) restart() *box {
	b.t.Helper()
	b.stop()
	return startBox(b.t, b.cfg)
}

func TestNotEnrolled(t *testing.T) {
	t.Parallel()
	b := startBox(t, config(t.TempDir()))
	if status := b.call(http.MethodGet, "/healthz", nil, nil); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	eventually(t, "the box to have started", func() bool {
		var said struct{ Code string }
		b.call(http.MethodGet, "/readyz", nil, &said)
		return said.Code != "unavailable"
	})
	for _, path := range []string{"/readyz", "/auth/login", "/buildings"} {
		var said struct{ Code, Remedy string }
		if status := b.call(http.MethodGet, path, nil, &said); status != http.StatusServiceUnavailable || said.Code != "not_enrolled" || said.Remedy == "" {
			t.Errorf("%s: %d %+v", path, status, said)
		}
	}
	if _, err := edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}); err == nil || !strings.Contains(err.Error(), "not enrolled") {
		t.Errorf("a login before the enrolment: %v", err)
	}
	if _, err := edge.EnrolAt(t.Context(), b.cfg, time.Now, edge.EnrolInput{Code: "ABC", Cloud: "http://127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "code") {
		t.Errorf("a bad code: %v", err)
	}
}

// TestAnotherCloud: a box that belongs somewhere cannot be taken over.
func TestAnotherCloud(t *testing.T) {
	t.Parallel()
	first, second := startCloud(t), startCloud(t)
	b := enrolled(t, first)
	b.stop()
	_, err := edge.EnrolAt(t.Context(), b.cfg, time.Now, edge.EnrolInput{Code: second.code(), Cloud: second.http.URL})
	if !problem.HasCode(err, problem.Conflict) {
		t.Fatalf("taken over: %v", err)
	}
	if _, err := edge.EnrolAt(t.Context(), b.cfg, time.Now, edge.EnrolInput{Code: first.code(), Cloud: first.http.URL}); err == nil {
		t.Error("a second code for the same node was accepted by the cloud")
	}
}

// TestLeakOffline is the edge's part of the story: the internet is gone, the box restarts,
// a person signs in, a sensor is adopted, a leak makes one alarm and one ticket, and all of
// it outlives another restart.
func TestLeakOffline(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	gateway, err := edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "gw", Role: "zigbee2mqtt"})
	if err != nil {
		t.Fatal(err)
	}
	c.cut()
	b = b.restart()
	eventually(t, "ready with no network", b.ready)
	b.signIn()
	building := c.building.String()

	const topic = "zigbee2mqtt/cellar"
	b.publish(gateway, topic, `{"water_leak":true,"battery":90}`)
	eventually(t, "the unknown sensor is listed", func() bool { return len(b.devices(building)) == 1 })
	d := b.devices(building)[0]
	if d.Adopted || len(b.tickets(building))+len(b.alarms(building)) != 0 {
		t.Fatalf("a sensor that nobody adopted raised something: %+v", d)
	}
	if status := b.call(http.MethodPost, fmt.Sprintf("/buildings/%s/devices/%s/adopt", building, d.ID), map[string]string{"name": "Cellar"}, nil); status/100 != 2 {
		t.Fatalf("adopt: %d", status)
	}
	for range 3 {
		b.publish(gateway, topic, `{"water_leak":true,"battery":90,"temperature":12.5}`)
	}
	eventually(t, "alarm", func() bool { return len(b.alarms(building)) > 0 })
	check := func(b *box) {
		t.Helper()
		alarms, tickets := b.alarms(building), b.tickets(building)
		if len(alarms) != 1 || alarms[0].Cause != "leak" || alarms[0].State != "active" || alarms[0].DeviceName != "Cellar" {
			t.Errorf("alarms %+v", alarms)
		}
		if len(tickets) != 1 || alarms[0].Ticket != tickets[0].ID || tickets[0].Priority != "urgent" || tickets[0].Status != "new" {
			t.Errorf("tickets %+v", tickets)
		}
	}
	check(b)
	eventually(t, "battery and readings", func() bool {
		var series list[desk.Series]
		b.call(http.MethodGet, fmt.Sprintf("/buildings/%s/devices/%s/series", building, d.ID), nil, &series)
		got := b.devices(building)[0]
		measured := []string{}
		for _, s := range series.Items {
			measured = append(measured, s.Key)
		}
		slices.Sort(measured)
		var points desk.ReadingPoints
		b.call(http.MethodGet, fmt.Sprintf("/buildings/%s/devices/%s/readings?key=temperature&unit_of_measure=%%C2%%B0C", building, d.ID), nil, &points)
		return got.Battery != nil && *got.Battery == 90 && slices.Equal(measured, []string{"battery", "temperature", "water_leak"}) &&
			len(points.Points) > 0 && points.Points[0].Last == 12.5
	})

	b = b.restart()
	eventually(t, "ready after the second restart", b.ready)
	b.signIn()
	check(b)
	b.publish(gateway, topic, `{"water_leak":true}`)
	b.publish(gateway, "zigbee2mqtt/attic", `{"water_leak":true}`)
	eventually(t, "what came after the restart was taken", func() bool { return len(b.devices(building)) == 2 })
	check(b)

	if b.tryPublish(edge.LoginResult{Username: "gw", ClientID: "gw", Password: "wrong"}, topic, "{}") == nil {
		t.Error("a wrong password was let in")
	}
	var state struct {
		Link struct {
			State   string `json:"state"`
			Waiting int    `json:"waiting"`
		} `json:"link"`
	}
	b.call(http.MethodGet, "/buildings/"+building+"/sync", nil, &state)
	if state.Link.State == "synced" || state.Link.Waiting == 0 {
		t.Errorf("with no cloud the link says %+v", state.Link)
	}
}

// TestPlainSensor: a sensor on our own topics, with its login replaced while it runs.
func TestPlainSensor(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	login := func() edge.LoginResult {
		got, err := edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := login()
	if first.Topic != "estate/v1/oak/dev/s1/state" {
		t.Fatalf("topic %s", first.Topic)
	}
	b.publish(first, first.Topic, `{"temperature":21.4}`)
	eventually(t, "listed", func() bool { return len(b.devices(building)) == 1 })
	second := login()
	if b.tryPublish(first, first.Topic, `{}`) == nil {
		t.Error("the replaced secret still works")
	}
	d := b.devices(building)[0]
	if d.HeardAt != nil {
		t.Errorf("readings were kept of a device that nobody adopted: heard %v", d.HeardAt)
	}
	var says struct{ Items []desk.Entity }
	b.call(http.MethodGet, fmt.Sprintf("/buildings/%s/devices/%s/entities", building, d.ID), nil, &says)
	if len(says.Items) != 1 || says.Items[0].Kind != "temperature" || says.Items[0].Value != "21.4" {
		t.Errorf("it says %+v", says.Items)
	}
	b.call(http.MethodPost, fmt.Sprintf("/buildings/%s/devices/%s/adopt", building, d.ID), map[string]string{"name": "Boiler"}, nil)
	b.publish(second, second.Topic, `{"leak":true}`)
	eventually(t, "the ticket at the cloud", func() bool {
		got, err := c.desk.Tickets(t.Context(), desk.Caller{Person: c.manager}, c.building, desk.TicketFilter{}, desk.Page{})
		if err != nil {
			t.Fatal(err)
		}
		return len(got.Items) == 1
	})
	b.flapAndTry(building, second)
	eventually(t, "heard", func() bool { return b.devices(building)[0].HeardAt != nil })
	if _, err := edge.RemoveLoginAt(t.Context(), b.cfg, time.Now, edge.LoginName{Name: "s1"}); err != nil {
		t.Fatal(err)
	}
	if b.tryPublish(second, second.Topic, `{}`) == nil {
		t.Error("a login that was removed still works")
	}
	if _, err := edge.RemoveLoginAt(t.Context(), b.cfg, time.Now, edge.LoginName{Name: "s1"}); err == nil || !strings.Contains(err.Error(), "login") {
		t.Errorf("removed twice: %v", err)
	}
}

// flapAndTry lets a sensor flap: what a trial of the leak rule shows is one alarm, for it goes on
// while it flaps, and one ticket.
func (b *box) flapAndTry(building string, login edge.LoginResult) {
	b.t.Helper()
	for range 3 {
		b.publish(login, login.Topic, `{"leak":false}`)
		b.publish(login, login.Topic, `{"leak":true}`)
	}
	eventually(b.t, "it flaps", func() bool { return b.alarms(building)[0].Flapping })
	rule := map[string]any{"name": "Leak", "cause": "leak", "severity": "emergency", "category": "plumbing", "ticket": true, "when": map[string]any{"is": map[string]any{"kind": "leak", "value": true}}, "clear_after": "30s"}
	var trial desk.Trial
	if status := b.call(http.MethodPost, "/buildings/"+building+"/rules/try", rule, &trial); status != http.StatusOK {
		b.t.Fatalf("a trial answered %d", status)
	}
	if trial.Devices != 1 || trial.Alarms != 1 || trial.Tickets != 1 || len(trial.Effects) != 1 {
		b.t.Errorf("%+v", trial)
	}
}

// TestBrokenBrokerStore: a damaged broker store costs history, not the building's sensors.
func TestBrokenBrokerStore(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.stop()
	damage(t, filepath.Join(b.cfg.Data, "mqtt"))
	b = startBox(t, b.cfg)
	eventually(t, "ready on a damaged broker store", b.ready)
}
