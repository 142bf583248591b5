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
	c.FullTopic = strings.NewReplacer("%id%", strings.ToUpper(mac), "%hostname%", c.Host).Replace(c.FullTopic)
	d.tasmotaSpeaks(c.FullTopic, c.Topic, c.Prefixes)
	changed := false
	set(&dev.Name, c.Name, &changed)
	set(&dev.Model, c.Module, &changed)
	set(&dev.Firmware, c.Software, &changed)
	set(&dev.Manufacturer, "Tasmota", &changed)
	dev.Battery, dev.Sleeps = c.Battery == 1, c.Sleep == 1
	r.changed(hardware)
	d.relayed(hardware, tasmotaRelays(c.FullTopic, c.Topic, c.Prefixes, c.Names, c.Relays))
	known := tasmotaDevice{hardware: hardware, online: cmp.Or(c.Online, "Online"), offline: cmp.Or(c.Offline, "Offline")}
	d.tasmotaNamed(r, m, tasmotaName(c.FullTopic, c.Topic), known)
}

// tasmotaNamed notes under which topic a device speaks now. Two that share one cannot be told
// apart: values are taken for those of the device that announced itself last, and that is said.
func (d *Decoder) tasmotaNamed(r *Result, m Message, name string, known tasmotaDevice) {
	if other, taken := d.tasmotas[name]; taken && other.hardware != known.hardware {
		r.refuse(m, "t", "another device, "+other.hardware+", uses the topic "+clip(name)+" as well: give each its own")
	}
	for before, other := range d.tasmotas {
		if other.hardware == known.hardware && before != name {
			delete(d.tasmotas, before)
			d.renamed(r, tasmotaKey(before), known.hardware)
		}
	}
	if dev := d.devices[known.hardware]; dev != nil {
		dev.Alias = tasmotaKey(name)
	}
	if len(d.tasmotas) < devicesMax {
		d.tasmotas[name] = known
		d.again(r, tasmotaKey(name))
	}
}

// tasmotaName is what remains of the device's full topic without the prefix, whatever word the
// device has for the prefix.
func tasmotaName(full, topic string) string {
	if full == "" {
		return topic
	}
	if _, device, _, ok := tasmotaParts(tasmotaBase(full, topic, "tele") + "/SENSOR"); ok {
		return device
	}
	return topic
}

// tasmotaBase is what a device's topics begin with.
func tasmotaBase(full, topic, prefix string) string {
	return strings.TrimSuffix(strings.NewReplacer("%prefix%", prefix, "%topic%", topic).Replace(full), "/")
}

// tasmotaPlace is what the begin of a topic means.
type tasmotaPlace struct{ prefix, device string }

// tasmotaSpeaks remembers where a device speaks that has words of its own for the prefixes.
func (d *Decoder) tasmotaSpeaks(full, topic string, prefixes []string) {
	for i, prefix := range []string{"cmnd", "stat", "tele"} {
		if i >= len(prefixes) || prefixes[i] == "" || prefixes[i] == prefix || !strings.Contains(full, "%prefix%") || len(d.tasmotaPlaces) >= devicesMax {
			continue
		}
		if base := tasmotaBase(full, topic, prefixes[i]); len(base) <= topicBytesMax {
			d.tasmotaPlaces[base] = tasmotaPlace{prefix, tasmotaName(full, topic)}
		}
	}
}

// tasmotaAt parts a topic as tasmotaParts does, and knows the words that devices announced.
func (d *Decoder) tasmotaAt(topic string) (prefix, device, word string, ok bool) {
	if end := strings.LastIndexByte(topic, '/'); end > 0 {
		if at, known := d.tasmotaPlaces[topic[:end]]; known {
			return at.prefix, at.device, topic[end+1:], true
		}
	}
	return tasmotaParts(topic)
}
