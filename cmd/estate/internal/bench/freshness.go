package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"estate/cmd/estate/internal/gateway"
	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

const (
	sensorsFull, sensorsQuick = 200, 20
	// ticketTimeout ends a bench in which a ticket never arrives.
	ticketTimeout = 30 * time.Second
	readyTimeout  = 60 * time.Second
	// signInEvery is below the rate at which an edge lets one address try passwords.
	signInEvery = 500 * time.Millisecond
	// goalFresh is what people call at once.
	goalFresh = 1000.0
)

// freshness fires leak sensors one after the other and waits for each ticket on a
// dashboard's WebSocket at the cloud.
func freshness(ctx context.Context, s *stack.Stack, how options) ([]figure, error) {
	cloud, edge, err := one(ctx, s)
	if err != nil {
		return nil, err
	}
	count := sensorsFull
	if how.quick {
		count = sensorsQuick
	}
	g, devices, err := fit(ctx, s, edge, count, how.publisher)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	manager, err := s.SignIn(ctx, cloud.Base(), "manager")
	if err != nil {
		return nil, err
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	events := apiclient.Follow(following, edge.Place.ID, manager)
	if _, err := await(ctx, events, func(e apiclient.Event) bool { return e.Type == apiclient.EventSubscribed }); err != nil {
		return nil, err
	}
	var fresh, stored []time.Duration
	for i, sensor := range g.Sensors {
		began := time.Now()
		if err := g.State(ctx, sensor, true, false); err != nil {
			return nil, err
		}
		stored = append(stored, time.Since(began))
		event, err := await(ctx, events, func(e apiclient.Event) bool { return ticketOf(e) == devices[i] })
		if err != nil {
			return nil, fmt.Errorf("sensor %d: %w", i, err)
		}
		fresh = append(fresh, event.At.Sub(began))
	}
	out := []figure{
		beside("sensor to dashboard, p50", percentile(fresh, 0.5), "ms", "broker's durable acknowledgement, p50", percentile(stored, 0.5)),
		beside("sensor to dashboard, p99", percentile(fresh, 0.99), "ms", "broker's durable acknowledgement, p99", percentile(stored, 0.99)),
	}
	for i := range out {
		out[i].Goal, out[i].Met = "≤ 1000 ms", out[i].Value <= goalFresh
	}
	return out, nil
}

// fit gives a building leak sensors, adopted and announced.
func fit(ctx context.Context, s *stack.Stack, edge *stack.Edge, count int, publisher string) (*gateway.Gateway, []record.ID, error) {
	manager, err := managerAtEdge(ctx, s, edge)
	if err != nil {
		return nil, nil, err
	}
	sensors := make([]gateway.Sensor, count)
	devices := make([]record.ID, count)
	for i := range sensors {
		sensors[i] = gateway.Sensor{Name: fmt.Sprintf("leak-%03d", i), Address: fmt.Sprintf("0x00158d00000a%04x", i), Model: "SJCGQ11LM", Kind: gateway.Leak}
		device, err := manager.CreateDevice(ctx, edge.Place.ID, apiclient.NewDevice{Hardware: sensors[i].Hardware(), Name: sensors[i].Name})
		if err != nil {
			return nil, nil, fmt.Errorf("enter a sensor: %w", err)
		}
		devices[i] = device.ID
	}
	g, err := gateway.Connect(ctx, edge, sensors, publisher)
	if err != nil {
		return nil, nil, err
	}
	return g, devices, g.Announce(ctx)
}

// managerAtEdge waits until a fresh edge knows the manager.
func managerAtEdge(ctx context.Context, s *stack.Stack, edge *stack.Edge) (client *apiclient.Client, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err = stack.PollEvery(ctx, signInEvery, "the edge to know the manager", func() (bool, error) {
		var failed error
		client, failed = s.SignIn(ctx, edge.Base(), "manager")
		return failed == nil, nil
	})
	return client, err
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

// ticketOf is the device of the ticket that an event shows; zero for other events.
func ticketOf(e apiclient.Event) record.ID {
	var ticket desk.Ticket
	if e.Kind != "ticket" || json.Unmarshal(e.Record, &ticket) != nil {
		return record.ID{}
	}
	return ticket.Device
}
