package decode

import (
	"encoding/json"
	"strings"
)

// A Shelly tells what changes. How everything is, and what it is itself, it tells when asked: once
// it says that it is there.

// The numbers of our questions. Those of orders are made of 48 bits of a hash.
const (
	askedInfo   = 1
	askedStatus = 2
)

// askShelly asks a device that says that it is there, once for what a broker kept and each time
// that it comes.
func (d *Decoder) askShelly(r *Result, m Message, prefix string, gone bool) {
	if gone || strings.HasPrefix(prefix, "shellies/") || strings.TrimSpace(string(m.Payload)) != "true" || m.Retained && d.asked[prefix] {
		return
	}
	if !d.asked[prefix] && len(d.asked) >= devicesMax {
		return
	}
	d.asked[prefix] = true
	for i, method := range []string{"Shelly.GetDeviceInfo", "Shelly.GetStatus"} {
		body, err := json.Marshal(map[string]any{"id": askedInfo + i, "src": strings.TrimSuffix(prefix+shellyAnswers, "/rpc"), "method": method})
		if err == nil {
			r.Ask = append(r.Ask, Sending{Topic: prefix + "/rpc", Payload: body})
		}
	}
}

// shellyTold reads the answer to a question: what the device is, or how everything is.
func (d *Decoder) shellyTold(r *Result, m Message, prefix string, number uint64, result json.RawMessage) {
	o := observed(m, shellyKey(prefix), prefix)
	o.Alias = o.Hardware
	if mac, ok := tailMAC(prefix); ok {
		o.Hardware = "mac:" + mac
	} else if known, ok := d.shellies[prefix]; ok {
		o.Hardware = known
	}
	if number == askedStatus {
		d.shellyStatus(r, m, o, prefix, result, nil, true)
		return
	}
	var info struct {
		ID       string  `json:"id"`
		MAC      string  `json:"mac"`
		Name     *string `json:"name"`
		Model    string  `json:"model"`
		App      string  `json:"app"`
		Firmware string  `json:"ver"`
	}
	mac, ok := "", false
	if json.Unmarshal(result, &info) == nil {
		mac, ok = macOf(info.MAC)
	}
	if !ok {
		r.refuse(m, "mac", "what the device says of itself has no mac")
		return
	}
	hardware := "mac:" + mac
	o.Hardware = hardware
	d.located(r, m, o, prefix)
	m.Topic = prefix + "/events/rpc" // where what is remembered of it is read
	d.learnShelly(r, m, prefix, info.ID, hardware)
	r.Nothing = "what a device says of itself"
	dev := d.device(hardware)
	if dev == nil {
		return
	}
	changed := false
	if info.Name != nil {
		set(&dev.Name, *info.Name, &changed)
	}
	set(&dev.Manufacturer, "Shelly", &changed)
	set(&dev.Firmware, info.Firmware, &changed)
	if dev.Model == "" {
		set(&dev.Model, info.App+" "+info.Model, &changed)
	}
	dev.Alias = shellyKey(prefix)
	r.changed(hardware)
}
