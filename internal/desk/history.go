package desk

import (
	"context"
	"slices"
	"strings"
	"time"

	"estate/internal/problem"
	"estate/internal/reading"
	"estate/internal/rules"
	"estate/sync/record"
)

// historyMax bounds the observations of one trial.
const historyMax = 500_000

// history is what a building's devices measured, as rules look at it.
type history struct {
	desk     *Desk
	building record.ID
	from, to time.Time
	// kinds are those that are wanted; all of them for a rule about silence.
	kinds []string
	all   bool

	names map[string]string // of the devices that have any, by hardware
	list  []rules.Observation
	span  time.Duration // the longest that stands for single readings
}

// read gathers what there is, in the order of arrival.
func (h *history) read(ctx context.Context) error {
	h.names = map[string]string{}
	devices, err := h.desk.AllDevices(ctx, h.building)
	if err != nil {
		return err
	}
	for _, dev := range devices {
		if !dev.Adopted {
			continue
		}
		series, err := h.desk.readings.Latest(ctx, h.building, dev.Hardware)
		if err != nil {
			return translate(err)
		}
		for _, s := range series {
			if !h.all && !slices.Contains(h.kinds, s.Kind) {
				continue
			}
			if err := h.add(ctx, dev, s.Series); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(h.list, func(a, b rules.Observation) int { return a.Arrival.Compare(b.Arrival) })
	return nil
}

// add takes one series. A span is shown as its mean where it is of numbers; where a yes-or-no
// value changed within it, as yes and then as what it was at its end.
func (h *history) add(ctx context.Context, dev Device, s reading.Series) error {
	points, err := h.desk.readings.Points(ctx, h.building, reading.Query{Hardware: dev.Hardware, Key: s.Key, Unit: s.Unit, From: h.from, To: h.to, Points: reading.PointsMax})
	if err != nil {
		return translate(err)
	}
	if len(points.List) == 0 {
		return nil
	}
	if len(h.list)+2*len(points.List) > historyMax {
		return problem.New(problem.TooLarge, "the devices measured more than a trial looks at: try a shorter time")
	}
	h.names[dev.Hardware] = strings.TrimSpace(dev.Name)
	h.span = max(h.span, points.Span)
	for _, p := range points.List {
		o := rules.Observation{Device: dev.Hardware, Name: dev.Name, Kind: s.Kind, Key: s.Key, UnitOfMeasure: s.Unit, At: p.At, Arrival: p.At}
		if !dev.Unit.IsZero() {
			o.Unit = dev.Unit.String()
		}
		switch s.Type {
		case reading.Number:
			o.Number = &p.Mean
			h.list = append(h.list, o)
		case reading.Bool:
			if p.High > p.Last {
				yes := true
				o.Bool = &yes
				h.list = append(h.list, o)
				o.At = p.At.Add(max(points.Span-time.Second, 0))
				o.Arrival = o.At
			}
			last := p.Last != 0
			o.Bool = &last
			h.list = append(h.list, o)
		case reading.Text:
			h.list = append(h.list, o)
		}
	}
	return nil
}

// each gives the observations to a trial.
func (h *history) each(yield func(rules.Observation) bool) {
	for _, o := range h.list {
		if !yield(o) {
			return
		}
	}
}

// Zone is the building's time zone, UTC where none is set.
func (d *Desk) Zone(ctx context.Context, building record.ID) *time.Location {
	found, err := d.load(ctx, building, buildingKey(building))
	if err != nil {
		return time.UTC
	}
	zone, err := time.LoadLocation(d.fields(found.item(buildingKey(building))).text("time_zone"))
	if err != nil {
		return time.UTC
	}
	return zone
}
