package decode

import (
	"slices"
	"strings"

	"estate/edge/internal/hass"
)

const (
	// devicesMax bounds the devices that are known; Zigbee networks end at a few hundred.
	devicesMax = 10_000
	// entitiesMax bounds the values of one device.
	entitiesMax = 1000
)

// Device is what is known of a piece of hardware.
type Device struct {
	Hardware string
	// Name, Manufacturer, Model, Firmware and Area are what it says of itself or its gateway
	// of it; they may be empty.
	Name, Manufacturer, Model, Firmware, Area string
	// Via is the hardware that it speaks through, as a Zigbee gateway.
	Via string
	// Alias is what its messages were taken for before something named the hardware; it may have
	// been adopted under that. Empty where there is none.
	Alias string
	// Battery says that it runs on one: it is heard seldom.
	Battery bool
	// Sleeps says that it is offline by design between its messages.
	Sleeps   bool
	Entities map[string]*Entity // by key
}

// Entity is one value of a device, or one thing that it can be told.
type Entity struct {
	Key, Name string
	Component string // of Home Assistant's: "sensor", "switch", …; empty where nothing told
	// Point says which of the component's values it is; empty for its state.
	Point string
	Kind  Kind
	Unit  string
	// ExpireAfter is after how many seconds without a value it is not known; zero where
	// nothing told.
	ExpireAfter int
	// NeedsMapping says why values of this entity are not read until a person says how.
	NeedsMapping string
	// Command is how it is told what to do; nil where it cannot be.
	Command *hass.Command
	// Stateless says that nothing tells its state, and Category that it is a setting of the
	// device ("config") or tells of the device itself ("diagnostic").
	Stateless bool
	Category  string
	owners    []*announcedEntity // what announces it
}

// Lasting says that a hardware name is that of a device for ever, and not what it is called on the
// way, nor a gateway or a group of devices.
func Lasting(hardware string) bool {
	for _, passing := range []string{bridgePrefix, "z2m:name:", "tasmota:topic:", "shelly:topic:", "esphome:topic:"} {
		if strings.HasPrefix(hardware, passing) {
			return false
		}
	}
	return true
}

// Device gives what is known of a piece of hardware. It must not be changed.
func (d *Decoder) Device(hardware string) (*Device, bool) {
	dev, ok := d.devices[hardware]
	return dev, ok
}

// Devices lists the hardware that is known, sorted.
func (d *Decoder) Devices() []string {
	out := make([]string, 0, len(d.devices))
	for h := range d.devices {
		out = append(out, h)
	}
	slices.Sort(out)
	return out
}

// device finds or makes the entry of a piece of hardware; nil where there are too many.
func (d *Decoder) device(hardware string) *Device {
	dev, ok := d.devices[hardware]
	if !ok && len(d.devices) < devicesMax {
		dev = &Device{Hardware: hardware, Entities: map[string]*Entity{}}
		d.devices[hardware] = dev
	}
	return dev
}

// entity finds or makes a value of a device; nil where there are too many.
func (dev *Device) entity(key string) *Entity {
	e, ok := dev.Entities[key]
	if !ok && len(dev.Entities) < entitiesMax {
		e = &Entity{Key: key}
		dev.Entities[key] = e
	}
	return e
}

// set fills a field of a device with news; what is empty is none.
func set(field *string, news string, changed *bool) {
	if news = clip(strings.TrimSpace(news)); news != "" && *field != news {
		*field, *changed = news, true
	}
}

// macOf reads a MAC address in any spelling: twelve hexadecimal digits remain.
func macOf(s string) (string, bool) {
	digits := strings.Map(func(c rune) rune {
		switch {
		case c == ':' || c == '-' || c == '.':
			return -1
		case c >= 'A' && c <= 'F':
			return c + 'a' - 'A'
		}
		return c
	}, s)
	if len(digits) != 12 || strings.ContainsFunc(digits, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }) {
		return "", false
	}
	return digits, true
}

// tailMAC reads the address at the end of a name such as shellyplus1-08b61fd90730.
func tailMAC(name string) (string, bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 || len(name)-i-1 != 12 {
		return "", false
	}
	return macOf(name[i+1:])
}
