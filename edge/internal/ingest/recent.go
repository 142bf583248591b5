package ingest

import (
	"hash/maphash"

	"estate/edge/internal/decode"
)

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
	seeds [2]maphash.Seed
	seen  map[[2]uint64]struct{}
	ring  [][2]uint64
	next  int
	last  map[lastKey]decode.Value
}

// told is what makes two observations the same.
type told struct {
	hardware, key string
	kind          decode.Kind
	value         decode.Value
	at            int64
}

// idOf names an observation by 128 bits that no sender can foresee: what it holds itself would
// keep whole payloads in memory.
func (r *recent) idOf(o decode.Observation) [2]uint64 {
	t := told{o.Hardware, o.Key, o.Kind, o.Value, o.EventTime.UnixNano()}
	return [2]uint64{maphash.Comparable(r.seeds[0], t), maphash.Comparable(r.seeds[1], t)}
}

type lastKey struct{ hardware, key string }

func newRecent() *recent {
	return &recent{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, seen: map[[2]uint64]struct{}{}, ring: make([][2]uint64, recentMax),
		last: map[lastKey]decode.Value{}}
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
	id := r.idOf(o)
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
