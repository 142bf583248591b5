package edge

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"estate/edge/internal/ingest"
	"estate/internal/media"
	"estate/internal/synclink"
)

// scrapeMax bounds what one scrape may cost the store.
const scrapeMax = 2 * time.Second

// gauges are read from the parts when somebody scrapes. What waits has an age beside its
// count: a queue that is stuck shows.
type gauges struct {
	building *building
	synced   *prometheus.Desc
	waiting  *prometheus.Desc
	oldest   *prometheus.Desc
	heard    *prometheus.Desc
	messages *prometheus.Desc
	blind    *prometheus.Desc
	refused  *prometheus.Desc
}

func newGauges(b *building) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("estate_edge_"+name, help, labels, nil)
	}
	return &gauges{building: b,
		synced:   desc("synced", "1 while everything is acknowledged by the cloud."),
		waiting:  desc("waiting_items", "What waits to move, by queue: records, media_up, media_down.", "queue"),
		oldest:   desc("waiting_oldest_seconds", "Age of the oldest that waits, by queue.", "queue"),
		heard:    desc("devices_heard", "1 while the session with the MQTT broker stands."),
		messages: desc("device_messages_total", "Messages and what became of them.", "outcome"),
		blind:    desc("devices_blind_seconds", "For how long devices have not been heard; 0 while they are."),
		refused:  desc("device_refusals_total", "What devices sent and was not taken, by code; GET /buildings/{building}/refusals names them.", "code"),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.synced, g.waiting, g.oldest, g.heard, g.messages, g.blind, g.refused} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeMax)
	defer cancel()
	link := g.building.link.uplink.Status(ctx)
	to <- prometheus.MustNewConstMetric(g.synced, prometheus.GaugeValue, yes(link.State == synclink.Synced))
	g.queue(to, "records", link.Waiting.Items, link.Waiting.Oldest)
	for name, lane := range map[string]*media.Lane{"media_up": g.building.files.up, "media_down": g.building.files.down} {
		if s, err := lane.Status(ctx); err == nil {
			g.queue(to, name, s.Items, s.Oldest)
		}
	}
	in := g.building.devices.ingest.Load()
	if in == nil {
		return
	}
	s := in.Status()
	to <- prometheus.MustNewConstMetric(g.heard, prometheus.GaugeValue, yes(s.Connected))
	blind := 0.0
	if !s.BlindSince.IsZero() {
		blind = max(0, g.building.edge.now().Sub(s.BlindSince).Seconds())
	}
	to <- prometheus.MustNewConstMetric(g.blind, prometheus.GaugeValue, blind)
	for code, n := range in.RefusalTotals() {
		to <- prometheus.MustNewConstMetric(g.refused, prometheus.CounterValue, float64(n), string(code))
	}
	for outcome, n := range outcomes(s.Counts) {
		to <- prometheus.MustNewConstMetric(g.messages, prometheus.CounterValue, float64(n), outcome)
	}
}

func (g *gauges) queue(to chan<- prometheus.Metric, name string, items int, oldest time.Time) {
	age := 0.0
	if !oldest.IsZero() {
		age = max(0, time.Since(oldest).Seconds())
	}
	to <- prometheus.MustNewConstMetric(g.waiting, prometheus.GaugeValue, float64(items), name)
	to <- prometheus.MustNewConstMetric(g.oldest, prometheus.GaugeValue, age, name)
}

func outcomes(c ingest.Counts) map[string]int64 {
	return map[string]int64{"received": c.Messages, "observation": c.Observations, "duplicate": c.Duplicates, "not_adopted": c.Quarantined,
		"unrecognised": c.Unrecognised, "alarm_raised": c.Raised, "alarm_cleared": c.Cleared, "refused": c.Refused, "left_out": c.LeftOut}
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
