package decode

import (
	"encoding/json"
	"strings"
)

// shelly1Words are the values of Shelly's first generation, by the last part of the topic.
var shelly1Words = map[string]quantity{
	"power": of(Power, Number, "W"), "energy": {kind: Energy, typ: Number, unit: "Wmin"}, "voltage": of(Voltage, Number, "V"), "current": of(Current, Number, "A"),
	"temperature": of(Temperature, Number, "°C"), "temperature_f": {kind: Temperature, typ: Number, unit: "°F", min: -130, max: 1832}, "humidity": of(Humidity, Number, "%"), "lux": of(Illuminance, Number, "lx"),
	"battery": of(Battery, Number, "%"), "flood": of(Leak, Bool, ""), "smoke": of(Smoke, Bool, ""), "gas": {kind: Gas}, "motion": of(Motion, Bool, ""), "vibration": of(Vibration, Bool, ""),
	"pos": {kind: Position, typ: Number, unit: "%"}, "overtemperature": of(Problem, Bool, ""), "overpower": of(Problem, Bool, ""),
	"total": {kind: Energy, typ: Number, unit: "Wh"}, "pf": {kind: PowerFactor, typ: Number}, "tilt": {kind: Other, typ: Number, unit: "°"},
}

// shelly1 reads shellies/<device>/….
func (d *Decoder) shelly1(r *Result, m Message, device, tail string) {
	o := observed(m, shellyKey(device), device)
	o.Alias = o.Hardware
	if mac, ok := tailMAC(device); ok {
		o.Hardware = "mac:" + mac
	} else if known, ok := d.shellies[device]; ok {
		o.Hardware = known
	}
	d.located(o.Hardware, "shellies/"+device)
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
	switch {
	case ok:
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
