package decode_test

import (
	"fmt"
	"strings"
	"testing"

	"estate/edge/internal/decode"
)

const (
	heat   = `homeassistant/sensor/h/config {"stat_t":"h/s","uniq_id":"h1","unit_of_meas":"W","dev":{"ids":"h"}}`
	sensor = `{"stat_t":"a/s","uniq_id":"a1","dev":{"ids":"a"}`
)

// TestAvailability: whether a device is there is known when its sources said so, and stays known.
func TestAvailability(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"AllIsOpenUntilEachWasHeard", `
homeassistant/sensor/a/config ` + sensor + `,"avty_mode":"all","avty":[{"t":"hub/up"},{"t":"a/up"}]}
hub/up online
a/up online
hub/up offline`, "hass:a availability=true\nhass:a availability=false"},
		{"AllIsAwayWhereOneIs", `
homeassistant/sensor/a/config ` + sensor + `,"avty_mode":"all","avty":[{"t":"hub/up"},{"t":"a/up"}]}
a/up offline`, "hass:a availability=false"},
		{"AnyIsThereWhereOneIs", `
homeassistant/sensor/a/config ` + sensor + `,"avty_mode":"any","avty":[{"t":"lan/up"},{"t":"lte/up"}]}
lan/up offline
lte/up online
lan/up online
lte/up offline
lan/up offline`, "hass:a availability=true\nhass:a availability=true\nhass:a availability=true\nhass:a availability=false"},
		{"LatestIsTheDefault", `
homeassistant/sensor/a/config ` + sensor + `,"avty":[{"t":"lan/up"},{"t":"lte/up"}]}
lan/up online
lte/up offline
lan/up online`, "hass:a availability=true\nhass:a availability=false\nhass:a availability=true"},
		{"AnnouncedAgain", `
homeassistant/sensor/a/config ` + sensor + `,"avty_mode":"all","avty":[{"t":"hub/up"},{"t":"a/up"}]}
hub/up online
a/up online
homeassistant/sensor/a/config ` + sensor + `,"avty_mode":"all","avty":[{"t":"hub/up"},{"t":"a/up"}]}
a/up online`, "hass:a availability=true\nhass:a availability=true"},
		{"ASourceThatNeedsMappingIsLeftOut", `
homeassistant/sensor/a/config ` + sensor + `,"avty_mode":"all","avty":[{"t":"hub/up","val_tpl":"{{ states('x') }}"},{"t":"a/up"}]}
a/up online`, "? template: line 1, column 10: the function \"states\" is not supported\nhass:a availability=true"},
		{"TheGatewaysOwnIsReadByItsRules", `
homeassistant/sensor/a/config ` + sensor + `,"avty_mode":"all","avty":[{"t":"zigbee2mqtt/bridge/state"},{"t":"a/up"}]}
a/up online`, "hass:a availability=true"},
		{"TemplatesAndPayloads", `
homeassistant/sensor/a/config ` + sensor + `,"avty_t":"a/st","avty_tpl":"{{ value_json.up }}","pl_avail":"True","pl_not_avail":"False"}
a/st {"up":true}
a/st {"up":false}
a/st {"other":1}`, "hass:a availability=true\nhass:a availability=false"},
		{"OfTheComponentBeforeTheDevices", `
homeassistant/device/d/config {"dev":{"ids":"d"},"o":{"name":"x"},"avty":[{"t":"hub/up"}],"cmps":{"a":{"p":"sensor","uniq_id":"a","stat_t":"a/s","avty_t":"a/up","pl_avail":"1","pl_not_avail":"0"}}}
hub/up offline
a/up 1`, "? no device convention uses this topic\nhass:d availability=true"},
		{"BeforeTheAnnouncement", `
=a/up online
=a/s 21
homeassistant/sensor/a/config ` + sensor + `,"avty_t":"a/up"}`, "? no device convention uses this topic\n? no device convention uses this topic\nhass:a a1=21\nhass:a availability=true"},
		{"ClearedBeforeTheAnnouncement", `
=a/up online
a/up
homeassistant/sensor/a/config ` + sensor + `,"avty_t":"a/up"}`, "? no device convention uses this topic"},
		{"ESPHomeBeforeItsAnnouncement", `
cellar/status online
cellar/sensor/t/state 12.5
homeassistant/sensor/cellar/t/config {"stat_t":"cellar/sensor/t/state","avty_t":"cellar/status","uniq_id":"ESPt","unit_of_meas":"°C","dev_cla":"temperature","dev":{"ids":"0123456789ab","name":"cellar"}}
cellar/text_sensor/ip/state 10.0.0.7`, "esphome:topic:cellar availability=true\nesphome:topic:cellar sensor.t=12.5\nmac:0123456789ab ESPt=12.5\nmac:0123456789ab availability=true\nmac:0123456789ab text_sensor.ip=10.0.0.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := moves(t, c.lines); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestHandedOver: an entity that goes over to the other form of discovery, and back, is one entity
// all the time.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	const device = `homeassistant/device/h/config {"dev":{"ids":"h"},"o":{"name":"x"},"cmps":{"p":{"p":"sensor","stat_t":"h/s","uniq_id":"h1","unit_of_meas":"W"}}}`
	for _, c := range []struct{ name, lines, want string }{
		{"ToTheDeviceForm", heat + `
h/s 1
homeassistant/sensor/h/config {"migrate_discovery": true}
h/s 2
` + device + `
h/s 3
homeassistant/sensor/h/config
h/s 4
restart
h/s 5`, "1 2 3 4 5"},
		{"AndBack", device + `
h/s 1
homeassistant/device/h/config {"migr_discvry": true}
h/s 2
` + heat + `
h/s 3
homeassistant/device/h/config
h/s 4
restart
h/s 5`, "1 2 3 4 5"},
		{"TakenBackInstead", heat + `
homeassistant/sensor/h/config {"migrate_discovery": true}
homeassistant/sensor/h/config
h/s 2`, "- ?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for line := range strings.Lines(moves(t, c.lines)) {
				switch line = strings.TrimSpace(line); {
				case strings.HasPrefix(line, "hass:h h1="):
					got = append(got, strings.TrimPrefix(line, "hass:h h1="))
				default:
					got = append(got, line[:1])
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	d := decode.New(decode.Config{Building: "oak"})
	talk(d, heat+"\nhomeassistant/sensor/h/config {\"migrate_discovery\":true}\n"+device)
	if dev, _ := d.Device("hass:h"); dev == nil || len(dev.Entities) != 1 || dev.Entities["h1"].Unit != "W" {
		t.Errorf("%+v", dev)
	}
}

// TestAnnouncedForms: what components tell, each in its own way. A line of want is what a message
// on the topic x/s gives.
func TestAnnouncedForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, component, config, payloads, want string }{
		{"ValvePosition", "valve", `"reports_position":true`, `50|opening|{"state":"closing","position":20}|{"state":"closing"}|ajar`,
			`x=50%|x.state=opening|x=20% x.state=closing|x.state=closing|? x`},
		{"ValveScale", "valve", `"pos":true,"pos_clsd":255,"pos_open":0`, `255|0|51`, `x=0%|x=100%|x=80%`},
		{"ValveWords", "valve", `"state_open":"auf"`, `auf|{"state":"auf"}|{"position":3}`, `x=open|x=open|`},
		{"Siren", "siren", ``, `ON|{"state":"OFF","tone":"fire"}|{"tone":"fire"}`, `x=true|x=false|`},
		{"Vacuum", "vacuum", ``, `{"state":"docked","battery_level":61,"fan_speed":"off"}`, `x=docked x.battery_level=61%`},
		{"Tracker", "device_tracker", `"pl_home":"in","pl_not_home":"out"`, `in|out|cellar`, `x=home|x=not_home|x=cellar`},
		{"Latin1", "sensor", `"e":"latin-1"`, "K\xfcche", "x=Küche"},
		{"NoText", "sensor", ``, "K\xfcche", "? x"},
		{"Bytes", "sensor", `"e":""`, "12|\xff", "x=12|? x"},
		{"AnotherEncoding", "sensor", `"e":"utf-16"`, "12", ""},
		{"Ordinal", "sensor", `"dev_cla":"temperature","unit_of_meas":"ºC"`, "21", "x=21°C"},
		{"OneSign", "sensor", `"dev_cla":"temperature","unit_of_meas":"℃"`, "21", "x=21°C"},
		{"ALetter", "sensor", `"dev_cla":"temperature","unit_of_meas":"F"`, "70", "x=70°F"},
		{"ALetterOfSomethingElse", "sensor", `"unit_of_meas":"F"`, "70", "x=70F"},
		{"GreekMu", "sensor", `"dev_cla":"pm25","unit_of_meas":"μg/m³"`, "7", "x=7µg/m³"},
		{"Micro", "sensor", `"dev_cla":"pm25","unit_of_meas":"ug/m3"`, "7", "x=7µg/m³"},
		{"Datetime", "sensor", `"dev_cla":"timestamp"`, "2026-03-01T12:00:00+00:00", "x=2026-03-01T12:00:00+00:00"},
		{"NotEnabled", "sensor", `"en":false`, "7", "x=7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := decode.New(decode.Config{Building: "oak"})
			if c.config != "" {
				c.config = "," + c.config
			}
			r := d.Decode(msg("homeassistant/"+c.component+"/x/config", `{"stat_t":"x/s","uniq_id":"x","dev":{"ids":"x"}`+c.config+`}`))
			if len(r.Unrecognised) > 0 && c.name != "AnotherEncoding" {
				t.Fatalf("%+v", r.Unrecognised)
			}
			var lines []string
			for payload := range strings.SplitSeq(c.payloads, "|") {
				var line []string
				r := d.Decode(msg("x/s", payload))
				for _, o := range r.Observations {
					line = append(line, fmt.Sprintf("%s=%s%s", o.Key, o.Value, o.Unit))
				}
				for _, u := range r.Unrecognised {
					line = append(line, "? "+u.Key)
				}
				lines = append(lines, strings.Join(line, " "))
			}
			if got := strings.Join(lines, "|"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestBeside: topics that were announced and give no values are no strangers, and of attributes
// what says what it is is taken.
func TestBeside(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	got := talk(d, `
homeassistant/camera/door/config {"topic":"door/picture","uniq_id":"c","dev":{"ids":"door"}}
homeassistant/image/door/config {"image_topic":"door/image","uniq_id":"i","dev":{"ids":"door"}}
homeassistant/sensor/door/config {"stat_t":"door/s","json_attr_t":"door/more","lrst_t":"door/reset","uniq_id":"s","dev":{"ids":"door"}}
door/picture JFIF
door/image JFIF
door/reset 2026-03-01T00:00:00Z
door/more {"battery":71,"linkquality":120,"ssid":"x"}
door/more {"ssid":"x"}
door/more 7
homeassistant/camera/door/config
door/picture JFIF`)
	want := `(a picture)
(a picture)
(when a counter was set back)
hass:door s.battery=71%
hass:door s.linkquality=120lqi
(more of an announced value, none of it a measurement)
? s: attributes: payload is not a JSON object
? : no device convention uses this topic`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestHeldIsBounded: what is held of unknown topics takes no more than its bounds.
func TestHeldIsBounded(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	for i := range 3000 {
		d.Decode(msg(fmt.Sprintf("nobody/%d/s", i), "1"))
	}
	for i, want := range map[int]int{0: 0, 999: 0, 1000: 1, 2999: 1} {
		r := d.Decode(msg(fmt.Sprintf("homeassistant/sensor/n%d/config", i), fmt.Sprintf(`{"stat_t":"nobody/%d/s","uniq_id":"n%d","dev":{"ids":"n%d"}}`, i, i, i)))
		if len(r.Observations) != want || want == 1 && !r.Observations[0].Retained {
			t.Errorf("topic %d: %+v, want %d", i, r.Observations, want)
		}
	}
}

// TestGatewayAnnouncesItself: a Zigbee2MQTT is one gateway, however it tells of itself.
func TestGatewayAnnouncesItself(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	talk(d, `homeassistant/binary_sensor/1221051039810110150109113116116_0x00124b00120144ae/connection_state/config {"stat_t":"zigbee2mqtt/bridge/state","val_tpl":"{{ value_json.state }}","uniq_id":"b","dev":{"ids":["zigbee2mqtt_bridge_0x00124b00120144ae"],"name":"Zigbee2MQTT Bridge"}}
homeassistant/button/1221051039810110150109113116116_0x00124b00120144ae/restart/config {"cmd_t":"zigbee2mqtt/bridge/request/restart","uniq_id":"c","dev":{"ids":["zigbee2mqtt_bridge_0x00124b00120144ae"]}}
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b00120144ae","type":"Coordinator","friendly_name":"Coordinator"}]`)
	if got := d.Devices(); len(got) != 1 || got[0] != "z2m:bridge:zigbee2mqtt" {
		t.Errorf("%v", got)
	}
}

// TestNumberedDevices: only a Shelly's identifier ends in its address. Devices that others number,
// and what one machine makes identifiers for, are each their own.
func TestNumberedDevices(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	for i, id := range []string{"solar-000000000001", "wind-000000000001", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b811-9dad-11d1-80b4-00c04fd430c8", "shellyplus1-00c04fd430c8", "00:C0:4F:D4:30:C9"} {
		d.Decode(msg(fmt.Sprintf("homeassistant/sensor/n%d/config", i), fmt.Sprintf(`{"stat_t":"n/%d","uniq_id":"n%d","dev":{"ids":["%s"]}}`, i, i, id)))
	}
	want := "hass:6ba7b810-9dad-11d1-80b4-00c04fd430c8 hass:6ba7b811-9dad-11d1-80b4-00c04fd430c8 hass:solar-000000000001 hass:wind-000000000001 mac:00c04fd430c8 mac:00c04fd430c9"
	if got := strings.Join(d.Devices(), " "); got != want {
		t.Errorf("%s", got)
	}
}
