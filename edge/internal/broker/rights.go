package broker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Role is what a login is for; it decides which topics the login reaches. The names are stored:
// never change one.
type Role string

// The roles.
const (
	// RoleDevice is one sensor of our own topics: it publishes below its own branch.
	RoleDevice Role = "device"
	// RoleZigbee2MQTT is a Zigbee2MQTT gateway: its base topic, and what it announces.
	RoleZigbee2MQTT Role = "zigbee2mqtt"
	// RoleESPHome is one ESPHome node, whose base is its topic prefix.
	RoleESPHome Role = "esphome"
	// RoleTasmota is one Tasmota device, whose base is its topic.
	RoleTasmota Role = "tasmota"
	// RoleShelly is one Shelly, whose base is its MQTT prefix or id.
	RoleShelly Role = "shelly"
	// RoleTechnician is a person's device: it hears the person's inbox, the alarms and the time.
	RoleTechnician Role = "technician"
	// RoleHomeAssistant is a Home Assistant beside us: it hears what is announced and the edge's
	// own state, and says that it is there.
	RoleHomeAssistant Role = "home_assistant"
)

// Roles lists the roles.
func Roles() []Role {
	return []Role{RoleDevice, RoleZigbee2MQTT, RoleESPHome, RoleTasmota, RoleShelly, RoleTechnician, RoleHomeAssistant}
}

// NeedsBase reports whether a login of the role names a base topic.
func (r Role) NeedsBase() bool {
	return slices.Contains([]Role{RoleZigbee2MQTT, RoleESPHome, RoleTasmota, RoleShelly}, r)
}

// Grant is what Authenticate gives to a login that it accepts.
type Grant struct {
	Role Role
	// ClientID is the client id that this credential is bound to. A client id used twice
	// kicks the first one off, so without the binding any device could silence another.
	ClientID string
	// Building and Device name a device's branch; both are single topic levels of letters,
	// digits, '-' and '_'. All roles that hear the edge need the building.
	Building, Device string
	// Base is the base topic of a gateway or a firmware, for example "zigbee2mqtt".
	Base string
	// MAC is a Tasmota's hardware address, twelve digits: without it the device cannot announce
	// itself.
	MAC string
	// Person is a technician's id.
	Person string
	// Discovery are the prefixes under which devices announce themselves; DiscoveryPrefix where
	// empty.
	Discovery []string
}

// Rights are the topics, as filters, that a login may publish to and subscribe to.
type Rights struct{ Publish, Subscribe []string }

// EdgeRights are the edge's own: it hears everything, a mosquitto's own counts among it, and speaks
// to everyone.
func EdgeRights() Rights {
	return Rights{Publish: []string{"#"}, Subscribe: []string{"#", "$SYS/broker/#"}}
}

// DiscoveryPrefix is where devices announce themselves in Home Assistant's form.
const DiscoveryPrefix = "homeassistant"

// nameLevel is one topic level that needs no escaping in the broker's subjects.
var nameLevel = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// macDigits is a hardware address as Tasmota writes it.
var macDigits = regexp.MustCompile(`^[0-9A-F]{12}$`)

// reservedBases are levels under which others speak.
func reservedBases() []string {
	return []string{"estate", DiscoveryPrefix, "tasmota", "tele", "stat", "cmnd", "shellies"}
}

// ValidBase reports whether a base topic can be somebody's own: one level, and nobody else's.
func ValidBase(base string) bool {
	return nameLevel.MatchString(base) && !slices.Contains(reservedBases(), base)
}

// announced gives topics below each prefix of discovery.
func (g Grant) announced(rest string) (out []string) {
	if len(g.Discovery) == 0 {
		return []string{DiscoveryPrefix + rest}
	}
	for _, prefix := range g.Discovery {
		out = append(out, prefix+rest)
	}
	return out
}

// ValidPrefix reports whether devices can announce themselves below a prefix, which may have
// several levels: nobody else speaks there.
func ValidPrefix(prefix string) bool {
	levels := strings.Split(prefix, "/")
	if levels[0] == DiscoveryPrefix {
		levels = levels[1:]
	} else if !ValidBase(levels[0]) {
		return false
	}
	return !slices.ContainsFunc(levels, func(level string) bool { return !nameLevel.MatchString(level) })
}

// Rights says which topics the grant reaches. It fails where a name cannot be a topic level.
func (g Grant) Rights() (Rights, error) {
	if g.Role.NeedsBase() && !ValidBase(g.Base) {
		return Rights{}, fmt.Errorf("base topic %q: one level of letters, digits, '-' and '_', at most 64, and none of %s", g.Base, strings.Join(reservedBases(), ", "))
	}
	ours := "estate/v1/" + g.Building
	if !g.Role.NeedsBase() && !nameLevel.MatchString(g.Building) {
		return Rights{}, fmt.Errorf("building %q: letters, digits, '-' and '_', at most 64", g.Building)
	}
	base := g.Base + "/#"
	switch g.Role {
	case RoleDevice:
		if !nameLevel.MatchString(g.Device) {
			return Rights{}, fmt.Errorf("device %q: letters, digits, '-' and '_', at most 64", g.Device)
		}
		own := ours + "/dev/" + g.Device + "/#"
		return Rights{Publish: []string{own}, Subscribe: []string{own, ours + "/time"}}, nil
	case RoleZigbee2MQTT:
		return Rights{Publish: append([]string{base}, g.announced("/#")...), Subscribe: append([]string{base}, g.announced("/status")...)}, nil
	case RoleESPHome:
		return Rights{Publish: slices.Concat([]string{base}, g.announced("/+/"+g.Base+"/#"), []string{"esphome/discover/" + g.Base}),
			Subscribe: slices.Concat([]string{base}, g.announced("/status"), []string{"esphome/discover"})}, nil
	case RoleTasmota:
		r := Rights{Publish: []string{"tele/" + base, "stat/" + base}, Subscribe: []string{"cmnd/" + base, "cmnd/tasmotas/#"}}
		if macDigits.MatchString(g.MAC) {
			r.Publish = append(r.Publish, "tasmota/discovery/"+g.MAC+"/#")
		}
		return r, nil
	case RoleShelly:
		return Rights{Publish: []string{base, "shellies/" + base, "shellies/announce"}, Subscribe: []string{base, "shellies/" + base, "shellies/command"}}, nil
	case RoleTechnician:
		if !nameLevel.MatchString(g.Person) {
			return Rights{}, fmt.Errorf("person %q is not an id", g.Person)
		}
		own := ours + "/tech/" + g.Person
		return Rights{Subscribe: []string{own + "/#", ours + "/alarm/#", ours + "/time"}}, nil
	case RoleHomeAssistant:
		return Rights{Publish: g.announced("/status"), Subscribe: append(g.announced("/#"), ours+"/state/#")}, nil
	}
	return Rights{}, fmt.Errorf("unknown role %q", g.Role)
}
