package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"estate/cmd/estate/internal/gateway"
	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/sync/record"
)

const (
	sensorsFull, sensorsQuick = 200, 20
	// ticketTimeout ends a bench in which a ticket never arrives.
	ticketTimeout = 30 * time.Second
	// goalFresh is what people call at once.
	goalFresh = 1000.0
)

// freshness measures how soon a dashboard at the cloud sees what happens at an edge.
func freshness(ctx context.Context, b *bench) error {
	s, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(context.WithoutCancel(ctx))
	b.say("measuring: writes")
	if err := writesSeen(ctx, s); err != nil {
		return err
	}
	b.say("measuring: sensors")
	return sensorsSeen(ctx, s)
}

// sensorsSeen fires leak sensors one after the other and waits for each alarm on a
// dashboard's WebSocket at the cloud. So many leaks share a ticket.
func sensorsSeen(ctx context.Context, s *site) error {
	g, devices, err := fit(ctx, s, s.how.size(sensorsFull, sensorsQuick))
	if err != nil {
		return err
	}
	defer g.Close()
	following, stop := context.WithCancel(ctx)
	defer stop()
	events := apiclient.Follow(following, s.edge.Place.ID, s.atCloud[0])
	if _, err := await(ctx, events, func(e apiclient.Event) bool { return e.Type == apiclient.EventSubscribed }); err != nil {
		return err
	}
	var fresh, stored []time.Duration
	for i, sensor := range g.Sensors {
		began := time.Now()
		if err := g.State(ctx, sensor, true, false); err != nil {
			return err
		}
		stored = append(stored, time.Since(began))
		event, err := await(ctx, events, func(e apiclient.Event) bool { return alarmOf(e) == devices[i] })
		if err != nil {
			return fmt.Errorf("sensor %d: %w", i, err)
		}
		fresh = append(fresh, event.At.Sub(began))
	}
	s.add(
		beside("freshness: sensor to dashboard, p50", percentile(fresh, 0.5), "ms", "broker's durable acknowledgement, p50", percentile(stored, 0.5)).atMost(goalFresh),
		beside("freshness: sensor to dashboard, p99", percentile(fresh, 0.99), "ms", "broker's durable acknowledgement, p99", percentile(stored, 0.99)).atMost(goalFresh),
	)
	return nil
}

// fit gives a building leak sensors, adopted and announced.
func fit(ctx context.Context, s *site, count int) (*gateway.Gateway, []record.ID, error) {
	sensors := make([]gateway.Sensor, count)
	devices := make([]record.ID, count)
	for i := range sensors {
		sensors[i] = gateway.Sensor{Name: fmt.Sprintf("leak-%03d", i), Address: fmt.Sprintf("0x00158d00000a%04x", i), Model: "SJCGQ11LM", Kind: gateway.Leak}
		device, err := s.atEdge[0].CreateDevice(ctx, s.edge.Place.ID, apiclient.NewDevice{Hardware: sensors[i].Hardware(), Name: sensors[i].Name})
		if err != nil {
			return nil, nil, fmt.Errorf("enter a sensor: %w", err)
		}
		devices[i] = device.ID
	}
	g, err := gateway.Connect(ctx, s.edge, sensors, s.how.publisher)
	if err != nil {
		return nil, nil, err
	}
	return g, devices, g.Announce(ctx)
}

// await reads events until one matches.
func await(ctx context.Context, events <-chan apiclient.Event, match func(apiclient.Event) bool) (apiclient.Event, error) {
	timer := time.NewTimer(ticketTimeout)
	defer timer.Stop()
	for {
		select {
		case event, ok := <-events:
			if !ok {
				return event, ctx.Err()
			}
			if match(event) {
				return event, nil
			}
		case <-timer.C:
			return apiclient.Event{}, fmt.Errorf("nothing on the WebSocket for %s", ticketTimeout)
		}
	}
}

// alarmOf is the device of the alarm that an event shows; zero for other events.
func alarmOf(e apiclient.Event) record.ID {
	var alarm desk.Alarm
	if e.Kind != "alarm" || json.Unmarshal(e.Record, &alarm) != nil {
		return record.ID{}
	}
	return alarm.Device
}
