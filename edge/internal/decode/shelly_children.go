package decode

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"estate/edge/internal/hass"
)

// shellyMeter tells meters, whose temperature is that of their own parts.
var shellyMeter = regexp.MustCompile(`(?i)^shelly(?:pro)?(?:3em|em)`)

// modelOf is the model of a device, or the prefix that a device makes of it.
func (d *Decoder) modelOf(hardware, prefix string) string {
	if dev := d.devices[hardware]; dev != nil && strings.HasPrefix(dev.Model, "shelly") {
		return dev.Model
	}
	return prefix
}

// learnShelly remembers which device speaks under a prefix that a person chose.
func (d *Decoder) learnShelly(r *Result, m Message, prefix, source, hardware string) {
	name := strings.TrimPrefix(prefix, "shellies/")
	if d.shellies[name] == hardware || len(d.shellies) >= devicesMax {
		return
	}
	d.shellies[name] = hardware
	if _, told := tailMAC(prefix); !told {
		m.Payload = []byte(`{"src":` + quoted(source) + `,"method":"NotifyStatus","params":{}}`)
		r.Remember = append(r.Remember, m)
	}
}

// shellyChild is the device behind a gateway that a component tells of, where something
// announced that it is one; the gateway itself for all else.
func (d *Decoder) shellyChild(o Observation, prefix, component string) Observation {
	if hardware, ok := d.children[prefix+"/"+component]; ok {
		o.Hardware, o.Alias = hardware, ""
		if dev := d.devices[hardware]; dev != nil {
			o.Name = dev.Name
		}
	}
	return o
}

// shellyWell tells that errors are over of which a component told before, and now, in all that it
// tells, does not.
func (d *Decoder) shellyWell(r *Result, o Observation, list []leaf, component []string) {
	dev := d.devices[o.Hardware]
	if dev == nil {
		return
	}
	told := map[string]bool{}
	for _, l := range list {
		told[append(slices.Clone(component), l.path...)[0]] = true
	}
	for _, key := range slices.Sorted(maps.Keys(dev.Entities)) {
		name, _, problem := strings.Cut(key, ".errors.")
		still := slices.ContainsFunc(r.Observations, func(x Observation) bool { return x.Key == key && x.Hardware == o.Hardware })
		if problem && told[name] && !still {
			o.Key, o.Kind, o.Value = key, Problem, BoolValue(false)
			d.add(r, o)
		}
	}
}

// shellyPart reads of which component an announced event tells, by its payload
// (0_single_push, bthomedevice:200_0_long_push) or by what its template compares.
var shellyPart = regexp.MustCompile(`^(?:(\d+)|([a-z]+:\d+)_\d+)_\w+$|events\.0\.id==(\d+)|events\.0\.component=="([a-z]+:\d+)"`)

// shellyEventOf is the component of which an announced event tells; empty where nothing says.
func shellyEventOf(p hass.Point) string {
	texts := []string{p.On}
	if p.Template != nil {
		texts = append(texts, p.Template.Text())
	}
	for _, text := range texts {
		switch found := shellyPart.FindStringSubmatch(text); {
		case found == nil:
		case found[1]+found[3] != "":
			return "input:" + found[1] + found[3]
		default:
			return found[2] + found[4]
		}
	}
	return ""
}

// adopt learns from an announcement which hardware speaks on topics that a firmware's own rules
// read: the announcement names it for ever, the topic may not.
func (d *Decoder) adopt(hardware string, p hass.Point, a hass.Availability) {
	if prefix, tail, ok := shellyParts(p.Topic); ok {
		component := strings.TrimPrefix(tail, "status/")
		if tail == "events/rpc" {
			component = shellyEventOf(p)
		}
		mac, told := tailMAC(prefix)
		switch {
		case strings.HasPrefix(component, "bthome") || strings.HasPrefix(component, "blutrv"):
			if hardware != "mac:"+mac && len(d.children) < devicesMax {
				d.children[prefix+"/"+component] = hardware
			}
		case !told && d.shellies[strings.TrimPrefix(prefix, "shellies/")] == "" && len(d.shellies) < devicesMax:
			d.shellies[strings.TrimPrefix(prefix, "shellies/")] = hardware
		}
		return
	}
	_, device, _, ok := d.tasmotaAt(p.Topic)
	if _, known := d.tasmotas[device]; !ok || known || len(d.tasmotas) >= devicesMax {
		return
	}
	one := tasmotaDevice{hardware: hardware, online: "Online", offline: "Offline"}
	for _, s := range a.Sources {
		if s.Available != "" && s.NotAvailable != "" && s.Available != "online" {
			one.online, one.offline = s.Available, s.NotAvailable
		}
	}
	d.tasmotas[device] = one
}
