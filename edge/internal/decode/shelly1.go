package decode

import (
	"encoding/json"
	"slices"
	"strings"
)

// shelly1Words are the values of Shelly's first generation, by the last part of the topic.
var shelly1Words = map[string]quantity{
	"power": of(Power, Number, "W"), "energy": {kind: Energy, typ: Number, unit: "Wmin"}, "voltage": of(Voltage, Number, "V"), "current": of(Current, Number, "A"),
	"temperature": of(Temperature, Number, "°C"), "temperature_f": {kind: Temperature, typ: Number, unit: "°F", min: -130, max: 1832}, "humidity": of(Humidity, Number, "%"), "lux": of(Illuminance, Number, "lx"),
	"battery": of(Battery, Number, "%"), "flood": of(Leak, Bool, ""), "smoke": of(Smoke, Bool, ""), "concentration": {kind: Other, typ: Number, unit: "ppm"}, "motion": of(Motion, Bool, ""), "vibration": of(Vibration, Bool, ""),
	"pos": {kind: Position, typ: Number, unit: "%"}, "overtemperature": of(Problem, Bool, ""), "overpower": of(Problem, Bool, ""),
	"returned_energy": {kind: Energy, typ: Number, unit: "Wmin"}, "total_returned": {kind: Energy, typ: Number, unit: "Wh"}, "reactive_power": {kind: ReactivePower, typ: Number, unit: "var"},
	"target_t": {kind: Setpoint, typ: Number, unit: "°C"}, "overpower_value": {kind: Other, typ: Number, unit: "W"}, "total_work_time": {kind: Duration, typ: Number, unit: "s"}, "stop_reason": {kind: Other, typ: Text},
	"total": {kind: Energy, typ: Number, unit: "Wh"}, "pf": {kind: PowerFactor, typ: Number}, "tilt": {kind: Other, typ: Number, unit: "°"},
}

// shelly1Outside are what is measured by probes that are wired to a relay, by the first part of
// the topic.
var shelly1Outside = map[string]quantity{
	"ext_temperature": of(Temperature, Number, "°C"), "ext_temperature_f": {kind: Temperature, typ: Number, unit: "°F", min: -130, max: 1832}, "ext_humidity": of(Humidity, Number, "%"),
}

// shelly1Status are the values of the one message in which a motion sensor tells all of them.
var shelly1Status = map[string]quantity{
	"motion": of(Motion, Bool, ""), "vibration": of(Vibration, Bool, ""), "lux": of(Illuminance, Number, "lx"), "bat": of(Battery, Number, "%"), "tmp.value": of(Temperature, Number, "°C"),
}

// shelly1 reads shellies/<device>/….
func (d *Decoder) shelly1(r *Result, m Message, device, tail string) {
	o := observed(m, shellyKey(device), device)
	o.Alias = o.Hardware
	gone := tail == "online" && strings.TrimSpace(string(m.Payload)) == "false"
	if d.former[shellyKey("shellies/"+device)] != "" && (m.Retained || gone) {
		r.Nothing = formerName
		return
	}
	if mac, ok := tailMAC(device); ok {
		o.Hardware = "mac:" + mac
	} else if known, ok := d.shellies[device]; ok {
		o.Hardware = known
	}
	if gone {
		d.shellyLeft(o.Hardware)
	} else {
		d.located(r, m, o, "shellies/"+device)
	}
	path := strings.Split(tail, "/")
	last := path[len(path)-1]
	text := strings.TrimSpace(string(m.Payload))
	switch {
	case tail == "online":
		d.shellyReach(r, m, o)
		return
	case tail == "announce":
		d.shelly1Announced(r, m)
		return
	case tail == "status" && strings.HasPrefix(text, "{"):
		d.shelly1All(r, m, o)
		return
	case path[0] == "input_event" && strings.HasPrefix(text, "{"):
		d.shelly1Button(r, m, o, path)
		return
	case last == "command" || last == "set" || tail == "info" || strings.HasPrefix(text, "{"):
		r.Nothing = "a command, or all values again in one message"
		return
	}
	if last == "act_reasons" {
		r.Nothing = "why a device woke"
		return
	}
	if path[0] == "relay" && len(path) == 2 {
		text = d.shelly1Relay(r, m, o, path, text)
	}
	q, text := shelly1Value(path, last, text)
	d.observe(r, m, o, leaf{path, json.RawMessage(quoted(text))}, q)
}

// shelly1Relay tells that a relay switched itself off, and that this is over once it says again
// that it is on or off. What remains is what the relay is.
func (d *Decoder) shelly1Relay(r *Result, m Message, o Observation, path []string, text string) string {
	cause := leaf{append(path[:len(path):len(path)], "overpower"), json.RawMessage("true")}
	dev := d.devices[o.Hardware]
	switch {
	case text == "overpower":
		text = "off"
	case dev == nil || dev.Entities[cause.key()] == nil:
		return text
	default:
		cause.raw = json.RawMessage("false")
	}
	d.observe(r, m, o, cause, of(Problem, Bool, ""))
	return text
}

// shelly1Value says how the text of a topic is read, and in what words where they are its own.
func shelly1Value(path []string, last, text string) (quantity, string) {
	q, ok := shelly1Words[last]
	if q.kind == Temperature && path[0] != "sensor" && path[0] != "thermostat" {
		q.kind = DeviceTemperature // of the relay itself
	}
	if outside, probe := shelly1Outside[path[0]]; probe {
		return outside, text
	}
	if ok {
		return q, text
	}
	switch {
	case path[0] == "sensor" && last == "gas":
		if level, known := map[string]string{"none": "false", "mild": "true", "heavy": "true", "test": "false"}[text]; known {
			text = level
		}
		return of(Gas, Bool, ""), text
	case path[0] == "relay" || path[0] == "light" || path[0] == "white" || path[0] == "color":
		return quantity{kind: Switched}, text
	case path[0] == "adc":
		return of(Voltage, Number, "V"), text
	case path[0] == "valve" && last == "state":
		return quantity{kind: Valve, typ: Text}, text
	case path[0] == "roller":
		return quantity{kind: Cover, typ: Text}, text
	case path[0] == "input" || path[0] == "longpush" || path[0] == "ext_switch":
		return quantity{kind: Input, typ: Bool}, text
	case path[0] == "sensor" && last == "state":
		if open, known := map[string]string{"open": "true", "close": "false"}[text]; known {
			return quantity{kind: Opening, typ: Bool}, open
		}
		return quantity{kind: Opening}, text
	}
	return q, text
}

// shelly1All reads the message in which a motion sensor tells all of its values.
func (d *Decoder) shelly1All(r *Result, m Message, o Observation) {
	list, err := leaves(m.Payload)
	if err != nil {
		r.refuse(m, "", err.Error())
	}
	fahrenheit := slices.ContainsFunc(list, func(l leaf) bool { return l.key() == "tmp.units" && string(l.raw) == `"F"` })
	for _, l := range list {
		q, ok := shelly1Status[l.key()]
		if !ok {
			continue
		}
		if q.kind == Temperature && fahrenheit {
			q = shelly1Outside["ext_temperature_f"]
		}
		d.observe(r, m, o, l, q)
	}
	if len(r.Observations)+len(r.Unrecognised) == 0 {
		r.Nothing = "a command, or all values again in one message"
	}
}

// shelly1Button reads that a button was pressed: S for short, L for long.
func (d *Decoder) shelly1Button(r *Result, m Message, o Observation, path []string) {
	var press struct {
		Event json.RawMessage `json:"event"`
	}
	if err := json.Unmarshal(m.Payload, &press); err != nil || len(press.Event) == 0 {
		r.refuse(m, "event", "the message is not a JSON object with an event")
		return
	}
	if string(press.Event) == `""` {
		r.Nothing = "no button was pressed since the start"
		return
	}
	d.observe(r, m, o, leaf{path, press.Event}, quantity{kind: Event, typ: Text})
}

// shelly1Announced reads the answer to shellies/command = announce.
func (d *Decoder) shelly1Announced(r *Result, m Message) {
	var a struct {
		ID       string `json:"id"`
		Model    string `json:"model"`
		MAC      string `json:"mac"`
		Firmware string `json:"fw_ver"`
	}
	mac, ok := "", false
	if json.Unmarshal(m.Payload, &a) == nil {
		mac, ok = macOf(a.MAC)
	}
	if !ok || a.ID == "" {
		r.refuse(m, "", "the announcement is not a JSON object with id and mac")
		return
	}
	hardware := "mac:" + mac
	if len(d.shellies) < devicesMax {
		d.shellies[a.ID] = hardware
	}
	if dev := d.device(hardware); dev != nil {
		changed := false
		set(&dev.Name, a.ID, &changed)
		set(&dev.Model, a.Model, &changed)
		set(&dev.Firmware, a.Firmware, &changed)
		set(&dev.Manufacturer, "Shelly", &changed)
		r.changed(hardware)
	}
	r.Configures = true
}
