package decode

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// zigbeeControl is a property that a gateway lets us set.
type zigbeeControl struct {
	property string
	kind     Kind
	payloads map[string]json.RawMessage // by state
}

// zigbeeSettable is the bit of an expose's access that says that it can be set.
const zigbeeSettable = 2

// zigbeeValve tells water valves, which the gateway lists as switches, from those of radiators.
var zigbeeValve = regexp.MustCompile(`(?i)\bvalve\b`)

var zigbeeNoValve = regexp.MustCompile(`(?i)radiator|thermostat`)

// zigbeeControls finds what can be ordered among what a device exposes: its switches, locks
// and covers.
func zigbeeControls(description string, list []zigbeeExpose) (out []zigbeeControl) {
	for _, e := range list {
		c := zigbeeControl{kind: map[string]Kind{"switch": Switched, "lock": Lock, "cover": Cover}[e.Type]}
		if c.kind == Switched && zigbeeValve.MatchString(description) && !zigbeeNoValve.MatchString(description) {
			c.kind = Valve
		}
		i := slices.IndexFunc(e.Features, func(f zigbeeExpose) bool {
			return strings.HasPrefix(f.Property, "state") && f.Access&zigbeeSettable != 0
		})
		if c.kind == "" || i < 0 || len(out) >= entitiesMax {
			continue
		}
		f := e.Features[i]
		c.property = f.Property
		switch {
		case c.kind == Cover:
			c.payloads = map[string]json.RawMessage{"open": json.RawMessage(`"OPEN"`), "closed": json.RawMessage(`"CLOSE"`)}
		case len(f.On) == 0 || len(f.Off) == 0:
			continue
		default:
			states := wanted[c.kind] // what stands for "on" comes first
			c.payloads = map[string]json.RawMessage{states[0]: f.On, states[1]: f.Off}
		}
		out = append(out, c)
	}
	return out
}

// zigbeeControls are a device's controls by the name that its gateway has for it now.
func (d *Decoder) zigbeeControls(dev *Device) (out []Control) {
	ieee, ok := strings.CutPrefix(dev.Hardware, "z2m:")
	g := d.gateways[strings.TrimPrefix(dev.Via, "z2m:bridge:")]
	if !ok || g == nil {
		return nil
	}
	for name, address := range g.byName {
		if address != ieee {
			continue
		}
		topic := strings.TrimPrefix(dev.Via, "z2m:bridge:") + "/" + name + "/set"
		for _, z := range g.controls[ieee] {
			c := Control{Key: z.property, Kind: z.kind, Values: wanted[z.kind]}
			if e := dev.Entities[z.property]; e != nil {
				c.Name, c.ExpireAfter = e.Name, e.ExpireAfter
			}
			c.send = func(o Order) (Sending, error) {
				body, err := json.Marshal(map[string]json.RawMessage{z.property: z.payloads[o.Value]})
				return Sending{Topic: topic, Payload: body}, err
			}
			out = append(out, c)
		}
		break
	}
	return out
}

// tasmotaRelay is a relay of a Tasmota: its word in what the device says, and its name.
type tasmotaRelay struct {
	n     int
	name  string
	topic string // of orders, without the word
}

// tasmotaOn is how an announcement marks an output that is a relay, not a light or a shutter.
const tasmotaOn = 1

func tasmotaRelays(full, topic string, prefixes []string, names []*string, outputs []int) (out []tasmotaRelay) {
	if full == "" {
		full = "%prefix%/%topic%/"
	}
	cmnd := "cmnd"
	if len(prefixes) == 3 && prefixes[0] != "" {
		cmnd = prefixes[0]
	}
	at := strings.TrimSuffix(strings.NewReplacer("%prefix%", cmnd, "%topic%", topic).Replace(full), "/") + "/"
	for i, kind := range outputs {
		if kind != tasmotaOn || len(at) > topicBytesMax || strings.ContainsAny(at, "+#") {
			continue
		}
		r := tasmotaRelay{n: i + 1, topic: at}
		if i < len(names) && names[i] != nil {
			r.name = clip(*names[i])
		}
		out = append(out, r)
	}
	return out
}

// relayed remembers a device's relays, and where they take orders.
func (d *Decoder) relayed(hardware string, relays []tasmotaRelay) {
	d.relays[hardware] = relays
	for _, r := range relays {
		if len(d.orders) < announcementsMax {
			d.orders[r.topic+"POWER"], d.orders[r.topic+"POWER"+strconv.Itoa(r.n)] = true, true
		}
	}
}

// tasmotaControls are a device's relays. The only one of a device is called POWER, or POWER1
// where the device was told to.
func (d *Decoder) tasmotaControls(dev *Device) (out []Control) {
	for _, r := range d.relays[dev.Hardware] {
		key := "POWER" + strconv.Itoa(r.n)
		if len(d.relays[dev.Hardware]) == 1 && dev.Entities[key] == nil {
			key = "POWER"
		}
		c := Control{Key: key, Name: r.name, Kind: Switched, Values: wanted[Switched]}
		c.send = func(o Order) (Sending, error) {
			return Sending{Topic: r.topic + key, Payload: []byte(strings.ToUpper(o.Value))}, nil
		}
		out = append(out, c)
	}
	return out
}

// located remembers under which prefix a Shelly speaks.
func (d *Decoder) located(hardware, prefix string) {
	if _, known := d.shellyAt[hardware]; known || len(d.shellyAt) < devicesMax {
		d.shellyAt[hardware] = prefix
	}
}

var (
	shelly2Output = regexp.MustCompile(`^(switch|cover):(\d{1,3})\.(output|state)$`)
	shelly1Relay  = regexp.MustCompile(`^relay\.(\d{1,3})$`)
)

// shellyAnswers ends the topics of answers to what we ask. They lie under the device's own
// prefix, since it may publish nowhere else.
const shellyAnswers = "/estate/rpc"

// shellyControl is a relay or cover of a Shelly.
func shellyControl(c Control, prefix string) (Control, bool) {
	if m := shelly1Relay.FindStringSubmatch(c.Key); m != nil {
		c.Kind, c.Values = Switched, wanted[Switched]
		c.send = func(o Order) (Sending, error) {
			return Sending{Topic: prefix + "/relay/" + m[1] + "/command", Payload: []byte(o.Value)}, nil
		}
		return c, true
	}
	m := shelly2Output.FindStringSubmatch(c.Key)
	if m == nil || (m[1] == "switch") != (m[3] == "output") {
		return c, false
	}
	n, err := strconv.Atoi(m[2])
	c.Kind = map[string]Kind{"switch": Switched, "cover": Cover}[m[1]]
	c.Values = wanted[c.Kind]
	c.send = func(o Order) (Sending, error) {
		method, params := "Switch.Set", map[string]any{"id": n, "on": o.Value == "on"}
		if c.Kind == Cover {
			method, params = map[string]string{"open": "Cover.Open", "closed": "Cover.Close"}[o.Value], map[string]any{"id": n}
		}
		number := shellyNumber(o.ID)
		body, err := json.Marshal(map[string]any{"id": number, "src": strings.TrimSuffix(prefix+shellyAnswers, "/rpc"), "method": method, "params": params})
		return Sending{Topic: prefix + "/rpc", Payload: body, Reference: strconv.FormatUint(number, 10)}, err
	}
	return c, err == nil
}

// shellyNumber is an order's id as a number that every JSON parser can hold.
func shellyNumber(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	const bits = 48
	return binary.BigEndian.Uint64(sum[:]) >> (64 - bits)
}

// shellyAnswered reads the answer to an order.
func (d *Decoder) shellyAnswered(r *Result, m Message, prefix string) {
	var a struct {
		ID    *uint64 `json:"id"`
		Error *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(m.Payload, &a) != nil || a.ID == nil {
		r.refuse(m, "", "the answer is not a JSON object with the id of what was asked")
		return
	}
	hardware := shellyKey(prefix)
	if mac, ok := tailMAC(prefix); ok {
		hardware = "mac:" + mac
	} else if known, ok := d.shellies[strings.TrimPrefix(prefix, "shellies/")]; ok {
		hardware = known
	}
	out := Answer{Hardware: hardware, Reference: strconv.FormatUint(*a.ID, 10), OK: a.Error == nil}
	if a.Error != nil {
		out.Text = clip(fmt.Sprintf("%s (%d)", a.Error.Message, a.Error.Code))
	}
	r.Nothing = "an answer to an order"
	r.Answers = append(r.Answers, out)
}
