package ingest

import (
	"strings"

	"estate/edge/internal/decode"
)

// Follower is told what adopted devices can be told to do, and what they say. Calls come from
// one goroutine, after what was said is stored; none may wait.
type Follower interface {
	// Told gives all that a device can be told, each time that it may have changed.
	Told(Told)
	// Heard gives what devices said. Availability of gateways is among it, adopted or not.
	Heard([]decode.Observation)
	// Answered gives what devices said of orders.
	Answered([]decode.Answer)
}

// Told is what a device can be told.
type Told struct {
	Hardware string
	// Via is the hardware that it speaks through; empty for none.
	Via      string
	Battery  bool
	Controls []decode.Control
}

// follows is what is remembered of what the Follower was told.
type follows struct {
	told    map[string]bool   // hardware as the decoder names it
	aliases map[string]string // hardware → the name under which it was adopted
}

// alias notes that hardware was adopted under a name that it had before it was known. The name may
// change, and then tells nothing: so what is noted is saved as well.
func (f *follows) alias(hardware, name string) (save []decode.Message) {
	before, known := f.aliases[hardware]
	if before == name || !known && len(f.aliases) >= lastMax {
		return nil
	}
	f.aliases[hardware] = name
	return []decode.Message{{Topic: aliasTopic + hardware, Payload: []byte(name)}}
}

// aliasTopic begins the topics of what is saved of it; no device can send on such.
const aliasTopic = "$estate/alias/"

// recall takes what was saved of the names under which devices were adopted, and gives the rest.
func (f *follows) recall(saved []decode.Message) (rest []decode.Message) {
	for _, m := range saved {
		if hardware, ok := strings.CutPrefix(m.Topic, aliasTopic); ok {
			f.aliases[hardware] = string(m.Payload)
			continue
		}
		rest = append(rest, m)
	}
	return rest
}

// following is what a Follower is told of one batch, beside what was stored of it.
type following struct {
	gateways []decode.Observation // which are there, and which are not
	answers  []decode.Answer
	changed  map[string]bool // hardware as the decoder names it
	told     []Told
}

// follow takes what one message said, beside what of it was admitted.
func (i *Ingest) follow(f *following, r decode.Result) {
	if i.cfg.Follow == nil {
		return
	}
	for _, h := range r.Changed {
		f.changed[h] = true
	}
	for _, o := range r.Observations {
		if !i.follows.told[o.Hardware] {
			f.changed[o.Hardware] = true
		}
		if o.Kind == decode.Availability && isGateway(o.Hardware) {
			f.gateways = append(f.gateways, o)
		}
	}
	f.answers = append(f.answers, r.Answers...)
}

// gathered completes what is gathered, while the decoder knows no more than was said.
func (i *Ingest) gathered(f following) following {
	if i.cfg.Follow == nil {
		return following{}
	}
	for h := range f.changed {
		if t, ok := i.toldOf(h); ok {
			f.told = append(f.told, t)
		}
	}
	for n, a := range f.answers {
		f.answers[n].Hardware = i.adoptedAs(a.Hardware)
	}
	return f
}

// tell hands the Follower what a batch said.
func (i *Ingest) tell(j job) {
	if i.cfg.Follow == nil {
		return
	}
	for _, t := range j.follow.told {
		i.cfg.Follow.Told(t)
	}
	for _, list := range [][]decode.Observation{j.follow.gateways, j.observations} {
		if len(list) > 0 {
			i.cfg.Follow.Heard(list)
		}
	}
	if len(j.follow.answers) > 0 {
		i.cfg.Follow.Answered(j.follow.answers)
	}
}

// toldOf is what a device can be told; ok is false where nobody adopted it.
func (i *Ingest) toldOf(hardware string) (t Told, ok bool) {
	name := i.adoptedAs(hardware)
	dev, ok := i.decoder.Device(hardware)
	if _, adopted := i.sink.Known(name); !adopted || !ok {
		delete(i.follows.told, hardware)
		return t, false
	}
	i.follows.told[hardware] = true
	return Told{Hardware: name, Via: dev.Via, Battery: dev.Battery || dev.Sleeps, Controls: i.decoder.Controls(hardware)}, true
}

// adoptedAs is the name under which a device was adopted.
func (i *Ingest) adoptedAs(hardware string) string {
	if name, ok := i.follows.aliases[hardware]; ok {
		return name
	}
	return hardware
}

// tellAll tells of every device that is known at the start.
func (i *Ingest) tellAll() {
	if i.cfg.Follow == nil {
		return
	}
	for _, h := range i.decoder.Devices() {
		if t, ok := i.toldOf(h); ok {
			i.cfg.Follow.Told(t)
		}
	}
}
