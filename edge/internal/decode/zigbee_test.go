package decode_test

import (
	"strings"
	"testing"

	"estate/edge/internal/decode"
)

// What Zigbee2MQTT tells of devices that no list names is read by its words, and by what is told
// beside it.
func TestZigbeeGuesses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"VoltageOfBatteriesAndOfTheMains", `
zigbee2mqtt/a {"battery":100,"voltage":3015}
zigbee2mqtt/b {"power":3.5,"voltage":231}
zigbee2mqtt/c {"voltage":12}
zigbee2mqtt/d {"voltage_phase_b":231,"current_phase_b":2,"power_phase_b":460,"energy_l2":4}`, `
z2m:name:zigbee2mqtt/a battery=100%
z2m:name:zigbee2mqtt/a voltage=3015mV
z2m:name:zigbee2mqtt/b power=3.5W
z2m:name:zigbee2mqtt/b voltage=231V
z2m:name:zigbee2mqtt/c voltage=12
z2m:name:zigbee2mqtt/d current_phase_b=2A
z2m:name:zigbee2mqtt/d energy_l2=4kWh
z2m:name:zigbee2mqtt/d power_phase_b=460W
z2m:name:zigbee2mqtt/d voltage_phase_b=231V`},
		{"RawLight", `
zigbee2mqtt/a {"illuminance":21336,"illuminance_lux":136}
zigbee2mqtt/a {"illuminance":21,"illuminance_lux":21}`, `
z2m:name:zigbee2mqtt/a illuminance=21336
z2m:name:zigbee2mqtt/a illuminance_lux=136lx
z2m:name:zigbee2mqtt/a illuminance=21lx
z2m:name:zigbee2mqtt/a illuminance_lux=21lx`},
		{"WhatIsNotKnownIsNoValue", `
zigbee2mqtt/a {"state":null,"update":{"state":null,"installed_version":-1,"latest_version":-1}}
zigbee2mqtt/a {"update":{"state":"available","installed_version":16777233,"latest_version":16777242},"color_temp":370}
zigbee2mqtt/a {"tilt":true,"vibration":true}`, `
(no value that the device knows)
z2m:name:zigbee2mqtt/a color_temp=370mired
z2m:name:zigbee2mqtt/a update.installed_version=1.6777233e+07
z2m:name:zigbee2mqtt/a update.latest_version=1.6777242e+07
z2m:name:zigbee2mqtt/a update.state=available
z2m:name:zigbee2mqtt/a tilt=true
z2m:name:zigbee2mqtt/a vibration=true`},
		{"AttributesOnTopicsOfTheirOwn", `
zigbee2mqtt/bulb {"state":"ON"}
zigbee2mqtt/bulb/state OFF
zigbee2mqtt/bulb/brightness 50
zigbee2mqtt/bulb/color 100,50,10
zigbee2mqtt/bulb/dummy-1 yes
zigbee2mqtt/bulb/test1
zigbee2mqtt/attic/window/contact false`, `
z2m:name:zigbee2mqtt/bulb state=true
z2m:name:zigbee2mqtt/bulb state=false
z2m:name:zigbee2mqtt/bulb brightness=50
z2m:name:zigbee2mqtt/bulb color=100,50,10
z2m:name:zigbee2mqtt/bulb dummy-1=yes
(an empty message: what the broker kept of the topic is cleared)
z2m:name:zigbee2mqtt/attic/window contact=false`},
		{"HardwareToldWithEachMessage", `
zigbee2mqtt/bulb {"state":"ON","device":{"friendlyName":"bulb","model":"LED1545G12","ieeeAddr":"0x000B57FFFEC6A5B2","powerSource":"Mains (single phase)"}}
zigbee2mqtt/bulb/availability {"state":"offline"}`, `
z2m:0x000b57fffec6a5b2 state=true
z2m:0x000b57fffec6a5b2 availability=false`},
		{"GroupsByNumber", `
zigbee2mqtt/bridge/groups [{"id":901,"friendly_name":"all"}]
zigbee2mqtt/901/availability online`, `(what a group of devices is told; they tell it themselves)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := decode.New(decode.Config{Building: "oak"})
			if got, want := talk(d, c.lines), strings.TrimSpace(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Covers and locks tell their state in words of their own; several sensors in one device are
// what one would be.
func TestZigbeeKinds(t *testing.T) {
	t.Parallel()
	list := `[{"ieee_address":"0x00158d0000000009","friendly_name":"x","definition":{"model":"m","vendor":"v","exposes":[
		{"type":"cover","features":[{"type":"enum","name":"state","property":"state_l1","access":3}]},
		{"type":"lock","features":[{"type":"binary","name":"state","property":"state","access":3,"value_on":"LOCK","value_off":"UNLOCK"}]},
		{"type":"numeric","property":"illuminance"},{"type":"numeric","property":"temperature_l2","unit":"°C"},{"type":"binary","property":"water_leak_2","value_on":true,"value_off":false}]}}]`
	for line, want := range map[string]decode.Kind{
		`zigbee2mqtt/x {"state_l1":"OPEN"}`:   decode.Cover,
		`zigbee2mqtt/x {"state":"LOCK"}`:      decode.Lock,
		`zigbee2mqtt/x {"illuminance":12000}`: decode.Other,
		`zigbee2mqtt/x {"temperature_l2":21}`: decode.Temperature,
		`zigbee2mqtt/x {"water_leak_2":true}`: decode.Leak,
		`zigbee2mqtt/y {"state":"CLOSE"}`:     decode.Cover,
		`zigbee2mqtt/y {"state":"UNLOCK"}`:    decode.Lock,
		`zigbee2mqtt/y {"state_left":"ON"}`:   decode.Switched,
		`zigbee2mqtt/y {"water_leak_1":true}`: decode.Leak,
		`zigbee2mqtt/y {"motion":true}`:       decode.Motion,
	} {
		d := decode.New(decode.Config{Building: "oak"})
		d.Seed([]decode.Message{msg("zigbee2mqtt/bridge/devices", list)})
		topic, payload, _ := strings.Cut(line, " ")
		r := d.Decode(msg(topic, payload))
		if len(r.Observations) != 1 || r.Observations[0].Kind != want {
			t.Errorf("%s: %+v, wanted %s", line, r.Observations, want)
		}
	}
}
