package decode

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// OwnPayloadBytesMax bounds payloads on our own topics: a sensor's state is a few
	// hundred bytes.
	OwnPayloadBytesMax = 256 << 10
	// GatewayPayloadBytesMax lets the device list of a large gateway through.
	GatewayPayloadBytesMax = 8 << 20
	// topicBytesMax is far above real topics and bounds names made from them.
	topicBytesMax = 1024
)

// Decoder reads messages of one building. It remembers the names that gateways gave to
// hardware, and nothing else. It is not safe for concurrent use.
type Decoder struct {
	building string
	gateways map[string]*directory // by base topic
}

// New makes a decoder for a building's plain topics and for Zigbee2MQTT gateways with the
// given base topics ("zigbee2mqtt" where none is given).
func New(building string, bases ...string) *Decoder {
	if len(bases) == 0 {
		bases = []string{"zigbee2mqtt"}
	}
	d := &Decoder{building: building, gateways: map[string]*directory{}}
	for _, b := range bases {
		d.gateways[b] = &directory{byName: map[string]string{}}
	}
	return d
}

// Bases lists the gateways' base topics.
func (d *Decoder) Bases() []string {
	out := make([]string, 0, len(d.gateways))
	for b := range d.gateways {
		out = append(out, b)
	}
	slices.Sort(out)
	return out
}

// Filters lists the topics to subscribe to.
func (d *Decoder) Filters() []string {
	out := []string{
		"estate/v1/" + d.building + "/dev/+/state",
		"estate/v1/" + d.building + "/dev/+/availability",
	}
	for _, b := range d.Bases() {
		out = append(out, b+"/#")
	}
	return out
}

// Decode reads one message. It never fails: what it cannot use it names in the result.
func (d *Decoder) Decode(m Message) Result {
	var r Result
	if !utf8.ValidString(m.Topic) || len(m.Topic) > topicBytesMax {
		r.refuse(Message{Topic: strings.ToValidUTF8(m.Topic, "?")}, "", "topic is not UTF-8 or longer than 1024 bytes")
		return r
	}
	if rest, ok := strings.CutPrefix(m.Topic, "estate/v1/"); ok {
		d.plain(&r, m, rest)
		return r
	}
	base, rest := d.gatewayOf(m.Topic)
	switch {
	case base == "":
		r.refuse(m, "", "no device convention uses this topic")
	case len(m.Payload) > GatewayPayloadBytesMax:
		r.refuse(m, "", fmt.Sprintf("payload of %d bytes is above the limit of %d", len(m.Payload), GatewayPayloadBytesMax))
	default:
		d.zigbee(&r, m, base, rest)
	}
	return r
}

// gatewayOf finds the longest base that the topic lies under.
func (d *Decoder) gatewayOf(topic string) (base, rest string) {
	for b := range d.gateways {
		if after, ok := strings.CutPrefix(topic, b+"/"); ok && len(b) > len(base) && after != "" {
			base, rest = b, after
		}
	}
	return base, rest
}

// plain reads <building>/dev/<device>/state|availability.
func (d *Decoder) plain(r *Result, m Message, rest string) {
	level := strings.Split(rest, "/")
	if len(level) != 4 || level[1] != "dev" || level[2] == "" {
		r.refuse(m, "", "no device convention uses this topic")
		return
	}
	if level[0] != d.building {
		r.refuse(m, "", "the topic names another building")
		return
	}
	if strings.ContainsFunc(level[2], func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		r.refuse(m, "", "the device name holds white space or is not plain ASCII")
		return
	}
	r.Building, r.Device = level[0], level[2]
	if len(m.Payload) > OwnPayloadBytesMax {
		r.refuse(m, "", fmt.Sprintf("payload of %d bytes is above the limit of %d", len(m.Payload), OwnPayloadBytesMax))
		return
	}
	o := observed(m, "plain:"+level[0]+"/"+level[2], level[2])
	switch level[3] {
	case "state":
		readState(r, m, o, "ts")
	case "availability":
		readAvailability(r, m, o)
	default:
		r.refuse(m, "", "no device convention uses this topic")
	}
}

func observed(m Message, hardware, name string) Observation {
	return Observation{Hardware: hardware, Name: name, ArrivalTime: m.Arrival, Retained: m.Retained, Duplicate: m.Duplicate}
}

// readState reads a JSON object of values. A key that is wrong spoils only itself.
func readState(r *Result, m Message, o Observation, timeKey string) {
	if !utf8.Valid(m.Payload) {
		r.refuse(m, "", "payload is not UTF-8")
		return
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(m.Payload, &fields); err != nil || fields == nil {
		r.refuse(m, "", "payload is not a JSON object")
		return
	}
	at, wrong := eventTime(fields[timeKey], m.Arrival)
	if wrong {
		r.refuse(m, timeKey, "not a time, before 2015 or more than 5 minutes ahead: arrival time is used")
	}
	o.EventTime = at
	keys := make([]string, 0, len(fields))
	for k := range fields {
		if _, known := quantities[k]; known {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		q := quantities[k]
		v, ok, err := q.read(fields[k])
		if err != nil {
			r.refuse(m, k, err.Error())
			continue
		}
		if ok {
			o.Key, o.Kind, o.Value, o.Unit = k, q.kind, v, q.unit
			r.Observations = append(r.Observations, o)
		}
	}
}

// readAvailability reads "online" or {"state":"online"}; true means online. Anything else
// is unknown, which is not offline.
func readAvailability(r *Result, m Message, o Observation) {
	text := strings.TrimSpace(string(m.Payload))
	if strings.HasPrefix(text, "{") {
		var body struct {
			State *string `json:"state"`
		}
		if err := json.Unmarshal(m.Payload, &body); err != nil || body.State == nil {
			r.refuse(m, "", "availability is neither online nor offline")
			return
		}
		text = *body.State
	}
	o.Key, o.Kind = "availability", Availability
	switch strings.ToLower(text) {
	case "online":
		o.Value = BoolValue(true)
	case "offline":
		o.Value = BoolValue(false)
	default:
		r.refuse(m, "", "availability is neither online nor offline")
		return
	}
	r.Observations = append(r.Observations, o)
}
