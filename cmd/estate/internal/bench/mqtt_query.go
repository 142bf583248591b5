package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"estate/internal/desk"
	"estate/internal/lab"
	"estate/sync/record"
)

const (
	roomsFull, roomsQuick = 200, 6
	pastFull, pastQuick   = 30 * 24 * time.Hour, 2 * 24 * time.Hour
	// measureEvery is what most battery sensors and every Tasmota do.
	measureEvery = 5 * time.Minute
	asksFull     = 400
	asksQuick    = 20
	// screenPoints is a chart as wide as a laptop's screen.
	screenPoints = 1000
	// screenRefresh is one frame at 60 Hz, in milliseconds.
	screenRefresh = 16.7
)

// queries measures how soon readings of a month are there to be drawn.
func (m *messages) queries(ctx context.Context) error {
	rooms, past := m.how.size(roomsFull, roomsQuick), pastFull
	if m.how.quick {
		past = pastQuick
	}
	m.say("filling %s of %d sensors", past, rooms)
	if err := m.restart(ctx, func() error { return m.fill(ctx, rooms, past) }); err != nil {
		return err
	}
	devices, err := m.atEdge[0].Devices(ctx, m.edge.Place.ID)
	if err != nil {
		return err
	}
	ids := map[string]record.ID{}
	for _, d := range devices {
		ids[d.Hardware] = d.ID
	}
	end := time.Now()
	look := func(points int, span time.Duration) func(context.Context, record.ID) error {
		return func(ctx context.Context, device record.ID) error {
			got, err := m.atEdge[0].Readings(ctx, m.edge.Place.ID, device, desk.ReadingQuery{Key: "temperature", UnitOfMeasure: "°C", From: end.Add(-span), To: end, Points: points})
			if err == nil && len(got.Points) == 0 {
				err = fmt.Errorf("no points of %s", device)
			}
			return err
		}
	}
	for _, q := range []struct {
		name string
		ask  func(context.Context, record.ID) error
	}{
		{"the values of one device", func(ctx context.Context, device record.ID) error {
			list, err := m.atEdge[0].Series(ctx, m.edge.Place.ID, device)
			if err == nil && len(list) == 0 {
				err = fmt.Errorf("no series of %s", device)
			}
			return err
		}},
		{"a day of one sensor", look(screenPoints, 24*time.Hour)},
		{"a week of one sensor", look(screenPoints, 7*24*time.Hour)},
		{"30 days of one sensor", look(screenPoints, past)},
	} {
		m.say("measuring: %s", q.name)
		var took []time.Duration
		for i := range m.how.size(asksFull, asksQuick) {
			device := ids["plain:oak/"+sensorName(i%rooms)]
			began := time.Now()
			if err := q.ask(ctx, device); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			took = append(took, time.Since(began))
		}
		m.add(plain("queries: "+q.name+", p50", percentile(took, 0.5), "ms").atMost(screenRefresh),
			plain("queries: "+q.name+", p99", percentile(took, 0.99), "ms").atMost(screenRefresh))
	}
	return nil
}

// fill writes a past into the box while it does not run.
func (m *messages) fill(ctx context.Context, rooms int, past time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	binaries, err := lab.BinariesIn(filepath.Dir(self))
	if err != nil {
		return err
	}
	began := time.Now()
	output, err := exec.CommandContext(ctx, binaries.Edge, "measure", "fill", "--data", m.edge.Dir(), "--hardware", "plain:oak/bench-%d", //nolint:gosec // our own program
		"--sensors", strconv.Itoa(rooms), "--span", past.String(), "--every", measureEvery.String()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fill the readings: %w: %s", err, output)
	}
	count := rooms * int(past/measureEvery)
	m.add(plain("queries: readings written before", float64(count), "readings"), plain("queries: written", perSecond(count, time.Since(began)), "readings/s"))
	return nil
}
