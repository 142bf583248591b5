package edge

import (
	"context"
	"strings"
	"time"

	"estate/edge/internal/actuate"
	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/edge/internal/outbound"
	"estate/internal/obs"
	"estate/sync/replica"
)

// carryOrders carries out what people order of devices until ctx ends.
func (d *devices) carryOrders(ctx context.Context, topic string, in *ingest.Ingest, board *actuate.Board) error {
	b := d.building
	moved, stop := b.edge.store.WatchKinds(b.id, "action")
	defer stop()
	return actuate.New(actuate.Config{Building: b.id, Desk: b.desk, Board: board, Now: b.edge.now, Moved: moved, Log: d.log,
		Blind: func() bool { return !in.Status().BlindSince.IsZero() },
		Publish: func(ctx context.Context, s decode.Sending, until time.Time) error {
			if strings.HasPrefix(s.Topic, "estate/v1/") {
				d.tellTimeFirst(ctx, topic, in)
			}
			return in.Publish(ctx, ingest.Outgoing{Topic: s.Topic, Payload: s.Payload, QoS: s.QoS, Until: until})
		},
		Offset: func(ctx context.Context) (time.Duration, error) {
			have, err := b.edge.store.Load(ctx, b.id, replica.Need{})
			return time.Duration(have.State.ClockOffset) * time.Millisecond, err
		},
	}).Run(ctx)
}

// tellTimeFirst tells the time before an order that says until when it is good: a device that has
// just started does not know it yet, and keeps the order until it does. Where it cannot be told
// the order goes all the same: the device hears the time within the usual pause.
func (d *devices) tellTimeFirst(ctx context.Context, topic string, in *ingest.Ingest) {
	at, off, err := d.time(ctx)
	if err == nil {
		var m outbound.Message
		if m, err = outbound.TimeMessage(topic, at, off); err == nil {
			err = speaker{in}.Publish(ctx, m)
		}
	}
	if err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, "tell the time before an order", obs.Error(err))
	}
}
