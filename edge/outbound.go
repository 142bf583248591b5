package edge

import (
	"context"
	"time"

	"estate/edge/internal/ingest"
	"estate/edge/internal/outbound"
	"estate/internal/httpapi"
	"estate/internal/obs"
	"estate/sync/record"
	"estate/sync/replica"
)

// speaker is outbound.Broker over the connection that devices are heard on.
type speaker struct{ *ingest.Ingest }

// Publish implements outbound.Broker.
func (s speaker) Publish(ctx context.Context, m outbound.Message) error {
	return s.Ingest.Publish(ctx, ingest.Outgoing{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retained: m.Retained})
}

// willOf is what the broker says of this box.
func willOf(topic string) ingest.Will {
	return ingest.Will{Topic: "estate/v1/" + topic + "/" + outbound.AvailabilityTopic, Birth: "online", Death: "offline"}
}

// outbound tells others over MQTT until ctx ends.
func (d *devices) outbound(ctx context.Context, topic string, in *ingest.Ingest) error {
	b := d.building
	moved, stop := b.edge.store.Watch(b.id)
	defer stop()
	return outbound.New(outbound.Config{Building: b.id, Code: topic, Box: b.edge.key.ID().String(), Version: b.edge.cfg.Version,
		Desk: b.desk, Local: b.edge.local, Broker: speaker{in}, Moved: moved, Log: d.log,
		Link:  func(ctx context.Context) httpapi.LinkStatus { return b.link.Status(ctx, b.id) },
		Blind: func() time.Time { return in.Status().BlindSince },
		Time:  d.time, TimeEvery: time.Duration(b.edge.cfg.MQTTTimeSeconds) * time.Second, Birth: d.broker != nil,
		Prefixes: b.edge.cfg.DiscoveryPrefixes, Trouble: d.troubleCode,
		Lost: func(person record.ID) { d.dismiss(ctx, person) },
	}).Run(ctx)
}

// troubleCode is what is wrong with the box, in one word; empty where nothing is.
func (d *devices) troubleCode(ctx context.Context) string {
	if code, _, _ := d.trouble(); code != "" {
		return string(code)
	}
	if in := d.ingest.Load(); in != nil && !in.Status().StoreFailing.IsZero() {
		return "store_failing"
	}
	if disk, err := d.ReadingsDisk(ctx, d.building.id); err == nil && disk.State == "over" {
		return "readings_disk_over"
	}
	return ""
}

const (
	// lineDelay is what the cloud's time may be old when it arrives.
	lineDelay = time.Second
	// drift is how fast a clock without help goes wrong: a cheap quartz, with room.
	drift = 100e-6
)

// time is the building's time: this box's clock, set right by the cloud's. What it may be off by
// is known once the cloud was heard in this run.
func (d *devices) time(ctx context.Context) (time.Time, time.Duration, error) {
	b := d.building
	have, err := b.edge.store.Load(ctx, b.id, replica.Need{})
	if err != nil {
		return time.Time{}, 0, err
	}
	at, uncertainty := b.edge.now().Add(time.Duration(have.State.ClockOffset)*time.Millisecond), time.Duration(0)
	if heard := b.link.Status(ctx, b.id).HeardAt; heard != nil {
		uncertainty = lineDelay + time.Duration(drift*float64(max(time.Since(*heard), 0)))
	}
	return at, uncertainty, nil
}

// dismiss ends the connections of a person who has no rights here any more.
func (d *devices) dismiss(ctx context.Context, person record.ID) {
	names, err := d.building.edge.local.LoginsOf(ctx, person)
	if err != nil {
		d.log.WarnContext(ctx, "find the logins of a person who left", obs.Error(err))
	}
	for _, name := range names {
		d.disconnect(name)
	}
}
