package desk

import (
	"context"
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

// openFor is how long a ticket of each priority may stand open; others do not become overdue.
var openFor = map[string]time.Duration{"urgent": 4 * time.Hour, "high": 24 * time.Hour, "normal": 3 * 24 * time.Hour, "low": 14 * 24 * time.Hour}

// workloadMax bounds the tickets that are counted.
const workloadMax = 10_000

// Workload counts what is open, whoever asks: it names nobody.
func (d *Desk) Workload(ctx context.Context, building record.ID) (Workload, error) {
	filters, err := TicketFilter{Open: true}.filters()
	if err != nil {
		return Workload{}, err
	}
	items, _, err := d.selectItems(ctx, Selection{Shape: shapeTickets, Building: building, Filters: filters, Limit: workloadMax})
	if err != nil {
		return Workload{}, err
	}
	w := Workload{Open: len(items)}
	now := d.now()
	for _, it := range items {
		f := d.fields(it)
		priority := f.text("priority")
		if priority == "urgent" {
			w.Urgent++
		}
		if at := f.time("reported_at"); at != nil && openFor[priority] > 0 && now.Sub(*at) > openFor[priority] {
			w.Overdue++
		}
	}
	return w, nil
}
