package decode_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/decode"
)

// TestForms: forms of the conventions that no capture holds. A line is an observation as key,
// kind, value and unit.
func TestForms(t *testing.T) {
	t.Parallel()
	const motion = `{"motion":true,"timestamp":1614000000,"active":true,"vibration":false,"lux":34,"bat":98,"tmp":{"value":21.5,"units":"C","is_valid":true}}`
	for name, c := range map[string]struct {
		topic, payload string
		want           []string
	}{
		"Shelly1Outside":           {"shellies/shelly1-AABBCC/ext_temperature/0", "23.5", []string{"ext_temperature.0 temperature 23.5 °C"}},
		"Shelly1OutsideFahrenheit": {"shellies/shelly1-AABBCC/ext_temperature_f/0", "74.3", []string{"ext_temperature_f.0 temperature 74.3 °F"}},
		"Shelly1OutsideHumidity":   {"shellies/shelly1-AABBCC/ext_humidity/0", "45.5", []string{"ext_humidity.0 humidity 45.5 %"}},
		"Shelly1Gas":               {"shellies/shellygas-AABBCC/sensor/gas", "heavy", []string{"sensor.gas gas true "}},
		"Shelly1GasMild":           {"shellies/shellygas-AABBCC/sensor/gas", "mild", []string{"sensor.gas gas true "}},
		"Shelly1NoGas":             {"shellies/shellygas-AABBCC/sensor/gas", "none", []string{"sensor.gas gas false "}},
		"Shelly1GasUnknown":        {"shellies/shellygas-AABBCC/sensor/gas", "unknown", nil},
		"Shelly1Concentration":     {"shellies/shellygas-AABBCC/sensor/concentration", "120", []string{"sensor.concentration other 120 ppm"}},
		"Shelly1Motion": {"shellies/shellymotionsensor-AABBCC/status", motion,
			[]string{"bat battery 98 %", "lux illuminance 34 lx", "motion motion true ", "tmp.value temperature 21.5 °C", "vibration vibration false "}},
		"Shelly1Button":       {"shellies/shellyix3-AABBCC/input_event/0", `{"event":"S","event_cnt":2}`, []string{"input_event.0 event S "}},
		"ShellyAnalogue":      {"shellyplusuni-aabbccddeeff/status/input:2", `{"id":2,"percent":4.2}`, []string{"input:2.percent other 4.2 %"}},
		"ShellyBattery":       {"shellyht-aabbccddeeff/status/devicepower:0", `{"id":0,"battery":{"percent":83}}`, []string{"devicepower:0.battery.percent battery 83 %"}},
		"ShellyBluetooth":     {"shellyblugw-aabbccddeeff/status/bthomedevice:200", `{"id":200,"battery":7,"packet_id":3,"last_updated_ts":1700000000}`, []string{"bthomedevice:200.battery battery 7 %"}},
		"TasmotaState":        {"stat/a/STATUS11", `{"StatusSTS":{"POWER1":"ON","Wifi":{"RSSI":80,"Signal":-60}}}`, []string{"POWER1 switched true ", "Wifi.RSSI signal 80 %", "Wifi.Signal signal -60 dBm"}},
		"TasmotaSensors":      {"stat/a/STATUS8", `{"StatusSNS":{"DS18B20-1":{"Id":"01","Temperature":68},"TempUnit":"F"}}`, []string{"DS18B20-1.Temperature temperature 68 °F"}},
		"ZigbeeUpdate":        {"zigbee2mqtt/plug", `{"update":{"state":"idle"}}`, []string{"update.state update idle "}},
		"Shelly1Target":       {"shellies/shellytrv-AABBCC/thermostat/0/target_t", "21.5", []string{"thermostat.0.target_t setpoint 21.5 °C"}},
		"Shelly1Returned":     {"shellies/shellyem-AABBCC/emeter/0/total_returned", "10", []string{"emeter.0.total_returned energy 10 Wh"}},
		"Shelly1Reactive":     {"shellies/shellyem-AABBCC/emeter/0/reactive_power", "2", []string{"emeter.0.reactive_power reactive_power 2 var"}},
		"Shelly1Overpower":    {"shellies/shelly1-AABBCC/relay/0", "overpower", []string{"relay.0 switched false ", "relay.0.overpower problem true "}},
		"Shelly1OverpowerAt":  {"shellies/shelly1-AABBCC/relay/0/overpower_value", "2300", []string{"relay.0.overpower_value other 2300 W"}},
		"Shelly1StopReason":   {"shellies/shellyswitch25-AABBCC/roller/0/stop_reason", "normal", []string{"roller.0.stop_reason other normal "}},
		"Shelly1Analogue":     {"shellies/shellyuni-AABBCC/adc/0", "1.23", []string{"adc.0 voltage 1.23 V"}},
		"Shelly1Outside1":     {"shellies/shelly1-AABBCC/ext_switch/0", "1", []string{"ext_switch.0 input true "}},
		"Shelly1White":        {"shellies/shellyrgbw2-AABBCC/white/0", "on", []string{"white.0 switched true "}},
		"Shelly1GasValve":     {"shellies/shellygas-AABBCC/valve/0/state", "closed", []string{"valve.0.state valve closed "}},
		"ShellyThermostat":    {"shellywd-aabbccddeeff/status/thermostat:0", `{"id":0,"enable":true,"target_C":22.5,"current_C":21.2,"output":true,"schedules":{"enable":false},"humidity":45}`, []string{"thermostat:0.current_C temperature 21.2 °C", "thermostat:0.enable other true ", "thermostat:0.humidity humidity 45 %", "thermostat:0.output switched true ", "thermostat:0.target_C setpoint 22.5 °C"}},
		"ShellyCoverMoves":    {"shellyp-aabbccddeeff/status/cover:0", `{"id":0,"state":"opening","target_pos":100,"move_started_at":1700000000.1}`, []string{"cover:0.state cover opening ", "cover:0.target_pos other 100 %"}},
		"ShellyRadiator":      {"shellyblugw-aabbccddeeff/status/blutrv:200", `{"id":200,"pos":40,"paired":true,"rpc":true}`, []string{"blutrv:200.pos position 40 %"}},
		"TasmotaDoor":         {"tele/zb/SENSOR", `{"ZbReceived":{"0x5FA7":{"Device":"0x5FA7","Contact":1,"Endpoint":1}}}`, []string{"Contact opening true "}},
		"TasmotaRadar":        {"tele/a/SENSOR", `{"LD2410":{"Distance":[1,2],"Energy":[10,20]}}`, []string{"LD2410.Distance.0 distance 1 cm", "LD2410.Distance.1 distance 2 cm", "LD2410.Energy.0 other 10 ", "LD2410.Energy.1 other 20 "}},
		"TasmotaWhite":        {"tele/a/SENSOR", `{"VEML7700":{"Illuminance":3,"White":20}}`, []string{"VEML7700.Illuminance illuminance 3 lx", "VEML7700.White other 20 "}},
		"TasmotaShutter":      {"stat/a/SHUTTER1", "40", []string{"SHUTTER1 position 40 %"}},
		"TasmotaHost":         {"tele/a/STATE", `{"POWER":"ON","Hostname":"x","IPAddress":"10.0.0.1"}`, []string{"POWER switched true "}},
		"ZigbeeShutterMoves":  {"zigbee2mqtt/blind", `{"moving":"UP","position":40}`, []string{"moving other UP ", "position position 40 %"}},
		"ZigbeeOutside":       {"zigbee2mqtt/trv", `{"external_temperature":21.5}`, []string{"external_temperature temperature 21.5 °C"}},
		"ESPHomeKnowsNothing": {"esp/sensor/t/state", "nan", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := decode.New(decode.Config{Building: "oak"})
			r := d.Decode(decode.Message{Topic: c.topic, Payload: []byte(c.payload), Arrival: time.Now()})
			var got []string
			for _, o := range r.Observations {
				got = append(got, fmt.Sprintf("%s %s %s %s", o.Key, o.Kind, o.Value, o.Unit))
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) || len(r.Unrecognised) > 0 && len(c.want) > 0 {
				t.Errorf("got %s, want %s; %+v", strings.Join(got, "|"), strings.Join(c.want, "|"), r.Unrecognised)
			}
		})
	}
}

// TestZigbeeGroups: what a group says its devices say themselves. It is no device.
func TestZigbeeGroups(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	say := func(topic, payload string) decode.Result {
		return d.Decode(decode.Message{Topic: "zigbee2mqtt/" + topic, Payload: []byte(payload), Arrival: time.Now()})
	}
	if r := say("bridge/groups", `[{"id":1,"friendly_name":"stairs/lights","members":[]},{"id":2,"friendly_name":""}]`); !r.Configures {
		t.Errorf("the list of groups: %+v", r)
	}
	for _, topic := range []string{"stairs/lights", "stairs/lights/availability"} {
		if r := say(topic, `{"state":"ON"}`); r.Nothing == "" || len(r.Observations) > 0 {
			t.Errorf("%s: %+v", topic, r)
		}
	}
	if r := say("stairs", `{"state":"ON"}`); len(r.Observations) != 1 {
		t.Errorf("a device beside the group: %+v", r)
	}
	say("bridge/groups", `[]`)
	if r := say("stairs/lights", `{"state":"ON"}`); len(r.Observations) != 1 {
		t.Errorf("a group that is gone is still one: %+v", r)
	}
	if r := say("bridge/groups", `{`); r.Configures || len(r.Unrecognised) != 1 {
		t.Errorf("a broken list: %+v", r)
	}
}
