package decode

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// zigbeeWords are properties that many Zigbee devices have beside those of quantities.
var zigbeeWords = map[string]quantity{
	"illuminance_lux": of(Illuminance, Number, "lx"), "device_temperature": of(DeviceTemperature, Number, "°C"), "cpu_temperature": of(DeviceTemperature, Number, "°C"), "soil_moisture": {kind: Moisture, typ: Number, unit: "%"},
	"pm1": {kind: Other, typ: Number, unit: "µg/m³"}, "pm25": {kind: PM25, typ: Number, unit: "µg/m³"}, "pm10": {kind: PM10, typ: Number, unit: "µg/m³"}, "voc": {kind: VOC, typ: Number, unit: "ppb"}, "eco2": of(CO2, Number, "ppm"), "presence": of(Occupancy, Bool, ""),
	"co": {kind: CarbonMonoxide, typ: Number, unit: "ppm"}, "motion": of(Motion, Bool, ""), "moving": of(Motion, Bool, ""), "water_valve": {kind: Valve}, "position": {kind: Position, typ: Number, unit: "%", max: 100}, "tilt": {kind: Position, typ: Number, unit: "%", max: 100},
	"action": {kind: Event, typ: Text}, "state": {kind: Switched}, "lock_state": {kind: Lock, typ: Text}, "local_temperature": of(Temperature, Number, "°C"), "soil_temperature": of(Temperature, Number, "°C"), "external_temperature": of(Temperature, Number, "°C"), "outdoor_temperature": of(Temperature, Number, "°C"), "total_power": of(Power, Number, "W"),
	"occupied_heating_setpoint": {kind: Setpoint, typ: Number, unit: "°C"}, "occupied_cooling_setpoint": {kind: Setpoint, typ: Number, unit: "°C"}, "current_heating_setpoint": {kind: Setpoint, typ: Number, unit: "°C"},
	"pi_heating_demand": {kind: Position, typ: Number, unit: "%", max: 100}, "valve_position": {kind: Position, typ: Number, unit: "%", max: 100}, "open_window": of(Opening, Bool, ""), "window_open": of(Opening, Bool, ""),
	"system_mode": {kind: Mode, typ: Text}, "running_state": {kind: Mode, typ: Text}, "ac_frequency": {kind: Frequency, typ: Number, unit: "Hz"},
	"power_factor": {kind: PowerFactor, typ: Number}, "power_apparent": {kind: ApparentPower, typ: Number, unit: "VA"}, "power_reactive": {kind: ReactivePower, typ: Number, unit: "var"},
	"produced_energy": of(Energy, Number, "kWh"), "consumed_energy": of(Energy, Number, "kWh"), "color_temp": {kind: Other, typ: Number, unit: "mired"}, "color_temp_startup": {kind: Other, unit: "mired"},
}

// zigbeePart ends the properties of devices that have several of a kind.
var zigbeePart = regexp.MustCompile(`_(?:l\d+|phase_[abc]|\d+|left|right|center|top|bottom)$`)

// zigbeeWord is what a property usually means.
func zigbeeWord(property string) (q quantity, ok bool) {
	for _, word := range []string{property, zigbeePart.ReplaceAllString(property, "")} {
		if q, ok = quantities[word]; ok {
			return q, true
		}
		if q, ok = zigbeeWords[word]; ok {
			return q, true
		}
	}
	if strings.HasPrefix(property, "state_") {
		return quantity{kind: Switched}, true
	}
	return q, false
}

// expose says how the properties of a device are read; parent is the type of what they are part of.
func expose(told map[string]quantity, parent, prefix string, list []zigbeeExpose) {
	for _, e := range list {
		key := prefix + e.Property
		if len(e.Features) > 0 && strings.Count(prefix, ".") < nestingMax {
			inner := prefix
			if e.Property != "" {
				inner = key + "."
			}
			expose(told, e.Type, inner, e.Features)
			continue
		}
		if e.Property == "" || len(told) >= entitiesMax {
			continue
		}
		q, _ := zigbeeWord(e.Property)
		e.Unit = unitFor(q.kind, e.Unit)
		switch e.Type {
		case "numeric":
			q.typ = Number
			switch {
			case e.Unit != "" && e.Unit != q.unit:
				q.unit, q.min, q.max = e.Unit, 0, 0
			case e.Unit == "" && q.kind == Illuminance: // what the chip counts
				q = quantity{kind: Other, typ: Number}
			}
		case "enum", "text":
			q.typ = Text
		case "binary":
			if q.typ == Number {
				q = quantity{}
			}
		}
		if kind := map[string]Kind{"cover": Cover, "lock": Lock}[parent]; kind != "" && strings.HasPrefix(e.Property, "state") {
			q = quantity{kind: kind, typ: Text}
		}
		told[key] = q
	}
}

// notZigbeeValues are properties that tell of the message rather than the device.
var notZigbeeValues = map[string]bool{"last_seen": true, "elapsed": true}

// zigbeeState reads a device's values: all that its gateway sends, with the meaning and unit
// that the device list gives, or that the word usually has.
func (d *Decoder) zigbeeState(r *Result, m Message, o Observation, g *directory) {
	list, err := leaves(m.Payload)
	if err != nil {
		r.refuse(m, "", err.Error())
	}
	beside := map[string]string{}
	for _, l := range list {
		if beside[l.key()] = strings.TrimPrefix(string(l.raw), "null"); l.key() == "last_seen" {
			at, wrong := eventTime(l.raw, m.Arrival)
			if wrong {
				r.refuse(m, "last_seen", wrongTime)
			}
			o.EventTime = at
		}
	}
	told := g.exposes[strings.TrimPrefix(o.Hardware, "z2m:")]
	for _, l := range list {
		if notZigbeeValues[l.path[0]] || l.path[0] == "device" && len(l.path) > 1 || l.path[0] == "update" && string(l.raw) == "-1" {
			continue // -1 is a version that the gateway does not know
		}
		q, ok := told[l.key()]
		if !ok {
			q = zigbeeGuess(l, beside)
		}
		d.observe(r, m, o, l, q)
	}
	if len(r.Observations)+len(r.Unrecognised) == 0 {
		r.Nothing = "no value that the device knows"
	}
}

// zigbeeGuess says how a property is read that the device list does not name, by its word and
// by what is told beside it.
func zigbeeGuess(l leaf, beside map[string]string) quantity {
	if l.path[0] == "update" {
		return quantity{kind: Update}
	}
	q, _ := zigbeeWord(l.name())
	number, err := readNumber(l.raw)
	text, _ := readText(l.raw)
	switch zigbeePart.ReplaceAllString(l.key(), "") {
	case "voltage": // of batteries it is told in mV, of the mains in V
		switch {
		case err == nil && number >= 1000 && beside["battery"]+beside["battery_low"] != "":
			q.unit = "mV"
		case beside["power"]+beside["current"]+beside["energy"] != "", l.key() != "voltage":
			q.unit = "V"
		}
	case "illuminance":
		if lux := beside["illuminance_lux"]; lux != "" && lux != string(l.raw) { // then it is what the chip counts
			q = quantity{kind: Other, typ: Number}
		}
	}
	switch {
	case q.typ == Number && (string(l.raw) == "true" || string(l.raw) == "false"):
		return quantity{}
	case q.kind == Motion && slices.Contains([]string{"UP", "DOWN", "STOP"}, text): // of a shutter
		return quantity{kind: Other, typ: Text}
	case q.kind == Switched && slices.Contains([]string{"OPEN", "CLOSE", "STOP", "OPENING", "CLOSING"}, text):
		return quantity{kind: Cover, typ: Text}
	case q.kind == Switched && slices.Contains([]string{"LOCK", "UNLOCK"}, text):
		return quantity{kind: Lock, typ: Text}
	}
	return q
}

// zigbeeAttribute reads a property that the gateway tells on a topic of its own. ok is false
// where nothing says that the topic is one.
func (d *Decoder) zigbeeAttribute(r *Result, m Message, base, rest, text string) (ok bool) {
	end := strings.LastIndexByte(rest, '/')
	if end <= 0 || end == len(rest)-1 {
		return false
	}
	g, name, property := d.gateways[base], rest[:end], rest[end+1:]
	_, listed := g.byName[name]
	_, known := d.devices[NameKey(base, name)]
	_, word := zigbeeWord(property)
	if !listed && !known && !word || g.groups[name] {
		return false
	}
	o := d.zigbeeDevice(m, base, name)
	raw := json.RawMessage(quoted(text))
	if _, err := strconv.ParseFloat(text, 64); err == nil || text == "true" || text == "false" {
		if json.Valid([]byte(text)) {
			raw = json.RawMessage(text)
		}
	}
	l := leaf{[]string{property}, raw}
	q, told := g.exposes[strings.TrimPrefix(o.Hardware, "z2m:")][property]
	if !told {
		q = zigbeeGuess(l, nil)
	}
	if property == "last_seen" {
		r.Nothing = "when the gateway last heard the device"
		return true
	}
	d.observe(r, m, o, l, q)
	return true
}

// zigbeeTold learns which hardware a device is, where its gateway tells it with each message.
func (d *Decoder) zigbeeTold(r *Result, m Message, o Observation, name string, g *directory) Observation {
	var body struct {
		Device *struct {
			IEEE  string `json:"ieeeAddr"`
			Model string `json:"model"`
			Power string `json:"powerSource"`
		} `json:"device"`
	}
	if !bytes.Contains(m.Payload, []byte(`"ieeeAddr"`)) || json.Unmarshal(m.Payload, &body) != nil || body.Device == nil {
		return o
	}
	ieee := strings.ToLower(body.Device.IEEE)
	if !ieeeAddress.MatchString(ieee) || len(name) > topicBytesMax || len(g.byName) >= devicesMax {
		return o
	}
	o.Hardware = zigbeeHardware(ieee)
	dev := d.device(o.Hardware)
	if g.byName[name] == ieee || dev == nil {
		return o
	}
	g.byName[name] = ieee
	changed := false
	set(&dev.Name, name, &changed)
	set(&dev.Model, body.Device.Model, &changed)
	dev.Battery = body.Device.Power == "Battery"
	r.changed(o.Hardware)
	m.Payload = []byte(`{"device":{"ieeeAddr":` + quoted(ieee) + `,"model":` + quoted(body.Device.Model) + `,"powerSource":` + quoted(body.Device.Power) + `}}`)
	r.Remember = append(r.Remember, m)
	return o
}
