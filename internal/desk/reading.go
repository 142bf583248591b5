package desk

import (
	"context"
	"time"

	"estate/internal/problem"
	"estate/internal/reading"
	"estate/sync/record"
)

// Readings is where a Desk finds what devices measured: the file of a box, or the cloud's
// tables. Implementations are safe for concurrent use.
type Readings interface {
	// Latest gives the last reading of each series of a device.
	Latest(ctx context.Context, building record.ID, hardware string) ([]reading.Latest, error)
	// Points gives what one series measured; nothing where there is no such series.
	Points(ctx context.Context, building record.ID, q reading.Query) (reading.Points, error)
	// Heard gives when each of some devices last measured something; nothing of those that
	// never did.
	Heard(ctx context.Context, building record.ID, hardware []string) (map[string]time.Time, error)
}

// Limits of a question for readings.
const (
	pointsDefault = 500
	// readingsSpanDefault is shown where the caller names no beginning.
	readingsSpanDefault = 24 * time.Hour
	// readingsSpanMax is the longest stretch of time of one answer.
	readingsSpanMax = 10 * 366 * 24 * time.Hour
)

// Series is one value that a device measures, with the last one heard.
type Series struct {
	Key           string     `json:"key" doc:"The device's own word for the value"`
	Kind          string     `json:"kind,omitempty" doc:"What it measures, in our words"`
	UnitOfMeasure string     `json:"unit_of_measure,omitempty"`
	Type          string     `json:"type" enum:"number,bool,text"`
	At            *time.Time `json:"at,omitempty" doc:"When the last one was measured"`
	Last          *float64   `json:"last,omitempty" doc:"Of yes-or-no values 1 and 0"`
	Text          string     `json:"text,omitempty"`
}

// ReadingQuery asks for what one series of a device measured. From and To default to the last
// day.
type ReadingQuery struct {
	Key, UnitOfMeasure string
	From, To           time.Time
	// Points is about how many points the caller can show.
	Points int
}

// ReadingPoint is one reading, or what the readings of a span come to.
type ReadingPoint struct {
	At   time.Time `json:"at" doc:"When it was measured, or when the span begins"`
	N    int64     `json:"n" doc:"How many readings it stands for"`
	Low  float64   `json:"low"`
	High float64   `json:"high"`
	Mean float64   `json:"mean"`
	Last float64   `json:"last"`
	Text string    `json:"text,omitempty"`
}

// ReadingPoints are what a series measured.
type ReadingPoints struct {
	From        time.Time      `json:"from"`
	To          time.Time      `json:"to"`
	SpanSeconds int            `json:"span_seconds" doc:"Length of the spans that the points stand for; 0 for single readings"`
	Points      []ReadingPoint `json:"points"`
}

// Series lists what a device measures. Staff only.
func (d *Desk) Series(ctx context.Context, c Caller, building, device record.ID) ([]Series, error) {
	one, err := d.Device(ctx, c, building, device)
	if err != nil {
		return nil, err
	}
	list, err := d.readings.Latest(ctx, building, one.Hardware)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]Series, 0, len(list))
	for _, l := range list {
		s := Series{Key: l.Key, Kind: l.Kind, UnitOfMeasure: l.Unit, Type: l.Type.String(), Text: l.Text}
		if l.N > 0 {
			s.At = &l.At
			if l.Type != reading.Text {
				s.Last = &l.Last
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// Readings gives what one series of a device measured, in a form that fits a chart. Staff only.
func (d *Desk) Readings(ctx context.Context, c Caller, building, device record.ID, q ReadingQuery) (ReadingPoints, error) {
	one, err := d.Device(ctx, c, building, device) // before anything else is said
	if err != nil {
		return ReadingPoints{}, err
	}
	if q.To.IsZero() {
		q.To = d.now()
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-readingsSpanDefault)
	}
	if q.Points == 0 {
		q.Points = pointsDefault
	}
	out := ReadingPoints{From: q.From.UTC(), To: q.To.UTC(), Points: []ReadingPoint{}}
	switch span := q.To.Sub(q.From); {
	case q.Key == "":
		return out, invalid("key", "name one of the device's series")
	case span <= 0 || span > readingsSpanMax:
		return out, invalid("from", "must be before to, by at most ten years")
	case q.Points < 1 || q.Points > reading.PointsMax:
		return out, invalid("points", "must be from 1 to %d", reading.PointsMax)
	}
	found, err := d.readings.Points(ctx, building, reading.Query{Hardware: one.Hardware, Key: q.Key, Unit: q.UnitOfMeasure, From: q.From, To: q.To, Points: q.Points})
	if err != nil {
		return out, translate(err)
	}
	out.SpanSeconds = int(found.Span / time.Second)
	for _, p := range found.List {
		out.Points = append(out.Points, ReadingPoint{At: p.At, N: p.N, Low: p.Low, High: p.High, Mean: p.Mean, Last: p.Last, Text: p.Text})
	}
	return out, nil
}

// noReadings stands in where a Desk was given none.
type noReadings struct{}

func (noReadings) Latest(context.Context, record.ID, string) ([]reading.Latest, error) {
	return nil, problem.New(problem.Unavailable, "readings are not kept here")
}

func (noReadings) Points(context.Context, record.ID, reading.Query) (reading.Points, error) {
	return reading.Points{}, problem.New(problem.Unavailable, "readings are not kept here")
}

func (noReadings) Heard(context.Context, record.ID, []string) (map[string]time.Time, error) {
	return nil, problem.New(problem.Unavailable, "readings are not kept here")
}
