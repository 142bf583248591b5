package decode_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/decode"
)

// TestControls: what each dialect's devices can be told, in their own words.
func TestControls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, hardware, want string }{
		{"Zigbee2MQTT", `
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b0001020304","friendly_name":"cellar/plug","definition":{"model":"p","vendor":"v","description":"Smart plug","exposes":[{"type":"switch","features":[{"type":"binary","property":"state_l1","access":7,"value_on":"ON","value_off":"OFF","value_toggle":"TOGGLE"}]},{"type":"switch","features":[{"type":"binary","property":"state_l2","access":1,"value_on":"ON","value_off":"OFF"}]}]}}]
zigbee2mqtt/cellar/plug {"state_l1":"OFF","state_l2":"ON"}`, "z2m:0x00124b0001020304", `
state_l1 switched off
  on: zigbee2mqtt/cellar/plug/set {"state_l1":"ON"} q0
  off: zigbee2mqtt/cellar/plug/set {"state_l1":"OFF"} q0`},
		{"Zigbee2MQTTValve", `
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b0001020304","friendly_name":"main","definition":{"model":"p","vendor":"v","description":"Water valve controller","exposes":[{"type":"switch","features":[{"type":"binary","property":"state","access":7,"value_on":"ON","value_off":"OFF"}]}]}}]
zigbee2mqtt/main {"state":"ON"}`, "z2m:0x00124b0001020304", `
state valve open
  open: zigbee2mqtt/main/set {"state":"ON"} q0
  closed: zigbee2mqtt/main/set {"state":"OFF"} q0`},
		{"Zigbee2MQTTRadiatorIsNoWaterValve", `
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b0001020304","friendly_name":"r","definition":{"description":"Thermostatic radiator valve","exposes":[{"type":"switch","features":[{"type":"binary","property":"state","access":7,"value_on":true,"value_off":false}]}]}}]`, "z2m:0x00124b0001020304", `
state switched
  on: zigbee2mqtt/r/set {"state":true} q0
  off: zigbee2mqtt/r/set {"state":false} q0`},
		{"Zigbee2MQTTLock", `
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b0001020304","friendly_name":"door","definition":{"exposes":[{"type":"lock","features":[{"type":"binary","property":"state","access":7,"value_on":"LOCK","value_off":"UNLOCK"}]}]}}]
zigbee2mqtt/door {"state":"LOCK"}`, "z2m:0x00124b0001020304", `
state lock locked
  locked: zigbee2mqtt/door/set {"state":"LOCK"} q0
  unlocked: zigbee2mqtt/door/set {"state":"UNLOCK"} q0`},
		{"Tasmota", `
tasmota/discovery/0123456789AB/config {"dn":"Pump","fn":["Well",null],"t":"pump","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1,2,0],"ver":1}
stat/pump/RESULT {"POWER":"ON"}`, "mac:0123456789ab", `
POWER switched on "Well"
  on: cmnd/pump/POWER ON q0
  off: cmnd/pump/POWER OFF q0`},
		{"TasmotaOfSeveral", `
tasmota/discovery/0123456789AB/config {"dn":"Pumps","fn":["A","B"],"t":"pumps","ft":"house/%topic%/%prefix%/","tp":["do","stat","tele"],"rl":[1,1],"ver":1}`, "mac:0123456789ab", `
POWER1 switched "A"
  on: house/pumps/do/POWER1 ON q0
  off: house/pumps/do/POWER1 OFF q0
POWER2 switched "B"
  on: house/pumps/do/POWER2 ON q0
  off: house/pumps/do/POWER2 OFF q0`},
		{"Shelly1", `
shellies/shelly1-0123456789ab/relay/0 off`, "mac:0123456789ab", `
relay.0 switched off
  on: shellies/shelly1-0123456789ab/relay/0/command on q0
  off: shellies/shelly1-0123456789ab/relay/0/command off q0`},
		{"Shelly2", `
shellyplus1-0123456789ab/status/switch:0 {"id":0,"source":"init","output":true,"temperature":{"tC":40}}
shelly2pm-0123456789ab/events/rpc {"src":"shelly2pm-0123456789ab","method":"NotifyStatus","params":{"ts":1,"cover:1":{"id":1,"state":"closing"}}}`, "mac:0123456789ab", `
cover:1.state cover closing
  open: shelly2pm-0123456789ab/rpc {"id":222752054364699,"method":"Cover.Open","params":{"id":1},"src":"shelly2pm-0123456789ab/estate"} q0 #222752054364699
  closed: shelly2pm-0123456789ab/rpc {"id":222752054364699,"method":"Cover.Close","params":{"id":1},"src":"shelly2pm-0123456789ab/estate"} q0 #222752054364699
  stopped: shelly2pm-0123456789ab/rpc {"id":222752054364699,"method":"Cover.Stop","params":{"id":1},"src":"shelly2pm-0123456789ab/estate"} q0 #222752054364699
switch:0.output switched on
  on: shelly2pm-0123456789ab/rpc {"id":222752054364699,"method":"Switch.Set","params":{"id":0,"on":true},"src":"shelly2pm-0123456789ab/estate"} q0 #222752054364699
  off: shelly2pm-0123456789ab/rpc {"id":222752054364699,"method":"Switch.Set","params":{"id":0,"on":false},"src":"shelly2pm-0123456789ab/estate"} q0 #222752054364699`},
		{"ESPHome", `
boiler/switch/pump/state ON
boiler/valve/main/state closed
boiler/sensor/t/state 21`, "esphome:topic:boiler", `
switch.pump switched on
  on: boiler/switch/pump/command ON q0
  off: boiler/switch/pump/command OFF q0
valve.main valve closed
  open: boiler/valve/main/command OPEN q0
  closed: boiler/valve/main/command CLOSE q0`},
		{"Announced", `
homeassistant/device/d1/config {"dev":{"ids":"d1"},"o":{"name":"x"},"cmps":{"v":{"p":"valve","name":"Main","uniq_id":"v","cmd_t":"d1/v/set","stat_t":"d1/v","retain":true,"qos":1},"s":{"p":"switch","uniq_id":"s","cmd_t":"d1/s/set","stat_t":"d1/s","pl_on":"1","pl_off":"0"},"n":{"p":"number","uniq_id":"n","cmd_t":"d1/n/set","cmd_tpl":"{\"t\":{{ value | int }}}","stat_t":"d1/n","min":5,"max":30},"m":{"p":"select","uniq_id":"m","cmd_t":"d1/m/set","stat_t":"d1/m","options":["eco","hot"]},"blind":{"p":"switch","uniq_id":"blind","cmd_t":"d1/b/set"},"cfg":{"p":"switch","uniq_id":"cfg","cmd_t":"d1/c/set","stat_t":"d1/c","ent_cat":"config"},"press":{"p":"button","uniq_id":"press","cmd_t":"d1/p/set"},"odd":{"p":"switch","uniq_id":"odd","cmd_t":"d1/o/set","stat_t":"d1/o","cmd_tpl":"{{ states('x') }}"}}}
d1/v closed
d1/s 1
d1/n 21
d1/m eco`, "hass:d1", `
m mode eco
  eco: d1/m/set eco q0
  hot: d1/m/set hot q0
n setpoint 21 5..30
  21: d1/n/set {"t":21} q0
s switched on
  on: d1/s/set 1 q0
  off: d1/s/set 0 q0
v valve closed "Main"
  open: d1/v/set OPEN q0
  closed: d1/v/set CLOSE q0`},
		{"Ours", `
estate/v1/oak/dev/cellar/announcement {"name":"Cellar","entities":{"valve":{"component":"valve","expire_after":900},"pump":{"component":"switch"},"set":{"component":"number","min":5,"max":30},"go":{"component":"button"},"bolt":{"component":"lock"}}}
estate/v1/oak/dev/cellar/state {"valve":"open","pump":false,"bolt":"locked"}`, "plain:oak/cellar", `
bolt lock locked
  locked: estate/v1/oak/dev/cellar/set {"id":"a","entity":"bolt","value":"lock","expires":1700000000000} q1 #a
  unlocked: estate/v1/oak/dev/cellar/set {"id":"a","entity":"bolt","value":"unlock","expires":1700000000000} q1 #a
pump switched off
  on: estate/v1/oak/dev/cellar/set {"id":"a","entity":"pump","value":true,"expires":1700000000000} q1 #a
  off: estate/v1/oak/dev/cellar/set {"id":"a","entity":"pump","value":false,"expires":1700000000000} q1 #a
set setpoint 5..30
  21: estate/v1/oak/dev/cellar/set {"id":"a","entity":"set","value":21,"expires":1700000000000} q1 #a
valve valve open 900s
  open: estate/v1/oak/dev/cellar/set {"id":"a","entity":"valve","value":"open","expires":1700000000000} q1 #a
  closed: estate/v1/oak/dev/cellar/set {"id":"a","entity":"valve","value":"close","expires":1700000000000} q1 #a
  stopped: estate/v1/oak/dev/cellar/set {"id":"a","entity":"valve","value":"stop","expires":1700000000000} q1 #a`},
		{"Zigbee2MQTTBlind", `
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b0001020304","friendly_name":"blind","definition":{"exposes":[{"type":"cover","features":[{"type":"enum","property":"state","access":3,"values":["OPEN","CLOSE","STOP"]},{"type":"numeric","property":"position","access":7,"value_min":0,"value_max":100}]}]}}]
zigbee2mqtt/blind {"state":"CLOSE","position":0}`, "z2m:0x00124b0001020304", `
position position 0 0..100
  21: zigbee2mqtt/blind/set {"position":21} q0
state cover closed
  open: zigbee2mqtt/blind/set {"state":"OPEN"} q0
  closed: zigbee2mqtt/blind/set {"state":"CLOSE"} q0
  stopped: zigbee2mqtt/blind/set {"state":"STOP"} q0`},
		{"Zigbee2MQTTThermostat", `
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b0001020304","friendly_name":"r","definition":{"description":"Thermostatic radiator valve","exposes":[{"type":"climate","features":[{"type":"numeric","property":"occupied_heating_setpoint","access":7,"value_min":5,"value_max":30,"value_step":0.5},{"type":"numeric","property":"local_temperature","access":5},{"type":"enum","property":"system_mode","access":7,"values":["off","auto",3,"heat"]},{"type":"enum","property":"running_state","access":5,"values":["idle","heat"]}]}]}}]
zigbee2mqtt/r {"occupied_heating_setpoint":20.5,"system_mode":"heat","local_temperature":19}`, "z2m:0x00124b0001020304", `
occupied_heating_setpoint setpoint 20.5 5..30
  21: zigbee2mqtt/r/set {"occupied_heating_setpoint":21} q0
system_mode mode heat
  off: zigbee2mqtt/r/set {"system_mode":"off"} q0
  auto: zigbee2mqtt/r/set {"system_mode":"auto"} q0
  heat: zigbee2mqtt/r/set {"system_mode":"heat"} q0`},
		{"Zigbee2MQTTOddBounds", `
zigbee2mqtt/bridge/devices [{"ieee_address":"0x00124b0001020304","friendly_name":"r","definition":{"exposes":[{"type":"climate","features":[{"type":"numeric","property":"occupied_heating_setpoint","access":7,"value_min":"low","value_max":{}},{"type":"enum","property":"system_mode","access":7,"values":{"a":1}}]}]}}]
zigbee2mqtt/r {"occupied_heating_setpoint":20.5}`, "z2m:0x00124b0001020304", ""},
		{"Shelly1Roller", `
shellies/shellyswitch25-0123456789ab/roller/0 stop
shellies/shellyswitch25-0123456789ab/roller/0/pos 40`, "mac:0123456789ab", `
roller.0 cover stopped
  open: shellies/shellyswitch25-0123456789ab/roller/0/command open q0
  closed: shellies/shellyswitch25-0123456789ab/roller/0/command close q0
  stopped: shellies/shellyswitch25-0123456789ab/roller/0/command stop q0
roller.0.pos position 40 0..100
  21: shellies/shellyswitch25-0123456789ab/roller/0/command/pos 21 q0`},
		{"Shelly1RollerThatDoesNotKnowWhereItIs", `
shellies/shellyswitch25-0123456789ab/roller/0/pos -1`, "mac:0123456789ab", `
roller.0.pos position 0..100
  21: shellies/shellyswitch25-0123456789ab/roller/0/command/pos 21 q0`},
		{"Shelly2Position", `
shellyplus2pm-0123456789ab/status/cover:0 {"id":0,"current_pos":64}`, "mac:0123456789ab", `
cover:0.current_pos position 64 0..100
  21: shellyplus2pm-0123456789ab/rpc {"id":222752054364699,"method":"Cover.GoToPosition","params":{"id":0,"pos":21},"src":"shellyplus2pm-0123456789ab/estate"} q0 #222752054364699`},
		{"AnnouncedClimate", `
homeassistant/climate/hall/config {"uniq_id":"hall","dev":{"ids":"d2"},"mode_stat_t":"d2/mode","mode_cmd_t":"d2/mode/set","modes":["off","heat"],"temp_stat_t":"d2/temp","temp_cmd_t":"d2/temp/set","temp_cmd_tpl":"{\"t\":{{ value }}}","min_temp":10,"max_temp":26,"curr_temp_t":"d2/now","fan_mode_cmd_t":"d2/fan/set","fan_mode_stat_t":"d2/fan"}
d2/mode heat
d2/temp 19.5
d2/now 18`, "hass:d2", `
hall.mode mode heat
  off: d2/mode/set off q0
  heat: d2/mode/set heat q0
hall.temperature setpoint 19.5 10..26
  21: d2/temp/set {"t":21} q0`},
		{"AnnouncedClimateThatTellsNoTarget", `
homeassistant/climate/hall/config {"uniq_id":"hall","dev":{"ids":"d2"},"temp_cmd_t":"d2/temp/set","curr_temp_t":"d2/now"}
d2/now 18`, "hass:d2", ""},
		{"AnnouncedCover", `
homeassistant/cover/awning/config {"uniq_id":"awning","dev":{"ids":"d3"},"stat_t":"d3/s","cmd_t":"d3/set","pos_t":"d3/p","set_pos_t":"d3/p/set","pos_clsd":0,"pos_open":50}
d3/s opening
d3/p 12`, "hass:d3", `
awning cover opening
  open: d3/set OPEN q0
  closed: d3/set CLOSE q0
  stopped: d3/set STOP q0
awning.position position 24 0..100
  21: d3/p/set 11 q0`},
		{"AnnouncedAgainUnderAnotherName", `
homeassistant/switch/boiler/pump/config {"uniq_id":"pump","stat_t":"boiler/s","cmd_t":"boiler/set","dev":{"cns":[["mac","0123456789ab"]]}}
boiler/s OFF
homeassistant/switch/cellar/pump/config {"uniq_id":"pump","stat_t":"cellar/s","cmd_t":"cellar/set","dev":{"cns":[["mac","0123456789ab"]]}}
cellar/s ON
=homeassistant/switch/boiler/pump/config {"uniq_id":"pump","stat_t":"boiler/s","cmd_t":"boiler/set","dev":{"cns":[["mac","0123456789ab"]]}}`, "mac:0123456789ab", `
pump switched on
  on: cellar/set ON q0
  off: cellar/set OFF q0`},
		{"AnnouncedTwiceAndHeardOnce", `
homeassistant/switch/cellar/pump/config {"uniq_id":"pump","stat_t":"cellar/s","cmd_t":"cellar/set","dev":{"cns":[["mac","0123456789ab"]]}}
homeassistant/switch/boiler/pump/config {"uniq_id":"pump","stat_t":"boiler/s","cmd_t":"boiler/set","dev":{"cns":[["mac","0123456789ab"]]}}
cellar/s ON`, "mac:0123456789ab", `
pump switched on
  on: cellar/set ON q0
  off: cellar/set OFF q0`},
		{"TasmotaShutter", `
tasmota/discovery/0123456789AB/config {"dn":"Blinds","fn":["A","B","Lamp"],"t":"blinds","ft":"%topic%/%prefix%/","tp":["do","stat","tele"],"rl":[3,3,1]}
blinds/stat/RESULT {"Shutter1":{"Position":40,"Direction":-1,"Target":0}}`, "mac:0123456789ab", `
POWER3 switched "Lamp"
  on: blinds/do/POWER3 ON q0
  off: blinds/do/POWER3 OFF q0
Shutter1.Direction cover closing "A"
  stopped: blinds/do/ShutterStop1  q0
Shutter1.Position position 40 "A" 0..100
  21: blinds/do/ShutterPosition1 21 q0`},
		{"AnnouncedCoverThatCannotStop", `
homeassistant/cover/gate/config {"uniq_id":"gate","dev":{"ids":"d3"},"stat_t":"d3/s","cmd_t":"d3/set","pl_stop":null}
d3/s open`, "hass:d3", `
gate cover open
  open: d3/set OPEN q0
  closed: d3/set CLOSE q0`},
		{"AnnouncedValveWithAPosition", `
homeassistant/valve/main/config {"uniq_id":"main","dev":{"ids":"d4"},"stat_t":"d4/s","cmd_t":"d4/set","reports_position":true}
d4/s 30`, "hass:d4", `
main position 30 0..100
  21: d4/set 21 q0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := decode.New(decode.Config{Building: "oak"})
			states := map[string]decode.Value{}
			for line := range strings.Lines(c.lines) {
				topic, payload, _ := strings.Cut(strings.TrimSpace(line), " ")
				if topic == "" {
					continue
				}
				m := msg(strings.TrimPrefix(topic, "="), payload)
				m.Retained = topic[0] == '='
				for _, o := range d.Decode(m).Observations {
					states[o.Key] = o.Value
				}
			}
			if got := told(t, d, c.hardware, states); got != strings.TrimSpace(c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(c.want))
			}
		})
	}
}

// told shows a device's controls, each with the orders for its values. What is sent is no
// news of a device when it comes back to whoever hears all topics.
func told(t *testing.T, d *decode.Decoder, hardware string, states map[string]decode.Value) string {
	t.Helper()
	var b strings.Builder
	for _, c := range d.Controls(hardware) {
		fmt.Fprintf(&b, "%s %s", c.Key, c.Kind)
		if s := decode.State(c.Kind, states[c.Key]); s != "" {
			b.WriteString(" " + s)
		}
		if c.Name != "" {
			fmt.Fprintf(&b, " %q", c.Name)
		}
		values := c.Values
		if c.Min != nil {
			fmt.Fprintf(&b, " %g..%g", *c.Min, *c.Max)
			values = []string{"21"}
		}
		if c.ExpireAfter > 0 {
			fmt.Fprintf(&b, " %ds", c.ExpireAfter)
		}
		b.WriteString("\n")
		for _, v := range values {
			s, err := c.Order(decode.Order{ID: "a", Value: v, Expires: time.UnixMilli(1_700_000_000_000)})
			if err != nil {
				t.Fatalf("%s %s: %v", c.Key, v, err)
			}
			fmt.Fprintf(&b, "  %s: %s %s q%d", v, s.Topic, s.Payload, s.QoS)
			if s.Reference != "" {
				b.WriteString(" #" + s.Reference)
			}
			b.WriteString("\n")
			if r := d.Decode(msg(s.Topic, string(s.Payload))); len(r.Unrecognised)+len(r.Observations) > 0 || r.Nothing == "" {
				t.Errorf("the edge's own order on %s is taken for %+v", s.Topic, r)
			}
		}
	}
	return strings.TrimSpace(b.String())
}

// TestAnswers: what devices say of orders.
func TestAnswers(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	d.Decode(msg("estate/v1/oak/dev/cellar/announcement", `{"entities":{"valve":{"component":"valve"}}}`))
	for _, c := range []struct{ topic, payload, want string }{
		{"shellyplus1-0123456789ab/estate/rpc", `{"id":7,"src":"shellyplus1-0123456789ab","dst":"x","result":{"was_on":false}}`, "mac:0123456789ab 7 true"},
		{"shellyplus1-0123456789ab/estate/rpc", `{"id":8,"error":{"code":-103,"message":"Invalid argument"}}`, "mac:0123456789ab 8 false Invalid argument (-103)"},
		{"shellyplus1-0123456789ab/estate/rpc", `{"error":{}}`, ""},
		{"estate/v1/oak/dev/cellar/answer", `{"id":"a","entity":"valve","result":"done","value":"closed"}`, "plain:oak/cellar a true done"},
		{"estate/v1/oak/dev/cellar/answer", `{"id":"a","entity":"valve","result":"refused","detail":"locked by hand"}`, "plain:oak/cellar a false locked by hand"},
		{"estate/v1/oak/dev/cellar/answer", `{"entity":"valve","result":"done"}`, ""},
	} {
		var got []string
		for _, a := range d.Decode(msg(c.topic, c.payload)).Answers {
			got = append(got, strings.TrimSpace(fmt.Sprint(a.Hardware, " ", a.Reference, " ", a.OK, " ", a.Text)))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", c.payload, got, c.want)
		}
	}
}
