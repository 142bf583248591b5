package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"estate/edge/internal/hass"
)

// plainEntitiesMax bounds what a device of our own topics announces: a microcontroller has a
// dozen inputs.
const plainEntitiesMax = 64

// plainKey is a key of a device's own in its states.
var plainKey = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// plainAnnouncement is what a device of our own topics tells of itself.
type plainAnnouncement struct {
	Name         string                     `json:"name"`
	Manufacturer string                     `json:"manufacturer"`
	Model        string                     `json:"model"`
	Firmware     string                     `json:"firmware"`
	Area         string                     `json:"area"`
	Battery      bool                       `json:"battery"`
	Sleeps       bool                       `json:"sleeps"`
	Entities     map[string]json.RawMessage `json:"entities"`
}

type plainEntity struct {
	Component   string   `json:"component"`
	Name        string   `json:"name"`
	DeviceClass string   `json:"device_class"`
	Unit        string   `json:"unit"`
	ExpireAfter int      `json:"expire_after"`
	Min         *float64 `json:"min"`
	Max         *float64 `json:"max"`
	Options     []string `json:"options"`
}

// plainWords are what components with words for their states may say.
var plainWords = map[string][]string{
	"valve": {"open", "closed", "opening", "closing", "stopped"}, "cover": {"open", "closed", "opening", "closing", "stopped"},
	"lock": {"locked", "unlocked", "locking", "unlocking", "jammed"},
}

// plainOrders are the values by which components are ordered.
var plainOrders = map[string]map[string]string{
	"switch": {"on": "true", "off": "false"}, "siren": {"on": "true", "off": "false"}, "valve": {"open": `"open"`, "close": `"close"`, "stop": `"stop"`},
	"cover": {"open": `"open"`, "close": `"close"`, "stop": `"stop"`}, "lock": {"lock": `"lock"`, "unlock": `"unlock"`}, "button": {"press": `"press"`},
}

// plainAnnounced takes what a device says that it is. An empty payload takes it back.
func (d *Decoder) plainAnnounced(r *Result, m Message, o Observation) {
	var a plainAnnouncement
	if len(bytes.TrimSpace(m.Payload)) > 0 {
		fields, err := object(m.Payload)
		if err != nil {
			r.refuseAs(NotAnObject, m, "", err.Error())
			return
		}
		if key, err := a.read(fields); err != nil {
			r.refuseAs(WrongAnnouncement, m, key, err.Error())
			return
		}
	}
	dev := d.device(o.Hardware)
	if dev == nil {
		r.refuse(m, "", "more than 10000 devices: this one is left out")
		return
	}
	r.Configures = true
	r.changed(o.Hardware)
	for key := range d.plains[o.Hardware] {
		delete(dev.Entities, key)
	}
	delete(d.plains, o.Hardware)
	if len(bytes.TrimSpace(m.Payload)) == 0 {
		r.Removed = append(r.Removed, o.Hardware)
		return
	}
	changed := false
	set(&dev.Name, a.Name, &changed)
	set(&dev.Manufacturer, a.Manufacturer, &changed)
	set(&dev.Model, a.Model, &changed)
	set(&dev.Firmware, a.Firmware, &changed)
	set(&dev.Area, a.Area, &changed)
	dev.Battery, dev.Sleeps = a.Battery, a.Sleeps
	known := map[string]quantity{}
	for _, key := range slices.Sorted(maps.Keys(a.Entities)) {
		var e plainEntity
		if json.Unmarshal(a.Entities[key], &e) != nil {
			r.refuseAs(WrongAnnouncement, m, key, "the entity cannot be read: the schema says what it looks like")
			continue
		}
		q, err := e.quantity(key)
		if err != nil {
			r.refuseAs(WrongAnnouncement, m, key, err.Error())
			continue
		}
		if entity := dev.entity(key); entity != nil {
			known[key] = q
			*entity = Entity{Key: key, Name: clip(e.Name), Component: e.Component, Kind: q.kind, Unit: q.unit, ExpireAfter: e.ExpireAfter, Command: e.command(m.Topic, key)}
		}
	}
	d.plains[o.Hardware] = known
}

// read takes an announcement field by field, so that what is wrong is named.
func (a *plainAnnouncement) read(fields map[string]json.RawMessage) (key string, err error) {
	for name, into := range map[string]any{"name": &a.Name, "manufacturer": &a.Manufacturer, "model": &a.Model, "firmware": &a.Firmware, "area": &a.Area,
		"battery": &a.Battery, "sleeps": &a.Sleeps, "entities": &a.Entities} {
		if raw, told := fields[name]; told && json.Unmarshal(raw, into) != nil {
			return name, fmt.Errorf("%s cannot be read: the schema says what it looks like", name)
		}
	}
	if a.Entities == nil {
		return "entities", errors.New("the announcement lists no entities")
	}
	if len(a.Entities) > plainEntitiesMax {
		return "entities", fmt.Errorf("more than %d entities", plainEntitiesMax)
	}
	return "", nil
}

// quantity says how the values of an entity are read.
func (e plainEntity) quantity(key string) (quantity, error) {
	q, own := quantities[key]
	switch {
	case !plainKey.MatchString(key) || key == "ts":
		return q, errors.New("a key is lower case letters, digits and '_', begins with a letter, and is not ts")
	case e.ExpireAfter < 0:
		return q, errors.New("expire_after is below 0")
	case own && e.Component != "sensor" && e.Component != "binary_sensor":
		return q, errors.New("this key is a measurement: give what can be ordered another key")
	case own:
		return q, nil
	}
	q = quantity{kind: components[e.Component], typ: Text, unit: unitOf(e.Unit), words: plainWords[e.Component]}
	switch e.Component {
	case "sensor":
		q.kind, q.typ = classes[e.DeviceClass], Number
		q.unit = unitFor(q.kind, q.unit)
	case "binary_sensor":
		q.kind, q.typ = binaryClasses[e.DeviceClass], Bool
	case "switch", "siren":
		q.typ = Bool
	case "number":
		if e.Min == nil || e.Max == nil || *e.Min >= *e.Max {
			return q, errors.New("a number needs min below max")
		}
		q.typ, q.min, q.max = Number, *e.Min, *e.Max
	case "select":
		if len(e.Options) == 0 || slices.Contains(e.Options, "") {
			return q, errors.New("a select needs options")
		}
		q.words = e.Options
	case "valve", "cover", "lock", "button":
	default:
		return q, fmt.Errorf("component %q is not known", clip(e.Component))
	}
	return q, nil
}

// command says how an entity is ordered; nil where it cannot be.
func (e plainEntity) command(announcement, key string) *hass.Command {
	values := plainOrders[e.Component]
	if values == nil && e.Component != "number" && e.Component != "select" {
		return nil
	}
	c := &hass.Command{Topic: SetTopic(announcement), Payloads: map[string]string{}, Options: e.Options, QoS: 1}
	for order, value := range values {
		c.Payloads[order] = fmt.Sprintf(`{"entity":%q,"value":%s}`, key, value)
	}
	if e.Component == "number" {
		c.Min, c.Max = strconv.FormatFloat(*e.Min, 'g', -1, 64), strconv.FormatFloat(*e.Max, 'g', -1, 64)
	}
	return c
}

// SetTopic is where a device of our own topics takes orders, from its topic for announcements.
func SetTopic(announcement string) string {
	return announcement[:len(announcement)-len("announcement")] + "set"
}

// plainAnswer takes what became of an order: with the entity's value, it is a value as any.
func (d *Decoder) plainAnswer(r *Result, m Message, o Observation) {
	fields, err := object(m.Payload)
	if err != nil {
		r.refuseAs(NotAnObject, m, "", err.Error())
		return
	}
	entity, named := readText(fields["entity"])
	result, told := readText(fields["result"])
	switch {
	case !named:
		r.refuseAs(WrongAnswer, m, "entity", "the answer names no entity")
	case !told || !slices.Contains([]string{"done", "refused", "failed", "expired"}, result):
		r.refuseAs(WrongAnswer, m, "result", "the result is none of done, refused, failed, expired")
	case len(fields["value"]) == 0:
		r.answered(o, result, fields)
		r.Nothing = "an order that changed nothing"
	default:
		r.answered(o, result, fields)
		q, known := d.plains[o.Hardware][entity]
		if !known {
			r.refuseAs(WrongAnswer, m, "entity", "the device did not announce the entity "+clip(entity))
			return
		}
		at, wrong := eventTime(fields["ts"], m.Arrival)
		if wrong {
			r.refuseAs(WrongTime, m, "ts", wrongTime)
		}
		o.EventTime = at
		d.observe(r, m, o, leaf{[]string{entity}, fields["value"]}, q)
	}
}

// answered passes on what became of an order that had an id.
func (r *Result) answered(o Observation, result string, fields map[string]json.RawMessage) {
	id, named := readText(fields["id"])
	if !named {
		return
	}
	detail, _ := readText(fields["detail"])
	if detail == "" {
		detail = result
	}
	r.Answers = append(r.Answers, Answer{Hardware: o.Hardware, Reference: clip(id), OK: result == "done", Text: clip(detail)})
}
