package decode

import "slices"

// A publisher goes over from one form of discovery to the other, or moves an announcement to
// another topic: it says so on the old topic, announces on the new one and takes the old one back.
// In between the entity is there all the time; after it there is one of it.

// leave notes that what a topic announced comes on another.
func (a announced) leave() {
	for _, one := range a {
		one.leaving = true
	}
}

// relieve takes what is leaving out of the place of what came for it: the same hardware and keys.
// It gives how far the device was known to be there.
func (d *Decoder) relieve(one *announcedEntity, hardware string, keys []string) *reach {
	dev := d.devices[hardware]
	var before *reach
	for _, key := range keys {
		e := dev.Entities[key]
		if e == nil {
			continue
		}
		for _, old := range slices.Clone(e.owners) {
			if old == one || !old.leaving {
				continue
			}
			before = old.reach
			d.unbind(old)
			delete(d.announced[old.topic], old.id)
		}
	}
	return before
}
