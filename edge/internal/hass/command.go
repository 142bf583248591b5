package hass

import (
	"cmp"

	"estate/edge/internal/jinja"
)

// Command is how an entity is told what to do.
type Command struct {
	Topic        string
	Template     *jinja.Template
	NeedsMapping string
	// Payloads are what stands for each order: "on", "off", "open", "close", "stop", "lock",
	// "unlock", "press".
	Payloads map[string]string
	Options  []string
	// Min and Max are the bounds of a number, as texts; empty where there are none.
	Min, Max string
	// Number says that the order is a number within the bounds, whatever the component is.
	Number bool
	// Scale turns a number of percent into the device's own; nil where the number is none of percent.
	Scale  *Scale
	QoS    byte
	Retain bool
}

// orders are the payloads of a component's orders: order, key and default.
var orders = map[string][][3]string{
	"switch": {{"on", "payload_on", "ON"}, {"off", "payload_off", "OFF"}},
	"siren":  {{"on", "payload_on", "ON"}, {"off", "payload_off", "OFF"}},
	"light":  {{"on", "payload_on", "ON"}, {"off", "payload_off", "OFF"}},
	"fan":    {{"on", "payload_on", "ON"}, {"off", "payload_off", "OFF"}},
	"valve":  {{"open", "payload_open", "OPEN"}, {"close", "payload_close", "CLOSE"}, {"stop", "payload_stop", ""}},
	"cover":  {{"open", "payload_open", "OPEN"}, {"close", "payload_close", "CLOSE"}, {"stop", "payload_stop", "STOP"}},
	"lock":   {{"lock", "payload_lock", "LOCK"}, {"unlock", "payload_unlock", "UNLOCK"}},
	"button": {{"press", "payload_press", "PRESS"}},
}

func command(component string, c config) *Command {
	out := &Command{Topic: c.text("command_topic"), Payloads: map[string]string{}, Options: c.texts("options"),
		Min: c.text("min"), Max: c.text("max"), Retain: c.yes("retain")}
	if out.Topic == "" {
		return nil
	}
	if component == "valve" && c.yes("reports_position") {
		out.Number, out.Min, out.Max, out.Scale = true, "0", "100", cmp.Or(positions(c), &Scale{0, 100})
	}
	out.read(c, "command_template")
	for _, o := range orders[component] {
		if payload := c.textOr(o[1], o[2]); payload != "" {
			out.Payloads[o[0]] = payload
		}
	}
	return out
}

// setting is one value of a component that is set on a topic of its own.
type setting struct {
	// point names the value, and stem the keys of its topic and template: <stem>_command_topic.
	point, stem string
	// options is the key of its list of values, with the list where that is missing; min and max
	// those of its bounds, with what they are where missing.
	options   string
	otherwise []string
	min, max  [2]string
	// scale is that of a number of percent.
	scale *Scale
}

// settings are the values that components take beside their state.
func settings(component string, c config) []setting {
	degrees := func(point, low, high string) setting {
		return setting{point: point, stem: point, min: [2]string{"min_temp", low}, max: [2]string{"max_temp", high}}
	}
	switch component {
	case "climate":
		return []setting{{point: "mode", stem: "mode", options: "modes", otherwise: []string{"auto", "off", "cool", "heat", "dry", "fan_only"}}, {point: "preset_mode", stem: "preset_mode", options: "preset_modes"},
			degrees("temperature", "7", "35"), degrees("temperature_high", "7", "35"), degrees("temperature_low", "7", "35")}
	case "water_heater":
		return []setting{{point: "mode", stem: "mode", options: "modes", otherwise: []string{"off", "eco", "electric", "gas", "heat_pump", "high_demand", "performance"}}, degrees("temperature", "43.3", "60")}
	case "humidifier":
		return []setting{{point: "mode", stem: "mode", options: "modes"},
			{point: "target_humidity", stem: "target_humidity", min: [2]string{"min_humidity", "0"}, max: [2]string{"max_humidity", "100"}}}
	case "cover":
		return []setting{{point: "position", stem: "set_position", scale: cmp.Or(positions(c), &Scale{0, 100})}}
	}
	return nil
}

// commands reads how the values of a component beside its state are set.
func commands(component string, c config) map[string]*Command {
	out := map[string]*Command{}
	for _, s := range settings(component, c) {
		topic, template := s.stem+"_command_topic", s.stem+"_command_template"
		if s.stem == "set_position" {
			topic, template = "set_position_topic", "set_position_template"
		}
		one := &Command{Topic: c.text(topic), Retain: c.yes("retain")}
		if one.Topic == "" {
			continue
		}
		one.read(c, template)
		if s.point == "position" {
			one.Number, one.Min, one.Max, one.Scale = true, "0", "100", s.scale
		} else if s.min[0] != "" {
			one.Number, one.Min, one.Max = true, c.textOr(s.min[0], s.min[1]), c.textOr(s.max[0], s.max[1])
		} else if one.Options = c.texts(s.options); len(one.Options) == 0 {
			one.Options = s.otherwise
		}
		out[s.point] = one
	}
	return out
}

// read takes what all orders have.
func (o *Command) read(c config, key string) {
	if q := c.text("qos"); q == "1" || q == "2" {
		o.QoS = q[0] - '0'
	}
	o.Template, o.NeedsMapping = template(c.text(key))
}
