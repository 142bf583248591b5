package decode

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"estate/edge/internal/hass"
	"estate/edge/internal/jinja"
)

// Control is one thing that a device can be told. Only states are offered, as "open" and
// "closed", never "the other" or "press": an order that is sent twice does no more than one
// that is sent once. And only what tells its state is offered: without it nobody would know
// whether it was done.
type Control struct {
	// Key is that of the observations in which the device says what state it is in.
	Key, Name string
	Kind      Kind // Switched, Valve, Cover, Lock, Setpoint, Position or Mode
	// Values are the states that can be ordered; for a number there are bounds instead.
	Values   []string
	Min, Max *float64
	Unit     string // of a number
	// ExpireAfter is after how many seconds its state is not known; zero where nothing told.
	ExpireAfter int

	send func(Order) (Sending, error)
}

// Order is what a device shall be told.
type Order struct {
	// ID names the order, and Expires is when it is past: for devices that understand that.
	ID      string
	Value   string
	Expires time.Time
}

// Sending is an order as the device understands it. It is never to be retained: the broker
// would repeat it to the device for ever.
type Sending struct {
	Topic   string
	Payload []byte
	QoS     byte
	// Reference is what an Answer to it bears; empty where the device's state is the only one.
	Reference string
}

// Answer is what a device says of an order, beside the state that it is in.
type Answer struct {
	Hardware, Reference string
	OK                  bool
	Text                string
}

// Order says how the device is told. It fails where that cannot be said.
func (c Control) Order(o Order) (Sending, error) { return c.send(o) }

// settable are the components that can be ordered, and what they are.
var settable = map[string]Kind{"switch": Switched, "siren": Switched, "valve": Valve, "cover": Cover, "lock": Lock, "number": Setpoint, "select": Mode}

// wanted are the states that can be ordered of a kind.
var wanted = map[Kind][]string{Switched: {"on", "off"}, Valve: {"open", "closed", Stopped}, Cover: {"open", "closed", Stopped}, Lock: {"locked", "unlocked"}}

// Stopped is the order to stay where it is. It is done when the device says, after that, that it
// does not move.
const Stopped = "stopped"

// verbs are the orders that lead to states.
var verbs = map[string]string{"on": "on", "off": "off", "open": "open", "closed": "close", Stopped: "stop", "locked": "lock", "unlocked": "unlock"}

const (
	// positionOff is by how much, in percent, a motor may miss a position that it was ordered to.
	positionOff = 2
	// setpointOff is by how much a number may differ that a device rounds.
	setpointOff = 0.05
)

// Done reports whether a device that is in a state now does what was wanted of it.
func Done(kind Kind, want, state string) bool {
	if want == Stopped {
		return state != "" && state != "opening" && state != "closing"
	}
	a, err := strconv.ParseFloat(want, 64)
	b, err2 := strconv.ParseFloat(state, 64)
	if err != nil || err2 != nil {
		return want == state
	}
	switch kind {
	case Position:
		return math.Abs(a-b) <= positionOff
	case Setpoint:
		return math.Abs(a-b) <= setpointOff
	default:
		return want == state
	}
}

// State is a value of a control in the words of orders: what is ordered is done when this is
// what was ordered.
func State(kind Kind, v Value) string {
	text := strings.ToLower(v.Text)
	if v.Type == Bool {
		text = map[bool]string{true: "on", false: "off"}[v.Bool]
	}
	switch kind {
	case Valve, Cover:
		if v.Type == Number { // which way a shutter moves
			return map[float64]string{-1: "closing", 0: Stopped, 1: "opening"}[v.Number]
		}
		switch text {
		case "on", "opened":
			return "open"
		case "off", "close":
			return "closed"
		case "stop":
			return Stopped
		}
		return text
	case Lock:
		switch text {
		case "lock", "unlock":
			return text + "ed"
		}
		return text
	case Setpoint, Position:
		if v.Type == Number && (kind == Setpoint || v.Number >= 0) { // below, a motor does not know where it is
			return strconv.FormatFloat(v.Number, 'f', -1, 64)
		}
		return ""
	case Mode:
		return v.String()
	default: // on and off
		return text
	}
}

// Controls lists what a device can be told, in the order of the keys.
func (d *Decoder) Controls(hardware string) []Control {
	dev, ok := d.devices[hardware]
	if !ok {
		return nil
	}
	out := append(d.zigbeeControls(dev), d.tasmotaControls(dev)...)
	for key, e := range dev.Entities {
		c, ok := d.entityControl(dev, e)
		if ok && !slices.ContainsFunc(out, func(known Control) bool { return known.Key == key }) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Control) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// entityControl is the control that an entity is, by what it announced or by the rules of its
// firmware.
func (d *Decoder) entityControl(dev *Device, e *Entity) (Control, bool) {
	c := Control{Key: e.Key, Name: e.Name, Unit: e.Unit, ExpireAfter: e.ExpireAfter}
	if prefix, ok := strings.CutPrefix(dev.Hardware, "esphome:topic:"); ok {
		return esphomeControl(c, prefix)
	}
	if prefix, ok := d.esphomeAt[dev.Hardware]; ok && e.Component == "" {
		return esphomeControl(c, prefix)
	}
	if prefix, ok := d.shellyAt[dev.Hardware]; ok {
		return shellyControl(c, prefix)
	}
	kind, ok := settable[e.Component]
	if e.Point != "" {
		kind, ok = settings[e.Point]
	}
	c.Kind = kind
	if !ok || e.Command == nil || e.Command.NeedsMapping != "" || e.NeedsMapping != "" || e.Stateless || e.Category != "" {
		return c, false
	}
	if e.Command.Number && e.Point == "" { // a valve that is told how far to open
		c.Kind = Position
	}
	switch c.Kind {
	case Setpoint, Position:
		c.Min, c.Max = float(e.Command.Min, 1), float(e.Command.Max, 100) // Home Assistant's defaults
	case Mode:
		c.Values = e.Command.Options
	default:
		c.Values = slices.DeleteFunc(slices.Clone(wanted[c.Kind]), func(v string) bool { return e.Command.Payloads[verbs[v]] == "" })
	}
	c.send = announcedOrder(*e.Command)
	if strings.HasPrefix(dev.Hardware, "plain:") {
		c.send = plainOrder(e.Command.Topic, c)
	}
	return c, len(c.Values) > 0 || c.Min != nil
}

// settings are the values beside a component's state that can be ordered, and what they are.
var settings = map[string]Kind{"mode": Mode, "preset_mode": Mode, "temperature": Setpoint, "temperature_high": Setpoint, "temperature_low": Setpoint,
	"target_humidity": Setpoint, "position": Position}

func float(text string, otherwise float64) *float64 {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return &n
	}
	return &otherwise
}

// announcedOrder tells a device as its announcement says.
func announcedOrder(c hass.Command) func(Order) (Sending, error) {
	return func(o Order) (Sending, error) {
		payload := o.Value
		if verb, ok := verbs[o.Value]; ok && c.Payloads[verb] != "" {
			payload = c.Payloads[verb]
		}
		vars := jinja.Vars{}
		if percent, err := strconv.ParseFloat(o.Value, 64); err == nil && c.Scale != nil {
			payload = strconv.FormatFloat(c.Scale.Of(percent), 'f', -1, 64)
			vars.More = map[string]any{"position": percent, "position_closed": c.Scale.None, "position_open": c.Scale.All}
		}
		if c.Template != nil {
			vars.Payload = jinja.NewPayload([]byte(payload))
			text, err := c.Template.Render(vars)
			if err != nil {
				return Sending{}, fmt.Errorf("the template of the order: %w", err)
			}
			payload = text
		}
		return Sending{Topic: c.Topic, Payload: []byte(payload)}, nil
	}
}

// plainOrder tells a device of our own topics. It knows when an order is past, so that the
// broker may keep it for a device that is away for a moment.
func plainOrder(topic string, c Control) func(Order) (Sending, error) {
	return func(o Order) (Sending, error) {
		var value any = o.Value
		switch c.Kind {
		case Switched:
			value = o.Value == "on"
		case Setpoint, Position:
			value = json.Number(o.Value)
		default:
			if verb, ok := verbs[o.Value]; ok && c.Kind != Mode {
				value = verb
			}
		}
		body, err := json.Marshal(struct {
			ID      string `json:"id"`
			Entity  string `json:"entity"`
			Value   any    `json:"value"`
			Expires int64  `json:"expires"`
		}{o.ID, c.Key, value, o.Expires.UnixMilli()})
		return Sending{Topic: topic, Payload: body, QoS: 1, Reference: o.ID}, err
	}
}

// esphomeControl is a control of an ESPHome that did not announce itself.
func esphomeControl(c Control, prefix string) (Control, bool) {
	component, object, ok := strings.Cut(c.Key, ".")
	c.Kind = settable[component]
	c.Values = wanted[c.Kind]
	if c.Kind == Valve {
		c.Values = c.Values[:2] // not every valve can stop on the way, and nothing here says which
	}
	c.send = func(o Order) (Sending, error) {
		return Sending{Topic: prefix + "/" + component + "/" + object + "/command", Payload: []byte(strings.ToUpper(verbs[o.Value]))}, nil
	}
	return c, ok && len(c.Values) > 0
}
