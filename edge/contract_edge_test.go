package edge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/sync/record"
)

// heard is one message that a client received.
type heard struct {
	topic    string
	payload  []byte
	qos      byte
	retained bool
}

// client311 is an MQTT client of a device.
type client311 struct {
	t    *testing.T
	mqtt mqtt.Client
	mu   sync.Mutex
	got  []heard
}

// connect logs in as a device would, and listens to topics.
func connect(t *testing.T, address string, login edge.LoginResult, topics ...string) *client311 {
	t.Helper()
	c := &client311{t: t}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(login.ClientID).SetUsername(login.Username).SetPassword(login.Password).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(patience).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, heard{m.Topic(), m.Payload(), m.Qos(), m.Retained()})
	})
	c.mqtt = mqtt.NewClient(o)
	c.settle(c.mqtt.Connect(), "connect as "+login.ClientID)
	for _, topic := range topics {
		c.settle(c.mqtt.Subscribe(topic, 1, nil), "subscribe to "+topic)
	}
	t.Cleanup(func() { c.mqtt.Disconnect(0) })
	return c
}

func (c *client311) settle(token mqtt.Token, what string) {
	c.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		c.t.Fatalf("%s: %v", what, token.Error())
	}
}

// publish returns when the broker has acknowledged the message.
func (c *client311) publish(topic string, payload []byte, retain bool) {
	c.t.Helper()
	c.settle(c.mqtt.Publish(topic, 1, retain, payload), "publish to "+topic)
}

// all gives what was heard on topics with a prefix.
func (c *client311) all(prefix string) (out []heard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.got {
		if strings.HasPrefix(h.topic, prefix) {
			out = append(out, h)
		}
	}
	return out
}

// login makes a login.
func (b *box) login(in edge.LoginInput) edge.LoginResult {
	b.t.Helper()
	return must(edge.AddLoginAt(b.t.Context(), b.cfg, time.Now, in))(b.t)
}

// refusal is what a device reads on its error topic.
type refusal struct{ Topic, Key, Code, Reason string }

// firstError waits for the first message on a device's error topic.
func (c *client311) firstError(own string) (out refusal) {
	c.t.Helper()
	eventually(c.t, "a message on "+own+"error", func() bool {
		got := c.all(own + "error")
		return len(got) > 0 && json.Unmarshal(got[0].payload, &out) == nil
	})
	return out
}

// sentinel is refused for sure: where a device's first error is about it, nothing that the device
// sent before was refused.
const sentinel = `{"temperature":"sentinel"}`

// TestContractOnTheEdge: the running edge takes what the schemas take, and refuses what they say
// is refused with the code that they say.
func TestContractOnTheEdge(t *testing.T) {
	t.Parallel()
	contract := readContract(t)
	cloud := startCloud(t)
	b := enrolled(t, cloud)
	b.signIn()
	var measured []string
	for _, channel := range []string{"state", "availability", "announcement", "answer"} {
		good, bad := contract.samples(t, channel)
		for i, s := range append(slices.Clone(good), bad...) {
			name := fmt.Sprintf("%s-%d", channel, i)
			login := b.login(edge.LoginInput{Name: name})
			own := strings.TrimSuffix(login.Topic, "state")
			c := connect(t, b.MQTTAddr(), login, own+"error")
			if first, ok := contract.texts[channel]["x-announcement"]; ok {
				c.publish(own+"announcement", sent(t, first), true)
			}
			c.publish(own+channel, s.payload, false)
			if s.code == "" {
				c.publish(own+"state", []byte(sentinel), false)
			}
			got := c.firstError(own)
			switch {
			case s.code == "" && !strings.Contains(got.Reason, "sentinel"):
				t.Errorf("%s %s: refused: %+v", channel, s.payload, got)
			case s.code != "" && (got.Code != s.code || got.Key != s.key || got.Topic != own+channel):
				t.Errorf("%s %s: wanted %s of %q, got %+v", channel, s.payload, s.code, s.key, got)
			}
			if channel == "state" && s.code == "" {
				measured = append(measured, name)
			}
			if err := contract.check("error", c.all(own + "error")[0].payload); err != nil {
				t.Errorf("the error topic: %v", err)
			}
		}
	}
	eventually(t, "all that measured are listed", func() bool {
		listed := map[string]bool{}
		var page list[desk.Device]
		b.call(http.MethodGet, "/buildings/"+cloud.building.String()+"/devices?limit=200", nil, &page)
		for _, d := range page.Items {
			listed[d.Name] = true
		}
		return !slices.ContainsFunc(measured, func(name string) bool { return !listed[name] })
	})
}

// TestContractLimits: what a device may not do, and where it reads so.
func TestContractLimits(t *testing.T) {
	t.Parallel()
	contract := readContract(t)
	cloud := startCloud(t)
	b := enrolled(t, cloud)
	b.signIn()
	for name, try := range map[string]struct{ topic, payload, code string }{
		"foreign":  {"estate/v1/oak/dev/other/state", `{"leak":true}`, "topic_not_permitted"},
		"unknown":  {"estate/v1/oak/dev/unknown/weather", `{}`, "unknown_topic"},
		"large":    {"estate/v1/oak/dev/large/state", `{"x":"` + strings.Repeat("x", 256<<10) + `"}`, "payload_too_large"},
		"gateways": {"zigbee2mqtt/lamp", `{"state":"ON"}`, "topic_not_permitted"},
	} {
		login := b.login(edge.LoginInput{Name: name})
		own := strings.TrimSuffix(login.Topic, "state")
		c := connect(t, b.MQTTAddr(), login, own+"error")
		c.publish(try.topic, []byte(try.payload), false)
		if got := c.firstError(own); got.Code != try.code || got.Topic != try.topic {
			t.Errorf("%s: %+v", name, got)
		}
		if err := contract.check("error", c.all(own + "error")[0].payload); err != nil {
			t.Errorf("the error topic: %v", err)
		}
		eventually(t, "the staff sees it, with what to do", func() bool {
			return slices.ContainsFunc(b.refusals(cloud.building.String()), func(r httpapi.Refusal) bool { return r.Login == name && r.Topic == try.topic && r.Remedy != "" })
		})
	}
	first := b.login(edge.LoginInput{Name: "bound"})
	o := mqtt.NewClientOptions().AddBroker("tcp://" + b.MQTTAddr()).SetClientID("another").SetUsername(first.Username).SetPassword(first.Password).SetAutoReconnect(false)
	if token := mqtt.NewClient(o).Connect(); !token.WaitTimeout(patience) || token.Error() == nil {
		t.Error("a login with another client id was let in")
	}
}

// TestContractFromTheEdge: what the edge publishes is as the document says: its form, its quality
// of service, whether the broker keeps it; and nothing else is published.
func TestContractFromTheEdge(t *testing.T) {
	t.Parallel()
	contract := readContract(t)
	c := startCloud(t)
	cfg := config(t.TempDir())
	cfg.MQTTTimeSeconds = 1
	building := c.building.String()
	b := enrolledWith(t, c, cfg)
	b.signIn()
	sensor, assistant, gateway := b.login(edge.LoginInput{Name: "s1"}), b.login(edge.LoginInput{Name: "ha", Role: "home_assistant"}), b.login(edge.LoginInput{Name: "gw", Role: "zigbee2mqtt"})
	phone := b.technician(c, "tess")
	own := strings.TrimSuffix(sensor.Topic, "state")
	device := connect(t, b.MQTTAddr(), sensor, own+"error", own+"set", "estate/v1/oak/time")
	tess := connect(t, b.MQTTAddr(), phone, phone.Topic, "estate/v1/oak/alarm/#", "estate/v1/oak/time")
	home := connect(t, b.MQTTAddr(), assistant, "homeassistant/#", "estate/v1/oak/state/#")
	z2m := connect(t, b.MQTTAddr(), gateway, "homeassistant/status")
	clients := []*client311{device, tess, home, z2m}

	device.publish(own+"announcement", []byte(`{"entities":{"valve":{"component":"valve"}}}`), true)
	device.publish(own+"state", []byte(`{"leak":false,"valve":"open"}`), false)
	valve := b.adopted(building, "plain:oak/s1")
	device.publish(own+"state", []byte(`{"leak":false,"valve":"open"}`), false)
	valve.control("valve", "open")
	valve.order("valve", "closed")
	device.publish(own+"state", []byte(`{"leak":true,"humidity":900}`), false)
	eventually(t, "the alarm", func() bool { return len(tess.all("estate/v1/oak/alarm/")) > 0 })
	b.call(http.MethodPost, "/buildings/"+building+"/tickets", map[string]any{"title": "Tap drips", "assignee": record.DerivedID("tess")}, nil)
	b.call(http.MethodPost, "/buildings/"+building+"/tickets", map[string]any{"title": "Lamp flickers"}, nil)
	home.publish("homeassistant/status", []byte("online"), false)
	eventually(t, "all sorts of messages in the inbox", func() bool {
		sorts := map[string]bool{}
		for _, h := range tess.all(phone.Topic) {
			var one struct{ What string }
			_ = json.Unmarshal(h.payload, &one)
			sorts[one.What] = true
		}
		return sorts["assignment"] && sorts["alarm"] && sorts["sync"]
	})
	seen := map[string]bool{}
	eventually(t, "each message that the document says", func() bool {
		for _, one := range clients {
			for _, h := range one.all("") {
				if ch, ok := contract.of(h.topic); ok {
					seen[ch.name] = true
				}
			}
		}
		for _, o := range contract.operations {
			if o.action == "send" && !seen[o.channel] {
				return false
			}
		}
		return true
	})
	for _, one := range clients {
		for _, h := range one.all("") {
			contract.judge(t, h)
		}
	}
	late := connect(t, b.MQTTAddr(), b.login(edge.LoginInput{Name: "ha2", Role: "home_assistant"}), "homeassistant/#", "estate/v1/oak/state/#")
	kept := map[string]bool{}
	eventually(t, "what the broker keeps", func() bool {
		for _, h := range late.all("") {
			if ch, ok := contract.of(h.topic); ok && h.retained {
				kept[ch.name] = true
			}
		}
		for _, o := range contract.operations {
			if slices.Contains(o.roles, "home_assistant") && o.action == "send" && o.retain && !kept[o.channel] {
				return false // not yet
			}
		}
		return true
	})
	for _, o := range contract.operations {
		if slices.Contains(o.roles, "home_assistant") && o.action == "send" && kept[o.channel] != o.retain {
			t.Errorf("%s: kept by the broker: %t", o.name, kept[o.channel])
		}
	}
}

// judge holds a message of the edge against the document.
func (c contract) judge(t *testing.T, h heard) {
	t.Helper()
	ch, ok := c.of(h.topic)
	if !ok {
		t.Errorf("the document does not have %s", h.topic)
		return
	}
	i := slices.IndexFunc(c.operations, func(o operation) bool { return o.channel == ch.name && o.action == "send" })
	if i < 0 || int(h.qos) != c.operations[i].qos {
		t.Errorf("%s: sent with QoS %d", h.topic, h.qos)
		return
	}
	if len(h.payload) == 0 && c.operations[i].retain {
		return // it is taken away
	}
	if err := c.check(ch.message, h.payload); err != nil {
		t.Errorf("%s: %s: %v", h.topic, h.payload, err)
	}
}
