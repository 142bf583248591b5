package edge_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"estate/edge"
	"estate/edge/internal/outbound"
	"estate/internal/desk"
	"estate/schema"
	"estate/sync/record"
)

// listener is the real command line client, which prints "topic payload" for each message.
type listener struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	said []string
}

// subscribe starts one; a persistent session keeps what comes while it is away.
func (b *box) subscribe(login edge.LoginResult, persistent bool, topics ...string) *listener {
	b.t.Helper()
	return b.listen(b.MQTTAddr(), login, persistent, nil, topics...)
}

// listen starts one at an address, with more arguments.
func (b *box) listen(address string, login edge.LoginResult, persistent bool, more []string, topics ...string) *listener {
	b.t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		b.t.Fatal(err)
	}
	args := []string{"-h", "localhost", "-p", port, "-V", "mqttv311", "-q", "1", "-i", login.ClientID, "-u", login.Username, "-P", login.Password, "-v"}
	if args = append(args, more...); persistent {
		args = append(args, "-c")
	}
	for _, topic := range topics {
		args = append(args, "-t", topic)
	}
	l := &listener{t: b.t, cmd: exec.Command("mosquitto_sub", args...)}
	out, err := l.cmd.StdoutPipe()
	if err == nil {
		err = l.cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			l.mu.Lock()
			l.said = append(l.said, lines.Text())
			l.mu.Unlock()
		}
	}()
	b.t.Cleanup(l.stop)
	return l
}

func (l *listener) stop() {
	_ = l.cmd.Process.Kill()
	_ = l.cmd.Wait()
}

// heard gives the payloads on topics with a prefix.
func (l *listener) heard(prefix string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.said {
		if topic, payload, ok := strings.Cut(line, " "); ok && strings.HasPrefix(topic, prefix) {
			out = append(out, payload)
		}
	}
	return out
}

// inbox reads an inbox's messages of one kind.
func (l *listener) inbox(what string) (out []outbound.Inbox) {
	l.t.Helper()
	for _, text := range l.heard("estate/v1/oak/tech/") {
		var one outbound.Inbox
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			l.t.Fatalf("%s: %v", text, err)
		}
		if one.What == what {
			out = append(out, one)
		}
	}
	return out
}

// technician makes a person who works for the building, and a login for the person's device.
func (b *box) technician(c *cloud, name string) (login edge.LoginResult) {
	b.t.Helper()
	member := desk.Member{Person: record.DerivedID(name), Name: name, Email: name + "@example.org", Role: string(schema.Technician), Active: true}
	if err := c.desk.ProjectMember(b.t.Context(), c.building, member); err != nil {
		b.t.Fatal(err)
	}
	eventually(b.t, "the box to know the technician", func() bool {
		var err error
		login, err = edge.AddLoginAt(b.t.Context(), b.cfg, time.Now, edge.LoginInput{Name: name + "-phone", Role: "technician", Person: strings.ToUpper(member.Email)})
		return err == nil
	})
	return login
}

// TestInbox: a technician with a plain MQTT client hears assignments, also those that were made
// while the client was away, and alarms; and nobody else's inbox.
func TestInbox(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	login := b.technician(c, "tess")
	tess := record.DerivedID("tess")
	if login.Topic != "estate/v1/oak/tech/"+tess.String()+"/inbox" {
		t.Fatalf("topic %s", login.Topic)
	}
	if _, err := edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "x", Role: "technician", Person: "nobody@example.org"}); err == nil {
		t.Error("a login for nobody")
	}
	topics := []string{"estate/v1/oak/tech/" + tess.String() + "/inbox", "estate/v1/oak/tech/+/inbox", "estate/v1/oak/time"}
	l := b.subscribe(login, true, topics...)
	assign := func(title string) record.ID {
		t.Helper()
		var ticket desk.Ticket
		if status := b.call(http.MethodPost, "/buildings/"+building+"/tickets", map[string]any{"title": title, "assignee": tess}, &struct{ Ticket *desk.Ticket }{&ticket}); status != http.StatusCreated {
			t.Fatalf("create: %d", status)
		}
		return ticket.ID
	}
	first := assign("Tap drips")
	eventually(t, "the assignment", func() bool { return len(l.inbox(outbound.InboxAssignment)) > 0 })
	if got := l.inbox(outbound.InboxAssignment)[0]; got.ID != first || got.Ticket == nil || got.Ticket.Title != "Tap drips" || got.Position == 0 {
		t.Errorf("%+v", got)
	}
	l.stop()
	second := assign("Lift stands")
	eventually(t, "the ticket to be stored", func() bool { return len(b.tickets(building)) == 2 })
	b = b.restart() // what the inbox was not told yet is told after a restart
	eventually(t, "ready again", b.ready)
	l = b.subscribe(login, true, topics...)
	eventually(t, "what came while the client was away", func() bool {
		for _, m := range l.inbox(outbound.InboxAssignment) {
			if m.ID == second {
				return true
			}
		}
		return false
	})
	if err := c.desk.ProjectMember(t.Context(), c.building, desk.Member{Person: tess, Name: "tess", Email: "tess@example.org", Role: string(schema.Technician)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a person who left is let in no more", func() bool {
		err := b.tryPublish(login, "estate/v1/oak/tech/"+tess.String()+"/inbox", "{}")
		return err != nil && strings.Contains(err.Error(), "not authorised")
	})
}

// TestAlarmTopics: whoever joins finds the alarms that stand, and only those; and a Home
// Assistant finds the box.
func TestAlarmTopics(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	sensor := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	assistant := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "ha", Role: "home_assistant"}))(t)
	b.publish(sensor, sensor.Topic, `{"leak":false}`)
	eventually(t, "listed", func() bool { return len(b.devices(building)) == 1 })
	b.call(http.MethodPost, fmt.Sprintf("/buildings/%s/devices/%s/adopt", building, b.devices(building)[0].ID), map[string]string{"name": "Cellar"}, nil)
	b.publish(sensor, sensor.Topic, `{"leak":true}`)
	eventually(t, "the alarm", func() bool { return len(b.alarms(building)) == 1 })
	alarm := b.alarms(building)[0]
	about := "estate/v1/oak/alarm/" + alarm.ID.String()

	home := b.subscribe(assistant, false, "homeassistant/#", "estate/v1/oak/state/#")
	eventually(t, "the emergency in Home Assistant's form", func() bool {
		states := home.heard("estate/v1/oak/state/box")
		var last outbound.State
		return len(states) > 0 && json.Unmarshal([]byte(states[len(states)-1]), &last) == nil && last.Emergencies == 1 && last.Open == 1
	})
	eventually(t, "that the box is there", func() bool { return slices.Contains(home.heard("estate/v1/oak/state/availability"), "online") })
	eventually(t, "the announcement", func() bool { return len(home.heard("homeassistant/device/")) > 0 })
	var config struct {
		StateTopic string `json:"state_topic"`
		Components map[string]struct {
			UniqueID string `json:"unique_id"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(home.heard("homeassistant/device/")[0]), &config); err != nil || config.StateTopic != "estate/v1/oak/state/box" || config.Components["emergency"].UniqueID == "" {
		t.Errorf("%+v, %v", config, err)
	}

	phone := b.technician(c, "tess")
	early := b.subscribe(phone, false, "estate/v1/oak/alarm/#")
	eventually(t, "the alarm for who joins late", func() bool { return len(early.heard(about)) > 0 })
	var told desk.Alarm
	if err := json.Unmarshal([]byte(early.heard(about)[0]), &told); err != nil || told.ID != alarm.ID || told.State != "active" || told.DeviceName != "Cellar" {
		t.Errorf("%+v, %v", told, err)
	}
	b.publish(sensor, sensor.Topic, `{"leak":false}`)
	eventually(t, "its end", func() bool { return slices.Contains(early.heard(about), "(null)") })
	early.stop()
	late := b.subscribe(phone, false, "estate/v1/oak/alarm/#", phone.Topic)
	eventually(t, "a message after those that the broker keeps", func() bool {
		b.call(http.MethodPost, "/buildings/"+building+"/tickets", map[string]any{"title": "Tap drips"}, nil)
		return len(late.inbox(outbound.InboxSync)) > 0
	})
	if got := late.heard(about); len(got) > 0 {
		t.Errorf("an alarm that ended: %s", got)
	}
}

// TestInboxBeforeTheFirstSubscription: what is assigned when a technician's login is made, and
// what comes before the technician's device does, waits in the inbox.
func TestInboxBeforeTheFirstSubscription(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	b.technician(c, "tess")
	assign := func(title string) {
		t.Helper()
		if status := b.call(http.MethodPost, "/buildings/"+building+"/tickets", map[string]any{"title": title, "assignee": record.DerivedID("tess")}, nil); status != http.StatusCreated {
			t.Fatalf("create: %d", status)
		}
	}
	assign("Before the login")
	login := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "tess-tablet", Role: "technician", Person: "tess@example.org"}))(t)
	assign("Before the first subscription")
	if len(login.Publish) > 0 {
		t.Errorf("may publish %q, which nothing reads", login.Publish)
	}
	here := b.listen(b.MQTTAddr(), login, true, nil, login.Topic)
	for _, title := range []string{"Before the login", "Before the first subscription"} {
		eventually(t, "the assignment "+title, func() bool {
			return slices.ContainsFunc(here.inbox(outbound.InboxAssignment), func(m outbound.Inbox) bool { return m.Ticket.Title == title })
		})
	}
}

// TestDiscoveryPrefix: devices may announce themselves under another prefix than Home Assistant's
// usual one; the box hears them there, and announces itself.
func TestDiscoveryPrefix(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	cfg := config(t.TempDir())
	cfg.DiscoveryPrefixes = []string{"ha"}
	b := enrolledWith(t, c, cfg)
	b.signIn()
	building := c.building.String()
	assistant := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "ha", Role: "home_assistant"}))(t)
	node := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "cellar", Role: "esphome", Base: "cellar"}))(t)
	home := b.subscribe(assistant, false, "ha/#", "homeassistant/#")
	eventually(t, "the box's announcement", func() bool { return len(home.heard("ha/device/")) > 0 })
	b.publish(node, "cellar/status", "online") // before it says what it is
	b.publish(node, "cellar/sensor/t/state", "12")
	b.publish(node, "ha/sensor/cellar/t/config", `{"stat_t":"cellar/sensor/t/state","avty_t":"cellar/status","uniq_id":"t","dev":{"ids":"0123456789ab","name":"Cellar"}}`)
	eventually(t, "the one device, by its own name", func() bool {
		list := b.devices(building)
		return len(list) == 1 && list[0].Hardware == "mac:0123456789ab" && list[0].Name == "Cellar"
	})
	if got := home.heard("homeassistant/"); len(got) > 0 {
		t.Errorf("under the usual prefix: %s", got)
	}
}
