package sink_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"estate/edge/internal/telemetry"
	"estate/internal/desk"
	"estate/internal/reading"
	"estate/sync/record"
)

// oneBuilding is a box's file of readings as a Desk asks for it.
type oneBuilding struct{ *telemetry.Store }

func (o oneBuilding) Latest(ctx context.Context, _ record.ID, hardware string) ([]reading.Latest, error) {
	return o.Store.Latest(ctx, hardware)
}

func (o oneBuilding) Points(ctx context.Context, _ record.ID, q reading.Query) (reading.Points, error) {
	return o.Store.Points(ctx, q)
}

func (o oneBuilding) Heard(ctx context.Context, _ record.ID, hardware []string) (map[string]time.Time, error) {
	return o.Store.Heard(ctx, hardware)
}

// TestTrialSeesWhatWasShort: a month of a sensor that speaks each minute is tried reading by reading,
// and where that would be too many, minute by minute; neither a short frost nor one deadly value is
// lost in a mean.
func TestTrialSeesWhatWasShort(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, unit, rule string
		days             time.Duration
		every            time.Duration
		value            func(after time.Duration) float64
		spans, alarms    int
	}{
		"Frost": {"temperature", "°C", `{"threshold":{"kind":"temperature","unit":"°C","below":4,"clear":6,"for":"15m"}}`, 30, time.Minute, func(after time.Duration) float64 {
			if after >= 100*time.Hour+7*time.Minute && after < 100*time.Hour+24*time.Minute {
				return 3
			}
			return 20
		}, 0, 1},
		"NoFrost": {"temperature", "°C", `{"threshold":{"kind":"temperature","unit":"°C","below":4,"clear":6,"for":"15m"}}`, 30, time.Minute, func(after time.Duration) float64 {
			if after >= 100*time.Hour+7*time.Minute && after < 100*time.Hour+20*time.Minute {
				return -90
			}
			return 20
		}, 0, 0},
		"OneDeadlyValue": {"carbon_monoxide", "ppm", `{"threshold":{"kind":"carbon_monoxide","unit":"ppm","above":300,"clear":50}}`, 5, 5 * time.Second, func(after time.Duration) float64 {
			if after == 20*time.Hour+10*time.Second {
				return 400
			}
			return 2
		}, 60, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.adopt()
			series := reading.Series{Hardware: hardware, Key: c.kind, Kind: c.kind, Unit: c.unit, Type: reading.Number}
			var batch []reading.Reading
			for after := time.Duration(0); after < c.days*24*time.Hour; after += c.every {
				at := t0.Add(after - c.days*24*time.Hour)
				batch = append(batch, reading.Reading{Series: series, At: at, Arrival: at, Value: c.value(after)})
			}
			for list := range slices.Chunk(batch, 5000) {
				if _, err := h.readings.Add(t.Context(), list); err != nil {
					t.Fatal(err)
				}
			}
			text := `{"name":"n","cause":"c","severity":"low","category":"other","ticket":true,"when":` + c.rule + `,"clear_after":"1m"}`
			got, err := h.TryRule(t.Context(), h.manager, h.building, []byte(text), t0.Add(-c.days*24*time.Hour), t0)
			if err != nil || got.Alarms != c.alarms || got.Tickets != c.alarms || got.Spans != c.spans || got.Devices != 1 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

var _ desk.Readings = oneBuilding{}
