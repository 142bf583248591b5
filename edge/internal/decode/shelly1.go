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
	raw, err := json.Marshal(text)
	if err != nil {
		return
	}
	q, ok := shelly1Words[last]
	if q.kind == Temperature && path[0] != "sensor" && path[0] != "thermostat" {
		q.kind = DeviceTemperature // of the relay itself
	}
	outside, probe := shelly1Outside[path[0]]
	switch {
	case probe:
		q = outside
	case ok:
	case path[0] == "sensor" && last == "gas":
		q = of(Gas, Bool, "")
		if level, known := map[string]string{"none": "false", "mild": "true", "heavy": "true", "test": "false"}[text]; known {
			raw = json.RawMessage(level)
		}
	case path[0] == "relay" || path[0] == "light":
		q = quantity{kind: Switched}
	case path[0] == "roller":
		q = quantity{kind: Cover, typ: Text}
	case path[0] == "input" || path[0] == "longpush":
		q = quantity{kind: Input, typ: Bool}
	case path[0] == "sensor" && last == "state":
		q = quantity{kind: Opening}
		if text == "open" || text == "close" {
			raw = json.RawMessage(map[string]string{"open": "true", "close": "false"}[text])
		}
	}
	d.observe(r, m, o, leaf{path, raw}, q)
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
