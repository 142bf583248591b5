// Package reading names what devices measured, in the one form that an edge's file, the cloud's
// tables, the API and the lane between edge and cloud share.
//
// It must never decide what is kept, or where: that is the stores' business.
package reading

import (
	"math"
	"time"
	"unicode/utf8"
)

// Limits of a reading, and of what one answer holds.
const (
	// NameMax bounds hardware ids, keys, kinds and units, in bytes.
	NameMax = 200
	// TextMax bounds a text that a device sends as a value, in bytes.
	TextMax = 200
	// PointsMax is the most that one answer holds.
	PointsMax = 10_000
)

// The spans of rollups. Quarters of an hour are what the cloud gets.
const (
	Minute  = time.Minute
	Quarter = 15 * time.Minute
	Hour    = time.Hour
)

// Spans lists the spans of rollups, the shortest first.
func Spans() []time.Duration { return []time.Duration{Minute, Quarter, Hour} }

// Type says what the values of a series are.
type Type int

// The types. Yes and no count as 1 and 0.
const (
	Number Type = iota + 1
	Bool
	Text
)

// String is the type's name in the API.
func (t Type) String() string {
	switch t {
	case Number:
		return "number"
	case Bool:
		return "bool"
	case Text:
		return "text"
	}
	return "unknown"
}

// Series is one value of one device: "temperature" of a sensor, in one unit.
type Series struct {
	Hardware string `json:"hardware"`
	// Key is the device's own word for the value, Kind ours.
	Key  string `json:"key"`
	Kind string `json:"kind"`
	Unit string `json:"unit"`
	Type Type   `json:"type"`
}

// Valid reports whether a series can be kept.
func (s Series) Valid() bool {
	for _, text := range [...]string{s.Hardware, s.Key, s.Kind, s.Unit} {
		if len(text) > NameMax || !utf8.ValidString(text) {
			return false
		}
	}
	return s.Hardware != "" && s.Key != "" && s.Type >= Number && s.Type <= Text
}

// Reading is one value.
type Reading struct {
	Series
	// Value is the number, or 1 and 0; Text is the text of a Text.
	Value float64
	Text  string
	// At is the event time, or the arrival where the device sends none; Arrival is the edge's.
	At, Arrival time.Time
}

// Valid reports whether a reading can be kept.
func (r Reading) Valid() bool {
	return r.Series.Valid() && finite(r.Value) && len(r.Text) <= TextMax && utf8.ValidString(r.Text) && shown(r.At) && shown(r.Arrival)
}

// Rollup is what the readings of one span of a series come to.
type Rollup struct {
	Series Series
	// Bucket is when the span begins.
	Bucket time.Time
	N      int64
	Low    float64
	High   float64
	Sum    float64
	Last   float64
	LastAt time.Time
}

// Valid reports whether a rollup can be one of a quarter of an hour.
func (r Rollup) Valid() bool {
	return r.Series.Valid() && r.Series.Type != Text && r.N > 0 && finite(r.Low, r.High, r.Sum, r.Last) && r.Low <= r.Last && r.Last <= r.High &&
		shown(r.Bucket) && r.Bucket.Truncate(Quarter).Equal(r.Bucket) && !r.LastAt.Before(r.Bucket) && r.LastAt.Before(r.Bucket.Add(Quarter))
}

// Point is one reading, or what the readings of a span come to.
type Point struct {
	// At is the reading's time, or the beginning of the span.
	At time.Time
	N  int64
	// Low, High, Mean and Last are all the value where N is 1.
	Low, High, Mean, Last float64
	// Text is the value of a text; only readings have one.
	Text string
}

// Latest is the last reading of a series.
type Latest struct {
	Series
	Point
}

// Query asks for what one series measured, from one time up to another, in about so many points
// at most.
type Query struct {
	Hardware, Key, Unit string
	From, To            time.Time
	Points              int
}

// Points are an answer: single readings where Span is zero, else rollups of that span.
type Points struct {
	Span time.Duration
	List []Point
}

// Span chooses the shortest of some spans that shows a stretch of time in at most so many
// points.
func Span(q Query, spans []time.Duration) time.Duration {
	for _, span := range spans {
		if q.To.Sub(q.From)/span <= time.Duration(min(max(q.Points, 1), PointsMax)) {
			return span
		}
	}
	return spans[len(spans)-1]
}

func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// yearMin and yearMax bound times: what lies outside is a device's clock that was never set,
// and cannot be written as JSON.
const yearMin, yearMax = 1970, 2200

func shown(t time.Time) bool { return t.Year() >= yearMin && t.Year() <= yearMax }
