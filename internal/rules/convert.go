package rules

// scale says how a unit is turned into the first of its kind: v*by + plus.
type scale struct {
	to       string
	by, plus float64
}

var scales = map[string]scale{
	"°C": {"°C", 1, 0}, "C": {"°C", 1, 0}, "°F": {"°C", 5.0 / 9, -160.0 / 9}, "F": {"°C", 5.0 / 9, -160.0 / 9}, "K": {"°C", 1, -273.15},
	"W": {"W", 1, 0}, "kW": {"W", 1000, 0}, "MW": {"W", 1e6, 0},
	"Wh": {"Wh", 1, 0}, "kWh": {"Wh", 1000, 0}, "MWh": {"Wh", 1e6, 0}, "Wmin": {"Wh", 1.0 / 60, 0},
	"hPa": {"hPa", 1, 0}, "mbar": {"hPa", 1, 0}, "Pa": {"hPa", 0.01, 0}, "kPa": {"hPa", 10, 0}, "bar": {"hPa", 1000, 0}, "mmHg": {"hPa", 1.33322387415, 0}, "inHg": {"hPa", 33.8638866667, 0},
	"V": {"V", 1, 0}, "mV": {"V", 0.001, 0}, "A": {"A", 1, 0}, "mA": {"A", 0.001, 0},
	"m³": {"m³", 1, 0}, "L": {"m³", 0.001, 0}, "l": {"m³", 0.001, 0},
	"ppm": {"ppm", 1, 0}, "ppb": {"ppm", 0.001, 0},
}

// carbonMonoxide is the kind of value whose mass in a volume of air can be told in parts of it: a
// mole of air is 24.45 L at 25 °C, one of the gas weighs 28.01 g.
const carbonMonoxide = "carbon_monoxide"

var carbonMonoxideScales = map[string]scale{"mg/m³": {"ppm", 24.45 / 28.01, 0}, "µg/m³": {"ppm", 24.45 / 28.01 / 1000, 0}, "μg/m³": {"ppm", 24.45 / 28.01 / 1000, 0}}

// convertOf is Convert for a value of a kind.
func convertOf(kind string, v float64, from, to string) (float64, bool) {
	if s, ok := carbonMonoxideScales[from]; ok && kind == carbonMonoxide && from != to {
		v, from = v*s.by, s.to
	}
	return Convert(v, from, to)
}

// Convert turns a number of one unit into another. A unit that is empty on either side is
// taken to be the other's. ok is false where one cannot be turned into the other.
func Convert(v float64, from, to string) (out float64, ok bool) {
	if from == to || from == "" || to == "" {
		return v, true
	}
	a, ok1 := scales[from]
	b, ok2 := scales[to]
	if !ok1 || !ok2 || a.to != b.to {
		return 0, false
	}
	return (v*a.by + a.plus - b.plus) / b.by, true
}
