package hass

import (
	"errors"
	"slices"
	"strings"

	"estate/edge/internal/jinja"
)

// Form says how a rendered payload becomes a value.
type Form int

const (
	// Auto is a number where the text is one, else a text.
	Auto Form = iota
	// Number must be a number; an empty text, "None" and "unknown" are no value.
	Number
	// Switch is true or false by the texts On and Off.
	Switch
	// Text is kept as it is, but for the words of Words.
	Text
	// Event is something that happened: a JSON object's event_type, or the text itself. With
	// On set only that text is the event, and Off is what it is called.
	Event
	// Version is a text, or a JSON object's installed_version.
	Version
)

// Point is one value of an entity: where it comes from and how it is read.
type Point struct {
	// Name tells the points of an entity apart; it is empty for the entity's state.
	Name  string
	Topic string
	// Template is nil where the payload is the value.
	Template *jinja.Template
	// NeedsMapping says why the template cannot be used; the point then gives no value until
	// a person maps it.
	NeedsMapping string
	Form         Form
	On, Off      string
	// Words are what some texts stand for, as "UNLOCKED" for "unlocked".
	Words map[string]string
	// Part is what holds the value where the rendered payload is a JSON object, as a valve's
	// "position"; without a Part an object is read as any text.
	Part string
	// Only says that a text which is none of Words is no value of this point: a valve tells its
	// position and what it does on one topic.
	Only bool
	// Scale is what stands for nothing and for all of it, where that is not 0 and 100 percent.
	Scale       *Scale
	Encoding    Encoding
	Unit        string
	DeviceClass string
}

// Entity is one thing that a device measures or does.
type Entity struct {
	// ID is the component's id in the announcement.
	ID                                      string
	Component, UniqueID, ObjectID, Name     string
	DeviceClass, Unit, StateClass, Category string
	// ExpireAfter is after how many seconds without a value it is not known any more; zero
	// where the device does not say.
	ExpireAfter  int
	Points       []Point
	Availability Availability
	Command      *Command
	// Commands are how values beside the state are set, by the name of their point: a climate's
	// "mode" and "temperature", a cover's "position".
	Commands map[string]*Command
	// Attributes is where more is told of it than its values; nil where nowhere.
	Attributes *Attributes
	// Quiet are its topics that give no value, with what they hold.
	Quiet map[string]string
}

// Availability tells whether an entity's device is there.
type Availability struct {
	// Mode is "latest", "all" or "any".
	Mode    string
	Sources []Source
}

// Source is one topic that tells whether something is there.
type Source struct {
	Topic                   string
	Template                *jinja.Template
	Available, NotAvailable string
	Encoding                Encoding
	NeedsMapping            string
}

// entity reads one component and adds it.
func (a *Announcement) entity(id, component string, c config) {
	e := Entity{ID: id, Component: component, UniqueID: c.text("unique_id"), ObjectID: c.text("object_id"), Name: c.text("name"),
		DeviceClass: c.text("device_class"), Unit: c.text("unit_of_measurement"), StateClass: c.text("state_class"), Category: c.text("entity_category"),
		ExpireAfter: c.seconds("expire_after"), Quiet: quiet(component, c)}
	if e.ObjectID == "" {
		_, e.ObjectID, _ = strings.Cut(c.text("default_entity_id"), ".")
	}
	e.Points = points(component, c)
	e.Availability = availability(c)
	e.Command, e.Commands = command(component, c), commands(component, c)
	e.Attributes = attributesOf(c)
	for _, p := range e.Points {
		if p.NeedsMapping != "" {
			a.problem(id, p.Name, p.NeedsMapping)
		}
	}
	if len(e.Points) == 0 && e.Command == nil && len(e.Commands) == 0 && !slices.Contains([]string{"camera", "image"}, component) {
		a.problem(id, "state_topic", "the component has no topic that gives a value or takes a command")
	}
	a.Entities = append(a.Entities, e)
}

// template parses a template; an empty one is none.
func template(text string) (*jinja.Template, string) {
	if text == "" {
		return nil, ""
	}
	t, err := jinja.Parse(text)
	var reason *jinja.Error
	if errors.As(err, &reason) {
		return nil, "template: " + reason.Error()
	}
	return t, ""
}

// notValues are topics of a component that give no value of it.
func notValues(key string) bool {
	switch key {
	case "topic", "availability_topic", "json_attributes_topic", "image_topic", "url_topic", "last_reset_topic", "set_position_topic", "set_fan_speed_topic":
		return true
	}
	return strings.HasSuffix(key, "command_topic")
}

// points lists the values of a component, its state first.
func points(component string, c config) []Point {
	var out []Point
	if p, ok := trigger(component, c); ok {
		return []Point{p}
	}
	keys := make([]string, 0, len(c))
	for k := range c {
		if strings.HasSuffix(k, "_topic") && !notValues(k) && c.text(k) != "" {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		if (a == "state_topic") != (b == "state_topic") {
			if a == "state_topic" {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, k := range keys {
		stem := strings.TrimSuffix(k, "_topic")
		short := strings.TrimSuffix(strings.TrimSuffix(stem, "_state"), "_status")
		p := Point{Name: short, Topic: c.text(k)}
		if stem == "state" {
			p.Name = ""
		}
		text := ""
		for _, t := range templatesOf(stem, short) {
			if text = c.text(t); text != "" {
				break
			}
		}
		if component == "light" && stem == "state" && c.text("schema") == "json" {
			text = "{{ value_json.state }}"
		}
		p.Template, p.NeedsMapping = template(text)
		p.Encoding = encodingOf(c)
		if p.NeedsMapping == "" {
			p.NeedsMapping = p.Encoding.unknown()
		}
		p.form(component, c)
		out = append(out, p)
		out = append(out, p.beside(component, c)...)
	}
	return out
}

// templatesOf lists the keys under which the template of a topic may stand.
func templatesOf(stem, short string) []string {
	if stem == "state" {
		return []string{"value_template", "state_value_template", "state_template"}
	}
	return []string{stem + "_template", short + "_value_template", short + "_template"}
}

// trigger reads the components that tell what happened on a topic of their own.
func trigger(component string, c config) (Point, bool) {
	p := Point{Topic: c.text("topic"), Form: Event}
	if p.Topic == "" {
		return p, false
	}
	p.Template, p.NeedsMapping = template(c.text("value_template"))
	if p.Encoding = encodingOf(c); p.NeedsMapping == "" {
		p.NeedsMapping = p.Encoding.unknown()
	}
	switch component {
	case "device_automation":
		p.On, p.Off = c.text("payload"), strings.TrimSpace(c.text("type")+" "+c.text("subtype"))
		return p, true
	case "tag":
		return p, true
	}
	return p, false
}

// form says how the value of a point is read.
func (p *Point) form(component string, c config) {
	if p.Name != "" {
		p.attribute(c)
		return
	}
	p.Unit, p.DeviceClass = c.text("unit_of_measurement"), c.text("device_class")
	switch component {
	case "sensor":
		switch {
		case slices.Contains([]string{"timestamp", "date", "enum"}, p.DeviceClass):
			p.Form = Text
		case p.Unit != "" || c.text("state_class") != "" || p.DeviceClass != "":
			p.Form = Number
		}
	case "number":
		p.Form = Number
	case "binary_sensor":
		p.Form, p.On, p.Off = Switch, c.textOr("payload_on", "ON"), c.textOr("payload_off", "OFF")
	case "switch", "siren", "light", "fan", "humidifier":
		p.Form = Switch
		if component == "siren" {
			p.Part = "state"
		}
		p.On, p.Off = c.textOr("state_on", c.textOr("payload_on", "ON")), c.textOr("state_off", c.textOr("payload_off", "OFF"))
	case "lock":
		p.words(c, "locked", "LOCKED", "unlocked", "UNLOCKED", "locking", "LOCKING", "unlocking", "UNLOCKING", "jammed", "JAMMED")
	case "cover", "valve":
		if component == "valve" && c.yes("reports_position") {
			p.valveWords(c)
			p.Form, p.Unit, p.Part, p.Scale = Number, "%", "position", positions(c)
			return
		}
		if component == "valve" {
			p.Part = "state"
		}
		p.words(c, "open", "open", "closed", "closed", "opening", "opening", "closing", "closing", "stopped", "stopped")
	case "vacuum":
		p.Form, p.Part = Text, "state"
	case "device_tracker":
		p.Form = Text
		p.Words = map[string]string{c.textOr("payload_home", "home"): "home", c.textOr("payload_not_home", "not_home"): "not_home"}
	case "event":
		p.Form = Event
	case "update":
		p.Form = Version
	default:
		p.Form = Text
	}
}

// words takes pairs of a state and the text that stands for it unless the component says
// otherwise.
func (p *Point) words(c config, pairs ...string) {
	p.Form, p.Words = Text, map[string]string{}
	for pair := range slices.Chunk(pairs, 2) {
		p.Words[c.textOr("state_"+pair[0], pair[1])] = pair[0]
	}
}

// attribute says how a value beside the state is read.
func (p *Point) attribute(c config) {
	p.Form = Auto
	switch p.Name {
	case "current_temperature", "temperature", "temperature_high", "temperature_low":
		p.Form, p.DeviceClass, p.Unit = Number, "temperature", "°C"
		if strings.EqualFold(c.text("temperature_unit"), "F") {
			p.Unit = "°F"
		}
	case "current_humidity", "target_humidity":
		p.Form, p.DeviceClass, p.Unit = Number, "humidity", "%"
	case "position":
		p.Form, p.Unit, p.Scale = Number, "%", positions(c)
	case "tilt":
		p.Form, p.Unit, p.Scale = Number, "%", scaled(c.textOr("tilt_min", "0"), c.textOr("tilt_max", "100"))
	case "percentage":
		p.Form, p.Unit, p.Scale = Number, "%", speeds(c)
	case "battery_level":
		p.Form, p.DeviceClass, p.Unit = Number, "battery", "%"
	case "mode", "action", "fan_mode", "preset_mode", "swing_mode", "swing_horizontal_mode", "effect", "color_mode", "direction", "activity":
		p.Form = Text
	case "latest_version":
		p.Form = Version
	}
}

func availability(c config) Availability {
	out := Availability{Mode: c.textOr("availability_mode", "latest")}
	if !slices.Contains([]string{"latest", "all", "any"}, out.Mode) {
		out.Mode = "latest"
	}
	list := availabilities(c["availability"])
	if topic := c.text("availability_topic"); topic != "" && len(list) == 0 {
		one := config{"topic": c["availability_topic"], "value_template": c["availability_template"]}
		for _, k := range []string{"payload_available", "payload_not_available"} {
			if v, ok := c[k]; ok {
				one[k] = v
			}
		}
		list = []config{one}
	}
	for _, one := range list {
		s := Source{Topic: one.text("topic"), Available: one.textOr("payload_available", "online"), NotAvailable: one.textOr("payload_not_available", "offline")}
		if s.Topic == "" {
			continue
		}
		s.Template, s.NeedsMapping = template(one.text("value_template"))
		if s.Encoding = encodingOf(c); s.NeedsMapping == "" {
			s.NeedsMapping = s.Encoding.unknown()
		}
		out.Sources = append(out.Sources, s)
	}
	return out
}
