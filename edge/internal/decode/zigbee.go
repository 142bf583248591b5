package decode

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// devicesMax bounds a gateway's device list; Zigbee networks end at a few hundred.
const devicesMax = 10_000

// ieeeAddress is the name that Zigbee hardware keeps for ever.
var ieeeAddress = regexp.MustCompile(`^0x[0-9a-f]{16}$`)

// directory is what one gateway's device list said: which hardware bears which name.
type directory struct {
	byName map[string]string // friendly name → IEEE address
}

// Name says that a gateway calls a piece of hardware by a name.
type Name struct {
	Base, Name, Hardware string
}

// Names lists what gateways call their hardware, to be saved: after a restart a sensor's
// message can arrive before the gateway's device list does.
func (d *Decoder) Names() []Name {
	var out []Name
	for _, base := range d.Bases() {
		for name, ieee := range d.gateways[base].byName {
			out = append(out, Name{Base: base, Name: name, Hardware: zigbeeHardware(ieee)})
		}
	}
	slices.SortFunc(out, func(a, b Name) int {
		return strings.Compare(a.Base+"\x00"+a.Name, b.Base+"\x00"+b.Name)
	})
	return out
}

// Seed restores saved names. Entries for bases that are no longer configured are left out.
func (d *Decoder) Seed(names []Name) {
	for _, n := range names {
		ieee, ok := strings.CutPrefix(n.Hardware, "z2m:")
		if g := d.gateways[n.Base]; g != nil && ok && n.Name != "" {
			g.byName[n.Name] = ieee
		}
	}
}

// NameKey is the hardware name that a device had before its gateway's list named it.
func NameKey(base, name string) string { return "z2m:name:" + base + "/" + name }

func zigbeeHardware(ieee string) string { return "z2m:" + ieee }

func (d *Decoder) zigbee(r *Result, m Message, base, rest string) {
	g := d.gateways[base]
	if rest == "bridge" || strings.HasPrefix(rest, "bridge/") {
		switch rest {
		case "bridge/state":
			readAvailability(r, m, observed(m, "z2m:bridge:"+base, base))
		case "bridge/devices":
			r.NamesChanged = g.learn(r, m)
		}
		// Other bridge topics (log lines, answers, groups) hold no observation.
		return
	}
	name, tail := g.split(rest)
	switch tail {
	case "":
		readState(r, m, d.zigbeeDevice(m, base, name), "last_seen")
	case "availability":
		readAvailability(r, m, d.zigbeeDevice(m, base, name))
	default:
		// Commands to devices, ours or others', are not observations.
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

// learn reads a device list and says whether a name changed. An unusable list leaves the
// known names as they were.
func (g *directory) learn(r *Result, m Message) bool {
	var list []struct {
		IEEE string `json:"ieee_address"`
		Name string `json:"friendly_name"`
	}
	if !utf8.Valid(m.Payload) || json.Unmarshal(m.Payload, &list) != nil {
		r.refuse(m, "", "device list is not a JSON array of devices")
		return false
	}
	if len(list) > devicesMax {
		r.refuse(m, "", "device list is longer than 10000")
		return false
	}
	next := make(map[string]string, len(list))
	for _, dev := range list {
		ieee := strings.ToLower(dev.IEEE)
		if !ieeeAddress.MatchString(ieee) || dev.Name == "" || len(dev.Name) > topicBytesMax {
			r.refuse(m, dev.Name, "device without a usable ieee_address and friendly_name")
			continue
		}
		next[dev.Name] = ieee
	}
	changed := false
	for name, ieee := range next {
		changed = changed || g.byName[name] != ieee
	}
	changed = changed || len(next) != len(g.byName)
	g.byName = next
	return changed
}
