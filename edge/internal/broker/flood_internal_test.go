package broker

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"context"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/problem"
)

// TestFlood: a sensor that sends far too much is named with its rate; a gateway that sends as
// much, and who sends little, are not.
func TestFlood(t *testing.T) {
	t.Parallel()
	var got []Violation // lookForFloods reports before it returns
	grants := map[string]Grant{"noisy": {Role: RoleDevice, ClientID: "noisy", Building: "oak", Device: "noisy"},
		"calm": {Role: RoleDevice, ClientID: "calm", Building: "oak", Device: "calm"}, "gw": {Role: RoleZigbee2MQTT, ClientID: "gw", Base: "zigbee2mqtt"}}
	b, err := Start(Config{Addr: "127.0.0.1:0", StoreDir: filepath.Join(t.TempDir(), "mqtt"), Now: time.Now, OnViolation: func(v Violation) { got = append(got, v) },
		Authenticate: func(_ context.Context, l Login) (Grant, bool) { g, ok := grants[l.Username]; return g, ok }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	b.Admit()
	before := b.lookForFloods(nil, time.Second)
	for name, send := range map[string]struct {
		topic string
		n     int
	}{"noisy": {"estate/v1/oak/dev/noisy/state", FloodDevice + 1}, "calm": {"estate/v1/oak/dev/calm/state", FloodDevice}, "gw": {"zigbee2mqtt/a", FloodDevice + 1}} {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + b.Addr()).SetClientID(name).SetUsername(name).SetPassword("x").SetAutoReconnect(false))
		if err := settle(c.Connect(), "connect"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Disconnect(0) })
		for range send.n {
			if err := settle(c.Publish(send.topic, 1, false, "{}"), "publish"); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := b.lookForFloods(before, time.Second)
	if len(got) != 1 || got[0].Code != problem.MQTTFlood || got[0].ClientID != "noisy" || got[0].Grant.Device != "noisy" || got[0].Reason == "" {
		t.Fatalf("%+v", got)
	}
	b.lookForFloods(after, time.Second)
	if len(got) != 1 {
		t.Errorf("it stopped and is named again: %+v", got[1:])
	}
}
