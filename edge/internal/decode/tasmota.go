package decode

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Tasmota's topics are made of a prefix (cmnd, stat, tele), the device's topic and what is
// told. Their order is configurable; what is told comes last.
var tasmotaWords = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// tasmotaParts parts a topic: which prefix, which device, what is told. ok is false for what
// is not Tasmota's.
func tasmotaParts(topic string) (prefix, device, word string, ok bool) {
	levels := strings.Split(topic, "/")
	if len(levels) < 2 {
		return "", "", "", false
	}
	word = levels[len(levels)-1]
	rest := levels[:len(levels)-1]
	for i, l := range rest {
		if l == "tele" || l == "stat" || l == "cmnd" {
			prefix = l
			device = strings.Join(append(append([]string{}, rest[:i]...), rest[i+1:]...), "/")
			return prefix, device, word, prefix == "cmnd" || tasmotaWords.MatchString(word)
		}
	}
	return "", "", "", false
}

func tasmotaTopic(topic string) bool {
	_, _, _, ok := tasmotaParts(topic)
	return ok
}

// tasmotaKey is the hardware name that a device had before its discovery message named it.
func tasmotaKey(device string) string {
	if device == "" {
		device = "(no name)"
	}
	return "tasmota:topic:" + device
}

// tasmota reads one message of a device.
func (d *Decoder) tasmota(r *Result, m Message, prefix, device, word string) {
	if prefix == "cmnd" {
		r.Nothing = "a command to a device"
		return
	}
	o := observed(m, tasmotaKey(device), device)
	o.Alias = o.Hardware
	if known, ok := d.tasmotas[device]; ok {
		o.Hardware = known.hardware
	}
	switch text := strings.TrimSpace(string(m.Payload)); {
	case word == "LWT":
		d.tasmotaReach(r, m, o, device)
	case strings.HasPrefix(word, "INFO") || word == "LOGGING":
		r.Nothing = "what the firmware tells of itself"
	case strings.HasPrefix(text, "{"):
		d.tasmotaValues(r, m, o, m.Payload, word)
	default:
		raw, err := json.Marshal(text)
		if err != nil || text == "" {
			r.refuse(m, word, "the payload is empty")
			return
		}
		d.observe(r, m, o, leaf{[]string{word}, raw}, tasmotaQuantity([]string{word}, nil))
	}
}

func (d *Decoder) tasmotaReach(r *Result, m Message, o Observation, device string) {
	online, offline := "Online", "Offline"
	if known, ok := d.tasmotas[device]; ok {
		online, offline = known.online, known.offline
	}
	o.Key, o.Kind = "availability", Availability
	switch strings.TrimSpace(string(m.Payload)) {
	case online:
		o.Value = BoolValue(true)
	case offline:
		o.Value = BoolValue(false)
	default:
		r.refuse(m, "", fmt.Sprintf("availability is neither %s nor %s", clip(online), clip(offline)))
		return
	}
	r.Observations = append(r.Observations, o)
}

// tasmotaNot are parts of messages that tell of settings, of the firmware or of raw signals.
var tasmotaNot = map[string]bool{"Time": true, "TempUnit": true, "PressureUnit": true, "SpeedUnit": true, "Epoch": true, "Id": true,
	"TotalStartTime": true, "Heap": true, "SleepMode": true, "Sleep": true, "LoadAvg": true, "MqttCount": true, "Uptime": true, "UptimeSec": true,
	"Endpoint": true, "Device": true, "Name": true, "Group": true, "Ep": true}

// tasmotaEvents are results that say that something happened, with the part that tells what.
var tasmotaEvents = map[string]string{"IrReceived": "Data", "RfReceived": "Data", "RfRaw": "Data", "SerialReceived": "", "TuyaReceived": "Data", "PN532": "UID"}

// tasmotaValues reads a JSON message.
func (d *Decoder) tasmotaValues(r *Result, m Message, o Observation, body json.RawMessage, word string) {
	list, err := leaves(body)
	if err != nil {
		r.refuse(m, "", err.Error())
	}
	units := map[string]string{}
	for _, l := range list {
		text, _ := readText(l.raw)
		switch l.name() {
		case "TempUnit", "PressureUnit", "SpeedUnit":
			units[l.name()] = text
		case "Time":
			o.EventTime = d.localTime(text, m.Arrival)
		}
	}
	before := len(r.Observations) + len(r.Unrecognised)
	children := zigbeeChildren(list)
	for _, l := range list {
		switch {
		case (l.path[0] == "StatusSNS" || l.path[0] == "StatusSTS") && len(l.path) > 1:
			l.path = l.path[1:]
		case word == "ENERGY":
			l.path = append([]string{"ENERGY"}, l.path...)
		}
		if tasmotaNot[l.name()] || (word == "STATE" || word == "RESULT") && l.path[0] == "Wifi" && l.name() != "RSSI" && l.name() != "Signal" {
			continue
		}
		if part, event := tasmotaEvents[l.path[0]]; event {
			if l.name() == part || part == "" {
				l.path = l.path[:1]
				d.observe(r, m, o, l, quantity{kind: Event, typ: Text})
			}
			continue
		}
		q := tasmotaQuantity(l.path, units)
		child := o
		if (l.path[0] == "ZbReceived" || l.path[0] == "ZbInfo") && len(l.path) > 2 {
			child.Hardware, child.Alias, child.Name = o.Hardware+"/zb:"+children[l.path[1]].address, "", children[l.path[1]].name
			if l.path = l.path[2:]; q.kind == "" && word == "SENSOR" && !zigbeeValue(l.path[0]) {
				continue
			}
		}
		if q.kind == "" && word == "RESULT" {
			continue // what a command answered: a setting, not a value
		}
		d.observe(r, m, child, l, q)
	}
	if len(r.Observations)+len(r.Unrecognised) == before && err == nil {
		r.Nothing = "a setting, or what the firmware tells of itself"
	}
}

// zigbeeChild is a Zigbee device behind a Tasmota gateway.
type zigbeeChild struct{ address, name string }

// zigbeeChildren lists them by the word under which the message tells of them: their short
// address, or a name with the address beside it.
func zigbeeChildren(list []leaf) map[string]zigbeeChild {
	out := map[string]zigbeeChild{}
	for _, l := range list {
		if len(l.path) != 3 {
			continue
		}
		c, known := out[l.path[1]]
		if !known {
			c = zigbeeChild{address: l.path[1], name: l.path[1]}
		}
		switch text, _ := readText(l.raw); l.name() {
		case "Device":
			c.address = text
		case "Name":
			c.name = text
		}
		out[l.path[1]] = c
	}
	return out
}

// zigbeeValue tells values of a Zigbee device from its raw attributes and from answers about
// groups and bindings.
func zigbeeValue(word string) bool {
	return !strings.ContainsAny(word, "!<") && !strings.Contains(word, "Group") && !slices.Contains([]string{"IEEEAddr", "ModelId", "Manufacturer", "Endpoints", "Config",
		"LastSeen", "LastSeenEpoch", "RGBb", "ColorMode"}, word)
}

// tasmotaMeanings are the words of Tasmota's sensors, without the digits behind them.
var tasmotaMeanings = map[string]quantity{
	"Temperature": of(Temperature, Number, "°C"), "DewPoint": {kind: DewPoint, typ: Number, unit: "°C"}, "Temp": of(Temperature, Number, "°C"),
	"Humidity": of(Humidity, Number, "%"), "Hum": of(Humidity, Number, "%"), "Pressure": of(Pressure, Number, "hPa"), "SeaPressure": of(Pressure, Number, "hPa"),
	"Illuminance": of(Illuminance, Number, "lx"), "CarbonDioxide": of(CO2, Number, "ppm"), "eCO2": of(CO2, Number, "ppm"), "TVOC": {kind: VOC, typ: Number, unit: "ppb"},
	"PM2.5": {kind: PM25, typ: Number, unit: "µg/m³"}, "PM10": {kind: PM10, typ: Number, unit: "µg/m³"}, "Moisture": {kind: Moisture, typ: Number, unit: "%"},
	"ApparentPower": {kind: ApparentPower, typ: Number, unit: "VA"}, "ReactivePower": {kind: ReactivePower, typ: Number, unit: "var"},
	"Factor": {kind: PowerFactor, typ: Number}, "Frequency": {kind: Frequency, typ: Number, unit: "Hz"}, "Voltage": of(Voltage, Number, "V"), "Current": of(Current, Number, "A"),
	"Total": of(Energy, Number, "kWh"), "Today": of(Energy, Number, "kWh"), "Yesterday": of(Energy, Number, "kWh"), "TotalTariff": of(Energy, Number, "kWh"),
	"ExportActive": of(Energy, Number, "kWh"), "ExportTariff": of(Energy, Number, "kWh"), "ImportActive": of(Energy, Number, "kWh"),
	"ImportReactive": {kind: Other, typ: Number, unit: "kvarh"}, "ExportReactive": {kind: Other, typ: Number, unit: "kvarh"}, "PhaseAngle": {kind: Other, typ: Number, unit: "°"},
	"Period": {kind: Other, typ: Number, unit: "Wh"}, "Distance": {kind: Distance, typ: Number, unit: "cm"}, "Weight": {kind: Weight, typ: Number, unit: "kg"},
	"Battery": of(Battery, Number, "%"), "BatteryPercentage": of(Battery, Number, "%"), "BatteryVoltage": of(Voltage, Number, "V"), "Vcc": of(Voltage, Number, "V"),
	"LinkQuality": of(LinkQuality, Number, "lqi"), "Noise": {kind: Noise, typ: Number, unit: "dB"}, "UvIndex": {kind: Other, typ: Number}, "Speed": {kind: Speed, typ: Number},
	"Occupancy": of(Occupancy, Bool, ""), "Motion": of(Motion, Bool, ""), "MOTION": of(Motion, Bool, ""), "Water": of(Leak, Bool, ""), "Contact": of(Contact, Bool, ""),
	"DoorOpen": of(Opening, Bool, ""), "RSSI": {kind: Signal, typ: Number, unit: "%"}, "Signal": {kind: Signal, typ: Number, unit: "dBm"},
	"Gesture": {kind: Event, typ: Text}, "Switch": {kind: Input, typ: Bool}, "POWER": {kind: Switched, typ: Bool}, "Reachable": of(Connectivity, Bool, ""), "ZoneStatus": {kind: Other, typ: Number},
	"LEAK": of(Leak, Bool, ""), "WATER": of(Leak, Bool, ""), "FLOOD": of(Leak, Bool, ""), "SMOKE": of(Smoke, Bool, ""), "MOTI": of(Motion, Bool, ""), "PIR": of(Motion, Bool, ""), "DOOR": of(Opening, Bool, ""), "WINDOW": of(Opening, Bool, ""),
	"POWER_LOW": of(BatteryLow, Bool, ""), "Dimmer": {kind: Other, typ: Number, unit: "%"}, "DIMMER": {kind: Other, typ: Number, unit: "%"}, "CT": {kind: Other, typ: Number, unit: "mired"},
}

var trailingDigits = regexp.MustCompile(`\d+$`)

// tasmotaQuantity says how a value is read: by the last word of its place that means
// something, so that the phases of a meter are read as the meter.
func tasmotaQuantity(path []string, units map[string]string) quantity {
	for i := len(path) - 1; i >= 0 && i >= len(path)-2; i-- {
		word := path[i]
		q, ok := tasmotaMeanings[word]
		if !ok {
			q, ok = tasmotaMeanings[trailingDigits.ReplaceAllString(word, "")]
		}
		switch {
		case path[0] == "MCP230XX_INT" && len(path) == 2 && word != "MS":
			return quantity{kind: Input, typ: Bool}
		case strings.HasPrefix(word, "ot_t"): // OpenTherm
			return of(Temperature, Number, "°C")
		case !ok && word == "Power" && path[0] == "ENERGY":
			return of(Power, Number, "W")
		case !ok && word == "Power":
			return quantity{kind: Switched, typ: Bool}
		case word == "RSSI" && path[0] != "Wifi":
			return quantity{kind: Signal, typ: Number, unit: "dBm"}
		case word == "Battery" && path[0] == "LwReceived":
			return of(Voltage, Number, "V")
		case !ok:
			continue
		}
		if path[0] == "ESP32" && q.kind == Temperature {
			q.kind = DeviceTemperature
		}
		switch q.kind {
		case Temperature, DeviceTemperature, DewPoint:
			if units["TempUnit"] == "F" {
				q.unit, q.min, q.max = "°F", -130, 1832
			}
		case Pressure:
			if u := units["PressureUnit"]; u != "" {
				q.unit, q.min, q.max = clip(u), 0, 0
			}
		case Speed:
			q.unit = clip(units["SpeedUnit"])
		default: // its unit is always the same
		}
		return q
	}
	return quantity{}
}

// localTime reads a time of the device's zone. One without an offset is believed only where
// it is about now: the device may keep another zone than the building.
func (d *Decoder) localTime(text string, arrival time.Time) time.Time {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		at, _ := plausible(t, arrival)
		return at
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05", text, d.zone)
	if err != nil || arrival.Sub(t).Abs() > aheadMax {
		return time.Time{}
	}
	return t.UTC()
}

// tasmotaDevice is what a discovery message said.
type tasmotaDevice struct {
	hardware        string
	online, offline string
}

// tasmotaAnnounced takes tasmota/discovery/<MAC>/config or sensors.
func (d *Decoder) tasmotaAnnounced(r *Result, m Message, rest string) {
	address, what, _ := strings.Cut(rest, "/")
	mac, ok := macOf(address)
	if !ok || what != "config" && what != "sensors" {
		r.refuse(m, "", "no device convention uses this topic")
		return
	}
	hardware := "mac:" + mac
	r.Configures = true
	if len(strings.TrimSpace(string(m.Payload))) == 0 {
		if what == "config" {
			r.Removed = append(r.Removed, hardware)
		}
		return
	}
	dev := d.device(hardware)
	if dev == nil {
		r.refuse(m, "", "more than 10000 devices: this one is left out")
		return
	}
	if what == "sensors" {
		var body struct {
			Sensors json.RawMessage `json:"sn"`
		}
		if json.Unmarshal(m.Payload, &body) != nil || len(body.Sensors) == 0 {
			r.refuse(m, "", "the list of sensors is not a JSON object with \"sn\"")
			return
		}
		o := observed(m, hardware, dev.Name)
		o.Retained = true // the last known, however it came
		d.tasmotaValues(r, m, o, body.Sensors, "SENSOR")
		return
	}
	var c struct {
		Name      string    `json:"dn"`
		Names     []*string `json:"fn"`
		Host      string    `json:"hn"`
		Module    string    `json:"md"`
		Software  string    `json:"sw"`
		Topic     string    `json:"t"`
		FullTopic string    `json:"ft"`
		Prefixes  []string  `json:"tp"`
		Offline   string    `json:"ofln"`
		Online    string    `json:"onln"`
		Battery   int       `json:"bat"`
		Sleep     int       `json:"dslp"`
		Relays    []int     `json:"rl"`
	}
	if !utf8.Valid(m.Payload) || json.Unmarshal(m.Payload, &c) != nil || c.Topic == "" {
		r.refuse(m, "", "the announcement is not a JSON object with a topic")
		return
	}
	changed := false
	set(&dev.Name, c.Name, &changed)
	set(&dev.Model, c.Module, &changed)
	set(&dev.Firmware, c.Software, &changed)
	set(&dev.Manufacturer, "Tasmota", &changed)
	dev.Battery, dev.Sleeps = c.Battery == 1, c.Sleep == 1
	r.changed(hardware)
	d.relayed(hardware, tasmotaRelays(c.FullTopic, c.Topic, c.Prefixes, c.Names, c.Relays))
	known := tasmotaDevice{hardware: hardware, online: cmp.Or(c.Online, "Online"), offline: cmp.Or(c.Offline, "Offline")}
	if len(d.tasmotas) < devicesMax {
		d.tasmotas[d.tasmotaName(c.FullTopic, c.Topic, c.Prefixes)] = known
	}
}

// tasmotaName is what remains of the device's full topic without the prefix.
func (d *Decoder) tasmotaName(full, topic string, prefixes []string) string {
	if full == "" {
		return topic
	}
	tele := "tele"
	if len(prefixes) == 3 && prefixes[2] != "" {
		tele = prefixes[2]
	}
	t := strings.NewReplacer("%prefix%", tele, "%topic%", topic).Replace(full)
	if _, device, _, ok := tasmotaParts(strings.TrimSuffix(t, "/") + "/SENSOR"); ok {
		return device
	}
	return topic
}
