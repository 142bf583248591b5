package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// quantity says how a value is read. Values outside the range are the mark of a broken
// sensor or a wrong unit and are reported, not stored. A quantity without a type is read as
// what its JSON is.
type quantity struct {
	kind     Kind
	typ      ValueType
	unit     string
	min, max float64
	// words are the texts that there are; none where any is.
	words []string
}

// bounds are the ranges of kinds in their usual unit. A value outside is no measurement.
var bounds = map[Kind][2]float64{
	Temperature: {-90, 1000}, DeviceTemperature: {-90, 1000}, MachineTemperature: {-90, 1000}, Humidity: {0, 110}, Pressure: {0, 20_000}, Illuminance: {0, 1e6}, Power: {-1e7, 1e7}, Energy: {-1e12, 1e12},
	Current: {-1e5, 1e5}, CO2: {0, 1e6}, Battery: {0, 100}, Voltage: {0, 1e6}, LinkQuality: {0, 255},
}

// of makes the quantity of a kind, in the range of the kind.
func of(kind Kind, typ ValueType, unit string) quantity {
	b := bounds[kind]
	return quantity{kind: kind, typ: typ, unit: unit, min: b[0], max: b[1]}
}

// quantities are the words of our own topics, most of which Zigbee2MQTT uses as well. It is
// constant data: nothing writes to it.
var quantities = map[string]quantity{
	"leak": of(Leak, Bool, ""), "water_leak": of(Leak, Bool, ""), "smoke": of(Smoke, Bool, ""), "gas": of(Gas, Bool, ""),
	"carbon_monoxide": of(CarbonMonoxide, Bool, ""), "contact": of(Contact, Bool, ""), "occupancy": of(Occupancy, Bool, ""),
	"vibration": of(Vibration, Bool, ""), "tamper": of(Tamper, Bool, ""), "battery_low": of(BatteryLow, Bool, ""),
	"temperature": of(Temperature, Number, "°C"), "humidity": of(Humidity, Number, "%"), "pressure": of(Pressure, Number, "hPa"),
	"illuminance": of(Illuminance, Number, "lx"), "power": of(Power, Number, "W"), "energy": of(Energy, Number, "kWh"),
	"current": of(Current, Number, "A"), "co2": of(CO2, Number, "ppm"), "battery": of(Battery, Number, "%"),
	"voltage":     of(Voltage, Number, ""), // mV on battery devices, V on mains
	"linkquality": of(LinkQuality, Number, "lqi"), "machine_temperature": of(MachineTemperature, Number, "°C"),
}

// errRange marks values that no such sensor gives.
var errRange = errors.New("outside")

// read turns one JSON value into a Value. ok is false for null: a value that the device
// does not know is not an observation.
func (q quantity) read(raw json.RawMessage) (v Value, ok bool, err error) {
	switch {
	case string(raw) == "null":
		return Value{}, false, nil
	case q.typ == Bool:
		b, err := readBool(raw)
		return BoolValue(b), err == nil, err
	case q.typ == Text:
		text, quoted := readText(raw)
		if !quoted {
			text = string(raw)
		}
		if len(q.words) > 0 && !slices.Contains(q.words, text) {
			return Value{}, false, fmt.Errorf("wanted one of %s, got %s", strings.Join(q.words, ", "), clip(text))
		}
		return Value{Type: Text, Text: clip(text)}, text != "", nil
	case q.typ != Number:
		v, ok = auto(raw)
		return v, ok, nil
	}
	n, err := readNumber(raw)
	if err != nil {
		return Value{}, false, err
	}
	if (n < q.min || n > q.max) && q.min < q.max {
		return Value{}, false, fmt.Errorf("%g is %w %g to %g", n, errRange, q.min, q.max)
	}
	return NumberValue(n), true, nil
}

func readBool(raw json.RawMessage) (bool, error) {
	text := string(raw)
	if s, ok := readText(raw); ok {
		text = strings.ToLower(s)
	}
	switch text {
	case "true", "1", "on", "wet":
		return true, nil
	case "false", "0", "off", "dry":
		return false, nil
	}
	return false, fmt.Errorf("wanted true or false, got %s", clip(string(raw)))
}

func readNumber(raw json.RawMessage) (float64, error) {
	text := string(raw)
	if s, ok := readText(raw); ok {
		text = strings.TrimSpace(s)
	}
	n, err := strconv.ParseFloat(text, 64)
	// Go's own forms, as 0x10 and 1_0, are no numbers of devices.
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || strings.ContainsAny(text, "_xX") {
		return 0, fmt.Errorf("wanted a number, got %s", clip(string(raw)))
	}
	return n, nil
}

func readText(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	if len(raw) > 1 && raw[len(raw)-1] == '"' && utf8.Valid(raw) && !slices.ContainsFunc(raw, func(c byte) bool { return c == '\\' || c < ' ' }) {
		return string(raw[1 : len(raw)-1]), bytes.Count(raw, []byte{'"'}) == 2
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// Word is a key of our own topics and what its value is.
type Word struct {
	Key  string
	Kind Kind
	Type ValueType
	Unit string
	// Min and Max are the limits of a number.
	Min, Max float64
}

// Words lists the keys of our own topics.
func Words() []Word {
	var out []Word
	for _, key := range slices.Sorted(maps.Keys(quantities)) {
		q := quantities[key]
		out = append(out, Word{key, q.kind, q.typ, q.unit, q.min, q.max})
	}
	return out
}
