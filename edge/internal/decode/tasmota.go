package decode

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
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
			// What rules publish may be called anything, but then the prefix comes first.
			return prefix, device, word, prefix == "cmnd" || tasmotaWords.MatchString(word) || i == 0 && device != "" && word != ""
		}
	}
	return "", "", "", false
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
	} else if d.formerly(r, m, &o, word == "LWT") {
		return
	}
	switch text := strings.TrimSpace(string(m.Payload)); {
	case word == "LWT":
		d.tasmotaReach(r, m, o, device)
	case strings.HasPrefix(word, "INFO") || word == "LOGGING":
		r.Nothing = "what the firmware tells of itself"
	case strings.HasPrefix(text, "{"):
		d.tasmotaValues(r, m, o, m.Payload, word)
	case word == "RESULT" && text != "":
		r.Nothing = "a setting, or what the firmware tells of itself"
	default:
		raw, err := json.Marshal(text)
		if err != nil || text == "" {
			r.refuse(m, word, "the payload is empty")
			return
		}
		q := tasmotaQuantity([]string{word}, nil)
		if q.kind == "" { // what a rule published under a word of its own: stat/…/temperature
			q = tasmotaQuantity([]string{strings.ToUpper(word[:1]) + word[1:]}, nil)
		}
		d.observe(r, m, o, leaf{[]string{word}, raw}, q)
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
