package hass

import (
	"math"
	"strconv"
	"strings"

	"estate/edge/internal/jinja"
)

// Scale is what a device says for nothing and for all of something. A shutter may call closed
// 255 and open 0.
type Scale struct{ None, All float64 }

// scaleMax bounds the ends of a scale: what is computed with them stays a number.
const scaleMax = 1e9

// scaled makes a scale of two numbers; nil where it is that of percent, or none.
func scaled(none, all string) *Scale {
	n, err := strconv.ParseFloat(none, 64)
	a, err2 := strconv.ParseFloat(all, 64)
	far := !(math.Abs(n) <= scaleMax && math.Abs(a) <= scaleMax) // or no number
	if err != nil || err2 != nil || far || n == a || n == 0 && a == 100 {
		return nil
	}
	return &Scale{n, a}
}

// positions is the scale of a cover or valve.
func positions(c config) *Scale {
	return scaled(c.textOr("position_closed", "0"), c.textOr("position_open", "100"))
}

// speeds is the scale of a fan: what it calls its lowest speed is the first above nothing.
func speeds(c config) *Scale {
	low, err := strconv.Atoi(c.textOr("speed_range_min", "1"))
	if err != nil {
		return nil
	}
	return scaled(strconv.Itoa(low-1), c.textOr("speed_range_max", "100"))
}

// percent gives what a device says in percent. What lies beyond an end is that end.
func (s Scale) percent(f float64) float64 {
	return math.Round(100*min(max((f-s.None)/(s.All-s.None), 0), 1)*100) / 100
}

// Of gives a number of percent as the device says it: a whole number.
func (s Scale) Of(percent float64) float64 {
	return math.Round(s.None + (s.All-s.None)*percent/100)
}

// beside are points that are told on the topic of another: what a valve does beside its position,
// a vacuum cleaner's battery.
func (p Point) beside(component string, c config) []Point {
	one := Point{Topic: p.Topic, Template: p.Template, NeedsMapping: p.NeedsMapping, Encoding: p.Encoding, Only: true}
	switch {
	case p.Name != "":
	case component == "valve" && p.Part == "position":
		one.Name, one.Part = "state", "state"
		one.valveWords(c)
		return []Point{one}
	case component == "vacuum":
		one.Name, one.Part, one.Form, one.DeviceClass, one.Unit = "battery_level", "battery_level", Number, "battery", "%"
		return []Point{one}
	}
	return nil
}

// valveWords are what a valve does.
func (p *Point) valveWords(c config) {
	p.words(c, "open", "open", "closed", "closed", "opening", "opening", "closing", "closing")
}

// Attributes is where a device tells more of an entity than its value: a JSON object.
type Attributes struct {
	Topic        string
	Template     *jinja.Template
	Encoding     Encoding
	NeedsMapping string
}

func attributesOf(c config) *Attributes {
	a := &Attributes{Topic: c.text("json_attributes_topic"), Encoding: encodingOf(c)}
	if a.Topic == "" {
		return nil
	}
	a.Template, a.NeedsMapping = template(c.text("json_attributes_template"))
	return a
}

// quiet lists the topics of a component that give no value, with what they hold.
func quiet(component string, c config) map[string]string {
	out := map[string]string{}
	for key, what := range map[string]string{"image_topic": "a picture", "url_topic": "the address of a picture", "last_reset_topic": "when a counter was set back"} {
		if topic := c.text(key); topic != "" {
			out[topic] = what
		}
	}
	if topic := c.text("topic"); component == "camera" && topic != "" {
		out[topic] = "a picture"
	}
	return out
}

// Encoding is how the characters of payloads are written: empty for UTF-8.
type Encoding string

// raw is Home Assistant's word for bytes that are no text.
const raw Encoding = "raw"

func encodingOf(c config) Encoding {
	if _, told := c["encoding"]; !told {
		return ""
	}
	switch name := strings.ToLower(c.text("encoding")); strings.NewReplacer("-", "", "_", "", " ", "").Replace(name) {
	case "utf8", "utf", "ascii", "usascii":
		return ""
	case "latin1", "iso88591", "l1":
		return "latin-1"
	case "":
		return raw
	default:
		return Encoding(clip(name))
	}
}

// unknown says why payloads in the encoding cannot be read; empty where they can.
func (e Encoding) unknown() string {
	switch e {
	case "", "latin-1", raw:
		return ""
	}
	return "the encoding " + string(e) + " is not supported"
}

// text gives a payload as UTF-8. Where the device says that it sends bytes, those are a text only
// where they are one.
func (e Encoding) text(payload *jinja.Payload) *jinja.Payload {
	if e != "latin-1" {
		return payload
	}
	var out strings.Builder
	for _, b := range []byte(payload.Text()) {
		out.WriteRune(rune(b))
	}
	return jinja.NewPayload([]byte(out.String()))
}
