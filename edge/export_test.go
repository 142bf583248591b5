package edge

import (
	"context"
	"errors"

	"estate/edge/internal/ingest"
)

// Tell publishes as the edge itself, for tests of what devices make of it.
func (e *Edge) Tell(ctx context.Context, topic string, payload []byte) error {
	d := e.mqtt.Load()
	if d == nil || d.ingest.Load() == nil {
		return errors.New("the edge does not speak to devices yet")
	}
	return d.ingest.Load().Publish(ctx, ingest.Outgoing{Topic: topic, Payload: payload, QoS: 1})
}
