package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"estate/internal/apiclient"
	"estate/internal/lab"
	"estate/internal/lab/stack"
)

const (
	publishersFull, publishersQuick = 50, 4
	// floodFull is long enough for a steady pace, floodQuick to see that something arrives.
	floodFull, floodQuick = 8 * time.Second, 500 * time.Millisecond
	// goalDurable is what may be lost of a broker's pace by keeping what it delivers.
	goalDurable = 0.5
	// goalGrowth is what memory may rise in the second half of a flood, in megabytes: it is to
	// be flat, and a collector's heap breathes.
	goalGrowth = 10.0
	// endTimeout is what a helper of the bench gets to end.
	endTimeout = time.Minute
)

// runMQTT measures how many messages of devices an edge makes durable, beside the same load on
// the same broker with a subscriber that throws everything away, and how soon readings are
// drawn.
func runMQTT(ctx context.Context, b *bench) error {
	s, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(context.WithoutCancel(ctx))
	m := &messages{site: s}
	if err := m.prepare(ctx); err != nil {
		return err
	}
	for _, p := range []struct {
		name string
		run  func(context.Context) error
	}{{"embedded", m.embedded}, {"mosquitto", m.mosquitto}, {"queries", m.queries}, {"detection", m.detection}} {
		if !b.how.wants(p.name) || p.name == "detection" && len(b.how.only) == 0 {
			continue
		}
		if err := p.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func mqttParts() []string { return []string{"embedded", "mosquitto", "queries", "detection"} }

// messages is a run of `estate bench mqtt`.
type messages struct {
	*site
	logins []stack.Login
	// metrics is where the edge counts what became of messages.
	metrics string
	next    int64
}

// pace is one way of publishing.
type pace struct {
	publishers int
	qos        byte
}

func (l pace) String() string {
	if l.publishers == 1 {
		return fmt.Sprintf("1 publisher, QoS %d", l.qos)
	}
	return fmt.Sprintf("%d publishers, QoS %d", l.publishers, l.qos)
}

func (m *messages) loads() []pace {
	many := m.how.size(publishersFull, publishersQuick)
	return []pace{{many, 1}, {1, 1}, {many, 0}, {1, 0}}
}

// prepare gives the building its sensors, adopted and with logins, and has the edge show its
// counts.
func (m *messages) prepare(ctx context.Context) error {
	m.say("entering sensors")
	for n := range m.how.size(publishersFull, publishersQuick) {
		login, err := m.edge.AddDevice(ctx, sensorName(n))
		if err != nil {
			return err
		}
		m.logins = append(m.logins, login)
	}
	for n := range m.how.size(roomsFull, roomsQuick) {
		_, err := m.atEdge[0].CreateDevice(ctx, m.edge.Place.ID, apiclient.NewDevice{Hardware: "plain:oak/" + sensorName(n), Name: sensorName(n)})
		if err != nil {
			return fmt.Errorf("enter a sensor: %w", err)
		}
	}
	port, err := lab.FreePort(ctx)
	if err != nil {
		return err
	}
	m.metrics = "127.0.0.1:" + strconv.Itoa(port)
	m.edge.Env = append(m.edge.Env, "ESTATE_EDGE_METRICS_LISTEN="+m.metrics)
	return m.restart(ctx, nil)
}

func sensorName(n int) string { return "bench-" + strconv.Itoa(n) }

// restart starts the edge again, after what is to be done while it does not run.
func (m *messages) restart(ctx context.Context, meanwhile func() error) error {
	if err := m.edge.Process().Terminate(endTimeout); err != nil {
		return err
	}
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return err
		}
	}
	return m.edge.Start(ctx)
}

// embedded measures the edge's own broker.
func (m *messages) embedded(ctx context.Context) error {
	port, err := lab.FreePort(ctx)
	if err != nil {
		return err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	discard, err := m.helper(ctx, "discard", "--data", filepath.Join(m.Dir(), "discard"), "--mqtt-listen", address)
	if err != nil {
		return err
	}
	return m.measure(ctx, "embedded", discard, "the same broker in a process of its own, and a subscriber that discards", address, m.edge.MQTT())
}

// mosquitto measures Debian's broker.
func (m *messages) mosquitto(ctx context.Context) (err error) {
	broker, address, err := startMosquitto(ctx, m.Dir())
	if errors.Is(err, errNoMosquitto) {
		m.say("mosquitto is not installed: left out")
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Kill9()) }()
	discard, err := m.helper(ctx, "discard", "--data", filepath.Join(m.Dir(), "discard"), "--broker-url", "tcp://"+address)
	if err != nil {
		return err
	}
	// Each of the two listens alone: a message that is delivered twice would be paid for twice.
	peers, err := m.discards(ctx, discard, address)
	if err != nil {
		return err
	}
	before := m.edge.Env
	m.edge.Env = append(append([]string{}, before...), "ESTATE_EDGE_BROKER_URL=tcp://"+address)
	if err := m.restart(ctx, nil); err != nil {
		return err
	}
	if err := m.durable(ctx, "mosquitto", "the same broker, and a subscriber that discards", address, peers); err != nil {
		return err
	}
	m.edge.Env = before
	return m.restart(ctx, nil)
}

func (m *messages) measure(ctx context.Context, broker string, discard *counter, peer, discardAt, edgeAt string) error {
	peers, err := m.discards(ctx, discard, discardAt)
	if err != nil {
		return err
	}
	return m.durable(ctx, broker, peer, edgeAt, peers)
}

// discards measures each load with a subscriber that throws everything away, and ends it.
func (m *messages) discards(ctx context.Context, discard *counter, address string) (rates []float64, err error) {
	defer func() { err = errors.Join(err, discard.end()) }()
	for _, l := range m.loads() {
		m.say("measuring: %s, discarded", l)
		got, err := m.flood(ctx, address, l, discard, nil)
		if err != nil {
			return nil, err
		}
		rates = append(rates, got.rate())
	}
	return rates, nil
}

// durable measures each load with the edge.
func (m *messages) durable(ctx context.Context, broker, peer, address string, peers []float64) (err error) {
	stored, err := m.helper(ctx, "stored", "--data", m.edge.Dir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stored.end()) }()
	for i, l := range m.loads() {
		m.say("measuring: %s, %s, made durable", broker, l)
		before, err := m.outcome(ctx, "left_out")
		if err != nil {
			return err
		}
		got, err := m.flood(ctx, address, l, stored, m.edge.Process())
		if err != nil {
			return err
		}
		after, err := m.outcome(ctx, "left_out")
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s: %s", broker, l)
		m.add(beside(name+": durable in the edge's SQLite", got.rate(), "messages/s", peer, peers[i]).ratioAtLeast(goalDurable))
		if l.qos == 1 {
			m.add(plain(name+": acknowledged and not stored", float64(got.sent-got.arrived), "messages").atMost(0))
		} else {
			m.add(plain(name+": sent and not stored", float64(got.sent-got.arrived), "messages"),
				plain(name+": of these left out by the edge, and counted", after-before, "messages"))
		}
		m.add(plain(name+": peak RSS of edge", got.peak/mega, "MB").atMost(edgeMemoryMax),
			plain(name+": growth of the edge in the second half", got.growth/mega, "MB").atMost(goalGrowth),
			plain(name+": CPU of edge for each", float64(got.cpu.Microseconds())/float64(max(got.arrived, 1)), "µs"))
	}
	return nil
}
