package decode

import "strings"

// units are spellings that publishers use, and the one under which values are kept: two names of
// one unit would be two series, and a rule for °C would not read ºC.
var units = map[string]string{
	"ºC": "°C", "℃": "°C", "°c": "°C", "degC": "°C", "celsius": "°C", "Celsius": "°C", "° C": "°C",
	"ºF": "°F", "℉": "°F", "degF": "°F", "fahrenheit": "°F", "Fahrenheit": "°F", "°f": "°F", "° F": "°F",
	"º": "°", "deg": "°", "lux": "lx", "Lux": "lx", "percent": "%", "％": "%", "pct": "%", "PPM": "ppm", "PPB": "ppb",
	"m3": "m³", "m^3": "m³", "ft3": "ft³", "m2": "m²", "m3/h": "m³/h", "m^3/h": "m³/h", "ug/m3": "µg/m³", "ug/m³": "µg/m³", "µg/m3": "µg/m³", "µg/m^3": "µg/m³", "mg/m3": "mg/m³",
	"uS/cm": "µS/cm", "µs/cm": "µS/cm", "us/cm": "µS/cm", "uA": "µA", "uV": "µV", "us": "µs", "um": "µm",
	"kwh": "kWh", "KWh": "kWh", "KWH": "kWh", "wh": "Wh", "KW": "kW", "watt": "W", "Watt": "W", "volt": "V", "Volt": "V",
	"dbm": "dBm", "DBM": "dBm", "LQI": "lqi", "hpa": "hPa", "HPa": "hPa", "mBar": "mbar", "VAr": "var", "VAR": "var", "kVAr": "kvar", "kVAR": "kvar", "kVArh": "kvarh", "kVARh": "kvarh",
	"ohm": "Ω", "Ohm": "Ω", "kohm": "kΩ", "kOhm": "kΩ",
}

// marks are characters that look the same: Greek letters and the signs made of them.
var marks = strings.NewReplacer("\u03bc", "\u00b5", "\u2126", "Ω", "\u212a", "K", "\u212b", "Å")

// unitOf is a unit in the spelling under which values are kept.
func unitOf(unit string) string {
	unit = strings.TrimSpace(marks.Replace(clip(unit)))
	if known, ok := units[unit]; ok {
		return known
	}
	return unit
}

// unitFor is the unit of a kind: of temperatures the letter alone says which.
func unitFor(kind Kind, unit string) string {
	unit = unitOf(unit)
	switch kind {
	case Temperature, DeviceTemperature, MachineTemperature, DewPoint, Setpoint:
		if unit == "C" || unit == "F" {
			return "°" + unit
		}
	default: // a letter may be any unit's
	}
	return unit
}
