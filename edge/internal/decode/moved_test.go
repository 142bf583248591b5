package decode_test

import (
	"slices"
	"strings"
	"testing"

	"estate/edge/internal/decode"
)

// moves gives messages to a decoder, one a line as "topic payload"; a line that begins with "="
// is what the broker kept, and "restart" gives all that was to be saved to a new decoder. It shows
// what was said of which hardware.
func moves(t *testing.T, lines string) string {
	t.Helper()
	d := decode.New(decode.Config{Building: "oak", Gateways: []string{"zigbee2mqtt", "attic"}})
	saved := map[string]decode.Message{}
	var out []string
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		kept := strings.HasPrefix(line, "=")
		topic, payload, _ := strings.Cut(strings.TrimPrefix(line, "="), " ")
		if topic == "" {
			continue
		}
		if topic == "restart" {
			d = decode.New(decode.Config{Building: "oak", Gateways: []string{"zigbee2mqtt", "attic"}})
			var list []decode.Message
			for _, m := range saved {
				list = append(list, m)
			}
			slices.SortFunc(list, func(a, b decode.Message) int { return strings.Compare(a.Topic, b.Topic) })
			d.Seed(list)
			continue
		}
		m := msg(topic, payload)
		m.Retained = kept
		r := d.Decode(m)
		if r.Configures {
			r.Remember = append(r.Remember, m)
		}
		for _, one := range r.Remember {
			saved[one.Topic] = one
			if len(one.Payload) == 0 {
				delete(saved, one.Topic)
			}
		}
		for _, o := range r.Observations {
			out = append(out, o.Hardware+" "+o.Key+"="+o.Value.String())
		}
		for _, u := range r.Unrecognised {
			out = append(out, "? "+u.Reason)
		}
		for _, h := range r.Removed {
			out = append(out, "- "+h)
		}
	}
	return strings.Join(out, "\n")
}

const (
	z2m     = "z2m:0x00124b0001020304"
	z2mList = `[{"ieee_address":"0x00124b0000000001","type":"Coordinator","friendly_name":"Coordinator"},{"ieee_address":"0x00124b0001020304","friendly_name":"`
	mac     = "mac:0123456789ab"
)

// TestMoved: a device keeps its hardware id, whatever it is called and through whatever it speaks,
// and what the broker kept of the time before says nothing of it.
func TestMoved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"Zigbee2MQTTRenamed", `
zigbee2mqtt/bridge/devices ` + z2mList + `cellar"}]
zigbee2mqtt/cellar {"temperature":20}
zigbee2mqtt/bridge/devices ` + z2mList + `boiler/room"}]
zigbee2mqtt/cellar {"temperature":21}
zigbee2mqtt/cellar/availability
=zigbee2mqtt/cellar/availability offline
=zigbee2mqtt/cellar {"temperature":20}
zigbee2mqtt/boiler/room {"temperature":22}
restart
=zigbee2mqtt/cellar/availability offline
zigbee2mqtt/boiler/room/availability online
zigbee2mqtt/bridge/devices ` + z2mList + `cellar"}]
zigbee2mqtt/cellar {"temperature":23}`,
			z2m + " temperature=20\n" + z2m + " temperature=21\n" + z2m + " temperature=22\n" + z2m + " availability=true\n" + z2m + " temperature=23"},
		{"Zigbee2MQTTRenamedWhileTheBoxWasOff", `
zigbee2mqtt/bridge/devices ` + z2mList + `cellar"}]
restart
=zigbee2mqtt/bridge/devices ` + z2mList + `boiler"}]
=zigbee2mqtt/cellar/availability offline
zigbee2mqtt/boiler {"temperature":22}`, z2m + " temperature=22"},
		{"Zigbee2MQTTMovedToAnotherGateway", `
zigbee2mqtt/bridge/devices ` + z2mList + `cellar"}]
zigbee2mqtt/cellar {"temperature":20}
attic/bridge/devices [{"ieee_address":"0x00124b0001020304","friendly_name":"cellar"}]
attic/cellar {"temperature":21}
zigbee2mqtt/cellar/availability offline
attic/cellar/availability online
restart
=zigbee2mqtt/cellar/availability offline
attic/cellar {"temperature":22}`, z2m + " temperature=20\n" + z2m + " temperature=21\n" + z2m + " availability=true\n" + z2m + " temperature=22"},
		{"TwoZigbeeGatewaysWithOneBase", `
zigbee2mqtt/bridge/devices ` + z2mList + `cellar"}]
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b0000000002","type":"Coordinator","friendly_name":"Coordinator"},{"ieee_address":"0x00124b0001020305","friendly_name":"roof"}]
zigbee2mqtt/cellar {"temperature":20}
zigbee2mqtt/roof {"temperature":5}
restart
zigbee2mqtt/cellar {"temperature":21}`, `? the list is of another radio than before (0x00124b0000000001, now 0x00124b0000000002): where two gateways use the base topic zigbee2mqtt, give each its own
` + z2m + " temperature=20\nz2m:0x00124b0001020305 temperature=5\n" + z2m + " temperature=21"},
		{"TasmotaTopicChanged", `
tasmota/discovery/0123456789AB/config {"t":"pump","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1]}
tele/pump/STATE {"POWER":"ON"}
tasmota/discovery/0123456789AB/config {"t":"well","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1]}
tele/pump/LWT Offline
tele/well/LWT Online
tele/well/STATE {"POWER":"OFF"}
restart
=tele/pump/LWT Offline
=tele/well/LWT Online
tasmota/discovery/0123456789AB/config {"t":"pump","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1]}
tele/pump/LWT Online`, mac + " POWER=true\n" + mac + " availability=true\n" + mac + " POWER=false\n" + mac + " availability=true\n" + mac + " availability=true"},
		{"TwoTasmotasWithOneTopic", `
tasmota/discovery/0123456789AB/config {"t":"pump"}
tasmota/discovery/0123456789AC/config {"t":"pump"}`, "? another device, mac:0123456789ab, uses the topic pump as well: give each its own"},
		{"Shelly2PrefixChanged", `
shellyplus1-0123456789ab/online true
shellyplus1-0123456789ab/status/switch:0 {"id":0,"output":true}
shellyplus1-0123456789ab/online false
cellar/pump/events/rpc {"src":"shellyplus1-0123456789ab","method":"NotifyStatus","params":{"switch:0":{"id":0,"output":false}}}
cellar/pump/online true
=shellyplus1-0123456789ab/online false
restart
=shellyplus1-0123456789ab/online false
=cellar/pump/online true
cellar/pump/status/switch:0 {"id":0,"output":true}
shellyplus1-0123456789ab/status/switch:0 {"id":0,"output":false}`, mac + " availability=true\n" + mac + " switch:0.output=true\n" + mac + " availability=false\n" + mac + " availability=true\n" +
			mac + " switch:0.output=false\n" + mac + " availability=true\n" + mac + " availability=true\n" + mac + " switch:0.output=true\n" + mac + " switch:0.output=false"},
		{"Shelly1Renamed", `
shellies/announce {"id":"shelly1-789ab","model":"SHSW-1","mac":"0123456789AB"}
shellies/shelly1-789ab/relay/0 on
shellies/shelly1-789ab/online false
shellies/announce {"id":"pump","model":"SHSW-1","mac":"0123456789AB"}
shellies/pump/relay/0 off
=shellies/shelly1-789ab/online false`, mac + " relay.0=true\n" + mac + " availability=false\n" + mac + " availability=true\n" + mac + " relay.0=false"},
		{"ESPHomeRenamed", `
esphome/discover/boiler {"name":"boiler","mac":"0123456789ab","version":"2024.1"}
boiler/sensor/flow/state 21
esphome/discover/cellar {"name":"cellar","mac":"0123456789ab","version":"2024.1"}
boiler/status offline
cellar/status online
cellar/sensor/flow/state 22
restart
=boiler/status offline
=cellar/status online
cellar/sensor/flow/state 23`, mac + " sensor.flow=21\n" + mac + " availability=true\n" + mac + " sensor.flow=22\n" + mac + " availability=true\n" + mac + " sensor.flow=23"},
		{"ESPHomeAnnouncedRenamed", `
homeassistant/sensor/boiler/flow/config {"uniq_id":"ESPsensorflow","stat_t":"boiler/sensor/flow/state","avty_t":"boiler/status","dev":{"cns":[["mac","0123456789ab"]]}}
boiler/status online
boiler/sensor/flow/state 21
boiler/status offline
homeassistant/sensor/cellar/flow/config {"uniq_id":"ESPsensorflow","stat_t":"cellar/sensor/flow/state","avty_t":"cellar/status","dev":{"cns":[["mac","0123456789ab"]]}}
cellar/status online
=boiler/status offline
cellar/sensor/flow/state 22
homeassistant/sensor/boiler/flow/config
cellar/sensor/flow/state 23
cellar/status offline`, mac + " availability=true\n" + mac + " ESPsensorflow=21\n" + mac + " availability=false\n" + mac + " availability=true\n" + mac + " availability=true\n" +
			mac + " ESPsensorflow=22\n" + mac + " ESPsensorflow=23\n" + mac + " availability=false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := moves(t, c.lines); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
