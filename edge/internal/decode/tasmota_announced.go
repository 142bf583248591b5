package decode

import (
	"cmp"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

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
