package decode

import (
	"encoding/json"
	"math"
	"time"
)

const (
	// aheadMax is how far a device's clock may run before ours before its time is not
	// believed: a wrong clock must not win by being wrong.
	aheadMax = 5 * time.Minute
	// milliFloor parts epoch seconds from epoch milliseconds: as seconds it is the year
	// 5138, as milliseconds 1973.
	milliFloor = 1e11
)

// earliest is before any device of ours was built; a clock that lost its battery starts at
// 1970 or 2000.
var earliest = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

// eventTime reads RFC 3339 text or an epoch number. It gives zero for null, for what it
// cannot read and for times that cannot be right; wrong tells the last two from null.
func eventTime(raw json.RawMessage, arrival time.Time) (at time.Time, wrong bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return time.Time{}, false
	}
	if s, ok := readText(raw); ok {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
			if t, err := time.Parse(layout, s); err == nil {
				return plausible(t, arrival)
			}
		}
	}
	n, err := readNumber(raw)
	if err != nil || math.Abs(n) > 1e14 {
		return time.Time{}, true
	}
	if n < milliFloor {
		n *= 1000
	}
	return plausible(time.UnixMilli(int64(n)), arrival)
}

func plausible(t, arrival time.Time) (time.Time, bool) {
	if t.Before(earliest) || t.After(arrival.Add(aheadMax)) {
		return time.Time{}, true
	}
	return t.UTC(), false
}
