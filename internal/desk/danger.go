package desk

import (
	"context"
	"slices"
	"time"

	"estate/sync/record"
)

// Danger is what a person is told before they confirm an order.
type Danger struct {
	Code    string `json:"code" enum:"alarm_active,leak_open,closed_by_leak"`
	Message string `json:"message"`
}

// The dangers.
const (
	dangerAlarm  = "alarm_active"
	dangerLeak   = "leak_open"
	dangerClosed = "closed_by_leak"
)

// leakCause is the cause of the shipped rule about water.
const leakCause = "leak"

// dangerAlarmsMax bounds the alarms that are looked at: the latest tell.
const dangerAlarmsMax = 200

func dangerText(code string) string {
	switch code {
	case dangerAlarm:
		return "The device has an alarm that has not cleared"
	case dangerLeak:
		return "A leak is reported where this valve is: opening it lets the water run again"
	case dangerClosed:
		return "The valve was closed while there was a leak: make sure that it was mended"
	}
	return code
}

func dangersOf(codes []string) []Danger {
	out := []Danger{}
	for _, code := range codes {
		out = append(out, Danger{Code: code, Message: dangerText(code)})
	}
	return out
}

// look finds what makes the order dangerous.
func (o *ordering) look(ctx context.Context, device, control fields) error {
	o.dangers = nil
	active := []record.Value{record.Text("active"), record.Text("acknowledged")}
	own, _, err := o.desk.selectItems(ctx, Selection{Shape: shapeAlarmsByDevice, Building: o.building, Lead: record.IDValue(o.device.ID), Limit: 1,
		Filters: map[string][]record.Value{"state": active}})
	if err != nil {
		return err
	}
	if len(own) > 0 {
		o.dangers = append(o.dangers, dangerAlarm)
	}
	if o.value != "open" || control.text("sort") != "valve" {
		return nil
	}
	leaks, err := o.leaks(ctx, device)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(leaks, func(a fields) bool { return a.text("state") != "cleared" }) {
		o.dangers = append(o.dangers, dangerLeak)
	}
	closed, err := o.lastClosed(ctx)
	if err != nil || closed == nil {
		return err
	}
	if slices.ContainsFunc(leaks, func(a fields) bool { return covers(a, *closed) }) {
		o.dangers = append(o.dangers, dangerClosed)
	}
	return nil
}

// leaks are the leaks where a valve is: in its unit, or in the building where it has none.
func (o *ordering) leaks(ctx context.Context, device fields) (out []fields, _ error) {
	filters := map[string][]record.Value{}
	if unit := device.id("unit"); !unit.IsZero() {
		filters["unit"] = []record.Value{record.IDValue(unit)}
	}
	items, _, err := o.desk.selectItems(ctx, Selection{Shape: shapeAlarms, Building: o.building, Limit: dangerAlarmsMax, Filters: filters})
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if f := o.desk.fields(it); f.text("cause") == leakCause {
			out = append(out, f)
		}
	}
	return out, nil
}

// covers reports whether an alarm stood at a time.
func covers(alarm fields, at time.Time) bool {
	raised, cleared := alarm.time("raised_at"), alarm.time("cleared_at")
	return raised != nil && !raised.After(at) && (cleared == nil || !cleared.Before(at))
}

// lastClosed is when the valve was last closed by an order that was answered, unless it was
// opened by one since; nil where there was none.
func (o *ordering) lastClosed(ctx context.Context) (*time.Time, error) {
	items, _, err := o.desk.selectItems(ctx, Selection{Shape: shapeActionsByDevice, Building: o.building, Lead: record.IDValue(o.device.ID), Limit: PerPageMax,
		Filters: map[string][]record.Value{"state": {record.Text("answered")}}})
	if err != nil {
		return nil, err
	}
	views, err := o.desk.actionViews(ctx, items)
	if err != nil {
		return nil, err
	}
	for _, a := range views { // the latest first
		if ControlID(o.building, a.Hardware, a.Control) != o.control.ID {
			continue
		}
		if a.Value == "closed" {
			return a.AskedAt, nil
		}
		return nil, nil
	}
	return nil, nil
}
