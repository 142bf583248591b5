package decode

import (
	"slices"

	"estate/edge/internal/hass"
	"estate/edge/internal/jinja"
)

// standing is what a source said last of whether a device is there.
type standing uint8

const (
	unheard standing = iota
	here
	away
	// apart is a source that is not listened to here: its gateway's or firmware's own rules read
	// it, or its template needs mapping.
	apart
)

// reach is what an entity's sources say of its device.
type reach struct {
	availability hass.Availability
	sources      []standing
	last         standing
	// told is what the sources say together; unheard while that is open.
	told standing
}

// newReach makes a reach that goes on where another, of what was announced before, stands: a
// device that announces itself again does not say anew whether it is there.
func newReach(a hass.Availability, before *reach) *reach {
	r := &reach{availability: a, sources: make([]standing, len(a.Sources))}
	if before == nil {
		return r
	}
	for i, s := range a.Sources {
		for k, old := range before.availability.Sources {
			if old.Topic == s.Topic && before.sources[k] != apart {
				r.sources[i] = before.sources[k]
			}
		}
	}
	if slices.ContainsFunc(r.sources, func(s standing) bool { return s == here || s == away }) {
		r.last, r.told = before.last, before.told
	}
	return r
}

// says notes what a source says, and what follows of it. A source that was not heard yet leaves
// open what all of them say together; it is not away.
func (r *reach) says(source int, s standing) {
	r.sources[source], r.last = s, s
	heard := func(s standing) bool { return slices.Contains(r.sources, s) }
	switch r.availability.Mode {
	case "all":
		switch {
		case heard(away):
			r.told = away
		case !heard(unheard):
			r.told = here
		case r.told == here: // it was, before another source was announced
		default:
			r.told = unheard
		}
	case "any":
		switch {
		case heard(here):
			r.told = here
		case !heard(unheard) || r.told == here:
			r.told = away
		}
	default:
		r.told = s
	}
}

// bindReach listens to what tells whether the device is there, unless its gateway's or
// firmware's own rules do.
func (d *Decoder) bindReach(r *Result, m Message, one *announcedEntity, a hass.Availability, before *reach) {
	known := newReach(a, before)
	one.reach = known
	for i, s := range a.Sources {
		if s.NeedsMapping != "" {
			r.refuse(m, "availability", s.NeedsMapping)
		}
		if s.NeedsMapping != "" || d.ownsTopic(s.Topic) {
			known.sources[i] = apart
			continue
		}
		if !slices.Contains(d.reaches[one.hardware], known) {
			d.reaches[one.hardware] = append(d.reaches[one.hardware], known)
		}
		d.listen(r, m, s.Topic, binding{owner: one, hardware: one.hardware, key: "availability", reach: known, source: i})
	}
}

// reached takes a message that tells whether devices are there, and says it once for each.
func (d *Decoder) reached(r *Result, m Message, list []binding, payload *jinja.Payload) {
	var told []string
	for _, b := range list {
		if b.reach == nil {
			continue
		}
		on, err := b.reach.availability.Sources[b.source].Read(payload, m.Arrival.In(d.zone))
		if err == hass.ErrNoValue { //nolint:errorlint // never wrapped
			continue
		}
		if err != nil {
			r.refuse(m, "availability", err.Error())
			continue
		}
		b.reach.says(b.source, map[bool]standing{true: here, false: away}[on])
		if !slices.Contains(told, b.hardware) {
			told = append(told, b.hardware)
		}
	}
	for _, hardware := range told {
		o := d.boundTo(m, hardware)
		said := func(s standing) bool {
			return slices.ContainsFunc(d.reaches[hardware], func(one *reach) bool { return one.told == s })
		}
		if !said(here) && !said(away) {
			continue
		}
		o.Key, o.Kind, o.Value = "availability", Availability, BoolValue(said(here))
		r.Observations = append(r.Observations, o)
	}
}
