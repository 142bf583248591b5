package decode

import "estate/edge/internal/hass"

// classes are what Home Assistant's device classes mean here: those of sensors, which are
// numbers, and those of binary sensors.
var classes = map[string]Kind{
	"temperature": Temperature, "humidity": Humidity, "absolute_humidity": Other, "pressure": Pressure, "atmospheric_pressure": Pressure,
	"illuminance": Illuminance, "power": Power, "energy": Energy, "energy_storage": Energy, "current": Current, "voltage": Voltage,
	"carbon_dioxide": CO2, "carbon_monoxide": CarbonMonoxide, "battery": Battery, "moisture": Moisture, "pm25": PM25, "pm10": PM10,
	"volatile_organic_compounds": VOC, "volatile_organic_compounds_parts": VOC, "apparent_power": ApparentPower, "reactive_power": ReactivePower,
	"power_factor": PowerFactor, "frequency": Frequency, "water": Water, "gas": GasVolume, "volume_flow_rate": FlowRate, "distance": Distance,
	"weight": Weight, "speed": Speed, "wind_speed": Speed, "sound_pressure": Noise, "signal_strength": Signal, "duration": Duration,
}

var binaryClasses = map[string]Kind{
	"moisture": Leak, "smoke": Smoke, "gas": Gas, "carbon_monoxide": CarbonMonoxide, "door": Opening, "window": Opening, "opening": Opening,
	"garage_door": Opening, "motion": Motion, "moving": Motion, "occupancy": Occupancy, "presence": Occupancy, "vibration": Vibration,
	"tamper": Tamper, "battery": BatteryLow, "connectivity": Connectivity, "problem": Problem, "safety": Problem, "running": Running,
	"sound": Sound, "update": Update, "lock": Lock, "power": Running,
}

// components are what the state of a component is, where no class says more.
var components = map[string]Kind{
	"switch": Switched, "light": Switched, "siren": Switched, "fan": Switched, "humidifier": Switched, "valve": Valve, "cover": Cover,
	"lock": Lock, "event": Event, "device_automation": Event, "tag": Event, "update": Update, "number": Setpoint, "select": Mode,
	"climate": Mode, "water_heater": Mode, "alarm_control_panel": Mode,
}

// attributes are the values that a component has beside its state.
var attributes = map[string]Kind{
	"current_temperature": Temperature, "temperature": Setpoint, "temperature_high": Setpoint, "temperature_low": Setpoint,
	"current_humidity": Humidity, "target_humidity": Setpoint, "position": Position, "tilt": Position, "battery_level": Battery,
	"mode": Mode, "fan_mode": Mode, "preset_mode": Mode, "swing_mode": Mode, "action": Mode, "latest_version": Update,
}

// kindOf says what a point of an announced entity means.
func kindOf(e hass.Entity, p hass.Point) Kind {
	var kind Kind
	switch {
	case e.Component == "valve" && p.Name == "state":
		kind = Valve
	case p.Name != "":
		kind = attributes[p.Name]
	case e.Component == "valve" && p.Form == hass.Number:
		kind = Position
	case e.Component == "binary_sensor":
		kind = binaryClasses[p.DeviceClass]
	case e.Component == "sensor":
		kind = classes[p.DeviceClass]
		if kind == Temperature && e.Category == "diagnostic" {
			kind = DeviceTemperature
		}
	default:
		kind = components[e.Component]
	}
	if kind == "" {
		return Other
	}
	return kind
}
