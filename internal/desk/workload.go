package desk

import (
	"context"
	"fmt"
	"time"

	"estate/sync/record"
)

// Workload counts a building's open tickets.
type Workload struct {
	Open int
	// Urgent are emergencies.
	Urgent int
	// Overdue are those that stand open for longer than their priority allows.
	Overdue int
}

// openFor gives for how long a ticket of each priority may stand open; others do not become
// overdue.
func openFor() map[string]time.Duration {
	return map[string]time.Duration{"urgent": 4 * time.Hour, "high": 24 * time.Hour, "normal": 3 * 24 * time.Hour, "low": 14 * 24 * time.Hour}
}

// Workload counts what is open, whoever asks: it names nobody. The store counts, so it costs
// the open tickets and not their records, and nothing of those that are closed.
func (d *Desk) Workload(ctx context.Context, building record.ID) (Workload, error) {
	now, before := d.now(), map[string]time.Time{}
	for priority, limit := range openFor() {
		before[priority] = now.Add(-limit)
	}
	counts, err := d.query.OpenTickets(ctx, building, before)
	if err != nil {
		return Workload{}, translate(fmt.Errorf("count open tickets: %w", err))
	}
	w := Workload{Urgent: counts["urgent"].Open}
	for _, c := range counts {
		w.Open += c.Open
		w.Overdue += c.Older
	}
	return w, nil
}
