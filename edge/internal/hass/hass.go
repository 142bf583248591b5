// Package hass reads what devices announce in the form of Home Assistant's MQTT discovery:
// which device there is, which entities it has, on which topics their values come and how
// they are found in a payload.
//
// It only reads: it holds no state and knows no broker. What it cannot use it names; it must
// never drop an entity silently.
package hass

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	// configBytesMax lets a device with hundreds of entities announce itself in one message.
	configBytesMax = 1 << 20
	// componentsMax bounds the entities of one message.
	componentsMax = 1000
	// textMax bounds each name and topic that is kept.
	textMax = 1024
	// availabilityMax bounds the topics on which an entity's availability depends.
	availabilityMax = 16
	// identifiersMax bounds a device's identifiers and its connections.
	identifiersMax = 32
	// secondsMax is ten years: what is to hold longer is as good as for ever.
	secondsMax = 315_360_000
)

// Components lists the components whose entities are taken.
func Components() []string {
	return []string{"alarm_control_panel", "binary_sensor", "button", "camera", "climate", "cover", "device_automation", "device_tracker",
		"event", "fan", "humidifier", "image", "lawn_mower", "light", "lock", "notify", "number", "scene", "select", "sensor", "siren",
		"switch", "tag", "text", "update", "vacuum", "valve", "water_heater"}
}

// Address is what a discovery topic names.
type Address struct {
	// Component is "device" in the device-based form.
	Component        string
	NodeID, ObjectID string
}

// ID names the announcement among those of its component.
func (a Address) ID() string {
	if a.NodeID == "" {
		return a.ObjectID
	}
	return a.NodeID + " " + a.ObjectID
}

var configTopic = regexp.MustCompile(`^(\w+)/(?:([a-zA-Z0-9_-]+)/)?([a-zA-Z0-9_-]+)/config$`)

// ParseTopic reads a topic below the discovery prefix. ok is false for what is no
// announcement.
func ParseTopic(rest string) (a Address, ok bool) {
	m := configTopic.FindStringSubmatch(rest)
	if m == nil {
		return a, false
	}
	return Address{Component: m[1], NodeID: m[2], ObjectID: m[3]}, true
}

// Announcement is what one message says.
type Announcement struct {
	Address Address
	// Removed says that all that this topic announced is gone.
	Removed bool
	// Migrating says that what this topic announced comes in the other form: its entities
	// keep their history and wait.
	Migrating bool
	Device    Device
	Origin    string
	Entities  []Entity
	// Gone are the ids of components that were taken away from a device.
	Gone []string
	// Problems are what could not be used, each with its component.
	Problems []Problem
}

// Problem is one part of an announcement that could not be used.
type Problem struct {
	Component, Key, Reason string
}

// Device describes hardware.
type Device struct {
	Identifiers []string
	// Connections are pairs of a kind of address ("mac") and the address.
	Connections                                    [][2]string
	Name, Manufacturer, Model, Firmware, Area, Via string
}

// Parse reads a discovery message. Its error says why nothing of it could be used.
func Parse(address Address, payload []byte) (Announcement, error) {
	a := Announcement{Address: address}
	if address.Component != "device" && !slices.Contains(Components(), address.Component) {
		return a, fmt.Errorf("there is no component %q", clip(address.Component))
	}
	if len(strings.TrimSpace(string(payload))) == 0 {
		a.Removed = true
		return a, nil
	}
	if len(payload) > configBytesMax {
		return a, fmt.Errorf("the announcement of %d bytes is longer than %d", len(payload), configBytesMax)
	}
	var raw config
	if err := json.Unmarshal(payload, &raw); err != nil || raw == nil {
		return a, fmt.Errorf("the announcement is not a JSON object")
	}
	raw = raw.expand(entityKeys())
	if raw.yes("migrate_discovery") {
		a.Migrating = true
		return a, nil
	}
	a.Device, a.Origin = raw.device(), raw.origin()
	if address.Component == "device" {
		return a.components(raw)
	}
	raw.base(raw.text("~"))
	a.entity(address.ObjectID, address.Component, raw)
	return a, nil
}

// shared are the options at the top of a device's announcement that hold for each of its
// components.
func shared() []string {
	return []string{"availability", "availability_mode", "availability_template", "availability_topic", "command_topic", "encoding",
		"message_expiry_interval", "payload_available", "payload_not_available", "qos", "state_topic"}
}

// inherit takes what the component does not say itself. One that says in either way when it is
// there takes neither of the device's.
func (c config) inherit(device config) {
	_, list := c["availability"]
	_, topic := c["availability_topic"]
	for _, key := range shared() {
		_, own := c[key]
		if own || device[key] == nil || (list || topic) && strings.HasPrefix(key, "availability") && key != "availability_mode" {
			continue
		}
		c[key] = device[key]
	}
}

func (a Announcement) components(raw config) (Announcement, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw["components"], &all); err != nil || len(all) == 0 {
		return a, fmt.Errorf("the device announces no components")
	}
	if len(all) > componentsMax {
		return a, fmt.Errorf("the device announces %d components, more than %d", len(all), componentsMax)
	}
	if len(a.Device.Identifiers) == 0 && len(a.Device.Connections) == 0 {
		return a, fmt.Errorf("the device has neither identifiers nor connections")
	}
	base := raw.text("~")
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		var one config
		if err := json.Unmarshal(all[id], &one); err != nil || one == nil {
			a.problem(id, "", "the component is not a JSON object")
			continue
		}
		one = one.expand(entityKeys())
		platform := one.text("platform")
		if !slices.Contains(Components(), platform) {
			a.problem(id, "platform", fmt.Sprintf("there is no component %q", clip(platform)))
			continue
		}
		if len(one) == 1 {
			a.Gone = append(a.Gone, id)
			continue
		}
		one.inherit(raw)
		one.base(cmp.Or(one.text("~"), base))
		a.entity(id, platform, one)
	}
	return a, nil
}

func (a *Announcement) problem(component, key, reason string) {
	a.Problems = append(a.Problems, Problem{Component: component, Key: key, Reason: reason})
}

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
