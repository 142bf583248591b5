package decode

import "strings"

// lists reports whether a gateway's list names a device.
func (d *Decoder) lists(bridge, ieee string) bool {
	g := d.gateways[strings.TrimPrefix(bridge, bridgePrefix)]
	if g == nil {
		return false
	}
	for _, one := range g.byName {
		if one == ieee {
			return true
		}
	}
	return false
}

// zigbeeElsewhere reads where a message of a device comes from. One that speaks through another
// gateway than before was moved; what the gateway before said of it, and the broker kept, is not
// how it is now. nothing says that the message is of that sort.
func (d *Decoder) zigbeeElsewhere(r *Result, m Message, o *Observation, base, name string, availability bool) (nothing bool) {
	key := NameKey(base, name)
	if o.Hardware == key {
		return d.formerly(r, m, o, availability)
	}
	dev := d.devices[o.Hardware]
	if dev == nil || dev.Via == "" || dev.Via == bridgeHardware(base) {
		return false
	}
	if m.Retained || availability {
		r.Nothing = formerName
		return true
	}
	ieee := strings.TrimPrefix(o.Hardware, "z2m:")
	before := strings.TrimPrefix(dev.Via, bridgePrefix)
	if g := d.gateways[before]; g != nil {
		for old, one := range g.byName {
			if one == ieee {
				delete(g.byName, old)
				d.renamed(r, NameKey(before, old), o.Hardware)
			}
		}
	}
	dev.Via = bridgeHardware(base)
	d.again(r, key)
	r.changed(o.Hardware)
	return false
}
