package decode

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"time"
)

// Shelly's second and later generations use a prefix that people may change, and below it
// online, events/rpc, status/<component> and status/rpc.
var shellyTail = regexp.MustCompile(`^(.+?)/(online|events/rpc|status/(?:rpc|sys|wifi|eth|ble|cloud|mqtt|ws|[a-z][a-z0-9_]*:\d+)|rpc|command(?:/.*)?)$`)

// shellyOwn are prefixes as the devices make them up: by them even topics that others use as
// well are told to be Shelly's.
var shellyOwn = regexp.MustCompile(`(?i)^shelly[a-z0-9]*-[0-9a-f]{6,12}$`)

// shellyParts parts a topic: the device's prefix and what is told.
func shellyParts(topic string) (prefix, tail string, ok bool) {
	m := shellyTail.FindStringSubmatch(topic)
	if m == nil {
		return "", "", false
	}
	prefix, tail = m[1], m[2]
	sure := tail == "events/rpc" || tail == "status/rpc" || strings.Contains(tail, ":")
	return prefix, tail, sure || shellyOwn.MatchString(prefix) || strings.HasPrefix(prefix, "shellies/")
}

// shellyPlace parts a topic, also where only the device's prefix tells that it is a Shelly's.
func (d *Decoder) shellyPlace(topic string) (prefix, tail string, ok bool) {
	prefix, tail, ok = shellyParts(topic)
	return prefix, tail, ok || prefix != "" && (d.named[shellyKey(prefix)] != "" || d.former[shellyKey(prefix)] != "")
}

func shellyTopic(topic string) bool {
	_, _, ok := shellyParts(topic)
	return ok
}

// shellyComponent is the component that a status topic tells of; empty for others.
func shellyComponent(topic string) string {
	_, tail, ok := shellyParts(topic)
	component, status := strings.CutPrefix(tail, "status/")
	if !ok || !status || component == "rpc" {
		return ""
	}
	return component
}

func shellyKey(prefix string) string { return "shelly:topic:" + prefix }

// shelly reads one message of a device.
func (d *Decoder) shelly(r *Result, m Message, prefix, tail string) {
	o := observed(m, shellyKey(prefix), prefix)
	o.Alias = o.Hardware
	gone := tail == "online" && strings.TrimSpace(string(m.Payload)) == "false"
	if d.former[o.Hardware] != "" && (m.Retained || gone) {
		r.Nothing = formerName
		return
	}
	if mac, ok := tailMAC(prefix); ok {
		o.Hardware = "mac:" + mac
	} else if known, ok := d.shellies[strings.TrimPrefix(prefix, "shellies/")]; ok {
		o.Hardware = known
	} else if known := d.named[shellyKey(prefix)]; known != "" {
		o.Hardware = known
	}
	if gone {
		d.shellyLeft(o.Hardware)
	} else {
		d.located(r, m, o, prefix)
	}
	component, status := strings.CutPrefix(tail, "status/")
	switch {
	case tail == "online":
		d.shellyReach(r, m, o)
		d.askShelly(r, m, prefix, gone)
	case tail == "events/rpc":
		d.shellyNotice(r, m, o, prefix)
	case status && component == "rpc":
		d.shellyStatus(r, m, o, prefix, m.Payload, nil, true)
	case status:
		d.shellyStatus(r, m, o, prefix, m.Payload, []string{component}, true)
	default:
		r.Nothing = "a request or a command to a device"
	}
}

func (d *Decoder) shellyReach(r *Result, m Message, o Observation) {
	o.Key, o.Kind = "availability", Availability
	switch text := strings.TrimSpace(string(m.Payload)); text {
	case "true", "false":
		o.Value = BoolValue(text == "true")
		r.Observations = append(r.Observations, o)
	default:
		r.refuse(m, "", "availability is neither true nor false")
	}
}

// shellyNotice reads events/rpc: a part of the status that changed, or what happened.
func (d *Decoder) shellyNotice(r *Result, m Message, o Observation, prefix string) {
	var n struct {
		Source string          `json:"src"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if _, err := object(m.Payload); err != nil {
		r.refuse(m, "", err.Error())
		return
	}
	if err := json.Unmarshal(m.Payload, &n); err != nil || len(n.Params) == 0 {
		r.refuse(m, "", "the notification is not a JSON object with params")
		return
	}
	if mac, ok := tailMAC(n.Source); ok {
		o.Hardware = "mac:" + mac
		d.located(r, m, o, prefix)
		d.learnShelly(r, m, prefix, n.Source, o.Hardware)
		if dev := d.device(o.Hardware); dev != nil {
			changed := false
			set(&dev.Model, n.Source[:strings.LastIndexByte(n.Source, '-')], &changed)
			set(&dev.Manufacturer, "Shelly", &changed)
			if changed {
				r.changed(o.Hardware)
			}
		}
	}
	switch n.Method {
	case "NotifyStatus", "NotifyFullStatus":
		d.shellyStatus(r, m, o, prefix, n.Params, nil, n.Method == "NotifyFullStatus")
	case "NotifyEvent":
		d.shellyEvents(r, m, o, prefix, n.Params)
	default:
		r.refuse(m, "method", "the notification "+clip(n.Method)+" is not known")
	}
}

// shellyTime reads seconds since 1970 of the device's clock.
func shellyTime(ts float64, arrival time.Time) time.Time {
	if ts <= 0 || ts > 1e11 || math.IsNaN(ts) {
		return time.Time{}
	}
	at, _ := plausible(time.UnixMicro(int64(ts*1e6)), arrival)
	return at
}

// shellyOwnEvents tell of the firmware.
var shellyOwnEvents = regexp.MustCompile(`^(?:config_changed|component_(?:added|removed)|ota_\w+|scheduled_restart|sleep|discovery_done|associat\w+)$`)

func (d *Decoder) shellyEvents(r *Result, m Message, o Observation, prefix string, params json.RawMessage) {
	var p struct {
		Events []struct {
			Component string  `json:"component"`
			Event     string  `json:"event"`
			Time      float64 `json:"ts"`
		} `json:"events"`
	}
	if json.Unmarshal(params, &p) != nil || len(p.Events) > leavesMax {
		r.refuse(m, "params", "the events are not a list of events")
		return
	}
	for _, e := range p.Events {
		if e.Event == "" || shellyOwnEvents.MatchString(e.Event) {
			continue
		}
		one := d.shellyChild(o, prefix, e.Component)
		one.EventTime = shellyTime(e.Time, m.Arrival)
		one.Key, one.Kind, one.Value = clip(e.Component)+".event", Event, Value{Type: Text, Text: clip(e.Event)}
		d.add(r, one)
	}
	if len(r.Observations) == 0 {
		r.Nothing = "what the firmware tells of itself"
	}
}

// shellyWords are the values of components. Energies are counted in watt hours.
var shellyWords = map[string]quantity{
	"apower": of(Power, Number, "W"), "act_power": of(Power, Number, "W"), "aprt_power": {kind: ApparentPower, typ: Number, unit: "VA"}, "voltage": of(Voltage, Number, "V"),
	"current": of(Current, Number, "A"), "freq": {kind: Frequency, typ: Number, unit: "Hz"}, "pf": {kind: PowerFactor, typ: Number},
	"tC": of(Temperature, Number, "°C"), "tF": {kind: Temperature, typ: Number, unit: "°F", min: -130, max: 1832}, "rh": of(Humidity, Number, "%"), "lux": of(Illuminance, Number, "lx"),
	"percent": of(Battery, Number, "%"), "V": of(Voltage, Number, "V"), "flood": of(Leak, Bool, ""), "rssi": {kind: Signal, typ: Number, unit: "dBm"},
	"uptime": {kind: Duration, typ: Number, unit: "s"}, "current_pos": {kind: Position, typ: Number, unit: "%", max: 100}, "output": {kind: Switched, typ: Bool},
	"brightness": {kind: Other, typ: Number, unit: "%"}, "target_C": {kind: Setpoint, typ: Number, unit: "°C"}, "current_C": of(Temperature, Number, "°C"),
	"mute": {typ: Bool}, "connected": of(Connectivity, Bool, ""), "battery": of(Battery, Number, "%"), "ct": {kind: Other, typ: Number, unit: "K"}, "target_pos": {kind: Other, typ: Number, unit: "%"}, "target_humidity": {kind: Setpoint, typ: Number, unit: "%"}, "slat_pos": {kind: Position, typ: Number, unit: "%", max: 100},
}

// shellyNot are parts of a status that tell of the firmware rather than the building.
func shellyNot(l leaf) bool {
	switch l.path[0] {
	case "ts", "ble", "ws", "mqtt", "script", "ht_ui", "plugs_ui":
		return true
	case "sys":
		return l.name() != "uptime" && l.name() != "version"
	case "wifi", "eth":
		return l.name() != "rssi"
	}
	switch l.name() {
	case "id", "source", "minute_ts", "packet_id", "last_updated_ts", "last_update_ts", "fw_ver", "move_started_at", "timer_started_at", "timer_duration", "started_at", "calibration", "rpc", "paired":
		return true
	}
	if len(l.path) > 1 && (l.path[1] == "schedules" || l.path[1] == "transition") {
		return true
	}
	return strings.HasPrefix(l.path[0], "script:") || len(l.path) > 2 && l.path[len(l.path)-2] == "by_minute"
}

// shellyStatus reads the values of components; component is set where the body
// is one, and full says that the body tells all of its components.
func (d *Decoder) shellyStatus(r *Result, m Message, o Observation, prefix string, body json.RawMessage, component []string, full bool) {
	list, err := leaves(body)
	if err != nil {
		r.refuse(m, "", err.Error())
	}
	for _, l := range list {
		if l.key() == "ts" {
			if ts, err := readNumber(l.raw); err == nil {
				o.EventTime = shellyTime(ts, m.Arrival)
			}
		}
	}
	for _, l := range list {
		l.path = append(append([]string{}, component...), l.path...)
		one := d.shellyChild(o, prefix, l.path[0])
		switch {
		case shellyNot(l):
		case len(l.path) == 3 && l.path[1] == "errors":
			if text, _ := readText(l.raw); text != "" {
				d.observe(r, m, one, leaf{[]string{l.path[0], "errors", text}, json.RawMessage("true")}, of(Problem, Bool, ""))
			}
		default:
			q := shellyQuantity(l.path)
			if q.kind == Temperature && l.path[0] == "temperature:0" && shellyMeter.MatchString(d.modelOf(o.Hardware, prefix)) {
				q.kind = DeviceTemperature
			}
			d.observe(r, m, one, l, q)
		}
	}
	if err == nil && full {
		d.shellyWell(r, o, list, component)
	}
	if len(r.Observations) == 0 && len(r.Unrecognised) == 0 {
		r.Nothing = "what the firmware tells of itself"
	}
}

func shellyQuantity(path []string) quantity {
	kind, _, _ := strings.Cut(path[0], ":")
	last := path[len(path)-1]
	switch {
	case kind == "sys" && last == "version":
		return quantity{kind: Update, typ: Text}
	case kind == "cloud": // whether the maker hears the device says nothing of whether we do
		return quantity{kind: Other}
	case kind == "presencezone" && last == "value", kind == "occupancy" && (last == "value" || last == "occupancy"):
		return of(Occupancy, Bool, "")
	case kind == "motion" && last == "motion":
		return of(Motion, Bool, "")
	case kind == "smoke" && last == "alarm":
		return of(Smoke, Bool, "")
	case kind == "flood" && last == "alarm":
		return of(Leak, Bool, "")
	case kind == "input" && last == "percent": // an analogue input, which is no battery
		return quantity{typ: Number, unit: "%"}
	case (kind == "bthomedevice" || kind == "blutrv") && last == "battery":
		return of(Battery, Number, "%")
	case kind == "thermostat" && last == "humidity":
		return of(Humidity, Number, "%")
	case (kind == "trv" || kind == "blutrv") && last == "pos":
		return quantity{kind: Position, typ: Number, unit: "%", max: 100}
	case kind == "input" && last == "state":
		return quantity{kind: Input}
	case kind == "cover" && last == "state":
		return quantity{kind: Cover, typ: Text}
	case len(path) > 1 && path[len(path)-2] == "aenergy" && last == "total", len(path) > 1 && path[len(path)-2] == "ret_aenergy" && last == "total",
		strings.HasSuffix(last, "_energy"), kind == "emdata":
		return of(Energy, Number, "Wh")
	}
	q, ok := shellyWords[last]
	if q.kind == Temperature && kind != "temperature" && kind != "thermostat" && kind != "trv" && kind != "blutrv" {
		q.kind = DeviceTemperature // of the relay itself
	}
	if ok {
		return q
	}
	for _, phase := range []string{"a_", "b_", "c_", "n_", "total_"} {
		if q, ok := shellyWords[strings.TrimPrefix(last, phase)]; ok && strings.HasPrefix(last, phase) {
			return q
		}
	}
	return quantity{}
}
