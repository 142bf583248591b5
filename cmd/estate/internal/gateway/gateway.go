// Package gateway simulates a building's Zigbee2MQTT: retained lists and states,
// duplicates, and a sensor with a loose contact.
//
// It must never do what a real gateway cannot: it has a gateway's login and no other.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"estate/internal/lab/stack"
)

const (
	baseTopic = "zigbee2mqtt"
	// publishTimeout is what a broker on this machine gets to acknowledge.
	publishTimeout = 10 * time.Second
	// climateEvery is how often the thermometers speak.
	climateEvery = 15 * time.Second
	// flapEvery begins a burst of the loose sensor, flapStep is between its changes: five
	// within a minute mark a sensor as flapping.
	flapEvery = 10 * time.Minute
	flapFirst = 20 * time.Second // so that a demo has something to show soon
	flapStep  = 2 * time.Second
	flapCount = 8
	// quiesceMillis is what a client gets to say goodbye.
	quiesceMillis = 250
)

// The kinds of simulated sensors.
const (
	Leak    = "leak"
	Loose   = "loose" // a leak sensor with a loose contact
	Climate = "climate"
	Contact = "contact"
	Shaking = "vibration"
)

// Sensor is one simulated Zigbee device.
type Sensor struct {
	Name, Address, Model, Kind string
}

// Hardware is the sensor's id as an edge knows it.
func (s Sensor) Hardware() string { return "z2m:" + s.Address }

// Household is the sensors of a demo building. Addresses differ from building to building.
func Household(code string) []Sensor {
	prefix := fmt.Sprintf("0x00158d00%06x", checksum(code))
	window := "1A-window" // whoever named it tells the unit where it hangs
	if code == "OAK" {
		window = "4A-window"
	}
	return []Sensor{
		{"bathroom-leak", prefix + "01", "SJCGQ11LM", Leak},
		{"kitchen-leak", prefix + "02", "SJCGQ11LM", Leak},
		{"cellar-leak", prefix + "03", "SJCGQ11LM", Loose},
		{"hall-climate", prefix + "04", "WSDCGQ11LM", Climate},
		{"front-door", prefix + "05", "MCCGQ11LM", Contact},
		{"main-valve", prefix + "06", "TRV-SHUTOFF", Valve},
		{window, prefix + "07", "MCCGQ11LM", Contact},
		{"lift-motor", prefix + "08", "DJT11LM", Shaking},
	}
}

// checksum spreads a short text over 24 bits.
func checksum(text string) uint32 {
	sum := uint32(2166136261)
	for i := range len(text) {
		sum = (sum ^ uint32(text[i])) * 16777619
	}
	return sum & 0xffffff
}

// Gateway publishes what a Zigbee2MQTT in a building does.
type Gateway struct {
	Sensors []Sensor
	// Code is the building's short code.
	Code string
	line line
	// end ends what goes on by itself.
	end context.CancelFunc

	mu     sync.Mutex
	closed map[string]bool // valves, by name
}

// Connect signs a building's gateway in at the edge's broker, and reconnects by itself. A
// publisher, such as mosquitto_pub, sends each message in its place.
func Connect(ctx context.Context, edge *stack.Edge, sensors []Sensor, publisher string) (*Gateway, error) {
	login, err := edge.Gateway(ctx)
	if err != nil {
		return nil, err
	}
	living, end := context.WithCancel(context.WithoutCancel(ctx))
	g := &Gateway{Sensors: sensors, Code: edge.Place.Code, end: end, closed: map[string]bool{}}
	if publisher != "" {
		g.line, err = byProgram(publisher, edge, login)
	} else {
		g.line, err = connect(ctx, edge, login, func(topic string, payload []byte) { g.obey(living, topic, payload) })
	}
	if err != nil {
		end()
		return nil, err
	}
	return g, nil
}

// Close says goodbye.
func (g *Gateway) Close() {
	g.end()
	g.line.close()
}

// Sensor finds a sensor by name.
func (g *Gateway) Sensor(name string) (Sensor, error) {
	for _, s := range g.Sensors {
		if s.Name == name {
			return s, nil
		}
	}
	return Sensor{}, fmt.Errorf("no sensor is called %q", name)
}

// Announce publishes what a gateway publishes at its start, all of it retained: the list of
// devices, their availability and their last state.
func (g *Gateway) Announce(ctx context.Context) error {
	type device struct {
		Address    string `json:"ieee_address"`
		Type       string `json:"type"`
		Name       string `json:"friendly_name"`
		Supported  bool   `json:"supported"`
		Power      string `json:"power_source"`
		Definition any    `json:"definition"`
	}
	devices := []device{{Address: "0x00124b0000000001", Type: "Coordinator", Name: "Coordinator", Supported: true}}
	for _, s := range g.Sensors {
		definition := map[string]any{"model": s.Model, "vendor": "Aqara", "description": s.Kind}
		if s.Kind == Valve {
			definition["exposes"], definition["description"] = valveExposes(), "water shut-off valve"
		}
		devices = append(devices, device{s.Address, "EndDevice", s.Name, true, "Battery", definition})
	}
	if err := g.publish(ctx, "bridge/state", true, map[string]string{"state": "online"}); err != nil {
		return err
	}
	if err := g.publish(ctx, "bridge/devices", true, devices); err != nil {
		return err
	}
	for _, s := range g.Sensors {
		if err := g.publish(ctx, s.Name+"/availability", true, map[string]string{"state": "online"}); err != nil {
			return err
		}
		if err := g.State(ctx, s, false, true); err != nil {
			return err
		}
	}
	return nil
}

// State publishes a sensor's state as its gateway would.
func (g *Gateway) State(ctx context.Context, s Sensor, on, retained bool) error {
	payload := map[string]any{"battery": 97, "linkquality": 120, "voltage": 3015}
	switch s.Kind {
	case Leak, Loose:
		payload["water_leak"] = on
		payload["battery_low"] = false
	case Contact:
		payload["contact"] = !on
	case Shaking:
		payload["vibration"] = on
	case Climate:
		payload = climate(time.Now())
	case Valve:
		payload = map[string]any{"state": g.valveState(s.Name), "battery": 88, "linkquality": 101}
	}
	return g.publish(ctx, s.Name, retained, payload)
}

// climate is a plausible hall: it warms and cools over the day.
func climate(at time.Time) map[string]any {
	day := float64(at.Unix()%86400) / 86400 * 2 * math.Pi
	round := func(v float64) float64 { return math.Round(v*100) / 100 }
	return map[string]any{"temperature": round(20.5 - 1.5*math.Cos(day)), "humidity": round(48 + 6*math.Sin(day)),
		"pressure": 1013, "battery": 91, "linkquality": 98}
}

// Fire fires a leak sensor: twice, as many gateways do, and retained, so that an edge that
// starts later is told again.
func (g *Gateway) Fire(ctx context.Context, name string) error {
	s, err := g.Sensor(name)
	if err != nil {
		return err
	}
	return errors.Join(g.State(ctx, s, true, true), g.State(ctx, s, true, false))
}

// Live lets the building live until ctx ends: thermometers speak, each value twice now and
// then, and a loose sensor flaps in bursts. Failures are left to the client, which
// reconnects; what could not be sent is the past.
func (g *Gateway) Live(ctx context.Context) {
	climates, flaps, first := time.NewTicker(climateEvery), time.NewTicker(flapEvery), time.NewTimer(flapFirst)
	defer climates.Stop()
	defer flaps.Stop()
	defer first.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-climates.C:
			for _, s := range g.Sensors {
				if s.Kind == Valve && n%4 == 0 {
					_ = g.State(ctx, s, false, true)
				}
				if s.Kind == Climate {
					_ = g.State(ctx, s, false, true)
					if n%4 == 0 {
						_ = g.State(ctx, s, false, true) // a duplicate
					}
				}
			}
		case <-first.C:
			g.flap(ctx)
		case <-flaps.C:
			g.flap(ctx)
		}
	}
}

// flap is a sensor with a loose contact: wet, dry, wet, dry, and dry in the end.
func (g *Gateway) flap(ctx context.Context) {
	s, err := g.Sensor("cellar-leak")
	if err != nil {
		return
	}
	steps := time.NewTicker(flapStep)
	defer steps.Stop()
	for n := range flapCount {
		_ = g.State(ctx, s, n%2 == 0, false)
		select {
		case <-ctx.Done():
			return
		case <-steps.C:
		}
	}
}

func (g *Gateway) publish(ctx context.Context, topic string, retained bool, payload any) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	if err := g.line.publish(ctx, baseTopic+"/"+topic, retained, text); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}
