package decode

import (
	"regexp"
	"slices"
	"strings"
)

// tasmotaMeanings are the words of Tasmota's sensors, without the digits behind them.
var tasmotaMeanings = map[string]quantity{
	"Temperature": of(Temperature, Number, "°C"), "DewPoint": {kind: DewPoint, typ: Number, unit: "°C"}, "Temp": of(Temperature, Number, "°C"),
	"LocalTemperature": of(Temperature, Number, "°C"), "OBJTMP": of(Temperature, Number, "°C"), "AMBTMP": of(Temperature, Number, "°C"),
	"ProbeTemperature": of(Temperature, Number, "°C"), "ReferenceTemperature": of(DeviceTemperature, Number, "°C"),
	"OccupiedHeatingSetpoint": {kind: Setpoint, typ: Number, unit: "°C"}, "TuyaTempTarget": {kind: Setpoint, typ: Number, unit: "°C"}, "TuyaValvePosition": {kind: Position, typ: Number, unit: "%", max: 100},
	"Humidity": of(Humidity, Number, "%"), "Hum": of(Humidity, Number, "%"), "Pressure": of(Pressure, Number, "hPa"), "SeaPressure": of(Pressure, Number, "hPa"),
	"Illuminance": of(Illuminance, Number, "lx"), "Ambient": of(Illuminance, Number, "lx"), "CCT": {kind: Other, typ: Number, unit: "K"},
	"CarbonDioxide": of(CO2, Number, "ppm"), "eCO2": of(CO2, Number, "ppm"), "TVOC": {kind: VOC, typ: Number, unit: "ppb"},
	"PM1": {kind: Other, typ: Number, unit: "µg/m³"}, "PM2.5": {kind: PM25, typ: Number, unit: "µg/m³"}, "PM10": {kind: PM10, typ: Number, unit: "µg/m³"}, "PM4": {kind: Other, typ: Number, unit: "µg/m³"}, "CF1": {kind: Other, typ: Number, unit: "µg/m³"},
	"CF2.5": {kind: Other, typ: Number, unit: "µg/m³"}, "CF10": {kind: Other, typ: Number, unit: "µg/m³"}, "PB0.3": particles, "PB0.5": particles, "PB1": particles, "PB2.5": particles, "PB5": particles, "PB10": particles,
	"Moisture": {kind: Moisture, typ: Number, unit: "%"}, "Fertility": {kind: Other, typ: Number, unit: "µS/cm"}, "Conductivity": {kind: Other, typ: Number, unit: "µS/cm"},
	"ApparentPower": {kind: ApparentPower, typ: Number, unit: "VA"}, "ReactivePower": {kind: ReactivePower, typ: Number, unit: "var"}, "ActivePower": of(Power, Number, "W"),
	"Factor": {kind: PowerFactor, typ: Number}, "Frequency": {kind: Frequency, typ: Number, unit: "Hz"}, "Voltage": of(Voltage, Number, "V"), "Current": of(Current, Number, "A"),
	"CurrentNeutral": of(Current, Number, "A"), "RMSVoltage": of(Voltage, Number, "V"), "RMSCurrent": of(Current, Number, "A"),
	"Total": of(Energy, Number, "kWh"), "Today": of(Energy, Number, "kWh"), "Yesterday": of(Energy, Number, "kWh"), "TotalTariff": of(Energy, Number, "kWh"), "Energy": of(Energy, Number, "kWh"),
	"ExportActive": of(Energy, Number, "kWh"), "ExportTariff": of(Energy, Number, "kWh"), "ImportActive": of(Energy, Number, "kWh"),
	"ImportReactive": {kind: Other, typ: Number, unit: "kvarh"}, "ExportReactive": {kind: Other, typ: Number, unit: "kvarh"}, "PhaseAngle": {kind: Other, typ: Number, unit: "°"},
	"Period": {kind: Other, typ: Number, unit: "Wh"}, "Load": {kind: Other, typ: Number, unit: "%"}, "Distance": {kind: Distance, typ: Number, unit: "cm"}, "Weight": {kind: Weight, typ: Number, unit: "kg"},
	"Battery": of(Battery, Number, "%"), "BatteryPercentage": of(Battery, Number, "%"), "BatteryVoltage": of(Voltage, Number, "V"), "Vcc": of(Voltage, Number, "V"),
	"LinkQuality": of(LinkQuality, Number, "lqi"), "Noise": {kind: Noise, typ: Number, unit: "dB"}, "UvIndex": {kind: Other, typ: Number},
	"Dir": {unit: "°"}, "Yaw": {kind: Other, typ: Number, unit: "°"}, "Pitch": {kind: Other, typ: Number, unit: "°"}, "Roll": {kind: Other, typ: Number, unit: "°"}, "SNR": {kind: Other, typ: Number, unit: "dB"},
	"Occupancy": of(Occupancy, Bool, ""), "Motion": of(Motion, Bool, ""), "MOTION": of(Motion, Bool, ""), "Water": of(Leak, Bool, ""), "Contact": of(Contact, Bool, ""), "Fire": of(Smoke, Bool, ""),
	"WaterLeak": of(Leak, Bool, ""), "Vibration": of(Vibration, Bool, ""), "Movement": of(Vibration, Bool, ""), "Tamper": of(Tamper, Bool, ""), "AqaraVibrationMode": {kind: Event, typ: Text}, "AqaraVibrationsOrAngle": {kind: Other}, "AqaraAccelerometer": {kind: Other, typ: Number}, "AqaraAngles": {kind: Other, typ: Number, unit: "°"},
	"DoorOpen": of(Opening, Bool, ""), "Signal": {kind: Signal, typ: Number, unit: "dBm"},
	"Gesture": {kind: Event, typ: Text}, "Switch": {kind: Input, typ: Bool}, "POWER": {kind: Switched, typ: Bool}, "Reachable": of(Connectivity, Bool, ""), "ZoneStatus": {kind: Other, typ: Number},
	"LEAK": of(Leak, Bool, ""), "WATER": of(Leak, Bool, ""), "FLOOD": of(Leak, Bool, ""), "SMOKE": of(Smoke, Bool, ""), "MOTI": of(Motion, Bool, ""), "PIR": of(Motion, Bool, ""), "DOOR": of(Opening, Bool, ""), "WINDOW": of(Opening, Bool, ""),
	"POWER_LOW": margin, "POWER_HIGH": margin, "VOLTAGE_LOW": margin, "VOLTAGE_HIGH": margin, "CURRENT_LOW": margin, "CURRENT_HIGH": margin, "MAX_POWER": margin,
	"PowerLow": margin, "PowerHigh": margin, "VoltageLow": margin, "VoltageHigh": margin, "CurrentLow": margin, "CurrentHigh": margin,
	"SHUTTER": {kind: Position, typ: Number, unit: "%", max: 100}, "Dimmer": {kind: Other, typ: Number, unit: "%"}, "DIMMER": {kind: Other, typ: Number, unit: "%"}, "White": {kind: Other, typ: Number, unit: "%"}, "Channel": {kind: Other, typ: Number, unit: "%"},
	"ot_tboiler": {kind: Setpoint, typ: Number, unit: "°C"}, "ot_twater": {kind: Setpoint, typ: Number, unit: "°C"}, "ot_ch": {kind: Running, typ: Bool},
	"CT": {kind: Other, typ: Number, unit: "mired"}, "Color": {kind: Other, typ: Text}, "HSBColor": {kind: Other, typ: Text},
}

// particles are counted in a decilitre of air; a margin is a bound of a plug's meter that was crossed.
var particles, margin = quantity{kind: Other, typ: Number, unit: "ppd"}, of(Problem, Bool, "")

// tasmotaSensors are the words that mean something else to some sensors, by the sensor's name
// without the digits behind it.
var tasmotaSensors = map[string]map[string]quantity{
	"Wifi":    {"RSSI": {kind: Signal, typ: Number, unit: "%"}},
	"ESP":     {"Temperature": of(DeviceTemperature, Number, "°C")},
	"Shutter": {"Position": {kind: Position, typ: Number, unit: "%", max: 100}, "Target": {kind: Other, typ: Number, unit: "%"}, "Direction": {kind: Other, typ: Number}, "Tilt": {kind: Other, typ: Number, unit: "°"}},
	"LD":      {"Energy": {kind: Other, typ: Number}}, // how strongly a radar hears something move
	"VEML":    {"White": {kind: Other, typ: Number}},
	"VLX":     {"Distance": {kind: Distance, typ: Number, unit: "mm"}},
	"AS":      {"Distance": {kind: Distance, typ: Number, unit: "km"}, "Energy": {kind: Other, typ: Number}, "Event": {kind: Other, typ: Number}},
	"BME":     {"Gas": {kind: Other, typ: Number, unit: "kΩ"}},
	"MICS":    {"CO": {kind: CarbonMonoxide, typ: Number, unit: "ppm"}},
	"Lw":      {"Battery": of(Voltage, Number, "V")},
	// Its contact is the bit of an alarm: 1 is open.
	"Zb": {"Power": {kind: Switched, typ: Bool}, "Contact": of(Opening, Bool, ""), "CO": of(CarbonMonoxide, Bool, ""), "Dimmer": {kind: Other, typ: Number}, "Hue": {kind: Other, typ: Number}, "Sat": {kind: Other, typ: Number},
		"Color": {kind: Other}, "RGB": {kind: Other, typ: Text}, "X": {kind: Other, typ: Number}, "Y": {kind: Other, typ: Number}},
	"Matter":  {"Power": {kind: Switched, typ: Bool}},
	"TIC":     teleinfo,
	"Flora":   {"Humidity": {kind: Moisture, typ: Number, unit: "%"}}, // of the soil
	"IBEACON": {"STATE": of(Connectivity, Bool, "")},
	"OPENTHERM": {"TB": of(Temperature, Number, "°C"), "TDHW": of(Temperature, Number, "°C"), "TRET": of(Temperature, Number, "°C"), "TOUT": of(Temperature, Number, "°C"),
		"DHWS": {kind: Setpoint, typ: Number, unit: "°C"}, "TMAX": {kind: Setpoint, typ: Number, unit: "°C"}, "FLM": {kind: Other, typ: Number, unit: "%"}, "CHP": {kind: Pressure, typ: Number, unit: "bar"},
		"FAULT": of(Problem, Bool, ""), "CH": {kind: Running, typ: Bool}, "DHW": {kind: Running, typ: Bool}, "FL": {kind: Running, typ: Bool}, "COOL": {kind: Running, typ: Bool}},
}

// teleinfo are the labels of French meters. What they count is in watt hours.
var teleinfo = map[string]quantity{
	"PAPP": {kind: ApparentPower, typ: Number, unit: "VA"}, "SINSTS": {kind: ApparentPower, typ: Number, unit: "VA"}, "SINSTI": {kind: ApparentPower, typ: Number, unit: "VA"},
	"IINST": of(Current, Number, "A"), "IRMS": of(Current, Number, "A"), "URMS": of(Voltage, Number, "V"), "UMOY": of(Voltage, Number, "V"),
	"IMAX": {kind: Other, typ: Number, unit: "A"}, "ISOUSC": {kind: Other, typ: Number, unit: "A"}, "ADPS": {kind: Other, typ: Number, unit: "A"}, "ADIR": {kind: Other, typ: Number, unit: "A"}, "PMAX": {kind: Other, typ: Number, unit: "W"},
	"PREF": {kind: Other, typ: Number, unit: "kVA"}, "PCOUP": {kind: Other, typ: Number, unit: "kVA"}, "BASE": of(Energy, Number, "Wh"), "HCHC": of(Energy, Number, "Wh"), "HCHP": of(Energy, Number, "Wh"), "EJPHN": of(Energy, Number, "Wh"), "EJPHPM": of(Energy, Number, "Wh"),
	"BBRHCJB": of(Energy, Number, "Wh"), "BBRHPJB": of(Energy, Number, "Wh"), "BBRHCJW": of(Energy, Number, "Wh"), "BBRHPJW": of(Energy, Number, "Wh"), "BBRHCJR": of(Energy, Number, "Wh"), "BBRHPJR": of(Energy, Number, "Wh"),
	"EAST": of(Energy, Number, "Wh"), "EASF": of(Energy, Number, "Wh"), "EASD": of(Energy, Number, "Wh"), "EAIT": of(Energy, Number, "Wh"),
}

var trailingDigits = regexp.MustCompile(`\d+$`)

// expander tells chips that give a board more inputs, and expanderPin one of them.
var (
	expander    = regexp.MustCompile(`^(?:MCP23|PCF857|PCA95|TCA64)[0-9XA]*(?:-\d+)?(?:_INT|_INP|_OUT)?$`)
	expanderPin = regexp.MustCompile(`^D\d+$`)
)

// tasmotaSensor is the table for the sensor of a value.
func tasmotaSensor(sensor string) map[string]quantity {
	switch {
	case strings.HasPrefix(sensor, "VL53L"):
		sensor = "VLX"
	case strings.HasPrefix(sensor, "Zb"):
		sensor = "Zb"
	case strings.HasPrefix(sensor, "Lw"):
		sensor = "Lw"
	case strings.HasPrefix(sensor, "Flora"), strings.HasPrefix(sensor, "IBEACON"):
		sensor = sensor[:strings.IndexAny(sensor+"-", "-_")]
	}
	return tasmotaSensors[trailingDigits.ReplaceAllString(sensor, "")]
}

// tasmotaQuantity says how a value is read: by the last word of its place that means
// something, so that the phases of a meter are read as the meter.
func tasmotaQuantity(path []string, units map[string]string) quantity {
	last := path[len(path)-1]
	switch {
	case expander.MatchString(path[0]) && expanderPin.MatchString(last):
		return quantity{kind: Input, typ: Bool}
	case expander.MatchString(path[0]) && last == "MS":
		return quantity{kind: Duration, typ: Number, unit: "ms"}
	case strings.HasPrefix(path[0], "S29cmnd") && last == "STATE", strings.HasPrefix(last, "OUT_D"):
		return quantity{kind: Switched, typ: Bool}
	case path[0] == "OPENTHERM" && (last == "REQ" || last == "ACT") && len(path) == 3: // what the boiler is told to reach
		return quantity{kind: Setpoint, typ: Number, unit: "°C"}
	}
	special := tasmotaSensor(path[0])
	for i := len(path) - 1; i >= 0 && i >= len(path)-2; i-- {
		word := path[i]
		for _, w := range []string{word, trailingDigits.ReplaceAllString(word, "")} {
			if q, ok := special[w]; ok {
				return q.in(units)
			}
			if q, ok := tasmotaMeanings[w]; ok {
				return q.in(units)
			}
		}
		switch {
		case word == "Power" && len(path) > 1:
			return of(Power, Number, "W")
		case word == "Power":
			return quantity{kind: Switched, typ: Bool}
		case word == "RSSI":
			return quantity{kind: Signal, typ: Number, unit: "dBm"}
		case word == "Speed" && len(path) > 1: // of wind; beside lights it is a setting
			return quantity{kind: Speed, typ: Number, unit: unitOf(units["SpeedUnit"])}
		}
	}
	return quantity{}
}

// in gives the quantity in the unit that the message tells.
func (q quantity) in(units map[string]string) quantity {
	switch q.kind {
	case Temperature, DeviceTemperature, DewPoint:
		if units["TempUnit"] == "F" {
			q.unit, q.min, q.max = "°F", -130, 1832
		}
	case Pressure:
		if u := unitOf(units["PressureUnit"]); u != "" && u != q.unit {
			q.unit, q.min, q.max = u, 0, 0
		}
	default: // its unit is always the same
	}
	return q
}

// tasmotaNot are parts of messages that tell of settings, of the firmware or of raw signals.
var tasmotaNot = map[string]bool{"Time": true, "TempUnit": true, "PressureUnit": true, "SpeedUnit": true, "Epoch": true, "Id": true,
	"TotalStartTime": true, "Heap": true, "SleepMode": true, "Sleep": true, "LoadAvg": true, "MqttCount": true, "Uptime": true, "UptimeSec": true,
	"Endpoint": true, "Device": true, "Name": true, "Group": true, "Ep": true, "END": true, "MAC": true, "mac": true, "Hostname": true, "IPAddress": true}

// tasmotaSettings are words that stand beside the state of lights and say how it is shown.
var tasmotaSettings = []string{"Fade", "Speed", "LedTable", "Scheme", "Width"}

// tasmotaSkipped says that a value tells of settings or of the firmware.
func tasmotaSkipped(l leaf) bool {
	first := l.path[0]
	return tasmotaNot[l.name()] || len(l.path) == 1 && slices.Contains(tasmotaSettings, first) ||
		first == "Wifi" && l.name() != "RSSI" && l.name() != "Signal" || first == "Eth" || first == "Berry" ||
		strings.HasPrefix(first, "Status") || slices.Contains([]string{"ZbState", "ZbResponse", "ZbBind", "ZbUnbind", "DeepSleep"}, first)
}
