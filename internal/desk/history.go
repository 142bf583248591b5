package desk

import (
	"context"
	"slices"
	"time"
	_ "time/tzdata" // a box has nothing else installed, and a rule's night is that of its building

	"estate/internal/problem"
	"estate/internal/reading"
	"estate/internal/rules"
	"estate/sync/record"
)

const (
	// historyMax bounds the observations of one trial: some seconds of the engine.
	historyMax = 1_000_000
	// historyPart is how much of the past is in memory at a time.
	historyPart = 24 * time.Hour
)

// historyForm is how finely the past is looked at.
type historyForm struct {
	part   time.Duration // is asked for at a time
	points int           // at most, of one series in one part
}

// historyForms are what is tried in turn: single readings, minutes, and what shows all of it at once.
// The cloud answers each with what it has.
func historyForms(span time.Duration) []historyForm {
	return []historyForm{{historyPart, reading.PointsMax}, {historyPart, int(historyPart / time.Minute)}, {span, reading.PointsMax}}
}

// history is what a building's devices measured, as rules look at it. It is read part by part: the
// whole of it would fill a box's memory.
type history struct {
	desk     *Desk
	building record.ID
	from, to time.Time
	when     rules.Condition

	form    historyForm
	devices map[string]Device // that have any, by hardware
	series  []reading.Series
	read    int
	span    time.Duration // the longest that stands for single readings
	err     error         // that ended it
}

// open finds what there is, and how finely it can be looked at.
func (h *history) open(ctx context.Context) error {
	h.devices = map[string]Device{}
	devices, err := h.desk.AllDevices(ctx, h.building)
	if err != nil {
		return err
	}
	kinds, all := h.when.Kinds(), h.when.Silent()
	forms := historyForms(h.to.Sub(h.from))
	costs := make([]int64, len(forms))
	for _, dev := range devices {
		if !dev.Adopted {
			continue
		}
		series, err := h.desk.readings.Latest(ctx, h.building, dev.Hardware)
		if err != nil {
			return translate(err)
		}
		for _, s := range series {
			if !all && !slices.Contains(kinds, s.Kind) {
				continue
			}
			points, err := h.points(ctx, s.Series, h.from, h.to, reading.PointsMax)
			if err != nil {
				return err
			}
			if len(points.List) == 0 {
				continue
			}
			h.devices[dev.Hardware] = dev
			h.series = append(h.series, s.Series)
			n := int64(0)
			for _, p := range points.List {
				n += p.N
			}
			for i, cost := range []int64{n, min(n, int64(h.to.Sub(h.from)/time.Minute)), int64(len(points.List))} {
				costs[i] += cost
			}
		}
	}
	n := slices.IndexFunc(costs, func(cost int64) bool { return cost <= historyMax })
	if n < 0 {
		return problem.New(problem.TooLarge, "the devices measured more than a trial looks at: try a shorter time")
	}
	h.form = forms[n]
	return nil
}

func (h *history) points(ctx context.Context, s reading.Series, from, to time.Time, most int) (reading.Points, error) {
	points, err := h.desk.readings.Points(ctx, h.building, reading.Query{Hardware: s.Hardware, Key: s.Key, Unit: s.Unit, From: from, To: to, Points: most})
	if err != nil {
		return points, translate(err)
	}
	return points, nil
}

// each gives the observations to a trial, in the order of arrival.
func (h *history) each(ctx context.Context) func(yield func(rules.Observation) bool) {
	return func(yield func(rules.Observation) bool) {
		for from := h.from; from.Before(h.to); {
			to := from.Truncate(h.form.part).Add(h.form.part) // rollups begin at such times, too
			if h.form.part >= h.to.Sub(h.from) || to.After(h.to) {
				to = h.to
			}
			var list []rules.Observation
			if list, h.err = h.part(ctx, from, to); h.err != nil {
				return
			}
			for _, o := range list {
				h.read++
				if !yield(o) {
					return
				}
			}
			from = to
		}
	}
}

// part is what was measured from one time to another.
func (h *history) part(ctx context.Context, from, to time.Time) (list []rules.Observation, err error) {
	for _, s := range h.series {
		if list, err = h.add(ctx, list, s, from, to); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b rules.Observation) int { return a.Arrival.Compare(b.Arrival) })
	return list, nil
}

// add takes a part of one series. Where a yes-or-no value changed within a span it is shown as yes
// and then as what it was at its end, a number as what the rule looks for in it.
func (h *history) add(ctx context.Context, list []rules.Observation, s reading.Series, from, to time.Time) ([]rules.Observation, error) {
	points, err := h.points(ctx, s, from, to, h.form.points)
	if err != nil {
		return nil, err
	}
	dev := h.devices[s.Hardware]
	h.span = max(h.span, points.Span)
	above, below := h.extremes(s.Kind, points.Span)
	for _, p := range points.List {
		o := rules.Observation{Device: dev.Hardware, Name: dev.Name, Kind: s.Kind, Key: s.Key, UnitOfMeasure: s.Unit, At: p.At, Arrival: p.At, Battery: dev.Battery != nil}
		if !dev.Unit.IsZero() {
			o.Unit = dev.Unit.String()
		}
		switch s.Type {
		case reading.Number:
			v := p.Mean
			switch {
			case above && !below:
				v = p.High
			case below && !above:
				v = p.Low
			}
			o.Number = &v
			list = append(list, o)
		case reading.Bool:
			if p.High > p.Last {
				yes := true
				o.Bool = &yes
				list = append(list, o)
				o.At = p.At.Add(max(points.Span-time.Second, 0))
				o.Arrival = o.At
			}
			last := p.Last != 0
			o.Bool = &last
			list = append(list, o)
		case reading.Text:
			list = append(list, o)
		}
	}
	return list, nil
}

// extremes says whether the rule begins at once where a number of the kind is above, or below, a
// limit for less than a span: then that is what counts of the span, not its mean.
func (h *history) extremes(kind string, span time.Duration) (above, below bool) {
	h.when.Each(func(leaf rules.Condition) {
		if t := leaf.Threshold; t != nil && t.Kind == kind && time.Duration(t.For) < span {
			above, below = above || t.Above != nil, below || t.Below != nil
		}
	})
	return above, below
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
