package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
)

const (
	// controlsMax bounds the controls of one device; four relays and their settings are some tens.
	controlsMax = 100
	// stateMax bounds a state and a value, in bytes; the table of kinds has the same limit in
	// characters.
	stateMax = 500
)

// Stopped is the order to stay where it is, for what moves for a while.
const Stopped = "stopped"

// Accepts says which values a control takes: one of a list, or a number within bounds.
type Accepts struct {
	Values []string `json:"values,omitempty"`
	Min    *float64 `json:"min,omitempty"`
	Max    *float64 `json:"max,omitempty"`
	Unit   string   `json:"unit,omitempty" doc:"Of a number; empty where it has none or nothing told"`
}

// number reports whether values are numbers.
func (a Accepts) number() bool { return len(a.Values) == 0 && (a.Min != nil || a.Max != nil) }

// Equal reports whether two controls take the same values.
func (a Accepts) Equal(b Accepts) bool {
	return slices.Equal(a.Values, b.Values) && bound(a.Min) == bound(b.Min) && bound(a.Max) == bound(b.Max) && a.Unit == b.Unit
}

// check returns a value in the one form in which it is compared with a state.
func (a Accepts) check(value string) (string, error) {
	if !a.number() {
		if !slices.Contains(a.Values, value) {
			return "", invalid("value", "must be one of %q", a.Values)
		}
		return value, nil
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || a.Min != nil && n < *a.Min || a.Max != nil && n > *a.Max || n != n { //nolint:gocritic // only NaN differs from itself
		return "", invalid("value", "must be a number from %s to %s", bound(a.Min), bound(a.Max))
	}
	return strconv.FormatFloat(n, 'f', -1, 64), nil
}

func bound(n *float64) string {
	if n == nil {
		return "any"
	}
	return strconv.FormatFloat(*n, 'f', -1, 64)
}

// Reason is a code of package problem with what it says.
type Reason struct {
	Code    problem.Code `json:"code"`
	Message string       `json:"message"`
	Remedy  string       `json:"remedy"`
}

func reasonOf(p *problem.Problem) *Reason {
	if p == nil {
		return nil
	}
	return &Reason{Code: p.Code, Message: p.Message(), Remedy: p.Remedy()}
}

// Control is one thing that a device can be told.
type Control struct {
	ID      record.ID `json:"id"`
	Device  record.ID `json:"device"`
	Control string    `json:"control" doc:"The device's own word for it, which an order names"`
	Name    string    `json:"name,omitempty"`
	Sort    string    `json:"sort" enum:"switched,valve,cover,lock,setpoint,position,mode"`
	Accepts
	State   string     `json:"state,omitempty" doc:"What the device says it is; empty where it said nothing"`
	StateAt *time.Time `json:"state_at,omitempty" doc:"When the device last confirmed it"`
	// ExpiresAfter is for how many seconds after that the state is believed.
	ExpiresAfter int64 `json:"expires_after_seconds"`
	// Refused says why an order would be refused now; left out where it would not.
	Refused *Reason `json:"refused,omitempty" doc:"Why an order would be refused now"`
}

// ControlState is what an edge knows of a control of one of its devices.
type ControlState struct {
	Hardware, Control, Name, Sort string
	Accepts                       Accepts
	State                         string
	StateAt                       time.Time // zero where the device said nothing yet
	Expires                       time.Duration
	// Gone says that the device has it no more.
	Gone bool
}

// ControlID is the id of a control's record.
func ControlID(building record.ID, hardware, control string) record.ID {
	return record.DerivedID("control", building.String(), hardware, control)
}

// Controls lists what a device can be told, with its state. Staff only.
func (d *Desk) Controls(ctx context.Context, c Caller, building, device record.ID) ([]Control, error) {
	if _, err := d.Device(ctx, c, building, device); err != nil {
		return nil, err
	}
	items, err := d.controlItems(ctx, building, device)
	if err != nil {
		return nil, err
	}
	out, err := d.controlViews(ctx, items)
	slices.SortFunc(out, func(a, b Control) int { return compareText(a.Control, b.Control) })
	return out, err
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (d *Desk) controlItems(ctx context.Context, building, device record.ID) ([]item, error) {
	items, _, err := d.selectItems(ctx, Selection{Shape: shapeControls, Building: building, Lead: record.IDValue(device), Limit: controlsMax})
	return items, err
}

func (d *Desk) controlViews(ctx context.Context, items []item) ([]Control, error) {
	if len(items) == 0 {
		return []Control{}, nil
	}
	building := items[0].key.Building
	now, err := d.clock(ctx, building)
	if err != nil {
		return nil, err
	}
	names := d.refs(building)
	for _, it := range items {
		names.want("device", d.fields(it).id("device"))
	}
	if err := names.read(ctx); err != nil {
		return nil, err
	}
	out := make([]Control, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		out = append(out, Control{ID: it.key.ID, Device: f.id("device"), Control: f.text("control"), Name: f.text("name"), Sort: f.text("sort"), Accepts: accepts(f),
			State: f.text("state"), StateAt: f.time("state_at"), ExpiresAfter: f.int("expires"),
			Refused: reasonOf(unfit(names.of(key(building, "device", f.id("device"))), f, now))})
	}
	return out, nil
}

// clock is the building's time: this node's, set right by the cloud's.
func (d *Desk) clock(ctx context.Context, building record.ID) (time.Time, error) {
	have, err := d.node.Store.Load(ctx, building, replica.Need{})
	if err != nil {
		return time.Time{}, translate(fmt.Errorf("load state: %w", err))
	}
	return d.now().Add(time.Duration(have.State.ClockOffset) * time.Millisecond).UTC(), nil
}

func accepts(control fields) (a Accepts) {
	if json.Unmarshal([]byte(control.text("accepts")), &a) != nil {
		return Accepts{} // takes nothing
	}
	return a
}

// unfit says why a device cannot be given an order: nobody adopted it, it is not there, or
// what is known of it is too old.
func unfit(device, control fields, now time.Time) *problem.Problem {
	at := control.time("state_at")
	switch {
	case !device.bool("adopted"):
		return problem.New(problem.DeviceNotAdopted, "")
	case device.text("availability") == "offline":
		return problem.New(problem.DeviceOffline, "")
	case at == nil || control.text("state") == "":
		return problem.New(problem.DeviceStale, "it never said what state it is in")
	case now.Sub(*at) > time.Duration(control.int("expires"))*time.Second:
		return problem.New(problem.DeviceStale, "it last said so %s ago", now.Sub(*at).Round(time.Second))
	}
	return nil
}

// SaveControls stores what an edge knows of its devices' controls, in one transaction, as far
// as it is new. Controls of devices that nobody adopted are left out.
func (d *Desk) SaveControls(ctx context.Context, building record.ID, list []ControlState) error {
	var reads []record.Key
	for _, s := range list {
		reads = append(reads, key(building, "device", DeviceID(building, s.Hardware)), key(building, "control", ControlID(building, s.Hardware, s.Control)))
	}
	return d.automate(ctx, building, actuateName, "control.report", reads, func(x *draft) error {
		for _, s := range list {
			device := key(building, "device", DeviceID(building, s.Hardware))
			if f := x.fields(device); !f.bool("adopted") || f.bool("deleted") {
				continue
			}
			if err := x.saveControl(key(building, "control", ControlID(building, s.Hardware, s.Control)), device.ID, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *draft) saveControl(k record.Key, device record.ID, s ControlState) error {
	f := x.fields(k)
	if s.Gone {
		if !hasContent(x.item(k)) || f.bool("deleted") {
			return nil
		}
		return x.set(k, "deleted", record.Bool(true))
	}
	text, err := json.Marshal(s.Accepts)
	if err != nil {
		return err
	}
	pairs := []pair{idPair("device", device), textPair("control", s.Control)}
	if hasContent(x.item(k)) {
		pairs = nil // written once
	}
	pairs = append(pairs, textPair("name", clip(s.Name, titleMax)), textPair("sort", s.Sort), textPair("accepts", string(text)),
		textPair("state", clip(s.State, stateMax)), pair{"expires", record.Int(int64(s.Expires / time.Second))})
	if !s.StateAt.IsZero() {
		pairs = append(pairs, pair{"state_at", timeValue(s.StateAt)})
	}
	if f.bool("deleted") {
		pairs = append(pairs, pair{"deleted", record.Bool(false)})
	}
	for _, p := range pairs {
		if p.value == nil || string(f.value(p.field)) == string(p.value) {
			continue
		}
		if err := x.set(k, p.field, p.value); err != nil {
			return err
		}
	}
	return nil
}

// AllControls lists what an edge stored of its building's controls.
func (d *Desk) AllControls(ctx context.Context, building record.ID) ([]ControlState, error) {
	var out []ControlState
	s := Selection{Shape: shapeAllControls, Building: building, Limit: PerPageMax}
	for {
		items, _, err := d.selectItems(ctx, s)
		if err != nil {
			return nil, err
		}
		names := d.refs(building)
		for _, it := range items {
			names.want("device", d.fields(it).id("device"))
		}
		if err := names.read(ctx); err != nil {
			return nil, err
		}
		for _, it := range items {
			f := d.fields(it)
			one := ControlState{Hardware: names.of(key(building, "device", f.id("device"))).text("hardware"), Control: f.text("control"), Name: f.text("name"), Sort: f.text("sort"),
				Accepts: accepts(f), State: f.text("state"), Expires: time.Duration(f.int("expires")) * time.Second}
			if at := f.time("state_at"); at != nil {
				one.StateAt = *at
			}
			out = append(out, one)
		}
		if len(items) < s.Limit {
			return out, nil
		}
		after := d.place(s.Shape, items[len(items)-1])
		s.After = &after
	}
}
