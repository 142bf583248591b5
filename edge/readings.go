package edge

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"estate/edge/internal/cloudlink"
	"estate/edge/internal/telemetry"
	"estate/internal/problem"
	"estate/internal/reading"
	"estate/sync/record"
)

const (
	// sendEvery is how often the cloud is given what it has not got; while it is away one try
	// in sendEvery costs nothing.
	sendEvery = 10 * time.Second
	// sendRows is how many rollups go at once: some 60 kB, which a slow line takes in time.
	sendRows = 500
	// thinEvery is how often the readings are held against their budget.
	thinEvery = time.Minute
)

// readings is what the building's devices measured: kept here, and given to the cloud.
type readings struct {
	building *building
	store    *telemetry.Store
	client   *http.Client
}

// Latest implements desk.Readings.
func (r *readings) Latest(ctx context.Context, building record.ID, hardware string) ([]reading.Latest, error) {
	if building != r.building.id {
		return nil, problem.New(problem.NotFound, "building")
	}
	return r.store.Latest(ctx, hardware)
}

// Points implements desk.Readings.
func (r *readings) Points(ctx context.Context, building record.ID, q reading.Query) (reading.Points, error) {
	if building != r.building.id {
		return reading.Points{}, problem.New(problem.NotFound, "building")
	}
	return r.store.Points(ctx, q)
}

// Heard implements desk.Readings.
func (r *readings) Heard(ctx context.Context, building record.ID, hardware []string) (map[string]time.Time, error) {
	if building != r.building.id {
		return nil, problem.New(problem.NotFound, "building")
	}
	return r.store.Heard(ctx, hardware)
}

// run gives the cloud what it has not got, and keeps the file within its budget.
func (r *readings) run(ctx context.Context) error {
	send, thin := time.NewTicker(sendEvery), time.NewTicker(thinEvery)
	defer send.Stop()
	defer thin.Stop()
	failing := false
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-send.C:
			err = r.send(ctx)
		case <-thin.C:
			err = r.thin(ctx)
		}
		if failing != (err != nil) && ctx.Err() == nil {
			failing = err != nil
			r.building.edge.log.WarnContext(ctx, "look after readings", slog.Bool("failing", failing), slog.Any("error", err))
		}
	}
}

// send sends until nothing is left.
func (r *readings) send(ctx context.Context) error {
	for ctx.Err() == nil {
		list, err := r.store.Unsent(ctx, r.building.edge.now(), sendRows)
		if err != nil || list.Empty() {
			return err
		}
		if err := cloudlink.SendReadings(ctx, r.client, r.building.link.sessions.Base, list.Batch); err != nil {
			return err
		}
		if err := r.store.Sent(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

func (r *readings) thin(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = r.store.Thin(ctx, r.building.edge.now()); err != nil {
			return err
		}
	}
	return nil
}
