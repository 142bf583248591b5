package decode

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ieeeAddress is the name that Zigbee hardware keeps for ever.
var ieeeAddress = regexp.MustCompile(`^0x[0-9a-f]{16}$`)

// directory is what one gateway's device list said: which hardware bears which name.
type directory struct {
	byName      map[string]string              // friendly name → IEEE address
	exposes     map[string]map[string]quantity // IEEE address → property → how it is read
	coordinator string                         // the address of its radio
	// groups are the names that belong to several devices.
	groups map[string]bool
	// controls are what can be ordered, by IEEE address.
	controls map[string][]zigbeeControl
}

// NameKey is the hardware name that a device had before its gateway's list named it.
func NameKey(base, name string) string { return "z2m:name:" + base + "/" + name }

// bridgeHardware is a gateway itself.
func bridgeHardware(base string) string { return bridgePrefix + base }

// bridgePrefix begins the hardware names of gateways.
const bridgePrefix = "z2m:bridge:"

// GatewayBase is the base topic of a gateway; false for other hardware.
func GatewayBase(hardware string) (base string, ok bool) {
	return strings.CutPrefix(hardware, bridgePrefix)
}

func zigbeeHardware(ieee string) string { return "z2m:" + ieee }

func (d *Decoder) zigbee(r *Result, m Message, base, rest string) {
	g := d.gateways[base]
	if rest == "bridge" || strings.HasPrefix(rest, "bridge/") {
		switch rest {
		case "bridge/state":
			readAvailability(r, m, observed(m, bridgeHardware(base), base))
		case "bridge/devices":
			d.learnZigbee(r, m, base, g)
		case "bridge/groups":
			g.learnGroups(r, m)
		default:
			r.Nothing = "what the gateway tells of itself: log lines, answers"
		}
		return
	}
	name, tail := g.split(rest)
	if _, device := g.byName[name]; !device && g.groups[name] {
		r.Nothing = "what a group of devices is told; they tell it themselves"
		return
	}
	o := d.zigbeeDevice(m, base, name)
	if (tail == "" || tail == "availability") && d.zigbeeElsewhere(r, m, &o, base, name, tail == "availability") {
		return
	}
	switch tail {
	case "":
		if text := strings.TrimSpace(string(m.Payload)); text != "" && text[0] != '{' {
			if d.zigbeeAttribute(r, m, base, name, text) {
				return
			}
		}
		d.zigbeeState(r, m, d.zigbeeTold(r, m, o, name, g), g)
	case "availability":
		readAvailability(r, m, o)
	default:
		r.Nothing = "a command to a device"
	}
}

func (d *Decoder) zigbeeDevice(m Message, base, name string) Observation {
	alias := NameKey(base, name)
	hardware := alias
	if ieee, ok := d.gateways[base].byName[name]; ok {
		hardware = zigbeeHardware(ieee)
	} else if lower := strings.ToLower(name); ieeeAddress.MatchString(lower) {
		hardware = zigbeeHardware(lower)
	}
	o := observed(m, hardware, name)
	o.Alias = alias
	return o
}

// split parts a device's name from what follows it. Names may hold '/', so the longest
// known name wins; for unknown names only the reserved last levels are cut off.
func (g *directory) split(rest string) (name, tail string) {
	for end := len(rest); end > 0; end = strings.LastIndexByte(rest[:end], '/') {
		tail = strings.TrimPrefix(rest[end:], "/")
		if _, ok := g.byName[rest[:end]]; ok && (tail == "" || tail == "availability" || isCommand(tail)) {
			return rest[:end], tail
		}
	}
	for _, word := range []string{"availability", "set", "get"} {
		if n, ok := strings.CutSuffix(rest, "/"+word); ok && n != "" {
			return n, word
		}
	}
	for _, word := range []string{"set", "get"} {
		if i := strings.LastIndex(rest, "/"+word+"/"); i > 0 {
			return rest[:i], rest[i+1:]
		}
	}
	return rest, ""
}

func isCommand(tail string) bool {
	return tail == "set" || tail == "get" || strings.HasPrefix(tail, "set/") || strings.HasPrefix(tail, "get/")
}

// learnGroups reads a gateway's list of groups. An unusable list leaves what is known as it was.
func (g *directory) learnGroups(r *Result, m Message) {
	var list []struct {
		Name string `json:"friendly_name"`
		ID   int    `json:"id"`
	}
	if !utf8.Valid(m.Payload) || json.Unmarshal(m.Payload, &list) != nil || len(list) > devicesMax {
		r.refuse(m, "", "list of groups is not a JSON array of groups, or longer than 10000")
		return
	}
	r.Configures = true
	g.groups = make(map[string]bool, 2*len(list))
	for _, one := range list {
		if one.ID != 0 {
			g.groups[strconv.Itoa(one.ID)] = true
		}
		if one.Name != "" && len(one.Name) <= topicBytesMax {
			g.groups[one.Name] = true
		}
	}
}

// zigbeeListed is one entry of a gateway's device list.
type zigbeeListed struct {
	IEEE       string `json:"ieee_address"`
	Name       string `json:"friendly_name"`
	Type       string `json:"type"`
	Power      string `json:"power_source"`
	Firmware   string `json:"software_build_id"`
	Definition *struct {
		Model       string `json:"model"`
		Vendor      string `json:"vendor"`
		Description string `json:"description"`
		Exposes     []zigbeeExpose
	} `json:"definition"`
}

// zigbeeExpose is one property that a device has, or a group of them.
type zigbeeExpose struct {
	Type     string          `json:"type"`
	Property string          `json:"property"`
	Unit     string          `json:"unit"`
	On       json.RawMessage `json:"value_on"`
	Off      json.RawMessage `json:"value_off"`
	Access   int             `json:"access"`
	Values   zigbeeWordList  `json:"values"`
	Min      json.RawMessage `json:"value_min"`
	Max      json.RawMessage `json:"value_max"`
	Features []zigbeeExpose  `json:"features"`
}

// learnZigbee reads a device list. An unusable list leaves what is known as it was.
func (d *Decoder) learnZigbee(r *Result, m Message, base string, g *directory) {
	var list []zigbeeListed
	if !utf8.Valid(m.Payload) || json.Unmarshal(m.Payload, &list) != nil {
		r.refuse(m, "", "device list is not a JSON array of devices")
		return
	}
	if len(list) > devicesMax {
		r.refuse(m, "", "device list is longer than 10000")
		return
	}
	r.Configures = true
	next := make(map[string]string, len(list))
	exposes, controls := make(map[string]map[string]quantity, len(list)), map[string][]zigbeeControl{}
	for _, one := range list {
		ieee := strings.ToLower(one.IEEE)
		if !ieeeAddress.MatchString(ieee) || one.Name == "" || len(one.Name) > topicBytesMax {
			r.refuse(m, one.Name, "device without a usable ieee_address and friendly_name")
			continue
		}
		next[one.Name] = ieee
		if one.Type == "Coordinator" { // it is the gateway
			g.coordinated(r, m, base, ieee)
			continue
		}
		dev := d.device(zigbeeHardware(ieee))
		if dev == nil {
			continue
		}
		changed := false
		set(&dev.Name, one.Name, &changed)
		set(&dev.Firmware, one.Firmware, &changed)
		if dev.Via == "" || !d.lists(dev.Via, ieee) {
			set(&dev.Via, bridgeHardware(base), &changed)
		}
		dev.Battery, dev.Alias = one.Power == "Battery", NameKey(base, one.Name)
		if one.Definition != nil {
			set(&dev.Model, one.Definition.Model, &changed)
			set(&dev.Manufacturer, one.Definition.Vendor, &changed)
			told := map[string]quantity{}
			expose(told, "", "", one.Definition.Exposes)
			exposes[ieee] = told
			if found := zigbeeControls(one.Definition.Description, one.Definition.Exposes); len(found) > 0 {
				controls[ieee], changed = found, true
			}
		}
		if changed {
			r.changed(dev.Hardware)
		}
	}
	for name, ieee := range g.byName {
		if next[name] != ieee { // another name, or the list of another gateway with the same base topic
			d.renamed(r, NameKey(base, name), zigbeeHardware(ieee))
		}
	}
	for name, ieee := range next {
		if dev := d.devices[zigbeeHardware(ieee)]; dev != nil && dev.Via == bridgeHardware(base) {
			d.again(r, NameKey(base, name))
		}
	}
	g.byName, g.exposes, g.controls = next, exposes, controls
}

// coordinated notes which radio a gateway's list is of. Two gateways with one base topic overwrite
// each other's list; their devices stay known by their names, but that is to be mended.
func (g *directory) coordinated(r *Result, m Message, base, ieee string) {
	if g.coordinator != "" && g.coordinator != ieee {
		r.refuse(m, "base_topic", "the list is of another radio than before ("+g.coordinator+", now "+ieee+"): where two gateways use the base topic "+clip(base)+", give each its own")
	}
	g.coordinator = ieee
}
