package decode

import "slices"

// A device that was renamed announces itself anew, under other topics, and the broker keeps what it
// announced before, with a last will that says offline for ever. Both are the same hardware: it is
// there where any of them says so, and it is told what to do where it speaks.

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
