package decode

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// shellyLeft notes that a device's last will was said. Where it was moved, nobody says under the
// prefix before that it is there again.
func (d *Decoder) shellyLeft(hardware string) {
	if len(d.shellyGone) < devicesMax {
		d.shellyGone[hardware] = true
	}
}

// located remembers under which prefix a Shelly speaks. One that speaks under another than before
// was moved; what the broker kept says nothing of that. It is there, whatever its last will says
// under the prefix before.
func (d *Decoder) located(r *Result, m Message, o Observation, prefix string) {
	before, known := d.shellyAt[o.Hardware]
	if before == prefix || known && m.Retained || !known && len(d.shellyAt) >= devicesMax {
		return
	}
	d.shellyAt[o.Hardware] = prefix
	if _, fixed := strings.CutPrefix(o.Hardware, "mac:"); fixed {
		d.name(r, shellyKey(prefix), o.Hardware)
	}
	if !known {
		return
	}
	d.renamed(r, shellyKey(before), o.Hardware)
	if d.shellyGone[o.Hardware] {
		delete(d.shellyGone, o.Hardware)
		o.Key, o.Kind, o.Value = "availability", Availability, BoolValue(true)
		r.Observations = append(r.Observations, o)
	}
}

var (
	shelly2Output = regexp.MustCompile(`^(switch|cover):(\d{1,3})\.(output|state|current_pos)$`)
	shelly1Relay  = regexp.MustCompile(`^relay\.(\d{1,3})$`)
	// Its rollers say on one topic whether they move, and on another where they are.
	shelly1Roller = regexp.MustCompile(`^roller\.(\d{1,3})(\.pos)?$`)
)

// shellyAnswers ends the topics of answers to what we ask. They lie under the device's own
// prefix, since it may publish nowhere else.
const shellyAnswers = "/estate/rpc"

// shellyControl is a relay or cover of a Shelly.
func shellyControl(c Control, prefix string) (Control, bool) {
	if m := shelly1Relay.FindStringSubmatch(c.Key); m != nil {
		c.Kind, c.Values = Switched, wanted[Switched]
		c.send = func(o Order) (Sending, error) {
			return Sending{Topic: prefix + "/relay/" + m[1] + "/command", Payload: []byte(o.Value)}, nil
		}
		return c, true
	}
	if m := shelly1Roller.FindStringSubmatch(c.Key); m != nil {
		return shelly1RollerControl(c, prefix+"/roller/"+m[1]+"/command", m[2] != ""), true
	}
	m := shelly2Output.FindStringSubmatch(c.Key)
	if m == nil || (m[1] == "switch") != (m[3] == "output") {
		return c, false
	}
	n, err := strconv.Atoi(m[2])
	switch m[3] {
	case "current_pos":
		c = percent(c)
	default:
		c.Kind = map[string]Kind{"switch": Switched, "cover": Cover}[m[1]]
		c.Values = wanted[c.Kind]
	}
	c.send = func(o Order) (Sending, error) {
		method, params, err := shellyMethod(c.Kind, n, o.Value)
		if err != nil {
			return Sending{}, err
		}
		number := shellyNumber(o.ID)
		body, err := json.Marshal(map[string]any{"id": number, "src": strings.TrimSuffix(prefix+shellyAnswers, "/rpc"), "method": method, "params": params})
		return Sending{Topic: prefix + "/rpc", Payload: body, Reference: strconv.FormatUint(number, 10)}, err
	}
	return c, err == nil
}

// percent makes a control of a motor that knows where it is.
func percent(c Control) Control {
	low, high := 0.0, 100.0
	c.Kind, c.Min, c.Max, c.Values = Position, &low, &high, nil
	return c
}

// shelly1RollerControl is a shutter at a Shelly of the first generation.
func shelly1RollerControl(c Control, topic string, position bool) Control {
	c.Kind, c.Values = Cover, wanted[Cover]
	if position {
		c = percent(c)
	}
	c.send = func(o Order) (Sending, error) {
		if verb, ok := verbs[o.Value]; ok {
			return Sending{Topic: topic, Payload: []byte(verb)}, nil
		}
		return Sending{Topic: topic + "/pos", Payload: []byte(o.Value)}, nil
	}
	return c
}

// shellyMethod is an order as a call of the device's functions.
func shellyMethod(kind Kind, n int, value string) (method string, params map[string]any, err error) {
	params = map[string]any{"id": n}
	switch {
	case kind == Switched:
		params["on"] = value == "on"
		return "Switch.Set", params, nil
	case value == Stopped:
		return "Cover.Stop", params, nil
	case kind == Cover:
		return map[string]string{"open": "Cover.Open", "closed": "Cover.Close"}[value], params, nil
	}
	at, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return "", nil, fmt.Errorf("the position: %w", err)
	}
	params["pos"] = int(math.Round(at)) // it takes whole percents
	return "Cover.GoToPosition", params, nil
}

// shellyNumber is an order's id as a number that every JSON parser can hold.
func shellyNumber(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	const bits = 48
	return binary.BigEndian.Uint64(sum[:]) >> (64 - bits)
}

// shellyAnswered reads the answer to an order.
func (d *Decoder) shellyAnswered(r *Result, m Message, prefix string) {
	var a struct {
		ID     *uint64         `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(m.Payload, &a) != nil || a.ID == nil {
		r.refuse(m, "", "the answer is not a JSON object with the id of what was asked")
		return
	}
	if *a.ID <= askedStatus {
		if r.Nothing = "an answer without what was asked for"; len(a.Result) > 0 {
			r.Nothing = ""
			d.shellyTold(r, m, prefix, *a.ID, a.Result)
		}
		return
	}
	hardware := shellyKey(prefix)
	if mac, ok := tailMAC(prefix); ok {
		hardware = "mac:" + mac
	} else if known, ok := d.shellies[strings.TrimPrefix(prefix, "shellies/")]; ok {
		hardware = known
	}
	out := Answer{Hardware: hardware, Reference: strconv.FormatUint(*a.ID, 10), OK: a.Error == nil}
	if a.Error != nil {
		out.Text = clip(fmt.Sprintf("%s (%d)", a.Error.Message, a.Error.Code))
	}
	r.Nothing = "an answer to an order"
	r.Answers = append(r.Answers, out)
}
