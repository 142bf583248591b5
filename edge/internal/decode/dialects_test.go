package decode_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/decode"
)

// talk gives messages to a decoder, one a line as "topic payload", and shows what they said:
// values, what was refused, what became known or went.
func talk(d *decode.Decoder, lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		topic, payload, _ := strings.Cut(strings.TrimSpace(line), " ")
		if topic == "" {
			continue
		}
		r := d.Decode(msg(topic, payload))
		for _, o := range r.Observations {
			fmt.Fprintf(&b, "%s %s=%s%s", o.Hardware, o.Key, o.Value, o.Unit)
			if !o.EventTime.IsZero() {
				fmt.Fprintf(&b, " @%g", o.EventTime.Sub(arrival).Seconds())
			}
			b.WriteString("\n")
		}
		for _, u := range r.Unrecognised {
			fmt.Fprintf(&b, "? %s: %s\n", u.Key, u.Reason)
		}
		for _, h := range r.Removed {
			fmt.Fprintf(&b, "- %s\n", h)
		}
		if r.Nothing != "" {
			fmt.Fprintf(&b, "(%s)\n", r.Nothing)
		}
	}
	return strings.TrimSpace(b.String())
}

func TestDialects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"DiscoveryOfOneComponent", `
homeassistant/sensor/bed/config {"~":"bed","name":"T","stat_t":"~/s","val_tpl":"{{value_json.t|round(1)}}","unit_of_meas":"°C","dev_cla":"temperature","uniq_id":"bedT","dev":{"ids":["b1"]}}
bed/s {"t":21.37}
bed/s {"h":3}
bed/s {"t":"warm"}`, `
hass:b1 bedT=21.4°C
? bedT: template: 'warm' is no number`},
		{"DiscoveryOfADevice", `
homeassistant/device/d1/config {"dev":{"cns":[["mac","AA-BB-CC-00-11-22"]],"name":"Pump"},"o":{"name":"x"},"stat_t":"d1/s","cmps":{"leak":{"p":"binary_sensor","uniq_id":"d1l","dev_cla":"moisture","val_tpl":"{{ 'ON' if value_json.wet else 'OFF' }}"},"v":{"p":"valve","uniq_id":"d1v","cmd_t":"d1/set","val_tpl":"{{ value_json.v }}"}}}
d1/s {"wet":true,"v":"closed"}
homeassistant/device/d1/config {"dev":{"cns":[["mac","AA-BB-CC-00-11-22"]]},"o":{"name":"x"},"stat_t":"d1/s","cmps":{"leak":{"p":"binary_sensor"}}}
d1/s {"wet":true,"v":"open"}
homeassistant/device/d1/config
d1/s {"wet":true,"v":"open"}`, `
mac:aabbcc001122 d1l=true
mac:aabbcc001122 d1v=closed
mac:aabbcc001122 d1v=open
- mac:aabbcc001122
? : no device convention uses this topic`},
		{"MigrationKeepsValues", `
homeassistant/sensor/m/config {"stat_t":"m/s","uniq_id":"m1","unit_of_meas":"W","dev":{"ids":"m"}}
homeassistant/sensor/m/config {"migr_discvry":true}
m/s 12.5`, `hass:m m1=12.5W`},
		{"AvailabilityOfAll", `
homeassistant/sensor/a/config {"stat_t":"a/s","uniq_id":"a1","avty_mode":"all","avty":[{"t":"a/up"},{"t":"hub/up","val_tpl":"{{value_json.state}}","pl_avail":"yes","pl_not_avail":"no"}],"dev":{"ids":"a"}}
a/up online
hub/up {"state":"yes"}
hub/up {"state":"no"}
hub/up {"state":"maybe"}`, `
hass:a availability=true
hass:a availability=false
? availability: wanted "yes" or "no", got "maybe"`},
		{"NeedsMapping", `
homeassistant/sensor/n/config {"stat_t":"n/s","uniq_id":"n1","val_tpl":"{{ states('x') }}","dev":{"ids":"n"}}
n/s 1`, `
? n: template: line 1, column 10: the function "states" is not supported
(a value of an entity that needs mapping)`},
		{"AnotherPrefix", `my/sensor/x/config {"stat_t":"x"}`, `? : a discovery message under the prefix my, which is not configured: add it to the discovery prefixes`},
		{"BadAnnouncementKeepsTheOld", `
homeassistant/sensor/k/config {"stat_t":"k/s","uniq_id":"k1","dev":{"ids":"k"}}
homeassistant/sensor/k/config {"stat_t":
k/s 5`, `
? : the announcement is not a JSON object
hass:k k1=5`},
		{"GatewayAnnouncedByDiscovery", `
homeassistant/sensor/0x0017880104e45522/temperature/config {"unit_of_measurement":"°C","device_class":"temperature","value_template":"{{ value_json[\"temperature\"] }}","state_topic":"zigbee2mqtt/weather_sensor","unique_id":"u","device":{"identifiers":["zigbee2mqtt_0x0017880104e45522"],"name":"weather_sensor"}}
zigbee2mqtt/weather_sensor {"temperature":-0.85,"humidity":null}`, `z2m:0x0017880104e45522 temperature=-0.85°C`},
		{"TasmotaByTopicThenByAddress", `
tele/plug/SENSOR {"Time":"2026-03-01T12:00:10","ENERGY":{"Power":190,"Total":[1.5,2.5]},"DHT11":{"Temperature":68.5},"TempUnit":"F"}
tele/plug/LWT Online
tasmota/discovery/00000049A3BC/config {"t":"plug","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"onln":"up","ofln":"gone","dn":"Plug"}
tele/plug/LWT gone
stat/plug/POWER1 ON
stat/plug/RESULT {"POWER1":"OFF"}
stat/plug/RESULT {"MqttPassword":"secret"}
cmnd/plug/POWER1 ON`, `
tasmota:topic:plug DHT11.Temperature=68.5°F @10
tasmota:topic:plug ENERGY.Power=190W @10
tasmota:topic:plug ENERGY.Total.0=1.5kWh @10
tasmota:topic:plug ENERGY.Total.1=2.5kWh @10
tasmota:topic:plug availability=true
mac:00000049a3bc availability=false
mac:00000049a3bc POWER1=true
mac:00000049a3bc POWER1=false
(a setting, or what the firmware tells of itself)
(a command to a device)`},
		{"TasmotaZigbee", `tele/zb/SENSOR {"ZbReceived":{"Cellar":{"Device":"0x128F","Water":1,"0500<00":"0100","LinkQuality":70}}}`, `
tasmota:topic:zb/zb:0x128F LinkQuality=70lqi
tasmota:topic:zb/zb:0x128F Water=true`},
		{"ShellyUnderAnotherPrefix", `
home/t/status/switch:0 {"id":0,"output":true}
home/t/events/rpc {"src":"shellyplus1-441793a5d2fc","method":"NotifyStatus","params":{"ts":1772366399.5,"switch:0":{"id":0,"apower":3.5,"aenergy":{"total":7,"by_minute":[1,2]}}}}
home/t/status/flood:0 {"id":0,"alarm":true,"mute":false}
home/t/events/rpc {"src":"shellyplus1-441793a5d2fc","method":"NotifyEvent","params":{"ts":1772366399.5,"events":[{"component":"input:0","event":"single_push","ts":1772366399.5}]}}
shellyplus1-441793a5d2fc/online false
home/t/events/rpc {"src":"shellyplus1-441793a5d2fc","meth`, `
shelly:topic:home/t switch:0.output=true
mac:441793a5d2fc switch:0.aenergy.total=7Wh @-0.5
mac:441793a5d2fc switch:0.apower=3.5W @-0.5
mac:441793a5d2fc flood:0.alarm=true
mac:441793a5d2fc flood:0.mute=false
mac:441793a5d2fc input:0.event=single_push @-0.5
mac:441793a5d2fc availability=false
? : payload is not a JSON object: it is cut off`},
		{"ShellyFirstGeneration", `
shellies/announce {"id":"shellyflood-764544","model":"SHWT-1","mac":"98CDAC764544","fw_ver":"1"}
shellies/shellyflood-764544/sensor/flood true
shellies/shellyflood-764544/sensor/temperature 21.5
shellies/shellyflood-764544/online true
shellies/shellyflood-764544/relay/0 on
shellies/shellyflood-764544/relay/0/command off`, `
mac:98cdac764544 sensor.flood=true
mac:98cdac764544 sensor.temperature=21.5°C
mac:98cdac764544 availability=true
mac:98cdac764544 relay.0=true
(a request or a command to a device)`},
		{"ESPHomeWithoutDiscovery", `
fazole/status online
fazole/binary_sensor/cellar/state ON
fazole/sensor/wet/state 21.77
fazole/debug [V] x`, `
esphome:topic:fazole availability=true
esphome:topic:fazole binary_sensor.cellar=true
esphome:topic:fazole sensor.wet=21.77
(a firmware's log)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := decode.New(decode.Config{Building: "oak", Zone: time.UTC})
			if got := talk(d, c.lines); got != strings.TrimSpace(c.want) {
				t.Errorf("got\n%s\nwant%s", got, c.want)
			}
		})
	}
}

// What a gateway's list and a discovery message tell of the same device is one device.
func TestOneDevice(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	talk(d, `
zigbee2mqtt/bridge/devices [{"ieee_address":"0x0017880104e45522","friendly_name":"attic","power_source":"Battery","definition":{"model":"W1","vendor":"V","exposes":[{"type":"numeric","property":"temperature","unit":"°F"}]}}]
homeassistant/sensor/0x0017880104e45522/temperature/config {"unit_of_measurement":"°F","device_class":"temperature","value_template":"{{ value_json.temperature }}","state_topic":"zigbee2mqtt/attic","unique_id":"u","device":{"identifiers":["zigbee2mqtt_0x0017880104e45522"],"name":"attic","suggested_area":"Attic"}}
zigbee2mqtt/attic {"temperature":68.5}`)
	dev, ok := d.Device("z2m:0x0017880104e45522")
	if !ok || len(d.Devices()) != 1 || len(dev.Entities) != 1 {
		t.Fatalf("devices %v, %+v", d.Devices(), dev)
	}
	e := dev.Entities["temperature"]
	if !dev.Battery || dev.Area != "Attic" || dev.Model != "W1" || e.Unit != "°F" || e.Kind != decode.Temperature || e.Component != "sensor" {
		t.Errorf("%+v, %+v", dev, e)
	}
}

// TestTemperatureOfTheDeviceItself: a relay that is warm says nothing of the room, and our own
// announcements are nobody's device.
func TestTemperatureOfTheDeviceItself(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		topic, payload string
		want           decode.Kind
	}{
		{"shellies/shellyswitch25-68c63afb5d00/temperature", "51.5", decode.DeviceTemperature},
		{"shellies/shellyht-68c63afb5d00/sensor/temperature", "21.5", decode.Temperature},
		{"shellyplus1-441793a5d2fc/status/switch:0", `{"temperature":{"tC":51.5}}`, decode.DeviceTemperature},
		{"shellyplusht-441793a5d2fc/status/temperature:0", `{"tC":21.5}`, decode.Temperature},
		{"tele/plug/SENSOR", `{"ESP32":{"Temperature":51.5}}`, decode.DeviceTemperature},
		{"zigbee2mqtt/plug", `{"device_temperature":51.5}`, decode.DeviceTemperature},
		{"zigbee2mqtt/plug", `{"temperature":21.5}`, decode.Temperature},
	} {
		d := decode.New(decode.Config{Building: "oak", Gateways: []string{"zigbee2mqtt"}})
		r := d.Decode(decode.Message{Topic: c.topic, Payload: []byte(c.payload), Arrival: time.Now()})
		if len(r.Observations) != 1 || r.Observations[0].Kind != c.want {
			t.Errorf("%s %s: %+v, want %s", c.topic, c.payload, r, c.want)
		}
	}
	d := decode.New(decode.Config{Building: "oak"})
	for entity, want := range map[string]decode.Kind{"": decode.Temperature, `,"ent_cat":"diagnostic"`: decode.DeviceTemperature} {
		text := `{"dev_cla":"temperature","stat_t":"a/b","uniq_id":"x","dev":{"ids":"d"}` + entity + `}`
		d.Decode(decode.Message{Topic: "homeassistant/sensor/x/config", Payload: []byte(text), Arrival: time.Now()})
		r := d.Decode(decode.Message{Topic: "a/b", Payload: []byte("20"), Arrival: time.Now()})
		if len(r.Observations) != 1 || r.Observations[0].Kind != want {
			t.Errorf("announced %s: %+v", entity, r)
		}
	}
	own := `{"dev":{"ids":["estate"]},"o":{"name":"` + decode.Origin + `","sw":"1.2.3"},"cmps":{"a":{"p":"sensor","uniq_id":"a","stat_t":"estate/v1/oak/health"}}}`
	r := d.Decode(decode.Message{Topic: "homeassistant/device/estate/config", Payload: []byte(own), Arrival: time.Now()})
	if r.Configures || r.Nothing == "" || len(r.Changed) > 0 {
		t.Errorf("our own announcement: %+v", r)
	}
}
