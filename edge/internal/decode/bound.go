package decode

import (
	"estate/edge/internal/hass"
	"estate/edge/internal/jinja"
)

// boundTo begins an observation of hardware that was announced.
func (d *Decoder) boundTo(m Message, hardware string) Observation {
	o := observed(m, hardware, "")
	if dev := d.devices[hardware]; dev != nil {
		o.Name = dev.Name
	}
	if prefix, ok := d.esphomeAt[hardware]; ok {
		o.Alias = esphomeKey(prefix)
	}
	return o
}

// bound takes a message on a topic that was announced. ok is false where none was.
func (d *Decoder) bound(r *Result, m Message) bool {
	list := d.bindings[m.Topic]
	if len(list) == 0 {
		what, quiet := d.quiet[m.Topic]
		if quiet {
			r.Nothing = what
		}
		return quiet
	}
	payload := jinja.NewPayload(m.Payload)
	d.reached(r, m, list, payload)
	for _, b := range list {
		if b.reach != nil {
			continue
		}
		if b.attributes != nil {
			d.attribute(r, m, b, payload)
			continue
		}
		o := d.boundTo(m, b.hardware)
		o.Key, o.Kind, o.Unit = b.key, b.kind, b.point.Unit
		v, err := b.point.Read(payload, m.Arrival.In(d.zone))
		switch {
		case err == hass.ErrNoValue: //nolint:errorlint // never wrapped
		case err != nil:
			r.refuse(m, b.key, err.Error())
		default:
			o.Value = valueOf(v)
			if !m.Retained {
				d.speaks(r, b)
			}
			r.Observations = append(r.Observations, o)
		}
	}
	return true
}

func valueOf(v hass.Value) Value {
	switch v.Form {
	case hass.Number:
		return NumberValue(v.Number)
	case hass.Switch:
		return BoolValue(v.On)
	default:
		return Value{Type: Text, Text: clip(v.Text)}
	}
}
