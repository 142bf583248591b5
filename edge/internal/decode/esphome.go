package decode

import (
	"encoding/json"
	"regexp"
	"strings"
)

// ESPHome tells each value on <prefix>/<component>/<object>/state. What the value means, and
// its unit, only its discovery message says.
var esphomeState = regexp.MustCompile(`^(.+)/(sensor|binary_sensor|switch|number|text_sensor|light|fan|cover|lock|valve|climate|select|event)/([a-z0-9_-]+)/state$`)

// esphomeOrder is where it takes orders.
var esphomeOrder = regexp.MustCompile(`^.+/(?:switch|cover|lock|valve)/[a-z0-9_-]+/command$`)

// esphome reads a value that was not announced.
func (d *Decoder) esphome(r *Result, m Message, prefix, component, object string) {
	o := observed(m, "esphome:topic:"+prefix, prefix)
	raw, err := json.Marshal(strings.TrimSpace(string(m.Payload)))
	if err != nil {
		return
	}
	if strings.EqualFold(strings.TrimSpace(string(m.Payload)), "nan") {
		r.Nothing = "a sensor that does not know its value"
		return
	}
	q := quantity{kind: components[component]}
	switch component {
	case "sensor", "number":
		q.typ = Number
		if _, err := readNumber(raw); err != nil {
			q.typ = Text
		}
	case "binary_sensor":
		q.typ = Bool
	}
	d.observe(r, m, o, leaf{[]string{component, object}, raw}, q)
}
