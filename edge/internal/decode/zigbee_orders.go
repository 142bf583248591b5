package decode

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// zigbeeControl is a property that a gateway lets us set.
type zigbeeControl struct {
	property string
	kind     Kind
	values   []string
	payloads map[string]json.RawMessage // by state; the value itself where there is none
	min, max *float64
}

// zigbeeWordList are the words of a list; what is no word in it is left out, and spoils nothing.
type zigbeeWordList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *zigbeeWordList) UnmarshalJSON(body []byte) error {
	var list []any
	*l = nil
	if err := json.Unmarshal(body, &list); err != nil || len(list) > entitiesMax {
		list = nil // something else than a list
	}
	for _, one := range list {
		if word, ok := one.(string); ok {
			*l = append(*l, clip(word))
		}
	}
	return nil
}

// zigbeeSettable is the bit of an expose's access that says that it can be set.
const zigbeeSettable = 2

// zigbeeValve tells water valves, which the gateway lists as switches, from those of radiators.
var zigbeeValve = regexp.MustCompile(`(?i)\bvalve\b`)

var zigbeeNoValve = regexp.MustCompile(`(?i)radiator|thermostat`)

// zigbeeControls finds what can be ordered among what a device exposes: its switches, locks,
// covers and thermostats.
func zigbeeControls(description string, list []zigbeeExpose) (out []zigbeeControl) {
	for _, e := range list {
		for _, f := range e.Features {
			if f.Access&zigbeeSettable == 0 || f.Property == "" || len(out) >= entitiesMax {
				continue
			}
			c, ok := zigbeeControl{property: f.Property}, false
			switch e.Type {
			case "switch", "lock":
				ok = c.twoStates(description, e.Type, f)
			case "cover":
				ok = c.cover(f)
			case "climate":
				ok = c.climate(f)
			}
			if ok {
				out = append(out, c)
			}
		}
	}
	return out
}

// twoStates reads a switch, a lock, or a water valve that is listed as a switch.
func (c *zigbeeControl) twoStates(description, typ string, f zigbeeExpose) bool {
	c.kind = map[string]Kind{"switch": Switched, "lock": Lock}[typ]
	if c.kind == Switched && zigbeeValve.MatchString(description) && !zigbeeNoValve.MatchString(description) {
		c.kind = Valve
	}
	c.values = wanted[c.kind][:2] // what stands for "on" comes first
	c.payloads = map[string]json.RawMessage{c.values[0]: f.On, c.values[1]: f.Off}
	return strings.HasPrefix(f.Property, "state") && len(f.On) > 0 && len(f.Off) > 0
}

// zigbeeCoverWords are the orders of a cover.
var zigbeeCoverWords = map[string]string{"open": "OPEN", "closed": "CLOSE", Stopped: "STOP"}

// cover reads what of a blind or shutter can be set: whether it is open, and how far.
func (c *zigbeeControl) cover(f zigbeeExpose) bool {
	low, high := 0.0, 100.0
	switch {
	case strings.HasPrefix(f.Property, "state"):
		c.kind, c.payloads = Cover, map[string]json.RawMessage{}
		for _, v := range wanted[Cover] {
			if len(f.Values) == 0 && v != Stopped || slices.Contains(f.Values, zigbeeCoverWords[v]) {
				c.values, c.payloads[v] = append(c.values, v), json.RawMessage(`"`+zigbeeCoverWords[v]+`"`)
			}
		}
		return len(c.values) > 0
	case strings.HasPrefix(f.Property, "position"):
		c.kind, c.min, c.max = Position, &low, &high
		return true
	}
	return false
}

// climate reads what of a thermostat can be set: temperatures within bounds, and modes.
func (c *zigbeeControl) climate(f zigbeeExpose) bool {
	switch f.Type {
	case "numeric":
		low, err := readNumber(f.Min)
		high, err2 := readNumber(f.Max)
		c.kind, c.min, c.max = Setpoint, &low, &high
		return strings.HasSuffix(f.Property, "setpoint") && err == nil && err2 == nil
	case "enum":
		c.kind, c.values = Mode, f.Values
		return (f.Property == "system_mode" || f.Property == "preset") && len(f.Values) > 0
	}
	return false
}

// payload is what the gateway is told.
func (c zigbeeControl) payload(value string) (json.RawMessage, error) {
	body := c.payloads[value]
	switch {
	case len(body) > 0:
	case c.min != nil:
		body = json.RawMessage(value)
	default:
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("write the order: %w", err)
		}
		body = text
	}
	return json.Marshal(map[string]json.RawMessage{c.property: body})
}

// zigbeeControls are a device's controls by the name that its gateway has for it now.
func (d *Decoder) zigbeeControls(dev *Device) (out []Control) {
	ieee, ok := strings.CutPrefix(dev.Hardware, "z2m:")
	g := d.gateways[strings.TrimPrefix(dev.Via, "z2m:bridge:")]
	if !ok || g == nil {
		return nil
	}
	for name, address := range g.byName {
		if address != ieee {
			continue
		}
		topic := strings.TrimPrefix(dev.Via, "z2m:bridge:") + "/" + name + "/set"
		for _, z := range g.controls[ieee] {
			c := Control{Key: z.property, Kind: z.kind, Values: z.values, Min: z.min, Max: z.max}
			if e := dev.Entities[z.property]; e != nil {
				c.Name, c.Unit, c.ExpireAfter = e.Name, e.Unit, e.ExpireAfter
			}
			c.send = func(o Order) (Sending, error) {
				body, err := z.payload(o.Value)
				return Sending{Topic: topic, Payload: body}, err
			}
			out = append(out, c)
		}
		break
	}
	return out
}
