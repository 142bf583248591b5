package decode

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// ESPHome tells each value on <prefix>/<component>/<object>/state. What the value means, and
// its unit, only its discovery message says.
var esphomeState = regexp.MustCompile(`^(.+)/(sensor|binary_sensor|switch|number|text_sensor|light|fan|cover|lock|valve|climate|select|event)/([a-z0-9_-]+)/state$`)

// esphomeOrder is where it takes orders.
var esphomeOrder = regexp.MustCompile(`^.+/(?:switch|cover|lock|valve)/[a-z0-9_-]+/command$`)

// esphome reads a value that was not announced.
func (d *Decoder) esphome(r *Result, m Message, prefix, component, object string) {
	o, nothing := d.esphomeDevice(r, m, prefix, false)
	if nothing {
		return
	}
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

// esphomeDiscover is where an ESPHome tells its address, whether or not it announces its values.
const esphomeDiscover = "esphome/discover/"

func esphomeKey(prefix string) string { return "esphome:topic:" + prefix }

// esphomeDevice is the device that speaks under a prefix.
func (d *Decoder) esphomeDevice(r *Result, m Message, prefix string, availability bool) (o Observation, nothing bool) {
	o = observed(m, esphomeKey(prefix), prefix)
	o.Alias = o.Hardware
	if known := d.named[o.Hardware]; known != "" {
		o.Hardware = known
		return o, false
	}
	return o, d.formerly(r, m, &o, availability)
}

// esphomeAnnounced learns which hardware speaks under a prefix from an announcement: its values and
// whether it is there are told as an ESPHome tells them.
func (d *Decoder) esphomeAnnounced(r *Result, one *announcedEntity) {
	for _, topic := range one.topics {
		p := esphomeState.FindStringSubmatch(topic)
		if p == nil || !slices.Contains(one.topics, p[1]+"/status") {
			continue
		}
		if before, known := d.esphomeAt[one.hardware]; known && before != p[1] || !known && len(d.esphomeAt) >= devicesMax {
			return
		}
		d.esphomeAt[one.hardware] = p[1]
		if dev := d.devices[one.hardware]; dev != nil {
			dev.Alias = esphomeKey(p[1])
		}
		d.name(r, esphomeKey(p[1]), one.hardware)
		return
	}
}

// esphomeTold reads a device's address. Its prefix is its name, unless somebody chose another.
func (d *Decoder) esphomeTold(r *Result, m Message, name string) {
	if len(m.Payload) == 0 {
		r.Nothing = "a device tells its address no more"
		return
	}
	var told struct {
		MAC     string `json:"mac"`
		Version string `json:"version"`
		Board   string `json:"board"`
	}
	mac, ok := "", false
	if json.Unmarshal(m.Payload, &told) == nil {
		mac, ok = macOf(told.MAC)
	}
	if !ok || name == "" {
		r.refuse(m, "mac", "the message is not a JSON object with the device's mac")
		return
	}
	r.Nothing = "where a device is in the network"
	hardware := "mac:" + mac
	before, known := d.esphomeAt[hardware]
	if before == name || known && m.Retained && d.former[esphomeKey(name)] != "" || !known && len(d.esphomeAt) >= devicesMax {
		return
	}
	if dev := d.device(hardware); dev != nil {
		changed := false
		set(&dev.Manufacturer, "ESPHome", &changed)
		set(&dev.Model, told.Board, &changed)
		set(&dev.Firmware, told.Version, &changed)
		dev.Alias = esphomeKey(name)
		r.changed(hardware)
	}
	d.esphomeAt[hardware] = name
	d.name(r, esphomeKey(name), hardware)
	if known {
		d.renamed(r, esphomeKey(before), hardware)
	}
}
