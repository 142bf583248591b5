package hass

import (
	_ "embed"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"sync"
)

//go:embed abbreviations.txt
var entityAbbreviations string

//go:embed abbreviations_device.txt
var deviceAbbreviations string

//go:embed abbreviations_origin.txt
var originAbbreviations string

var (
	entityKeys = sync.OnceValue(func() map[string]string { return table(entityAbbreviations) })
	deviceKeys = sync.OnceValue(func() map[string]string { return table(deviceAbbreviations) })
	originKeys = sync.OnceValue(func() map[string]string { return table(originAbbreviations) })
)

// table reads lines of an abbreviation and what it stands for.
func table(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if short, long, ok := strings.Cut(strings.TrimSpace(line), " "); ok && short != "#" {
			out[short] = long
		}
	}
	return out
}

// config is a JSON object of an announcement, with its values unread.
type config map[string]json.RawMessage

// expand writes abbreviated keys out. A key that is there in full wins.
func (c config) expand(keys map[string]string) config {
	out := make(config, len(c))
	for k, v := range c {
		long, ok := keys[k]
		if !ok {
			out[k] = v
			continue
		}
		if _, full := c[long]; !full {
			out[long] = v
		}
	}
	return out
}

// base puts the base topic in place of "~" at the start or the end of topics.
func (c config) base(base string) {
	if base == "" {
		return
	}
	for k, v := range c {
		if strings.HasSuffix(k, "topic") {
			if topic := c.text(k); topic != "" {
				c[k] = quote(rebase(topic, base))
			}
		}
		if k == "availability" {
			c[k] = rebaseAll(v, base)
		}
	}
}

func rebase(topic, base string) string {
	if rest, ok := strings.CutPrefix(topic, "~"); ok {
		topic = base + rest
	}
	if rest, ok := strings.CutSuffix(topic, "~"); ok {
		topic = rest + base
	}
	return topic
}

// rebaseAll does the same in a list of availabilities.
func rebaseAll(raw json.RawMessage, base string) json.RawMessage {
	list := availabilities(raw)
	for _, one := range list {
		if topic := one.text("topic"); topic != "" {
			one["topic"] = quote(rebase(topic, base))
		}
	}
	out, err := json.Marshal(list)
	if err != nil {
		return raw
	}
	return out
}

// availabilities reads a list of availabilities, or a single one.
func availabilities(raw json.RawMessage) []config {
	var list []config
	if json.Unmarshal(raw, &list) != nil {
		var one config
		if json.Unmarshal(raw, &one) != nil {
			return nil
		}
		list = []config{one}
	}
	out := make([]config, 0, min(len(list), availabilityMax))
	for _, one := range list[:min(len(list), availabilityMax)] {
		if one != nil {
			out = append(out, one.expand(entityKeys()))
		}
	}
	return out
}

func quote(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`)
	}
	return b
}

// text reads a text, or writes a number or a truth value as one, as Home Assistant does:
// true is "True" there, which is how such payloads are compared.
func (c config) text(key string) string {
	s := scalar(c[key])
	if len(s) > textMax && !strings.HasSuffix(key, "template") {
		return ""
	}
	return s
}

func scalar(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return strings.TrimSpace(string(raw))
	}
	return ""
}

// textOr is text with a default for what is not there.
func (c config) textOr(key, otherwise string) string {
	if _, ok := c[key]; !ok {
		return otherwise
	}
	return c.text(key)
}

// yes reads a truth value in any of its spellings.
func (c config) yes(key string) bool {
	switch strings.ToLower(c.text(key)) {
	case "true", "1", "yes", "on":
		return true
	}
	return false
}

// seconds reads a number of seconds, of which a begun one counts.
func (c config) seconds(key string) int {
	n, err := strconv.ParseFloat(c.text(key), 64)
	if err != nil || !(n > 0) || n > secondsMax {
		return 0
	}
	return int(math.Ceil(n))
}

// texts reads a list of texts, or a single one.
func (c config) texts(key string) []string {
	var list []json.RawMessage
	if json.Unmarshal(c[key], &list) != nil {
		if s := c.text(key); s != "" {
			return []string{s}
		}
		return nil
	}
	var out []string
	for _, raw := range list[:min(len(list), identifiersMax)] {
		if s := scalar(raw); s != "" && len(s) <= textMax {
			out = append(out, s)
		}
	}
	return out
}

func (c config) device() Device {
	var d config
	if json.Unmarshal(c["device"], &d) != nil || d == nil {
		return Device{}
	}
	d = d.expand(deviceKeys())
	out := Device{Identifiers: d.texts("identifiers"), Name: d.text("name"), Manufacturer: d.text("manufacturer"), Model: d.text("model"),
		Firmware: d.text("sw_version"), Area: d.text("suggested_area"), Via: d.text("via_device")}
	var pairs [][]json.RawMessage
	if json.Unmarshal(d["connections"], &pairs) == nil {
		for _, p := range pairs[:min(len(pairs), identifiersMax)] {
			if len(p) == 2 && scalar(p[0]) != "" && scalar(p[1]) != "" {
				out.Connections = append(out.Connections, [2]string{scalar(p[0]), scalar(p[1])})
			}
		}
	}
	return out
}

func (c config) origin() string {
	var o config
	if json.Unmarshal(c["origin"], &o) != nil || o == nil {
		return ""
	}
	o = o.expand(originKeys())
	return strings.TrimSpace(o.text("name") + " " + o.text("sw_version"))
}
