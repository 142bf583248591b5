package decode

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// tasmotaChild is a device that speaks through a Tasmota gateway: over Zigbee, LoRaWAN or Matter.
type tasmotaChild struct {
	address, name, ieee string
	// orders says that the message tells what the device, a remote, sent to others.
	orders bool
}

// tasmotaChildren are those of one message, by the word under which it tells of them: their
// short address, or a name with the address beside it.
type tasmotaChildren map[string]*tasmotaChild

// zigbeeOrder tells orders of the clusters that remotes send.
var zigbeeOrder = regexp.MustCompile(`^(?:0005|0006|0008|0102|0300|0501)!`)

// of is the device of which a value tells; nil for the gateway itself.
func (c tasmotaChildren) of(l leaf) *tasmotaChild {
	switch {
	case len(l.path) > 2 && slices.Contains([]string{"ZbReceived", "ZbInfo", "ZbLight", "LwReceived", "MtrReceived"}, l.path[0]):
		return c[l.path[1]]
	case len(l.path) == 2 && (l.path[0] == "MtrUpdate" || l.path[0] == "MtrInfo"):
		return c[""]
	}
	return nil
}

// tasmotaChildren lists the devices of which a message tells, and learns the addresses that
// they have for ever. A topic that ends in the address of one is its gateway's.
func (d *Decoder) tasmotaChildren(r *Result, m Message, o *Observation, list []leaf) tasmotaChildren {
	out := tasmotaChildren{}
	for _, l := range list {
		at := ""
		switch {
		case len(l.path) > 2 && (strings.HasPrefix(l.path[0], "Zb") || l.path[0] == "LwReceived" || l.path[0] == "MtrReceived"):
			at = l.path[1]
		case len(l.path) != 2 || !slices.Contains([]string{"MtrUpdate", "MtrInfo", "ZbState"}, l.path[0]):
			continue
		}
		c, known := out[at]
		if !known {
			c = &tasmotaChild{address: at, name: at}
			out[at] = c
		}
		switch text, _ := readText(l.raw); {
		case l.name() == "Device", l.name() == "ShortAddr":
			c.address = text
		case l.name() == "Ep" && at == "":
			c.address = string(l.raw)
		case l.name() == "Name":
			c.name = text
		case l.name() == "IEEEAddr":
			c.ieee = strings.ToLower(text)
		case zigbeeOrder.MatchString(l.name()):
			c.orders = true
		}
	}
	for _, c := range out {
		own := "/" + strings.TrimPrefix(c.address, "0x")
		if base, ok := strings.CutSuffix(o.Name, own); ok && len(out) == 1 && base != "" {
			known, named := d.tasmotas[base]
			o.Name, o.Hardware, o.Alias = base, tasmotaKey(base), tasmotaKey(base)
			if named {
				o.Hardware = known.hardware
			}
		}
		d.learnChild(r, m, o.Name, c)
	}
	return out
}

// learnChild remembers the address that a Zigbee device keeps, by the one that it has at its gateway.
func (d *Decoder) learnChild(r *Result, m Message, gateway string, c *tasmotaChild) {
	key := gateway + "/" + c.address
	switch {
	case !ieeeAddress.MatchString(c.ieee):
		c.ieee = d.children[key]
	case c.address != "" && d.children[key] != c.ieee && len(d.children) < devicesMax:
		d.children[key] = c.ieee
		end := strings.LastIndexByte(m.Topic, '/')
		if short := strings.TrimPrefix(c.address, "0x"); !strings.HasSuffix(m.Topic[:end], "/"+short) {
			m.Topic = m.Topic[:end] + "/" + short + m.Topic[end:]
		}
		m.Payload = []byte(`{"ZbInfo":{` + quoted(c.address) + `:{"IEEEAddr":` + quoted(c.ieee) + `}}}`)
		r.Remember = append(r.Remember, m)
	}
}

// zigbeeValue tells values of a Zigbee device from its raw attributes and from answers about
// groups and bindings.
func zigbeeValue(word string) bool {
	return !strings.ContainsAny(word, "!<") && !strings.Contains(word, "Group") && !slices.Contains([]string{"IEEEAddr", "ModelId", "Manufacturer", "Endpoints", "Config",
		"LastSeen", "LastSeenEpoch", "RGBb", "ColorMode", "Colormode", "Light", "Scene", "Node"}, word)
}

// tasmotaChild reads a value of a device behind a gateway.
func (d *Decoder) tasmotaChild(r *Result, m Message, o Observation, l leaf, c *tasmotaChild, units map[string]string) {
	place := l.path
	kind, below := "/zb:", l.path[min(2, len(l.path)-1):]
	switch {
	case strings.HasPrefix(place[0], "Mtr"):
		kind, place = "/matter:", append([]string{"Matter"}, l.path[1:]...)
	case place[0] == "LwReceived":
		kind = "/lw:"
	}
	l.path = below
	if !zigbeeValue(l.path[0]) {
		return
	}
	via := o.Hardware
	o.Hardware, o.Alias, o.Name = o.Hardware+kind+c.address, "", c.name
	if c.ieee != "" {
		o.Alias, o.Hardware = o.Hardware, zigbeeHardware(c.ieee)
	}
	q := tasmotaQuantity(place, units)
	if c.orders && l.path[0] != "LinkQuality" {
		q = quantity{kind: Event, typ: Text}
		if word, ok := map[string]string{"0": "off", "1": "on", "2": "toggle"}[string(l.raw)]; ok && l.path[0] == "Power" {
			l.raw = json.RawMessage(quoted(word))
		}
	}
	d.observe(r, m, o, l, q)
	if dev := d.devices[o.Hardware]; dev != nil && dev.Via == "" {
		dev.Via = via
	}
}

// quoted writes a text as JSON.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
