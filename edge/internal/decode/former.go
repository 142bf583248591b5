package decode

import (
	"strings"
)

// Devices are renamed and moved: what they said under the name before is kept by the broker, a
// last will among it, and comes again at each connection. It is not to be taken for another
// device, nor for what the device is now.

const (
	// memoryPrefix begins the topics of what the decoder asks to be remembered. No device can
	// send on it: what listens to all topics hears none that begins with a dollar sign.
	memoryPrefix = "$estate/"
	memoryFormer = memoryPrefix + "former/"
	memoryNamed  = memoryPrefix + "named/"
	// namesMax bounds the names that are remembered.
	namesMax = 20_000
)

// formerName says why a message was not read.
const formerName = "what a device said under a name that it has no more"

// recall takes what the decoder asked to be remembered; false for other messages.
func (d *Decoder) recall(m Message) bool {
	hardware := string(m.Payload)
	if len(m.Payload) == 0 {
		return strings.HasPrefix(m.Topic, memoryPrefix)
	}
	if key, ok := strings.CutPrefix(m.Topic, memoryFormer); ok {
		d.former[key] = hardware
		return true
	}
	if key, ok := strings.CutPrefix(m.Topic, memoryNamed); ok {
		d.named[key] = hardware
		if prefix, ok := strings.CutPrefix(key, "esphome:topic:"); ok {
			d.esphomeAt[hardware] = prefix
		}
		if prefix, ok := strings.CutPrefix(key, "shelly:topic:"); ok {
			d.shellyAt[hardware] = prefix
		}
		return true
	}
	return strings.HasPrefix(m.Topic, memoryPrefix)
}

// name notes that hardware has a name that topics bear, and which it had before is former.
func (d *Decoder) name(r *Result, key, hardware string) {
	d.again(r, key)
	if d.named[key] == hardware || d.named[key] == "" && len(d.named) >= namesMax {
		return
	}
	d.named[key] = hardware
	r.Remember = append(r.Remember, Message{Topic: memoryNamed + key, Payload: []byte(hardware)})
}

// again notes that a name is in use.
func (d *Decoder) again(r *Result, key string) {
	if d.former[key] != "" {
		delete(d.former, key)
		r.Remember = append(r.Remember, Message{Topic: memoryFormer + key})
	}
}

// renamed notes that hardware has a name no more.
func (d *Decoder) renamed(r *Result, key, hardware string) {
	if d.named[key] != "" {
		delete(d.named, key)
		r.Remember = append(r.Remember, Message{Topic: memoryNamed + key})
	}
	if d.former[key] == hardware || d.former[key] == "" && len(d.former) >= namesMax {
		return
	}
	d.former[key] = hardware
	r.Remember = append(r.Remember, Message{Topic: memoryFormer + key, Payload: []byte(hardware)})
	r.changed(hardware)
}

// formerly reads a message under a name that nothing has now: of the device that had it, or not at
// all where it is what the broker kept, or tells whether something under that name is there.
func (d *Decoder) formerly(r *Result, m Message, o *Observation, availability bool) (nothing bool) {
	hardware, was := d.former[o.Hardware]
	if !was {
		return false
	}
	if m.Retained || availability {
		r.Nothing = formerName
		return true
	}
	o.Hardware = hardware
	return false
}
