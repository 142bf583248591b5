package edge

import (
	"context"
	"slices"
	"strconv"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

// entities is desk.Entities of a building's box.
type entities struct{ building *building }

// Entities implements desk.Entities. Of a device that nobody adopted the last value of each
// kind is known besides.
func (e entities) Entities(_ context.Context, building record.ID, hardware string) ([]desk.Entity, error) {
	if building != e.building.id {
		return nil, problem.New(problem.NotFound, "building")
	}
	in := e.building.devices.ingest.Load()
	if in == nil {
		return nil, problem.New(problem.Unavailable, "the box does not listen to devices yet")
	}
	candidates := in.Quarantine()
	var values map[decode.Kind]decode.Value
	if n := slices.IndexFunc(candidates, func(c ingest.Candidate) bool { return c.Hardware == hardware }); n >= 0 {
		values = candidates[n].Values
	}
	out := []desk.Entity{}
	dev, _ := in.Device(hardware)
	count := map[decode.Kind]int{}
	for _, one := range dev.Entities {
		count[one.Kind]++
	}
	for _, one := range dev.Entities {
		e := desk.Entity{Key: one.Key, Name: one.Name, Component: one.Component, Kind: string(one.Kind), UnitOfMeasure: one.Unit,
			Orders: one.Command != nil, NeedsMapping: one.NeedsMapping}
		if count[one.Kind] == 1 { // else it is not known whose the value is
			e.Value = valueText(values[one.Kind])
		}
		out = append(out, e)
	}
	for kind, value := range values {
		if count[kind] == 0 {
			out = append(out, desk.Entity{Key: string(kind), Kind: string(kind), Value: valueText(value)})
		}
	}
	return out, nil
}

// valueText writes a value for people; empty for none.
func valueText(v decode.Value) string {
	switch v.Type {
	case decode.Number:
		return strconv.FormatFloat(v.Number, 'f', -1, 64)
	case decode.Bool:
		return strconv.FormatBool(v.Bool)
	case decode.Text:
		return v.Text
	}
	return ""
}
