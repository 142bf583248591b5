package decode

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// quantity says how a payload key is read. Values outside the range are the mark of a
// broken sensor or a wrong unit and are reported, not stored.
type quantity struct {
	kind     Kind
	typ      ValueType
	unit     string
	min, max float64
}

// quantities is constant data: nothing writes to it.
var quantities = map[string]quantity{
	"leak":            {kind: Leak, typ: Bool},
	"water_leak":      {kind: Leak, typ: Bool},
	"smoke":           {kind: Smoke, typ: Bool},
	"gas":             {kind: Gas, typ: Bool},
	"carbon_monoxide": {kind: CarbonMonoxide, typ: Bool},
	"contact":         {kind: Contact, typ: Bool},
	"occupancy":       {kind: Occupancy, typ: Bool},
	"vibration":       {kind: Vibration, typ: Bool},
	"tamper":          {kind: Tamper, typ: Bool},
	"battery_low":     {kind: BatteryLow, typ: Bool},
	"temperature":     {Temperature, Number, "°C", -90, 1000},
	"humidity":        {Humidity, Number, "%", 0, 110},
	"pressure":        {Pressure, Number, "hPa", 0, 20_000},
	"illuminance":     {Illuminance, Number, "lx", 0, 1e6},
	"power":           {Power, Number, "W", -1e7, 1e7},
	"energy":          {Energy, Number, "kWh", -1e12, 1e12},
	"current":         {Current, Number, "A", -1e5, 1e5},
	"co2":             {CO2, Number, "ppm", 0, 1e6},
	"battery":         {Battery, Number, "%", 0, 100},
	"voltage":         {Voltage, Number, "", 0, 1e6}, // mV on battery devices, V on mains
	"linkquality":     {LinkQuality, Number, "lqi", 0, 255},
}

// read turns one JSON value into a Value. ok is false for null: a value that the device
// does not know is not an observation.
func (q quantity) read(raw json.RawMessage) (v Value, ok bool, err error) {
	if string(raw) == "null" {
		return Value{}, false, nil
	}
	if q.typ == Bool {
		b, err := readBool(raw)
		return BoolValue(b), err == nil, err
	}
	n, err := readNumber(raw)
	if err != nil {
		return Value{}, false, err
	}
	if n < q.min || n > q.max {
		return Value{}, false, fmt.Errorf("%g is outside %g to %g", n, q.min, q.max)
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
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("wanted a number, got %s", clip(string(raw)))
	}
	return n, nil
}

func readText(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}
