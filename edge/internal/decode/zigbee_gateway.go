package decode

import (
	"bytes"
	"slices"
	"strings"
)

const (
	// gatewaysMax is more Zigbee2MQTT gateways than a building has.
	gatewaysMax = 64
	// baseBytesMax bounds the base topic of one that nobody configured.
	baseBytesMax = 128
)

// meetGateway notes the base topic of a Zigbee2MQTT that nobody configured, by what only such a
// gateway says of itself and says before its devices speak: whether it is there, and its list.
func (d *Decoder) meetGateway(m Message) {
	said := bytes.TrimSpace(m.Payload)
	base, ok := strings.CutSuffix(m.Topic, "/bridge/state")
	if ok {
		ok = slices.Contains([]string{"online", "offline"}, string(said)) || bytes.HasPrefix(said, []byte(`{"state"`))
	} else if base, ok = strings.CutSuffix(m.Topic, "/bridge/devices"); ok {
		ok = bytes.HasPrefix(said, []byte(`[{"`)) && bytes.Contains(said, []byte(`"ieee_address"`))
	}
	if !ok || base == "" || len(base) > baseBytesMax || len(d.gateways) >= gatewaysMax {
		return
	}
	if known, _ := d.gatewayOf(m.Topic); known == "" {
		d.gateways[base] = &directory{byName: map[string]string{}}
	}
}
