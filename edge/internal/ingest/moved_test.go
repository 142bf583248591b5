package ingest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
)

// movedIsTheSameDevice: a device that was adopted before its gateway named its hardware, and was
// renamed since, is that device: also after a restart, when only what was saved tells it.
func movedIsTheSameDevice(t *testing.T, s server) {
	const adopted = "z2m:name:zigbee2mqtt/cellar"
	sink := newStore(adopted)
	in := run(t, s, sink)
	p := connect(t, s, true)
	list := func(name string) string {
		return `[{"ieee_address":"0x00158d0000000001","friendly_name":"` + name + `"}]`
	}
	p.send("zigbee2mqtt/cellar", `{"temperature":1}`, false)
	p.send("zigbee2mqtt/bridge/devices", list("cellar"), false)
	p.send("zigbee2mqtt/cellar", `{"temperature":2}`, false)
	p.send("zigbee2mqtt/bridge/devices", list("boiler"), false)
	p.send("zigbee2mqtt/boiler", `{"temperature":3}`, false)
	eventually(t, "heard under its new name", sink.row(adopted, "3"))
	p.send("zigbee2mqtt/cellar/availability", "offline", true) // its gateway forgot to clear it
	in.stop()
	p.send("zigbee2mqtt/boiler", `{"temperature":4}`, false)
	again := run(t, s, sink)
	eventually(t, "heard after a restart", sink.row(adopted, "4"))
	p.send("zigbee2mqtt/boiler", `{"temperature":5}`, false)
	eventually(t, "what was kept is read", sink.row(adopted, "5"))
	if list := append(in.Quarantine(), again.Quarantine()...); len(list) > 0 {
		t.Errorf("waits to be adopted: %+v", list)
	}
	if sink.is(func(s *store) bool {
		return slices.ContainsFunc(s.rows, func(o decode.Observation) bool { return o.Hardware != adopted || o.Key == "availability" })
	})() {
		t.Errorf("stored %+v", sink.rows)
	}
}

// TestLateIsNotSent: what waits for a broker that is away is not sent when it is back, once it is too
// late for it, and who waits for it is told.
func TestLateIsNotSent(t *testing.T) {
	t.Parallel()
	s := startMosquitto(t)
	sink := newStore(s1)
	in := run(t, s, sink)
	s.stop()
	eventually(t, "blind", func() bool { return !in.Status().Connected })
	until := time.Now().Add(50 * time.Millisecond)
	late, sent := make(chan error, 1), make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// Both are to be kept, so that the test finds them whenever they were sent.
	go func() {
		late <- in.Publish(ctx, ingest.Outgoing{Topic: "valve/late", Payload: []byte("late"), QoS: 1, Retained: true, Until: until})
	}()
	eventually(t, "too late", func() bool { return time.Now().After(until) })
	go func() {
		sent <- in.Publish(ctx, ingest.Outgoing{Topic: "valve/sent", Payload: []byte("sent"), QoS: 1, Retained: true, Until: time.Now().Add(patience)})
	}()
	s.start(t)
	if err := <-late; err == nil || ctx.Err() != nil {
		t.Errorf("the late one: %v", err)
	}
	if err := <-sent; err != nil {
		t.Errorf("the one in time: %v", err)
	}
	link, heard := s.link(), make(chan string, 10)
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(link.URL).SetClientID("looker").SetUsername(link.Username).SetPassword(link.Password).SetAutoReconnect(false))
	if tok := c.Connect(); !tok.WaitTimeout(patience) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	defer c.Disconnect(0)
	for _, topic := range []string{"valve/late", "valve/sent"} {
		if tok := c.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) }); !tok.WaitTimeout(patience) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
	}
	select {
	case first := <-heard:
		if first != "sent" {
			t.Errorf("%q was sent", first)
		}
	case <-ctx.Done():
		t.Error("the one in time was not sent")
	}
}

// gatewayIsNoDevice: a gateway tells whether it is there; nobody has to adopt it.
func gatewayIsNoDevice(t *testing.T, s server) {
	sink := newStore(cellar)
	in := run(t, s, sink)
	p := connect(t, s, true)
	for _, state := range []string{"online", "offline"} {
		p.send("zigbee2mqtt/bridge/state", `{"state":"`+state+`"}`, true)
		eventually(t, state, func() bool {
			list := in.Gateways()
			return len(list) == 1 && list[0].Base == "zigbee2mqtt" && list[0].Online == (state == "online") && !list[0].Since.IsZero()
		})
	}
	if list := in.Quarantine(); len(list) > 0 {
		t.Errorf("waits to be adopted: %+v", list)
	}
}
