package decode_test

import (
	"testing"

	"estate/edge/internal/decode"
)

// TestGatewayIsMet: a Zigbee2MQTT with a base topic of its own is heard without being configured,
// from what it says of itself on; what merely looks like it is not taken for one.
func TestGatewayIsMet(t *testing.T) {
	t.Parallel()
	const list = `[{"ieee_address":"0x00124b00aaaa0001","friendly_name":"leak","definition":{"exposes":[]}}]`
	for name, c := range map[string]struct {
		topic, payload string
		met            bool
	}{
		"state":             {"site/z9/bridge/state", `{"state":"online"}`, true},
		"plain state":       {"site/z9/bridge/state", "online", true},
		"list":              {"site/z9/bridge/devices", list, true},
		"another's state":   {"site/z9/bridge/state", `{"rssi":-60}`, false},
		"another's list":    {"site/z9/bridge/devices", `[{"mac":"0123456789ab"}]`, false},
		"no list":           {"site/z9/bridge/devices", "", false},
		"only the name":     {"/bridge/state", "online", false},
		"no word of itself": {"site/z9/leak", `{"battery":90}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := decode.New(decode.Config{Building: "oak"})
			d.Decode(decode.Message{Topic: c.topic, Payload: []byte(c.payload), Arrival: arrival})
			r := d.Decode(decode.Message{Topic: "site/z9/leak", Payload: []byte(`{"water_leak":true}`), Arrival: arrival})
			met := len(r.Observations) == 1 && r.Observations[0].Key == "water_leak"
			if met != c.met || met == (len(r.Unrecognised) > 0) {
				t.Errorf("%+v", r)
			}
		})
	}
}
