package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"estate/edge/internal/hass"
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

const (
	wrongTime = "not a time, before 2015 or more than 5 minutes ahead: arrival time is used"
	noTopic   = "no device convention uses this topic"
)

// Config says whose messages are decoded.
type Config struct {
	// Building is the short code in our own topics.
	Building string
	// Gateways are base topics of Zigbee2MQTT gateways; "zigbee2mqtt" where empty. Others are met
	// once they say that they are there.
	Gateways []string
	// Discovery are the prefixes of discovery topics; "homeassistant" where empty.
	Discovery []string
	// Zone is the building's; UTC where nil.
	Zone *time.Location
}

// Decoder reads messages of one building. It remembers what devices and gateways told of
// themselves, and nothing of their values. It is not safe for concurrent use.
type Decoder struct {
	building  string
	zone      *time.Location
	discovery []string
	gateways  map[string]*directory    // by base topic
	tasmotas  map[string]tasmotaDevice // by the device's part of the topic
	shellies  map[string]string        // prefix → hardware
	// tasmotaPlaces are where devices speak that have words of their own for the prefixes.
	tasmotaPlaces map[string]tasmotaPlace
	devices       map[string]*Device
	announced     map[string]announced           // by discovery topic
	bindings      map[string][]binding           // by topic
	plains        map[string]map[string]quantity // what devices of our own topics announced, by hardware and key
	shellyAt      map[string]string              // hardware → prefix
	children      map[string]string              // gateway/short address → IEEE address; Shelly's prefix/component → hardware
	relays        map[string][]tasmotaRelay
	orders        map[string]bool // topics of orders that were announced
	// named are the names that topics bear, and former those that hardware has no more.
	named, former map[string]string
	reaches       map[string][]*reach // by hardware, what was announced that tells whether it is there
	esphomeAt     map[string]string   // hardware → prefix
	shellyGone    map[string]bool     // hardware whose last will was said
	quiet         map[string]string   // topics that were announced and give no values, with what they hold
	held          held
	asked         map[string]bool // prefixes of Shellys that were asked for all that they know
}

// New makes a decoder.
func New(c Config) *Decoder {
	if len(c.Gateways) == 0 {
		c.Gateways = []string{"zigbee2mqtt"}
	}
	if len(c.Discovery) == 0 {
		c.Discovery = []string{"homeassistant"}
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	d := &Decoder{building: c.Building, zone: c.Zone, discovery: c.Discovery, gateways: map[string]*directory{}, tasmotas: map[string]tasmotaDevice{},
		shellies: map[string]string{}, devices: map[string]*Device{}, announced: map[string]announced{}, bindings: map[string][]binding{}, plains: map[string]map[string]quantity{},
		shellyAt: map[string]string{}, children: map[string]string{}, tasmotaPlaces: map[string]tasmotaPlace{}, relays: map[string][]tasmotaRelay{}, orders: map[string]bool{},
		named: map[string]string{}, former: map[string]string{}, esphomeAt: map[string]string{}, shellyGone: map[string]bool{}, reaches: map[string][]*reach{},
		quiet: map[string]string{}, held: held{last: map[string]Message{}}, asked: map[string]bool{}}
	for _, b := range c.Gateways {
		d.gateways[b] = &directory{byName: map[string]string{}}
	}
	return d
}

// Seed takes messages that configured the decoder before a restart: a device's value can
// arrive before what names it does.
func (d *Decoder) Seed(saved []Message) {
	rest := slices.DeleteFunc(slices.Clone(saved), d.recall)
	for _, m := range rest {
		m.Retained = true // it tells nothing of now
		d.Decode(m)
	}
}

// Discovers says that devices announce themselves below a prefix.
func (d *Decoder) Discovers(prefix string) bool { return slices.Contains(d.discovery, prefix) }

// Filters lists the topics to subscribe to: all, since devices choose theirs.
func (d *Decoder) Filters() []string { return []string{"#"} }

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
	if len(m.Payload) > GatewayPayloadBytesMax {
		r.refuseAs(PayloadTooLarge, m, "", fmt.Sprintf("payload of %d bytes is above the limit of %d", len(m.Payload), GatewayPayloadBytesMax))
		return r
	}
	if address, prefix, ok := discoveryAddress(m.Topic); ok {
		if slices.Contains(d.discovery, prefix) {
			d.announce(&r, m, address)
			return r
		}
		if known := slices.Contains(hass.Components(), address.Component) || address.Component == "device"; known && json.Valid(m.Payload) {
			r.refuse(m, "", "a discovery message under the prefix "+clip(prefix)+", which is not configured: add it to the discovery prefixes")
			return r
		}
	}
	if rest, ok := strings.CutPrefix(m.Topic, "tasmota/discovery/"); ok {
		d.tasmotaAnnounced(&r, m, rest)
		return r
	}
	if prefix, ok := strings.CutSuffix(m.Topic, "/status"); ok && d.Discovers(prefix) {
		r.Nothing = "a Home Assistant says whether it is there"
		return r
	}
	if len(m.Payload) == 0 && !strings.Contains(m.Topic, "cmnd/") {
		d.held.drop(m.Topic)
		r.Nothing = "an empty message: what the broker kept of the topic is cleared"
		return r
	}
	if name, ok := strings.CutPrefix(m.Topic, esphomeDiscover); ok {
		d.esphomeTold(&r, m, name)
		return r
	}
	bound := d.bound(&r, m)
	if d.firmware(&r, m) || bound {
		return r
	}
	d.held.hold(m)
	if !d.likely(&r, m) {
		r.refuseAs(UnknownTopic, m, "", noTopic)
	}
	return r
}

// firmware reads a message by the own rules of the gateway or firmware whose topic it is.
func (d *Decoder) firmware(r *Result, m Message) bool {
	d.meetGateway(m)
	if base, rest := d.gatewayOf(m.Topic); base != "" {
		d.zigbee(r, m, base, rest)
		return true
	}
	if prefix, tail, ok := d.shellyPlace(m.Topic); ok {
		d.shelly(r, m, prefix, tail)
		return true
	}
	if prefix, ok := strings.CutSuffix(m.Topic, shellyAnswers); ok {
		d.shellyAnswered(r, m, prefix)
		return true
	}
	if rest, ok := strings.CutPrefix(m.Topic, "shellies/"); ok {
		device, tail, deep := strings.Cut(rest, "/")
		switch {
		case rest == "announce":
			d.shelly1Announced(r, m)
		case deep:
			d.shelly1(r, m, device, tail)
		}
		return true
	}
	if prefix, device, word, ok := d.tasmotaAt(m.Topic); ok {
		d.tasmota(r, m, prefix, device, word)
		return true
	}
	if d.orders[m.Topic] || esphomeOrder.MatchString(m.Topic) {
		r.Nothing = "an order to a device"
		return true
	}
	return false
}

// likely reads a message that looks like a firmware's, until an announcement says what it is.
func (d *Decoder) likely(r *Result, m Message) bool {
	if p := esphomeState.FindStringSubmatch(m.Topic); p != nil {
		d.esphome(r, m, p[1], p[2], p[3])
		return true
	}
	switch text := strings.TrimSpace(string(m.Payload)); {
	case strings.HasSuffix(m.Topic, "/status") && (text == "online" || text == "offline"):
		prefix := strings.TrimSuffix(m.Topic, "/status")
		if o, nothing := d.esphomeDevice(r, m, prefix, true); !nothing {
			readAvailability(r, m, o)
		}
		return true
	case strings.HasSuffix(m.Topic, "/rpc") && bytes.Contains(m.Payload, []byte(`"src":"shelly`)):
		r.Nothing = "an answer to what another asked a device"
		return true
	case strings.HasSuffix(m.Topic, "/LWT") && strings.Count(m.Topic, "/") >= 2 && (text == "Online" || text == "Offline"):
		_, device, _ := strings.Cut(strings.TrimSuffix(m.Topic, "/LWT"), "/")
		d.tasmota(r, m, "tele", device, "LWT")
		return true
	case strings.HasSuffix(m.Topic, "/debug"):
		r.Nothing = "a firmware's log"
		return true
	}
	return false
}

// discoveryAddress reads a topic that ends as discovery topics do.
func discoveryAddress(topic string) (a hass.Address, prefix string, ok bool) {
	if !strings.HasSuffix(topic, "/config") {
		return a, "", false
	}
	for i := range topic {
		if topic[i] != '/' {
			continue
		}
		if a, ok = hass.ParseTopic(topic[i+1:]); ok {
			return a, topic[:i], true
		}
	}
	return a, "", false
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

// plain reads <building>/dev/<device>/state|availability|announcement|answer.
func (d *Decoder) plain(r *Result, m Message, rest string) {
	level := strings.Split(rest, "/")
	if ours(level) {
		r.Nothing = "what the edge itself sends"
		return
	}
	if len(level) != 4 || level[1] != "dev" || level[2] == "" {
		r.refuseAs(UnknownTopic, m, "", noTopic)
		return
	}
	if level[0] != d.building {
		r.refuseAs(AnotherBuilding, m, "", "the topic names another building")
		return
	}
	if strings.ContainsFunc(level[2], func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		r.refuseAs(WrongName, m, "", "the device name holds white space or is not plain ASCII")
		return
	}
	r.Building, r.Device = level[0], level[2]
	if len(m.Payload) > OwnPayloadBytesMax {
		r.refuseAs(PayloadTooLarge, m, "", fmt.Sprintf("payload of %d bytes is above the limit of %d", len(m.Payload), OwnPayloadBytesMax))
		return
	}
	o := observed(m, "plain:"+level[0]+"/"+level[2], level[2])
	switch level[3] {
	case "state":
		d.plainState(r, m, o)
	case "availability":
		readAvailability(r, m, o)
	case "announcement":
		d.plainAnnounced(r, m, o)
	case "answer":
		d.plainAnswer(r, m, o)
	default:
		r.refuseAs(UnknownTopic, m, "", noTopic)
	}
}

// ours says that the edge alone sends on the topic.
func ours(level []string) bool {
	switch len(level) {
	case 1:
		return level[0] == "selfcheck"
	case 4:
		if level[1] == "dev" && (level[3] == "error" || level[3] == "set") {
			return true
		}
	}
	return slices.Contains([]string{"time", "alarm", "tech", "state"}, level[1])
}

func observed(m Message, hardware, name string) Observation {
	return Observation{Hardware: hardware, Name: name, ArrivalTime: m.Arrival, Retained: m.Retained, Duplicate: m.Duplicate}
}

// plainState reads a JSON object of values. A key that is wrong spoils only itself.
func (d *Decoder) plainState(r *Result, m Message, o Observation) {
	fields, err := object(m.Payload)
	if err != nil {
		r.refuseAs(NotAnObject, m, "", err.Error())
		return
	}
	at, wrong := eventTime(fields["ts"], m.Arrival)
	if wrong {
		r.refuseAs(WrongTime, m, "ts", wrongTime)
	}
	o.EventTime = at
	announced := d.plains[o.Hardware]
	keys := make([]string, 0, len(fields))
	for k := range fields {
		_, known := quantities[k]
		if _, announced := announced[k]; known || announced {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		q, known := quantities[k]
		if !known {
			q = announced[k]
		}
		d.observe(r, m, o, leaf{[]string{k}, fields[k]}, q)
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
			r.refuseAs(WrongAvailability, m, "", "availability is neither online nor offline")
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
		r.refuseAs(WrongAvailability, m, "", "availability is neither online nor offline")
		return
	}
	r.Observations = append(r.Observations, o)
}
