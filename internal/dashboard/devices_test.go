package dashboard_test

import (
	"strings"
	"time"
)

// devicePart plays the API of devices: a climate sensor with a history that has a gap, a silent
// one, and one that waits.
type devicePart struct {
	devices  []object
	refusals []object
	series   []object
	adopted  object // the last adoption's body
	changed  object // the last change's
	controls []object
	actions  []object
	planned  object
	hearing  object
	disk     object
}

func (p *devicePart) fill(now time.Time) {
	ago := func(d time.Duration) string { return now.Add(-d).UTC().Format(time.RFC3339) }
	p.devices = []object{
		{"id": "d1", "hardware": "z2m:0x01", "name": "Leak sensor sink", "model": "Aqara SJCGQ11LM", "unit": "u1", "unit_name": "Flat 12", "adopted": true, "availability": "online", "battery": 9.0, "heard_at": ago(time.Minute), "seen": "s1"},
		{"id": "d2", "hardware": "z2m:0x02", "name": "Cellar climate", "model": "Aqara WSDCGQ11LM", "unit_name": "Cellar", "asset": "e1", "asset_name": "Boiler 1", "adopted": true, "availability": "online", "battery": 91.0, "heard_at": ago(20 * time.Second), "seen": "s2"},
		{"id": "d3", "hardware": "plain:pump", "name": "Pump", "unit": "u2", "unit_name": "Cellar", "asset": "e3", "asset_name": "Sump pump", "adopted": true, "availability": "offline", "heard_at": ago(50 * time.Hour), "seen": "s3"},
		{"id": "d4", "hardware": "mac:08b61fd90730", "name": "Flat 12 window", "model": "Shelly BLU", "adopted": false, "suggested_unit": "u1", "suggested_unit_name": "Flat 12", "suggested_asset": "e2", "suggested_asset_name": "Lift A", "seen": "s4"},
	}
	p.refusals = []object{{"login": "pump", "topic": "estate/v1/oak/dev/other pump/state", "code": "mqtt_topic_characters", "message": "The topic holds white space", "remedy": "Rename the device or its topic without spaces.", "detail": "connection closed", "count": 3, "first_at": ago(time.Hour), "last_at": ago(time.Minute)}}
	p.hearing = object{"heard": true, "messages": 1}
	p.disk = object{"state": "room", "bytes": 12_345_678, "budget_bytes": 2_000_000_000, "bytes_per_day": 40_000_000, "days_left": 49, "full_at": ago(-49 * 24 * time.Hour), "readings_from": ago(240 * time.Hour), "rollups_from": ago(240 * time.Hour)}
	p.controls = []object{{"id": "c1", "device": "d2", "control": "state", "name": "Main valve", "sort": "valve", "values": []string{"open", "closed"}, "state": "open", "state_at": ago(20 * time.Second), "expires_after_seconds": 900},
		{"id": "c2", "device": "d2", "control": "relay", "sort": "switched", "values": []string{"on", "off"}, "state": "on", "state_at": ago(9 * time.Hour), "refused": object{"code": "state_stale", "message": "The device has not confirmed its state for long", "remedy": "Wait until it is heard again."}}}
	p.series = []object{
		{"key": "temperature", "kind": "temperature", "unit_of_measure": "°C", "type": "number", "at": ago(20 * time.Second), "last": 4.5},
		{"key": "contact", "kind": "contact", "type": "bool", "at": ago(time.Hour), "last": 1},
		{"key": "linkquality", "kind": "link_quality", "type": "number", "at": ago(20 * time.Second), "last": 98},
	}
}

// readings are a day of quarters of an hour, with three hours in which nothing was heard.
func readings(now time.Time) object {
	points := []object{}
	for i := range 96 {
		if i >= 40 && i < 52 {
			continue
		}
		v := 8 - float64(i%48)/12
		points = append(points, object{"at": now.Add(time.Duration(i-96) * 15 * time.Minute).UTC().Format(time.RFC3339), "n": 15, "low": v - 0.5, "high": v + 0.5, "mean": v, "last": v})
	}
	return object{"span_seconds": 900, "points": points}
}

// device answers what is asked about devices; ok is false for what is not.
func (c *canned) device(route string, body object) (status int, out any, ok bool) {
	switch route {
	case "GET /devices":
		return 200, list(c.devices), true
	case "GET /units":
		return 200, list([]object{{"id": "u1", "name": "Flat 12"}, {"id": "u2", "name": "Cellar"}}), true
	case "GET /hearing":
		return 200, c.hearing, true
	case "GET /readings/disk":
		return 200, c.disk, true
	case "GET /refusals":
		return 200, object{"items": c.refusals}, true
	}
	method, rest, found := strings.Cut(route, " /devices/")
	id, part, _ := strings.Cut(rest, "/")
	for _, device := range c.devices {
		switch {
		case !found || device["id"] != id:
		case part == "controls":
			return 200, object{"items": where(c.controls, func(x object) bool { return x["device"] == id })}, true
		case part == "actions/plan":
			control := where(c.controls, func(x object) bool { return x["device"] == id && x["control"] == body["control"] })[0]
			dangers := []object{}
			if control["sort"] == "valve" {
				dangers = []object{{"code": "alarm_active", "message": "The device has an alarm that has not cleared"}}
			}
			c.planned = object{"device": id, "device_name": device["name"], "unit_name": "Cellar", "control": control["control"], "control_name": control["name"], "sort": control["sort"], "value": body["value"],
				"state": control["state"], "state_at": time.Now().Add(-20 * time.Second), "dangers": dangers, "token": "t"}
			return 200, c.planned, true
		case part == "actions" && method == "POST":
			c.actions = []object{{"id": "o1", "device": id, "control": c.planned["control"], "control_name": c.planned["control_name"], "value": c.planned["value"], "state": "asked", "asked_at": time.Now(),
				"asked_by": object{"name": "Ada Admin"}, "token": body["token"]}}
			return 201, c.actions[0], true
		case part == "actions":
			return 200, list(c.actions), true
		case part == "adopt":
			c.adopted, device["adopted"] = body, true
			put(device, body)
			c.pushDevice(device)
			return 200, device, true
		case part == "series":
			return 200, object{"items": c.series}, true
		case part == "readings":
			return 200, readings(time.Now()), true
		case part == "entities":
			return 200, object{"items": []object{{"key": "window", "kind": "opening", "value": "true"}, {"key": "odd", "name": "Odd value", "needs_mapping": "filter timestamp_local is not supported"}}}, true
		case method == "PATCH":
			c.changed = body
			put(device, body)
			device["seen"] = "new"
			return 200, device, true
		default:
			return 200, device, true
		}
	}
	return 0, nil, false
}

func (c *canned) pushDevice(device object) {
	c.position++
	c.push(object{"type": "change", "building": "b1", "kind": "device", "id": device["id"], "position": c.position, "record": device})
}
