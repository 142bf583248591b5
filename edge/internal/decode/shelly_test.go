package decode_test

import (
	"strings"
	"testing"

	"estate/edge/internal/decode"
)

// What Shelly's second generation tells becomes the right values of the right devices: those
// behind a gateway are devices of their own.
func TestShelly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"ErrorsComeAndGo", `
shellypro4pm-aabbccddeeff/events/rpc {"src":"shellypro4pm-aabbccddeeff","method":"NotifyStatus","params":{"switch:0":{"id":0,"errors":["overtemp"]}}}
shellypro4pm-aabbccddeeff/status/switch:0 {"id":0,"output":false,"errors":["overpower"]}
shellypro4pm-aabbccddeeff/status/switch:1 {"id":1,"output":true}`, `
mac:aabbccddeeff switch:0.errors.overtemp=true
mac:aabbccddeeff switch:0.errors.overpower=true
mac:aabbccddeeff switch:0.output=false
mac:aabbccddeeff switch:0.errors.overtemp=false
mac:aabbccddeeff switch:1.output=true`},
		{"EventsOfTheFirmwareAreNone", `
shellyplusi4-a8032ab0c018/events/rpc {"src":"shellyplusi4-a8032ab0c018","method":"NotifyEvent","params":{"ts":1.5,"events":[{"component":"input:0","id":0,"event":"config_changed","cfg_rev":35}]}}
shellyplusi4-a8032ab0c018/events/rpc {"src":"shellyplusi4-a8032ab0c018","method":"NotifyEvent","params":{"ts":1.5,"events":[{"component":"input:2","id":2,"event":"btn_up"}]}}
other_1/rpc {"id":0,"src":"shellyplusi4-a8032ab0c018","dst":"other_1","result":{}}`, `
(what the firmware tells of itself)
mac:a8032ab0c018 input:2.event=btn_up
(an answer to what another asked a device)`},
		{"DevicesBehindAGateway", `
homeassistant/sensor/g-112233445566-200-battery/config {"~":"shellyplugusg4-aabbccddeeff/","stat_t":"~status/bthomedevice:200","val_tpl":"{{value_json.battery}}","dev_cla":"battery","unit_of_meas":"%","uniq_id":"b","dev":{"cns":[["bluetooth","11:22:33:44:55:66"]],"ids":["11:22:33:44:55:66"],"name":"Terrace","via_device":"aa:bb:cc:dd:ee:ff"}}
homeassistant/sensor/g-112233445566-206-temperature/config {"~":"shellyplugusg4-aabbccddeeff/","stat_t":"~status/bthomesensor:206","val_tpl":"{{value_json.value}}","dev_cla":"temperature","unit_of_meas":"°C","uniq_id":"t","dev":{"ids":["11:22:33:44:55:66"]}}
homeassistant/device_automation/g/single_push/config {"atype":"trigger","pl":"bthomedevice:200_0_single_push","t":"shellyplugusg4-aabbccddeeff/events/rpc","type":"button_short_press","stype":"button_1","val_tpl":"{{value_json.params.events.0.component}}_{{value_json.params.events.0.idx}}_{{value_json.params.events.0.event}}","dev":{"ids":["11:22:33:44:55:66"]}}
shellyplugusg4-aabbccddeeff/status/bthomedevice:200 {"id":200,"rssi":-51,"battery":97,"packet_id":4,"last_updated_ts":1706593991}
shellyplugusg4-aabbccddeeff/events/rpc {"src":"shellyplugusg4-aabbccddeeff","method":"NotifyStatus","params":{"bthomesensor:206":{"id":206,"value":17.8},"switch:0":{"id":0,"output":true}}}
shellyplugusg4-aabbccddeeff/events/rpc {"src":"shellyplugusg4-aabbccddeeff","method":"NotifyEvent","params":{"events":[{"component":"bthomedevice:200","idx":0,"event":"single_push"}]}}`, `
mac:112233445566 bthomedevice:200.battery=97%
mac:112233445566 bthomedevice:200.rssi=-51dBm
mac:112233445566 bthomesensor:206.value=17.8°C
mac:aabbccddeeff switch:0.output=true
mac:112233445566 bthomedevice:200.event=single_push`},
		{"APrefixOfOnesOwnIsAnnounced", `
homeassistant/sensor/x-power/config {"~":"home/kitchen/","stat_t":"~status/switch:0","val_tpl":"{{value_json.apower}}","dev_cla":"power","unit_of_meas":"W","uniq_id":"p","dev":{"cns":[["mac","aa:bb:cc:dd:ee:ff"]]}}
home/kitchen/status/switch:0 {"id":0,"apower":3.5}`, `mac:aabbccddeeff switch:0.apower=3.5W`},
		{"TasmotaAnnouncedByDiscovery", `
homeassistant/sensor/A1B2C3_DHT/config {"name":"T","stat_t":"tele/cellar/SENSOR","val_tpl":"{{value_json['DHT11'].Temperature}}","unit_of_meas":"°C","dev_cla":"temperature","avty_t":"tele/cellar/LWT","pl_avail":"Online","pl_not_avail":"Offline","uniq_id":"A1B2C3_T","dev":{"ids":["A1B2C3"],"name":"Cellar"}}
tele/cellar/SENSOR {"DHT11":{"Temperature":20.5}}
tele/cellar/LWT Offline`, `
hass:A1B2C3 DHT11.Temperature=20.5°C
hass:A1B2C3 availability=false`},
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

// A meter's own temperature is not the room's, the maker's cloud is no connection of ours, and
// what can be set is no measurement.
func TestShellyKinds(t *testing.T) {
	t.Parallel()
	number := `homeassistant/number/n/config {"cmd_t":"n/set","stat_t":"n/s","dev_cla":"temperature","unit_of_meas":"°C","min":5,"max":30,"uniq_id":"n1","dev":{"ids":["n"]}}`
	for line, want := range map[string]decode.Kind{
		`shellypro3em-aabbccddeeff/status/temperature:0 {"id":0,"tC":46.6}`:                                      decode.DeviceTemperature,
		`shellyplusht-aabbccddeeff/status/temperature:0 {"id":0,"tC":21.6}`:                                      decode.Temperature,
		`shellypro3em-aabbccddeeff/status/temperature:100 {"id":100,"tC":21.6}`:                                  decode.Temperature,
		`shellyplusht-aabbccddeeff/status/cloud {"connected":false}`:                                             decode.Other,
		`shellyplusht-aabbccddeeff/status/sys {"available_updates":{"stable":{"version":"1.1.0"}},"ram_free":1}`: decode.Update,
		`shellyfloodg4-aabbccddeeff/status/flood:0 {"id":0,"alarm":true}`:                                        decode.Leak,
		`n/s 21`: decode.Setpoint,
	} {
		d := decode.New(decode.Config{Building: "oak"})
		talk(d, number)
		topic, payload, _ := strings.Cut(line, " ")
		r := d.Decode(msg(topic, payload))
		if len(r.Observations) != 1 || r.Observations[0].Kind != want {
			t.Errorf("%s: %+v, wanted %s", line, r.Observations, want)
		}
	}
}

// Which device speaks under a prefix that a person chose is remembered over a restart.
func TestShellyRemembers(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	r := d.Decode(msg("home/t/events/rpc", `{"src":"shellyplus1-441793a5d2fc","method":"NotifyStatus","params":{"switch:0":{"id":0,"output":true}}}`))
	again := decode.New(decode.Config{Building: "oak"})
	again.Seed(r.Remember)
	if got := talk(again, `home/t/status/switch:0 {"id":0,"output":true}`); got != "mac:441793a5d2fc switch:0.output=true" {
		t.Errorf("%s, remembered %+v", got, r.Remember)
	}
}

// TestShelly1Overpower: a relay that switched itself off says so once; that it is well again shows in
// that it says what it is.
func TestShelly1Overpower(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	got := talk(d, `shellies/shelly1-AABBCC/relay/0 on
shellies/shelly1-AABBCC/relay/0 overpower
shellies/shelly1-AABBCC/relay/0 on`)
	if want := `shelly:topic:shelly1-AABBCC relay.0=true
shelly:topic:shelly1-AABBCC relay.0.overpower=true
shelly:topic:shelly1-AABBCC relay.0=false
shelly:topic:shelly1-AABBCC relay.0.overpower=false
shelly:topic:shelly1-AABBCC relay.0=true`; got != want {
		t.Errorf("got\n%s", got)
	}
}
