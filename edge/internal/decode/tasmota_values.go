package decode

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// tasmotaEvents are results that say that something happened, with the part that tells what.
var tasmotaEvents = map[string]string{"IrReceived": "Data", "RfReceived": "Data", "RfRaw": "Data", "TuyaReceived": "Data", "PN532": "UID", "RC522": "UID", "RDM6300": "UID", "WIEGAND": "UID"}

// dataPoint is a value of the chip behind a Tasmota, whose meaning only its maker knows.
var dataPoint = regexp.MustCompile(`^DpType\d+Id\d+$`)

// tasmotaPress tells buttons, and switches where they tell what was done with them.
var tasmotaPress = regexp.MustCompile(`^(?i:button\d*|switch\d*t?)$`)

// tasmotaValues reads a JSON message.
func (d *Decoder) tasmotaValues(r *Result, m Message, o Observation, body json.RawMessage, word string) {
	list, err := leaves(body)
	if err != nil {
		r.refuse(m, "", err.Error())
	}
	units, beacon := map[string]string{}, ""
	for _, l := range list {
		text, _ := readText(l.raw)
		switch l.name() {
		case "MAC":
			beacon = text
		case "TempUnit", "PressureUnit", "SpeedUnit":
			units[l.name()] = text
		case "Time":
			o.EventTime = d.localTime(text, m.Arrival)
		}
	}
	before := len(r.Observations) + len(r.Unrecognised)
	children := d.tasmotaChildren(r, m, &o, list)
	for _, l := range list {
		switch {
		case (l.path[0] == "StatusSNS" || l.path[0] == "StatusSTS") && len(l.path) > 1:
			l.path = l.path[1:]
		case word == "ENERGY":
			l.path = append([]string{"ENERGY"}, l.path...)
		case len(l.path) == 1 && tasmotaPress.MatchString(word): // stat/…/BUTTON1 {"ACTION":"SINGLE"}
			l.path = []string{word, l.path[0]}
		case l.path[0] == "IBEACON" && beacon != "" && len(l.path) == 2: // each is told under the same word
			l.path = []string{"IBEACON_" + beacon, l.path[1]}
		}
		switch child := children.of(l); {
		case tasmotaSkipped(l), d.tasmotaEvent(r, m, o, l):
		case child != nil:
			d.tasmotaChild(r, m, o, l, child, units)
		default:
			q := tasmotaQuantity(l.path, units)
			if q.kind == "" && word == "RESULT" {
				continue // what a command answered: a setting, not a value
			}
			d.observe(r, m, o, l, q)
		}
	}
	if len(r.Observations)+len(r.Unrecognised) == before && err == nil {
		r.Nothing = "a setting, or what the firmware tells of itself"
	}
}

// tasmotaEvent reads values that say that something happened.
func (d *Decoder) tasmotaEvent(r *Result, m Message, o Observation, l leaf) bool {
	if part, event := tasmotaEvents[l.path[0]]; event {
		if dataPoint.MatchString(l.name()) {
			d.observe(r, m, o, l, quantity{})
		}
		if l.name() == part {
			l.path = l.path[:1]
			d.observe(r, m, o, l, quantity{kind: Event, typ: Text})
		}
		return true
	}
	switch first := l.path[0]; {
	case len(l.path) == 1 && (first == "SerialReceived" || first == "SSerialReceived"):
		d.tasmotaSerial(r, m, o, l)
		return true
	case len(l.path) == 2 && tasmotaPress.MatchString(first) && slices.Contains([]string{"ACTION", "TRIG"}, strings.ToUpper(l.path[1])):
		l.path = l.path[:1]
		q := quantity{kind: Event, typ: Text}
		if text, _ := readText(l.raw); first[0]|' ' == 's' && (text == "ON" || text == "OFF") {
			q = quantity{kind: Input, typ: Bool}
		}
		d.observe(r, m, o, l, q)
		return true
	}
	return false
}

// obis is a data set of a meter: what it measures, and the value with its unit, the last of
// several. The gas meter tells the time of its reading first.
var obis = regexp.MustCompile(`^(\d+-\d+:\d+\.\d+\.\d+)(?:\(\w*\))?\((-?\d+(?:\.\d+)?)\*(kWh|Wh|kW|W|V|A|m3|GJ|kvarh|kvar)\)$`)

// obisUnits are what meters count and measure.
var obisUnits = map[string]quantity{
	"kWh": of(Energy, Number, "kWh"), "Wh": of(Energy, Number, "Wh"), "kW": of(Power, Number, "kW"), "W": of(Power, Number, "W"), "V": of(Voltage, Number, "V"), "A": of(Current, Number, "A"),
	"m3": {kind: Other, typ: Number, unit: "m³"}, "GJ": of(Energy, Number, "GJ"), "kvarh": {kind: Other, typ: Number, unit: "kvarh"}, "kvar": {kind: ReactivePower, typ: Number, unit: "kvar"},
}

// tasmotaSerial reads a line that came over a wire: a meter's data set, or what happened.
func (d *Decoder) tasmotaSerial(r *Result, m Message, o Observation, l leaf) {
	text, _ := readText(l.raw)
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	if p := obis.FindStringSubmatch(text); p != nil {
		d.observe(r, m, o, leaf{[]string{l.path[0], p[1]}, json.RawMessage(quoted(p[2]))}, obisUnits[p[3]])
		return
	}
	d.observe(r, m, o, leaf{l.path, json.RawMessage(quoted(text))}, quantity{kind: Event, typ: Text})
}
