package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// Valve is a shut-off valve of the water, which can be told to open and close.
const Valve = "valve"

// turnTime is what a motor valve takes to turn, shortened for who watches.
const turnTime = 2 * time.Second

// valveExposes is what a gateway says of a valve: a switch, as it lists them.
func valveExposes() []any {
	return []any{map[string]any{"type": "switch", "features": []any{
		map[string]any{"type": "binary", "name": "state", "property": "state", "value_on": "ON", "value_off": "OFF", "access": 7}}}}
}

// valveState is how a valve is: open at first.
func (g *Gateway) valveState(name string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed[name] {
		return "OFF"
	}
	return "ON"
}

// obey turns a valve as it is told, and tells when it has turned.
func (g *Gateway) obey(ctx context.Context, topic string, payload []byte) {
	name := strings.TrimSuffix(strings.TrimPrefix(topic, baseTopic+"/"), "/set")
	s, err := g.Sensor(name)
	var order struct{ State string }
	if err != nil || s.Kind != Valve || json.Unmarshal(payload, &order) != nil || order.State != "ON" && order.State != "OFF" {
		return // as a gateway does with what it does not understand
	}
	turned := time.NewTimer(turnTime)
	defer turned.Stop()
	select {
	case <-ctx.Done():
		return
	case <-turned.C:
	}
	g.mu.Lock()
	g.closed[name] = order.State == "OFF"
	g.mu.Unlock()
	_ = g.State(ctx, s, false, true) // what could not be sent is told with the next state
}

// past is how far back the thermometers remember, and pastStep how densely.
const (
	past     = 24 * time.Hour
	pastStep = 10 * time.Minute
)

// Recall tells what the thermometers measured before the demo began, each value with its time,
// so that charts have something to show. Told again it is the same, which is stored once.
func (g *Gateway) Recall(ctx context.Context) error {
	now := time.Now()
	for at := now.Add(-past).Truncate(pastStep); at.Before(now); at = at.Add(pastStep) {
		for _, s := range g.Sensors {
			if s.Kind != Climate {
				continue
			}
			payload := climate(at)
			payload["last_seen"] = at.UTC().Format(time.RFC3339)
			if err := g.publish(ctx, s.Name, false, payload); err != nil {
				return err
			}
		}
	}
	return nil
}
