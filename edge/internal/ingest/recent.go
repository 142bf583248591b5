package ingest

import "estate/edge/internal/decode"

// recentMax is how many observations are remembered to recognise those that come twice: a
// broker delivers again what it sent within the last minute or so, and a large building
// sends about a hundred a second.
const recentMax = 16_384

// lastMax bounds the last values that are remembered, at about 20 keys for 2,000 devices.
const lastMax = 40_000

// recent recognises observations that came before. An observation with an event time is
// the same when device, key, time and value are. One without is taken for the same only
// where the broker itself marks it as old news and the value is the last one known.
type recent struct {
	seen map[[16]byte]struct{}
	ring [][16]byte
	next int
	last map[lastKey]decode.Value
}

type lastKey struct{ hardware, key string }

func newRecent() *recent {
	return &recent{seen: map[[16]byte]struct{}{}, ring: make([][16]byte, recentMax), last: map[lastKey]decode.Value{}}
}

// repeated says whether the observation came before, and remembers it.
func (r *recent) repeated(o decode.Observation) bool {
	key := lastKey{o.Hardware, o.Key}
	before, known := r.last[key]
	if known || len(r.last) < lastMax {
		r.last[key] = o.Value
	}
	if o.EventTime.IsZero() {
		return known && before == o.Value && (o.Duplicate || o.Retained)
	}
	id := o.ID()
	if _, ok := r.seen[id]; ok {
		r.last[key] = before // an old value that came again is not the last one
		return true
	}
	delete(r.seen, r.ring[r.next])
	r.ring[r.next] = id
	r.next = (r.next + 1) % recentMax
	r.seen[id] = struct{}{}
	return false
}
