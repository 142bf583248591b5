package actuate

import (
	"slices"
	"sync"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/internal/desk"
)

const (
	// expiryMin is how long a state is believed at least, where the device does not say.
	expiryMin = 15 * time.Minute
	// expiryOnline is how long it is believed of a device that runs on a battery, or that is
	// said to be online: many tell of changes only.
	expiryOnline = 25 * time.Hour
	// expiryFactor is how many times its usual pause a device may be silent.
	expiryFactor = 3
	// gapsKept is from how many pauses the usual one is learned.
	gapsKept = 9
	// gapsNeeded is from how many on there is a usual one.
	gapsNeeded = 3
)

// Board is what is known now of the controls of a building's devices. It implements
// ingest.Follower. It is safe for concurrent use.
type Board struct {
	mu      sync.Mutex
	devices map[string]*device
	answers map[string]*decode.Answer // by the reference of an order that is awaited
	moved   chan struct{}             // closed and made anew by every change
}

var _ ingest.Follower = (*Board)(nil)

// device is what is known of a device. Times are those of the box's clock.
type device struct {
	via      string
	battery  bool
	told     bool // in this run
	online   *bool
	heard    time.Time
	gaps     []time.Duration
	controls map[string]*control
}

type control struct {
	decode.Control
	// known says that in this run the device was seen to have it; gone that it has it no more.
	known, gone bool
	value       decode.Value
	state       string
	// said is when the device itself said so in this run; at also counts what was saved. kept
	// is when the broker gave what it had kept.
	said, at, kept time.Time
	saved          desk.ControlState
}

// NewBoard makes a board on which nothing is known.
func NewBoard() *Board {
	return &Board{devices: map[string]*device{}, answers: map[string]*decode.Answer{}, moved: make(chan struct{})}
}

func (b *Board) device(hardware string) *device {
	d, ok := b.devices[hardware]
	if !ok {
		d = &device{controls: map[string]*control{}}
		b.devices[hardware] = d
	}
	return d
}

func (b *Board) wake() {
	close(b.moved)
	b.moved = make(chan struct{})
}

// restore takes what was saved before this run, by the box's clock.
func (b *Board) restore(list []desk.ControlState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range list {
		d := b.device(s.Hardware)
		c, ok := d.controls[s.Control]
		if !ok {
			c = &control{}
			d.controls[s.Control] = c
		}
		if c.saved = s; c.at.Before(s.StateAt) {
			c.state, c.at = s.State, s.StateAt
		}
	}
	b.wake()
}

// Told implements ingest.Follower.
func (b *Board) Told(t ingest.Told) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.devices[t.Hardware]; !known && len(t.Controls) == 0 {
		return
	}
	d := b.device(t.Hardware)
	d.via, d.battery, d.told = t.Via, t.Battery, true
	for _, one := range t.Controls {
		c, ok := d.controls[one.Key]
		if !ok {
			c = &control{}
			d.controls[one.Key] = c
		}
		c.Control, c.known, c.gone = one, true, false
		if c.value.Type != 0 {
			c.state = decode.State(c.Kind, c.value)
		}
	}
	for key, c := range d.controls {
		// What was never seen in this run may only not have been told of yet.
		if c.known && !slices.ContainsFunc(t.Controls, func(o decode.Control) bool { return o.Key == key }) {
			c.gone = true
		}
	}
	b.wake()
}

// Heard implements ingest.Follower.
func (b *Board) Heard(list []decode.Observation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := false
	for _, o := range list {
		d, known := b.devices[o.Hardware]
		if o.Kind == decode.Availability && o.Value.Type == decode.Bool {
			d, known = b.device(o.Hardware), true
			d.online = &o.Value.Bool
		}
		if !known {
			continue
		}
		news = true
		if !o.Retained { // what the broker kept says nothing about now
			d.sign(o.ArrivalTime)
		}
		c, ok := d.controls[o.Key]
		if !ok {
			continue
		}
		c.hear(o)
	}
	if news {
		b.wake()
	}
}

func (c *control) hear(o decode.Observation) {
	kind := c.Kind
	if !c.known {
		kind = o.Kind
	}
	state := decode.State(kind, o.Value)
	switch {
	case state == "":
	case !o.Retained:
		c.value, c.state, c.said, c.at = o.Value, state, o.ArrivalTime, o.ArrivalTime
	case c.said.IsZero():
		// The last that the broker kept, which is as new as what was saved or newer. Of when it
		// was nothing may be known.
		if state != c.state || !o.EventTime.IsZero() {
			c.at = o.EventTime
		}
		c.value, c.state, c.kept = o.Value, state, o.ArrivalTime
	}
}

// sign notes that the device was heard.
func (d *device) sign(at time.Time) {
	if pause := at.Sub(d.heard); !d.heard.IsZero() && pause > time.Second { // several values of one report are one
		d.gaps = append(d.gaps, pause)
		d.gaps = d.gaps[max(0, len(d.gaps)-gapsKept):]
	}
	if at.After(d.heard) {
		d.heard = at
	}
}

// expiry is how long a state of the device is believed.
func (d *device) expiry(c *control) time.Duration {
	switch {
	case c.ExpireAfter > 0:
		return time.Duration(c.ExpireAfter) * time.Second
	case d.battery || d.online != nil && *d.online:
		return expiryOnline
	case len(d.gaps) < gapsNeeded:
		return expiryMin
	}
	sorted := slices.Clone(d.gaps)
	slices.Sort(sorted)
	return max(expiryMin, expiryFactor*sorted[len(sorted)/2])
}

// confirmed is when the state was last confirmed: by itself, where the device says how often
// it tells it, else by any sign of the device, which tells of changes.
func (d *device) confirmed(c *control) time.Time {
	at := c.at
	if at.IsZero() && d.online != nil && *d.online {
		at = c.kept // what was kept of a device that is there is what it said last
	}
	if c.ExpireAfter > 0 || at.IsZero() || d.heard.Before(at) {
		return at
	}
	return d.heard
}

// Answered implements ingest.Follower.
func (b *Board) Answered(list []decode.Answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range list {
		if _, awaited := b.answers[a.Hardware+"\x00"+a.Reference]; awaited {
			b.answers[a.Hardware+"\x00"+a.Reference] = &a
			b.wake()
		}
	}
}

// expect keeps the answer to an order until it is forgotten.
func (b *Board) expect(hardware, reference string) (forget func()) {
	if reference == "" {
		return func() {}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[hardware+"\x00"+reference] = nil
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.answers, hardware+"\x00"+reference)
	}
}

// view is a control as it is now.
type view struct {
	decode.Control
	known   bool
	offline bool
	state   string
	said    time.Time
	at      time.Time
	expires time.Duration
	answer  *decode.Answer
	// moved is closed when any of it may have changed.
	moved <-chan struct{}
}

// look shows a control, and the answer to an order where it came.
func (b *Board) look(hardware, key, reference string) view {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := view{moved: b.moved, answer: b.answers[hardware+"\x00"+reference]}
	d, ok := b.devices[hardware]
	if !ok {
		return v
	}
	gateway := b.devices[d.via]
	v.offline = d.online != nil && !*d.online || gateway != nil && gateway.online != nil && !*gateway.online
	if c, ok := d.controls[key]; ok {
		v.Control, v.known, v.state, v.said, v.at, v.expires = c.Control, c.known && !c.gone, c.state, c.said, d.confirmed(c), d.expiry(c)
	}
	return v
}

// unsaved lists what is to be saved: what changed, and what was confirmed so long ago that it
// would soon not be believed any more.
func (b *Board) unsaved(limit int) (out []desk.ControlState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for hardware, d := range b.devices {
		for key, c := range d.controls {
			if !c.known || len(out) >= limit {
				continue
			}
			now := desk.ControlState{Hardware: hardware, Control: key, Name: c.Name, Sort: string(c.Kind), Accepts: desk.Accepts{Values: c.Values, Min: c.Min, Max: c.Max, Unit: unitOf(c.Control)},
				State: c.state, StateAt: d.confirmed(c), Expires: d.expiry(c), Gone: c.gone}
			if c.due(now) {
				out = append(out, now)
			}
		}
	}
	return out
}

// unitOf is the unit in which a control is ordered; states in words have none.
func unitOf(c decode.Control) string {
	switch {
	case c.Kind == decode.Position:
		return "%"
	case c.Min == nil && c.Max == nil:
		return ""
	}
	return c.Unit
}

func (c *control) due(now desk.ControlState) bool {
	was := c.saved
	if was.Control == "" {
		return !now.Gone
	}
	if was.State != now.State || was.Name != now.Name || was.Sort != now.Sort || was.Gone != now.Gone || !was.Accepts.Equal(now.Accepts) {
		return true
	}
	// A learned expiry moves a little with every report; what counts is half of it.
	return now.StateAt.Sub(was.StateAt) > min(was.Expires, now.Expires)/2 || was.Expires > 2*now.Expires || now.Expires > 2*was.Expires
}

// saved notes what was saved.
func (b *Board) saved(list []desk.ControlState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range list {
		if d := b.devices[s.Hardware]; d != nil && d.controls[s.Control] != nil {
			d.controls[s.Control].saved = s
		}
	}
}
