package desk

import (
	"context"
	"slices"
	"time"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// ActionPlan is what an order would do: what a person is shown before they confirm it.
type ActionPlan struct {
	Device      record.ID  `json:"device"`
	DeviceName  string     `json:"device_name,omitempty"`
	UnitName    string     `json:"unit_name,omitempty"`
	Control     string     `json:"control"`
	ControlName string     `json:"control_name,omitempty"`
	Sort        string     `json:"sort"`
	Value       string     `json:"value" doc:"The state that is wanted"`
	State       string     `json:"state" doc:"The state that the device says it is in"`
	StateAt     *time.Time `json:"state_at"`
	AgeSeconds  int64      `json:"age_seconds" doc:"How long ago the device confirmed its state"`
	Dangers     []Danger   `json:"dangers" doc:"Read these to the person before they confirm; empty where there are none"`
	Token       string     `json:"token" doc:"Send it to confirm: it is good for this person, device, order and state"`
	TokenUntil  time.Time  `json:"token_until"`
}

// ordering is one look at what an order is about.
type ordering struct {
	desk            *Desk
	caller          Caller
	building        record.ID
	device, control record.Key
	value           string
	dangers         []string
}

// PlanAction says what an order would do, and gives the token that confirms it. It is refused
// where the order would be.
func (d *Desk) PlanAction(ctx context.Context, c Caller, building, device record.ID, control, value string) (ActionPlan, error) {
	o, err := d.ordering(ctx, c, building, device, control)
	if err != nil {
		return ActionPlan{}, err
	}
	o.value = value
	v, found, err := d.open(ctx, c, building, o.device, o.control)
	if err != nil {
		return ActionPlan{}, err
	}
	dev, ctl := d.fields(found.item(o.device)), d.fields(found.item(o.control))
	now, err := d.clock(ctx, building)
	if err != nil {
		return ActionPlan{}, err
	}
	if o.value, err = o.fit(v, dev, ctl, now); err != nil {
		return ActionPlan{}, err
	}
	if err := o.look(ctx, dev, ctl); err != nil {
		return ActionPlan{}, err
	}
	names := d.refs(building)
	names.want("unit", dev.id("unit"))
	if err := names.read(ctx); err != nil {
		return ActionPlan{}, err
	}
	out := ActionPlan{Device: device, DeviceName: dev.text("name"), UnitName: names.name("unit", dev.id("unit")), Control: control, ControlName: ctl.text("name"),
		Sort: ctl.text("sort"), Value: o.value, State: ctl.text("state"), StateAt: ctl.time("state_at"), Dangers: dangersOf(o.dangers), TokenUntil: d.now().Add(confirmationLife).UTC()}
	out.AgeSeconds = int64(now.Sub(*out.StateAt) / time.Second)
	out.Token, err = d.confirm(confirmation{Building: building, Person: c.Person, Device: device, Control: control, Value: o.value, State: out.State,
		Dangers: o.dangers, At: d.now().UnixMilli()})
	return out, err
}

// OrderAction gives the order that a plan's token confirms. The same token again is the same
// order. It is refused where the token is too old, or what the person was shown has changed.
func (d *Desk) OrderAction(ctx context.Context, c Caller, building, device record.ID, token string) (Action, error) {
	if _, err := d.Device(ctx, c, building, device); err != nil { // before anything else is said
		return Action{}, err
	}
	shown, err := d.confirmed(token, building, device, c.Person)
	if err != nil {
		return Action{}, err
	}
	action := key(building, "action", record.DerivedID("action", token))
	have, err := d.load(ctx, building, action)
	if err != nil {
		return Action{}, err
	}
	if hasContent(have.item(action)) {
		return d.Action(ctx, c, building, device, action.ID)
	}
	if d.now().Sub(time.UnixMilli(shown.At)) > confirmationLife {
		return Action{}, problem.New(problem.ConfirmationExpired, "")
	}
	defer d.lockMaking(building)()
	o, err := d.ordering(ctx, c, building, device, shown.Control)
	if err != nil {
		return Action{}, err
	}
	o.value = shown.Value
	if err := o.pending(ctx); err != nil {
		return Action{}, err
	}
	if found, err := d.load(ctx, building, o.device, o.control); err != nil {
		return Action{}, err
	} else if err := o.look(ctx, d.fields(found.item(o.device)), d.fields(found.item(o.control))); err != nil {
		return Action{}, err
	}
	err = d.write(ctx, c, building, "action.order", []record.Key{o.device, o.control, action}, func(x *draft) error {
		return o.write(x, action, shown)
	})
	if err != nil {
		return Action{}, err
	}
	return d.Action(ctx, c, building, device, action.ID)
}

// ordering finds what an order is about, whether it can reach the building, and whether the
// caller works there.
func (d *Desk) ordering(ctx context.Context, c Caller, building, device record.ID, control string) (*ordering, error) {
	one, err := d.Device(ctx, c, building, device)
	if err != nil {
		return nil, err
	}
	if d.reachable != nil {
		near, err := d.reachable(ctx, building)
		if err != nil {
			return nil, translate(err)
		}
		if !near {
			return nil, problem.New(problem.BoxOffline, "")
		}
	}
	return &ordering{desk: d, caller: c, building: building, device: key(building, "device", device),
		control: key(building, "control", ControlID(building, one.Hardware, control))}, nil
}

// fit says whether the order can be given now, and its value as it is compared.
func (o *ordering) fit(v schema.Viewer, device, control fields, now time.Time) (string, error) {
	if !isStaff(v.Role) {
		return "", problem.New(problem.Forbidden, "only those who work for the building give orders to its devices")
	}
	if len(control.r.Fields) == 0 || control.bool("deleted") {
		return "", problem.New(problem.ControlUnknown, "")
	}
	if err := unfit(device, control, now); err != nil {
		return "", err
	}
	return accepts(control).check(o.value)
}

// pending refuses an order while another to the same control is under way.
func (o *ordering) pending(ctx context.Context) error {
	items, _, err := o.desk.selectItems(ctx, Selection{Shape: shapeActionsByDevice, Building: o.building, Lead: record.IDValue(o.device.ID), Limit: PerPageMax,
		Filters: map[string][]record.Value{"state": {record.Text("asked"), record.Text("sent")}}})
	if err != nil {
		return err
	}
	views, err := o.desk.actionViews(ctx, items)
	if err != nil {
		return err
	}
	for _, a := range views {
		if ControlID(o.building, a.Hardware, a.Control) == o.control.ID && !a.Overdue {
			return problem.New(problem.ActionPending, "%s", a.Value)
		}
	}
	return nil
}

func (o *ordering) write(x *draft, action record.Key, shown confirmation) error {
	if hasContent(x.item(action)) {
		return nil
	}
	device, err := x.readable(o.device)
	if err != nil {
		return err
	}
	control := x.fields(o.control)
	if _, err := o.fit(x.viewer, o.desk.fields(device), control, x.eventTime()); err != nil {
		return err
	}
	if control.text("state") != shown.State && shown.Value != Stopped { // what moves is another state at each look
		return problem.New(problem.ActionStateChanged, "it was %s and is %s", shown.State, control.text("state"))
	}
	for _, danger := range o.dangers {
		if !slices.Contains(shown.Dangers, danger) {
			return problem.New(problem.ActionStateChanged, "%s", dangerText(danger))
		}
	}
	now := x.eventTime()
	err = x.setAll(action, idPair("device", o.device.ID), textPair("control", shown.Control), textPair("value", shown.Value), textPair("seen", shown.State),
		idPair("asked_by", o.caller.Person), pair{"asked_at", timeValue(now)}, pair{"expires_at", timeValue(now.Add(ActionLife))}, pair{"state", record.Text("asked")})
	if err != nil {
		return err
	}
	var dangers []record.Value
	for _, danger := range shown.Dangers {
		dangers = append(dangers, record.Text(danger))
	}
	return x.members(action, "dangers", dangers, nil)
}
