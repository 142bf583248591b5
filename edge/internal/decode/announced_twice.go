package decode

import (
	"slices"

	"estate/edge/internal/hass"
	"estate/edge/internal/jinja"
)

// A device that was renamed announces itself anew, under other topics, and the broker keeps what it
// announced before, with a last will that says offline for ever. Both are the same hardware: it is
// there where any of them says so, and it is told what to do where it speaks.

// reached takes a message that tells whether devices are there, and says it once for each.
func (d *Decoder) reached(r *Result, m Message, list []binding, payload *jinja.Payload) {
	var told []string
	for _, b := range list {
		if b.reach == nil {
			continue
		}
		on, err := b.reach.availability.Sources[b.source].Read(payload, m.Arrival.In(d.zone))
		if err == hass.ErrNoValue { //nolint:errorlint // never wrapped
			continue
		}
		if err != nil {
			r.refuse(m, "availability", err.Error())
			continue
		}
		b.reach.states[b.source] = on
		switch b.reach.availability.Mode {
		case "all":
			on = !slices.Contains(b.reach.states, false)
		case "any":
			on = slices.Contains(b.reach.states, true)
		}
		b.reach.on = on
		if !slices.Contains(told, b.hardware) {
			told = append(told, b.hardware)
		}
	}
	for _, hardware := range told {
		o := observed(m, hardware, "")
		if dev := d.devices[hardware]; dev != nil {
			o.Name = dev.Name
		}
		on := slices.ContainsFunc(d.reaches[hardware], func(one *reach) bool { return one.on })
		o.Key, o.Kind, o.Value = "availability", Availability, BoolValue(on)
		r.Observations = append(r.Observations, o)
	}
}

// speaks notes that what was announced is heard: orders go where it says.
func (d *Decoder) speaks(r *Result, b binding) {
	dev := d.devices[b.hardware]
	if dev == nil || b.owner.live {
		return
	}
	for _, key := range b.owner.keys {
		e := dev.Entities[key]
		if e == nil {
			continue
		}
		for _, other := range e.owners {
			other.live = false
		}
		if e.Command != b.owner.commands[key] {
			e.Command = b.owner.commands[key]
			r.changed(b.hardware)
		}
	}
	b.owner.live = true
}

// disown notes that something is announced no more. What announces it besides tells how it is
// ordered.
func (d *Decoder) disown(one *announcedEntity) {
	dev := d.devices[one.hardware]
	if dev == nil {
		return
	}
	for _, key := range one.keys {
		e := dev.Entities[key]
		if e == nil {
			continue
		}
		e.owners = slices.DeleteFunc(e.owners, func(o *announcedEntity) bool { return o == one })
		if n := len(e.owners); n > 0 && e.Command == one.commands[key] {
			e.Command = e.owners[n-1].commands[key]
		}
	}
}
