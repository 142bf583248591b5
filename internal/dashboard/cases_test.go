package dashboard_test

import (
	"fmt"
	"time"
)

// fill makes the building that the pictures show.
func (c *canned) fill(now time.Time) {
	ago := func(d time.Duration) string { return now.Add(-d).UTC().Format(time.RFC3339) }
	tom := object{"id": "p2", "name": "Tom Technician"}
	c.tickets = []object{
		{"id": "t1", "code": "OAK-7F3K", "title": "Lift stops between floors 3 and 4", "status": "new", "priority": "urgent", "unit_name": "Stairwell B", "asset": "e2", "asset_name": "Lift A", "reported_at": ago(4 * time.Minute)},
		{"id": "t2", "code": "OAK-2M9Q", "title": "Water under the kitchen sink, getting worse since this morning and now reaching the corridor", "status": "in_progress", "priority": "high", "category": "plumbing", "unit_name": "Flat 12", "assignee": tom,
			"description": "The cupboard under the sink is wet.\nA towel is soaked within an hour.", "reporter": object{"id": "p3", "name": "Tina Tenant"}, "conflicts": []string{"priority"}, "reported_at": ago(3 * time.Hour), "started_at": ago(time.Hour), "ai_priority": "high"},
		{"id": "t3", "code": "OAK-C4TT", "title": "Radiator stays cold", "status": "assigned", "priority": "normal", "unit_name": "Flat 3", "assignee": tom, "reported_at": ago(26 * time.Hour)},
		{"id": "t4", "code": "OAK-9XW2", "title": "Cellar light flickers", "status": "waiting", "priority": "low", "unit_name": "Cellar", "reported_at": ago(4 * 24 * time.Hour)},
		{"id": "t6", "code": "OAK-B0L1", "title": "Boiler loses pressure", "status": "resolved", "priority": "normal", "category": "heating", "unit_name": "Cellar", "asset": "e1", "asset_name": "Boiler 1", "reported_at": ago(12 * 24 * time.Hour)},
		{"id": "t5", "code": "OAK-K0P1", "title": "Window handle broken", "status": "closed", "priority": "low", "unit_name": "Flat 7", "reported_at": ago(6 * 24 * time.Hour)},
	}
	for i := range 14 {
		c.tickets = append(c.tickets, object{"id": fmt.Sprint("o", i), "code": fmt.Sprintf("OAK-0%02dZ", i), "title": fmt.Sprint("Dripping tap ", i+1), "status": "resolved", "priority": "normal", "unit_name": fmt.Sprint("Flat ", i), "reported_at": ago(time.Duration(i*i) * 2 * time.Hour)})
	}
	for i, ticket := range c.tickets {
		ticket["building"], ticket["position"], ticket["seen"] = "b1", i+1, fmt.Sprint("seen", i)
	}
	c.messages = []object{{"id": "g1", "ticket": "t2", "person": object{"id": "p3", "name": "Tina Tenant"}, "text": "It is getting worse.", "sent_at": ago(2 * time.Hour)}}
	c.conflicts = []object{{"kind": "ticket", "id": "t2", "field": "priority", "label": "OAK-2M9Q", "ticket": "t2", "shown": "high", "seen": "c1", "siblings": []object{
		{"value": "high", "author": tom, "where": "edge", "stamp": ago(50 * time.Minute), "shown": true},
		{"value": "urgent", "author": object{"id": "p1", "name": "Ada Admin"}, "where": "cloud", "stamp": ago(48 * time.Minute), "shown": false}}}}
	c.alarms = []object{
		{"id": "a1", "device": "d1", "device_name": "Leak sensor sink", "cause": "leak", "state": "active", "unit_name": "Flat 12", "raised_at": ago(3 * time.Hour), "ticket": "t2", "flapping": true, "seen": "s"},
		{"id": "a2", "device": "d2", "device_name": "Cellar climate", "cause": "temperature", "state": "cleared", "unit_name": "Cellar", "asset": "e1", "asset_name": "Boiler 1", "raised_at": ago(30 * time.Hour), "cleared_at": ago(29 * time.Hour), "seen": "s"},
	}
	c.edges = []object{
		{"id": "0192b5c4-aaaa", "building": "b1", "name": "Oak House box", "connected": true, "heard_at": ago(2 * time.Second), "version": "1.0.0",
			"link": object{"state": "synced", "receipt_at": ago(10 * time.Second), "waiting": 0}},
		{"id": "0192b5c4-bbbb", "building": "b1", "name": "Oak garage box", "connected": false, "heard_at": ago(2 * time.Hour), "reported_at": ago(2 * time.Hour),
			"link": object{"state": "offline", "receipt_at": ago(3 * time.Hour), "waiting": 17, "oldest_at": ago(3 * time.Hour), "code": "unavailable", "detail": "the cloud did not answer", "remedy": "Check the internet connection of the box."}},
	}
}
