package decode

import (
	"strconv"
	"strings"
)

// tasmotaRelay is an output of a Tasmota, a relay or a shutter: its number in what the device says,
// and its name.
type tasmotaRelay struct {
	n       int
	shutter bool
	name    string
	topic   string // of orders, without the word
}

// How an announcement marks an output that is a relay, and each of the two that move a shutter.
const (
	tasmotaOn      = 1
	tasmotaShutter = 3
)

func tasmotaRelays(full, topic string, prefixes []string, names []*string, outputs []int) (out []tasmotaRelay) {
	if full == "" {
		full = "%prefix%/%topic%/"
	}
	cmnd := "cmnd"
	if len(prefixes) == 3 && prefixes[0] != "" {
		cmnd = prefixes[0]
	}
	at := strings.TrimSuffix(strings.NewReplacer("%prefix%", cmnd, "%topic%", topic).Replace(full), "/") + "/"
	motors := 0
	for i, kind := range outputs {
		if kind == tasmotaShutter {
			motors++
		}
		if kind != tasmotaOn && (kind != tasmotaShutter || motors%2 == 0) || len(at) > topicBytesMax || strings.ContainsAny(at, "+#") {
			continue
		}
		r := tasmotaRelay{n: i + 1, topic: at}
		if kind == tasmotaShutter {
			r.n, r.shutter = (motors+1)/2, true
		}
		if i < len(names) && names[i] != nil {
			r.name = clip(*names[i])
		}
		out = append(out, r)
	}
	return out
}

// relayed remembers a device's relays, and where they take orders.
func (d *Decoder) relayed(hardware string, relays []tasmotaRelay) {
	d.relays[hardware] = relays
	for _, r := range relays {
		n := strconv.Itoa(r.n)
		for _, word := range []string{"POWER", "POWER" + n, "ShutterPosition" + n, "ShutterStop" + n} {
			if len(d.orders) < announcementsMax {
				d.orders[r.topic+word] = true
			}
		}
	}
}

// tasmotaControls are a device's relays. The only one of a device is called POWER, or POWER1
// where the device was told to.
func (d *Decoder) tasmotaControls(dev *Device) (out []Control) {
	for _, r := range d.relays[dev.Hardware] {
		if r.shutter {
			out = append(out, r.shutterControls()...)
			continue
		}
		key := "POWER" + strconv.Itoa(r.n)
		if len(d.relays[dev.Hardware]) == 1 && dev.Entities[key] == nil {
			key = "POWER"
		}
		c := Control{Key: key, Name: r.name, Kind: Switched, Values: wanted[Switched]}
		c.send = func(o Order) (Sending, error) {
			return Sending{Topic: r.topic + key, Payload: []byte(strings.ToUpper(o.Value))}, nil
		}
		out = append(out, c)
	}
	return out
}

// shutterControls are how a shutter is moved and stopped. It says where it is and which way it
// moves, in numbers.
func (r tasmotaRelay) shutterControls() []Control {
	n := strconv.Itoa(r.n)
	position := percent(Control{Key: "Shutter" + n + ".Position", Name: r.name})
	position.send = func(o Order) (Sending, error) {
		return Sending{Topic: r.topic + "ShutterPosition" + n, Payload: []byte(o.Value)}, nil
	}
	stop := Control{Key: "Shutter" + n + ".Direction", Name: r.name, Kind: Cover, Values: []string{Stopped}}
	stop.send = func(Order) (Sending, error) { return Sending{Topic: r.topic + "ShutterStop" + n}, nil }
	return []Control{position, stop}
}
