package decode

import (
	"encoding/json"
	"strings"

	"estate/edge/internal/hass"
	"estate/edge/internal/jinja"
)

// bindBeside listens to what an entity tells beside its values: its attributes, and topics whose
// payloads are no values, so that they are known for what they are.
func (d *Decoder) bindBeside(r *Result, m Message, one *announcedEntity, name string, e hass.Entity) {
	if a := e.Attributes; a != nil && !d.ownsTopic(a.Topic) && !d.tells(one.hardware, a.Topic) {
		if a.NeedsMapping != "" {
			r.refuse(m, e.ID+".json_attributes", a.NeedsMapping)
		}
		d.listen(r, m, a.Topic, binding{owner: one, hardware: one.hardware, key: name, attributes: a})
	}
	for topic, what := range e.Quiet {
		d.silence(one, topic, what)
	}
}

// needsMapping is what comes on the topic of an entity whose template is not understood.
const needsMapping = "a value of an entity that needs mapping"

// silence notes that what comes on a topic gives no value.
func (d *Decoder) silence(one *announcedEntity, topic, what string) {
	if len(d.quiet) < announcementsMax {
		d.quiet[topic] = what
		one.quiet = append(one.quiet, topic)
		d.held.drop(topic)
	}
}

// tells says that values of a device are read from a topic, so that what else the payload holds
// is announced where it matters.
func (d *Decoder) tells(hardware, topic string) bool {
	for _, b := range d.bindings[topic] {
		if b.hardware == hardware && b.reach == nil {
			return true
		}
	}
	return false
}

// attribute reads the attributes of an entity. Of what nobody announced those are taken whose word
// says what they are: how a battery stands, how well the device is heard.
func (d *Decoder) attribute(r *Result, m Message, b binding, payload *jinja.Payload) {
	text := payload.Text()
	if b.attributes.NeedsMapping != "" {
		return
	}
	if t := b.attributes.Template; t != nil {
		var err error
		if text, err = t.Render(jinja.Vars{Payload: payload, Now: m.Arrival.In(d.zone)}); err != nil {
			r.refuse(m, b.key, "attributes: "+err.Error())
			return
		}
	}
	list, err := leaves(json.RawMessage(strings.TrimSpace(text)))
	if err != nil {
		r.refuse(m, b.key, "attributes: "+err.Error())
	}
	before := len(r.Observations) + len(r.Unrecognised)
	for _, l := range list {
		q, known := zigbeeWord(l.name())
		if !known || len(l.path) != 1 || q.typ == 0 {
			continue
		}
		l.path = []string{b.key, l.name()}
		d.observe(r, m, d.boundTo(m, b.hardware), l, q)
	}
	if err == nil && len(r.Observations)+len(r.Unrecognised) == before {
		r.Nothing = "more of an announced value, none of it a measurement"
	}
}
