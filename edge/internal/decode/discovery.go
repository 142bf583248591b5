package decode

import (
	"maps"
	"slices"
	"strings"

	"estate/edge/internal/hass"
)

// Origin names the edge where it announces its own state to others.
const Origin = "Smart Estate"

const (
	// announcementsMax bounds the discovery topics that are remembered.
	announcementsMax = 20_000
	// bindingsMax bounds the entities that read one topic.
	bindingsMax = 500
)

// announced is what one discovery topic told, by the component's id.
type announced map[string]*announcedEntity

type announcedEntity struct {
	hardware string
	topic    string   // of the announcement
	id       string   // of the component in it
	keys     []string // of the device's entities
	topics   []string // on which it is bound
	quiet    []string // topics of it that hold no values
	commands map[string]*hass.Command
	reach    *reach
	// live says that it was heard in this run: of two that announce the same, as before and after
	// a device was renamed, orders go to the one that speaks.
	live bool
	// leaving says that another announcement takes its place.
	leaving bool
}

// binding says that a message on a topic gives a value of an entity.
type binding struct {
	owner    *announcedEntity
	hardware string
	key      string
	kind     Kind
	point    hass.Point
	// reach is set instead of point where the topic tells whether the device is there, and
	// attributes where it tells more of the entity.
	reach      *reach
	source     int
	attributes *hass.Attributes
}

// announce takes a message on a discovery topic.
func (d *Decoder) announce(r *Result, m Message, address hass.Address) {
	a, err := hass.Parse(address, m.Payload)
	if err != nil {
		r.refuse(m, "", err.Error())
		return
	}
	for _, p := range a.Problems {
		r.refuse(m, strings.Trim(p.Component+"."+p.Key, "."), p.Reason)
	}
	if a.Origin == Origin || strings.HasPrefix(a.Origin, Origin+" ") { // with the version
		r.Nothing = "what the edge itself announces"
		return
	}
	known := d.announced[m.Topic]
	r.Configures = true
	switch {
	case a.Migrating:
		known.leave()
		return
	case a.Removed:
		d.withdraw(r, m.Topic, known)
		return
	case known == nil:
		if len(d.announced) >= announcementsMax {
			r.refuse(m, "", "more than 20000 discovery topics: this one is left out")
			r.Configures = false
			return
		}
		known = announced{}
		d.announced[m.Topic] = known
	}
	for _, id := range a.Gone {
		d.forget(r, known[id])
		delete(known, id)
	}
	for _, e := range a.Entities {
		before := known[e.ID]
		d.unbind(before)
		delete(known, e.ID)
		one := d.bind(r, m, a, e, before)
		if one != nil {
			known[e.ID] = one
		}
		d.outlived(before)
	}
	d.catchUp(r)
}

// outlived takes away what an entity was, where it is announced as something else now.
func (d *Decoder) outlived(before *announcedEntity) {
	if before == nil || d.devices[before.hardware] == nil {
		return
	}
	entities := d.devices[before.hardware].Entities
	for _, key := range before.keys {
		if e := entities[key]; e != nil && len(e.owners) == 0 {
			delete(entities, key)
		}
	}
}

// withdraw forgets what a discovery topic announced. What it gave stays in the history.
func (d *Decoder) withdraw(r *Result, topic string, known announced) {
	for _, one := range known {
		d.forget(r, one)
	}
	delete(d.announced, topic)
}

// forget takes an entity from its device. A device without entities says that it is gone.
func (d *Decoder) forget(r *Result, one *announcedEntity) {
	d.unbind(one)
	if one == nil || d.devices[one.hardware] == nil {
		return
	}
	dev := d.devices[one.hardware]
	d.outlived(one) // unless it is announced elsewhere too
	r.changed(one.hardware)
	if len(dev.Entities) == 0 && !slices.Contains(r.Removed, one.hardware) {
		r.Removed = append(r.Removed, one.hardware)
	}
}

func (d *Decoder) unbind(one *announcedEntity) {
	if one == nil {
		return
	}
	d.reaches[one.hardware] = slices.DeleteFunc(d.reaches[one.hardware], func(r *reach) bool { return r == one.reach })
	if len(d.reaches[one.hardware]) == 0 {
		delete(d.reaches, one.hardware)
	}
	d.disown(one)
	for _, topic := range one.quiet {
		delete(d.quiet, topic)
	}
	for _, topic := range one.topics {
		rest := slices.DeleteFunc(d.bindings[topic], func(b binding) bool { return b.owner == one })
		if len(rest) == 0 {
			delete(d.bindings, topic)
			continue
		}
		d.bindings[topic] = rest
	}
}

// bind enters an entity: its device, its values and where they come from. Topics that a
// gateway or firmware is known to use are read by its own rules, which see more of them; what
// was announced of their values says what they mean.
func (d *Decoder) bind(r *Result, m Message, a hass.Announcement, e hass.Entity, before *announcedEntity) *announcedEntity {
	hardware := d.announcedHardware(a, e)
	dev := d.device(hardware)
	if dev == nil {
		r.refuse(m, e.ID, "more than 10000 devices: this one is left out")
		return nil
	}
	changed := false
	set(&dev.Name, a.Device.Name, &changed)
	set(&dev.Manufacturer, a.Device.Manufacturer, &changed)
	set(&dev.Model, a.Device.Model, &changed)
	set(&dev.Firmware, a.Device.Firmware, &changed)
	set(&dev.Area, a.Device.Area, &changed)
	if dev.Via == "" || !strings.HasPrefix(dev.Via, "z2m:bridge:") {
		set(&dev.Via, viaHardware(a.Device.Via), &changed)
	}
	r.changed(hardware)
	one := &announcedEntity{hardware: hardware, topic: m.Topic, id: e.ID, commands: map[string]*hass.Command{}}
	name := clip(e.UniqueID)
	if name == "" {
		name = clip(strings.TrimSpace(a.Address.ID() + " " + e.ID))
		if a.Address.Component != "device" {
			name = clip(a.Address.ID())
		}
	}
	for _, p := range e.Points {
		p.Unit = unitFor(kindOf(e, p), p.Unit)
		key := name
		if p.Name != "" {
			key += "." + p.Name
		}
		native, own := d.native(p)
		if own {
			d.adopt(hardware, p, e.Availability)
		}
		if native != "" && p.NeedsMapping == "" {
			key = native
		}
		d.describe(dev, one, key, e, p, m.Retained)
		switch {
		case own:
		case p.NeedsMapping != "":
			d.silence(one, p.Topic, needsMapping)
		default:
			d.listen(r, m, p.Topic, binding{owner: one, hardware: hardware, key: key, kind: kindOf(e, p), point: p})
		}
	}
	for _, c := range append(slices.Collect(maps.Values(e.Commands)), e.Command) {
		if c != nil && len(d.orders) < announcementsMax {
			d.orders[c.Topic] = true
		}
	}
	if len(e.Points) == 0 {
		d.describe(dev, one, name, e, hass.Point{}, m.Retained)
	}
	standing := d.relieve(one, hardware, one.keys)
	if before != nil && before.hardware == hardware {
		standing = before.reach
	}
	d.bindReach(r, m, one, e.Availability, standing)
	d.bindBeside(r, m, one, name, e)
	d.esphomeAnnounced(r, one)
	return one
}

// describe says what a value means, where nothing said so before.
func (d *Decoder) describe(dev *Device, one *announcedEntity, key string, e hass.Entity, p hass.Point, kept bool) {
	entity := dev.entity(key)
	if entity == nil {
		return
	}
	one.keys = append(one.keys, key)
	if e.Name != "" {
		entity.Name = clip(strings.TrimSpace(e.Name + " " + p.Name))
	}
	entity.Component, entity.ExpireAfter, entity.NeedsMapping = e.Component, e.ExpireAfter, p.NeedsMapping
	if entity.Kind == "" || entity.Kind == Other {
		entity.Kind = kindOf(e, p)
	}
	if p.Unit != "" {
		entity.Unit = p.Unit
	}
	entity.Point, entity.Stateless, entity.Category = p.Name, p.Topic == "", e.Category
	one.commands[key] = e.Command
	if p.Name != "" {
		one.commands[key] = e.Commands[p.Name]
	}
	if !kept || !slices.ContainsFunc(entity.owners, func(o *announcedEntity) bool { return o.live }) {
		entity.Command = one.commands[key]
	}
	if !slices.Contains(entity.owners, one) {
		entity.owners = append(entity.owners, one)
	}
}

func (d *Decoder) listen(r *Result, m Message, topic string, b binding) {
	if len(d.bindings[topic]) >= bindingsMax {
		r.refuse(m, b.key, "more than 500 entities read the topic "+clip(topic)+": this one is left out")
		return
	}
	d.bindings[topic] = append(d.bindings[topic], b)
	b.owner.topics = append(b.owner.topics, topic)
	d.held.announced(topic)
}

// announcedHardware names a device by what it has for ever: the address of its radio before
// the identifier that its publisher made up.
func (d *Decoder) announcedHardware(a hass.Announcement, e hass.Entity) string {
	for _, id := range a.Device.Identifiers {
		if ieee, ok := strings.CutPrefix(strings.ToLower(id), "zigbee2mqtt_"); ok && ieeeAddress.MatchString(ieee) {
			d.nameByTopic(e, ieee)
			return zigbeeHardware(ieee)
		}
	}
	for _, id := range a.Device.Identifiers {
		if base := d.bridgeOf(id, e); base != "" {
			return bridgeHardware(base)
		}
	}
	for _, p := range e.Points { // a group of a gateway has a name only
		if base, rest := d.gatewayOf(p.Topic); base != "" && !strings.HasPrefix(rest, "bridge/") {
			name, _ := d.gateways[base].split(rest)
			return NameKey(base, name)
		}
	}
	for _, c := range a.Device.Connections {
		if mac, ok := macOf(c[1]); ok && c[0] == "mac" {
			return "mac:" + mac
		}
	}
	for _, id := range a.Device.Identifiers {
		if mac, ok := macOf(id); ok {
			return "mac:" + mac
		}
		if mac, ok := tailMAC(id); ok && shellyOwn.MatchString(id) { // others number their devices so
			return "mac:" + mac
		}
	}
	if len(a.Device.Identifiers) > 0 {
		return "hass:" + clip(a.Device.Identifiers[0])
	}
	return "hass:" + clip(a.Address.Component+"/"+a.Address.ID())
}

// bridgeOf is the base topic of the gateway that announces itself; empty for other devices.
func (d *Decoder) bridgeOf(id string, e hass.Entity) string {
	if !strings.HasPrefix(strings.ToLower(id), "zigbee2mqtt_bridge") {
		return ""
	}
	topics := []string{}
	for _, p := range e.Points {
		topics = append(topics, p.Topic)
	}
	if e.Command != nil {
		topics = append(topics, e.Command.Topic)
	}
	for _, topic := range topics {
		if base, _ := d.gatewayOf(topic); base != "" {
			return base
		}
	}
	return ""
}

// viaHardware names the gateway of a device as it names itself.
func viaHardware(id string) string {
	if mac, ok := macOf(id); ok {
		return "mac:" + mac
	}
	return id
}

// nameByTopic learns a Zigbee device's name before its gateway's list comes.
func (d *Decoder) nameByTopic(e hass.Entity, ieee string) {
	for _, p := range e.Points {
		base, rest := d.gatewayOf(p.Topic)
		if base == "" || strings.HasPrefix(rest, "bridge/") {
			continue
		}
		g := d.gateways[base]
		if name, tail := g.split(rest); tail == "" && g.byName[name] == "" && len(g.byName) < devicesMax {
			g.byName[name] = ieee
		}
	}
}

// native gives the key under which the own rules of a gateway or firmware read the value of a
// point, empty where none is known, and whether its topic is theirs.
func (d *Decoder) native(p hass.Point) (key string, own bool) {
	if !d.ownsTopic(p.Topic) {
		return "", false
	}
	if p.Form == hass.Event {
		if component := shellyEventOf(p); component != "" && shellyTopic(p.Topic) {
			return component + ".event", true
		}
		return "action", true
	}
	if p.Template == nil {
		return "", true
	}
	path, ok := p.Template.Source()
	if !ok {
		return "", true
	}
	if component := shellyComponent(p.Topic); component != "" {
		path = append([]string{component}, path...)
	}
	return strings.Join(path, "."), true
}

// ownsTopic says that values on the topic are read by the own rules of a gateway or firmware.
func (d *Decoder) ownsTopic(topic string) bool {
	if base, _ := d.gatewayOf(topic); base != "" {
		return true
	}
	_, _, _, tasmota := d.tasmotaAt(topic)
	return tasmota || shellyTopic(topic)
}
