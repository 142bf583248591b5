package edge

import (
	"context"
	"time"

	"estate/edge/internal/actuate"
	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/sync/replica"
)

// carryOrders carries out what people order of devices until ctx ends.
func (d *devices) carryOrders(ctx context.Context, in *ingest.Ingest, board *actuate.Board) error {
	b := d.building
	moved, stop := b.edge.store.WatchKinds(b.id, "action")
	defer stop()
	return actuate.New(actuate.Config{Building: b.id, Desk: b.desk, Board: board, Now: b.edge.now, Moved: moved, Log: d.log,
		Blind: func() bool { return !in.Status().BlindSince.IsZero() },
		Publish: func(ctx context.Context, s decode.Sending, until time.Time) error {
			return in.Publish(ctx, ingest.Outgoing{Topic: s.Topic, Payload: s.Payload, QoS: s.QoS, Until: until})
		},
		Offset: func(ctx context.Context) (time.Duration, error) {
			have, err := b.edge.store.Load(ctx, b.id, replica.Need{})
			return time.Duration(have.State.ClockOffset) * time.Millisecond, err
		},
	}).Run(ctx)
}
