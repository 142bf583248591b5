package demo

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"estate/cmd/estate/internal/gateway"
	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

const (
	// syncTimeout is what a fresh edge gets to learn who may sign in.
	syncTimeout = 60 * time.Second
	cloudName   = "cloud"
)

// start starts and seeds everything. What it gives must be closed, also after an error.
func start(ctx context.Context, s *stack.Stack, plan stack.Plan, publisher string) ([]*gateway.Gateway, error) {
	cloud, err := s.StartCloud(ctx, cloudName)
	if err != nil {
		return nil, err
	}
	if err := s.Seed(ctx, cloud, plan); err != nil {
		return nil, err
	}
	var edges []*stack.Edge
	for _, place := range s.State.Buildings {
		edge, err := s.AddEdge(ctx, place.Code, cloud)
		if err != nil {
			return nil, err
		}
		edges = append(edges, edge)
	}
	var mu sync.Mutex
	var buildings []*gateway.Gateway
	group, starting := errgroup.WithContext(ctx)
	for _, edge := range edges {
		group.Go(func() error {
			if err := edge.Start(starting); err != nil {
				return err
			}
			b, err := furnish(starting, s, edge, publisher)
			if b != nil {
				mu.Lock()
				buildings = append(buildings, b)
				mu.Unlock()
			}
			return err
		})
	}
	err = group.Wait()
	return buildings, err
}

// furnish enters a building's sensors at its edge and lets its gateway announce them.
func furnish(ctx context.Context, s *stack.Stack, edge *stack.Edge, publisher string) (*gateway.Gateway, error) {
	manager, err := signInSoon(ctx, s, edge, "manager")
	if err != nil {
		return nil, err
	}
	b, err := gateway.Connect(ctx, edge, gateway.Household(edge.Place.Code), publisher)
	if err != nil {
		return nil, err
	}
	if err := adopt(ctx, manager, edge, b); err != nil {
		return b, err
	}
	return b, b.Announce(ctx)
}

// signInSoon waits until a fresh edge knows a person.
func signInSoon(ctx context.Context, s *stack.Stack, edge *stack.Edge, key string) (*apiclient.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	var client *apiclient.Client
	var last error
	err := stack.PollEvery(ctx, signInEvery, key+" to be known at the edge of "+edge.Place.Name, func() (bool, error) {
		client, last = s.SignIn(ctx, edge.Base(), key)
		return last == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, last)
	}
	return client, nil
}

// signInEvery is below the rate at which an edge lets one address try passwords.
const signInEvery = 500 * time.Millisecond

// equip enters a building's equipment and gives it by name.
func equip(ctx context.Context, manager *apiclient.Client, place *stack.Place) (map[string]record.ID, error) {
	have := map[string]record.ID{}
	known, err := manager.Assets(ctx, place.ID)
	if err != nil {
		return nil, fmt.Errorf("list the equipment of %s: %w", place.Name, err)
	}
	for _, a := range known {
		have[a.Name] = a.ID
	}
	for _, a := range []apiclient.NewAsset{
		{Name: "Lift", Category: "lift", Manufacturer: "Kone", Model: "MonoSpace 500", Serial: "40 217 " + place.Code},
		{Name: "Gas boiler", Category: "boiler", Manufacturer: "Viessmann", Model: "Vitodens 200-W", Serial: "7571 " + place.Code},
		{Name: "Sump pump", Category: "pump", Manufacturer: "Grundfos", Model: "Unilift AP12", Unit: place.Units[cellarOf(place)]},
	} {
		if _, ok := have[a.Name]; ok {
			continue
		}
		made, err := manager.CreateAsset(ctx, place.ID, a)
		if err != nil {
			return nil, fmt.Errorf("enter the %s of %s: %w", a.Name, place.Name, err)
		}
		have[a.Name] = made.ID
	}
	return have, nil
}

// cellarOf is the unit where a building's water would stand.
func cellarOf(place *stack.Place) string {
	return sensorUnit(place, gateway.Sensor{Name: "cellar-leak"})
}

// adopt enters the sensors that count for alarms, each in its unit. Doors, windows and the lift's
// are left for somebody to adopt.
func adopt(ctx context.Context, manager *apiclient.Client, edge *stack.Edge, b *gateway.Gateway) error {
	assets, err := equip(ctx, manager, edge.Place)
	if err != nil {
		return err
	}
	known, err := manager.Devices(ctx, edge.Place.ID)
	if err != nil {
		return fmt.Errorf("list the devices of %s: %w", edge.Place.Name, err)
	}
	have := map[string]bool{}
	for _, d := range known {
		have[d.Hardware] = true
	}
	for _, sensor := range b.Sensors {
		if sensor.Kind == gateway.Contact || sensor.Kind == gateway.Shaking || have[sensor.Hardware()] {
			continue
		}
		in := apiclient.NewDevice{Hardware: sensor.Hardware(), Name: sensor.Name, Model: "Aqara " + sensor.Model}
		if id, ok := edge.Place.Units[sensorUnit(edge.Place, sensor)]; ok {
			in.Unit = &id
		}
		if sensor.Name == "cellar-leak" {
			in.Asset = assets["Sump pump"]
		}
		if _, err := manager.CreateDevice(ctx, edge.Place.ID, in); err != nil {
			return fmt.Errorf("enter sensor %s of %s: %w", sensor.Name, edge.Place.Name, err)
		}
	}
	return nil
}

// sensorUnit is where a sensor hangs.
func sensorUnit(place *stack.Place, s gateway.Sensor) string {
	units := map[string]map[string]string{
		"OAK":  {"bathroom-leak": "4B", "kitchen-leak": "4A", "cellar-leak": "Lobby", "hall-climate": "Lobby", "main-valve": "Lobby"},
		"PINE": {"bathroom-leak": "1A", "kitchen-leak": "1B", "cellar-leak": "Cellar", "hall-climate": "Cellar", "main-valve": "Cellar"},
	}
	return units[place.Code][s.Name]
}

// table shows addresses and sign-ins. The accounts exist in this demo only.
func table(s *stack.Stack) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	cloud := s.Cloud(cloudName)
	fmt.Fprintln(w, "WHAT\tADDRESS\t")
	fmt.Fprintf(w, "cloud dashboard\t%s/dashboard/\t\n", cloud.Base())
	fmt.Fprintf(w, "cloud API\t%s/docs/\t\n", cloud.Base())
	for _, place := range s.State.Buildings {
		if edge := s.Edge(place.Code); edge != nil {
			fmt.Fprintf(w, "%s, its edge\t%s/dashboard/\tMQTT %s\n", place.Name, edge.Base(), edge.MQTT())
		}
	}
	fmt.Fprintln(w, "\t\t")
	fmt.Fprintln(w, "SIGN IN AS\tE-MAIL\tPASSWORD")
	for _, p := range append([]stack.Person{s.State.Admin}, s.State.People...) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, p.Email, p.Password)
	}
	fmt.Fprintln(w, "\t\t")
	fmt.Fprintln(w, "TRY\t\t")
	fmt.Fprintf(w, "%s demo leak oak\tlets a bathroom in Oak leak: an alarm and a ticket; dry ends it\t\n", os.Args[0])
	fmt.Fprintf(w, "%s demo cut oak\tcuts Oak off from the cloud; it goes on working\t\n", os.Args[0])
	fmt.Fprintf(w, "%s demo restore oak\tgives the link back\t\n", os.Args[0])
	_ = w.Flush() // into memory
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}
