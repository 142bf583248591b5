package ingest

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"estate/edge/internal/decode"
)

// candidatesMax bounds the list of devices that nobody adopted: a neighbour's gateway or a
// misbehaving sender must not fill the memory.
const candidatesMax = 1000

// Candidate is a device that sends, or was announced, but was not adopted. Its observations are
// not stored and raise nothing.
type Candidate struct {
	Hardware, Name string
	// Model is what the device or its gateway says that it is.
	Model       string
	First, Last time.Time
	// Observations is zero for a device of which only an announcement is known.
	Observations int
	Values       map[decode.Kind]decode.Value // the latest of each kind
}

// quarantine is safe for concurrent use: screens read it while messages come in.
type quarantine struct {
	mu   sync.Mutex
	list map[string]*Candidate
}

// add notes an observation of a device; model may be empty.
func (q *quarantine) add(o decode.Observation, name, model string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c, ok := q.list[o.Hardware]
	if !ok {
		if len(q.list) >= candidatesMax {
			q.evict()
		}
		c = &Candidate{Hardware: o.Hardware, First: o.ArrivalTime, Values: map[decode.Kind]decode.Value{}}
		q.list[o.Hardware] = c
	}
	c.Name, c.Model, c.Last, c.Observations = name, model, o.ArrivalTime, c.Observations+1
	c.Values[o.Kind] = o.Value
	if before, ok := q.list[o.Alias]; ok && o.Alias != o.Hardware { // how it was called until it said what it is
		c.First, c.Observations = before.First, c.Observations+before.Observations
		delete(q.list, o.Alias)
	}
}

// meet notes a device that was announced: a sensor that speaks once a day, or a valve that says
// nothing by itself, can be adopted before it does.
func (q *quarantine) meet(hardware, name, model string, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c, ok := q.list[hardware]
	if !ok {
		if len(q.list) >= candidatesMax {
			return // who speaks comes before who is only spoken of
		}
		c = &Candidate{Hardware: hardware, First: at, Last: at, Values: map[decode.Kind]decode.Value{}}
		q.list[hardware] = c
	}
	c.Name, c.Model = name, model
}

// left notes a device that is announced no more. One that never spoke is of no use to anybody.
func (q *quarantine) left(hardware string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c, ok := q.list[hardware]; ok && c.Observations == 0 {
		delete(q.list, hardware)
	}
}

// evict drops the candidate that was silent for longest.
func (q *quarantine) evict() {
	var oldest *Candidate
	for _, c := range q.list {
		if oldest == nil || c.Last.Before(oldest.Last) {
			oldest = c
		}
	}
	delete(q.list, oldest.Hardware)
}

func (q *quarantine) all(known func(string) bool) []Candidate {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []Candidate
	for hardware, c := range q.list {
		if known(hardware) {
			delete(q.list, hardware)
			continue
		}
		one := *c
		one.Values = make(map[decode.Kind]decode.Value, len(c.Values))
		for k, v := range c.Values {
			one.Values[k] = v
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Candidate) int { return cmp.Compare(a.Hardware, b.Hardware) })
	return out
}

// met enters devices that were announced and not adopted, whether or not they say a value.
func (i *Ingest) met(r decode.Result, at time.Time) {
	for _, hardware := range r.Changed {
		dev, ok := i.decoder.Device(hardware)
		if !ok || !decode.Lasting(hardware) || i.adopted(hardware, dev.Alias) {
			continue
		}
		i.quarantine.meet(hardware, i.called(decode.Observation{Hardware: hardware}), i.modelOf(hardware), at)
	}
	for _, hardware := range r.Removed {
		i.quarantine.left(hardware)
	}
}

// adopted says that a device was adopted under one of its names.
func (i *Ingest) adopted(hardware, alias string) bool {
	for _, name := range []string{hardware, i.follows.aliases[hardware], alias} {
		if name == "" {
			continue
		}
		if _, known := i.sink.Known(name); known {
			return true
		}
	}
	return false
}

// Device gives what a piece of hardware told of itself. Safe for concurrent use.
func (i *Ingest) Device(hardware string) (decode.Device, bool) {
	i.told.RLock()
	defer i.told.RUnlock()
	known, ok := i.decoder.Device(hardware)
	if !ok {
		return decode.Device{}, false
	}
	out := *known
	out.Entities = make(map[string]*decode.Entity, len(known.Entities))
	for key, e := range known.Entities {
		one := *e
		out.Entities[key] = &one
	}
	return out, true
}
