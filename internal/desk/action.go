package desk

import (
	"context"
	"slices"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
)

// An order to a device goes through these states. Persons ask; the edge in the building does
// the rest, and only it:
//
//	asked ─▶ sent ─▶ answered   the device says that it is in the state that was wanted
//	  │        └───▶ failed     it did not, in time
//	  ├───▶ refused             what the person was shown does not hold any more
//	  └───▶ expired             it reached the edge too late: it is not sent any more
//
// Only absolute values can be ordered, "open" and "closed" but never "the other", so that an
// order which is sent twice, because the edge stopped between sending it and noting so, does
// nothing more than one that is sent once.

const (
	// ActionLife is how long after it was asked an order may be sent to the device.
	ActionLife = 30 * time.Second
	// AnswerWait is how long after that the device may take: a motor valve turns for half a
	// minute.
	AnswerWait = 60 * time.Second
	// actuateName is the actor of what an edge does about orders.
	actuateName = "actuate"
	// actionsOpenMax is more orders than one building can have under way.
	actionsOpenMax = 1000
)

// Action is an order to a device, and what became of it.
type Action struct {
	ID          record.ID  `json:"id"`
	Device      record.ID  `json:"device"`
	Hardware    string     `json:"hardware"`
	DeviceName  string     `json:"device_name,omitempty"`
	Control     string     `json:"control"`
	ControlName string     `json:"control_name,omitempty"`
	Value       string     `json:"value" doc:"The state that is wanted"`
	SeenState   string     `json:"seen_state" doc:"The state that its author was shown"`
	Dangers     []Danger   `json:"dangers,omitempty" doc:"What its author was warned of"`
	State       string     `json:"state" enum:"asked,sent,answered,failed,expired,refused"`
	Overdue     bool       `json:"overdue,omitempty" doc:"Its time is over and the building's box has not said what became of it"`
	AskedBy     *Person    `json:"asked_by,omitempty"`
	AskedAt     *time.Time `json:"asked_at"`
	ExpiresAt   *time.Time `json:"expires_at" doc:"It is not sent to the device after this"`
	SentAt      *time.Time `json:"sent_at,omitempty"`
	AnsweredAt  *time.Time `json:"answered_at,omitempty"`
	Answer      string     `json:"answer,omitempty" doc:"What the device said"`
	Reason      *Reason    `json:"reason,omitempty" doc:"Why it was not done"`
	Seen        string     `json:"seen"`
}

// Over reports whether nothing more will become of it.
func (a Action) Over() bool { return a.State != "asked" && a.State != "sent" }

// Actions lists the orders to a device, the latest first. Staff only.
func (d *Desk) Actions(ctx context.Context, c Caller, building, device record.ID, p Page) (List[Action], error) {
	if _, err := d.Device(ctx, c, building, device); err != nil {
		return List[Action]{}, err
	}
	v, err := d.Viewer(ctx, c, building)
	if err != nil {
		return List[Action]{}, err
	}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, record.Record{}) }
	return list(ctx, d, Selection{Shape: shapeActionsByDevice, Building: building, Lead: record.IDValue(device)}, p, keep, d.actionViews)
}

// Action reads one order to a device.
func (d *Desk) Action(ctx context.Context, c Caller, building, device, id record.ID) (Action, error) {
	k := key(building, "action", id)
	v, found, err := d.open(ctx, c, building, k)
	if err != nil {
		return Action{}, err
	}
	it := found.item(k)
	if !hasContent(it) || !d.table.MayRead(v, k, it.record, record.Record{}) || d.fields(it).id("device") != device {
		return Action{}, notFound("action")
	}
	return first(d.actionViews(ctx, []item{it}))
}

func (d *Desk) actionViews(ctx context.Context, items []item) ([]Action, error) {
	if len(items) == 0 {
		return []Action{}, nil
	}
	building := items[0].key.Building
	now, err := d.clock(ctx, building)
	if err != nil {
		return nil, err
	}
	names := d.refs(building)
	for _, it := range items {
		f := d.fields(it)
		names.want("device", f.id("device"))
		names.wantPerson(f.id("asked_by"))
	}
	if err := names.read(ctx); err != nil {
		return nil, err
	}
	controls := d.refs(building)
	for _, it := range items {
		f := d.fields(it)
		controls.want("control", ControlID(building, names.of(key(building, "device", f.id("device"))).text("hardware"), f.text("control")))
	}
	if err := controls.read(ctx); err != nil {
		return nil, err
	}
	out := make([]Action, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		device := names.of(key(building, "device", f.id("device")))
		a := Action{ID: it.key.ID, Device: f.id("device"), Hardware: device.text("hardware"), DeviceName: device.text("name"), Control: f.text("control"),
			ControlName: controls.name("control", ControlID(building, device.text("hardware"), f.text("control"))), Value: f.text("value"), SeenState: f.text("seen"),
			Dangers: dangersOf(f.texts("dangers")), State: f.text("state"), AskedBy: names.person(f.id("asked_by")), AskedAt: f.time("asked_at"), ExpiresAt: f.time("expires_at"),
			SentAt: f.time("sent_at"), AnsweredAt: f.time("answered_at"), Answer: f.text("answer"), Seen: seen(it.record)}
		if code := f.text("reason"); code != "" {
			a.Reason = reasonOf(problem.New(problem.Code(code), ""))
		}
		a.Overdue = !a.Over() && a.ExpiresAt != nil && now.Sub(*a.ExpiresAt) > AnswerWait
		out = append(out, a)
	}
	return out, nil
}

// OpenActions lists the orders of which the end is not known, the oldest first, for
// automation.
func (d *Desk) OpenActions(ctx context.Context, building record.ID) ([]Action, error) {
	items, _, err := d.selectItems(ctx, Selection{Shape: shapeActions, Building: building, Limit: actionsOpenMax,
		Filters: map[string][]record.Value{"state": {record.Text("asked"), record.Text("sent")}}})
	if err != nil {
		return nil, err
	}
	return d.actionViews(ctx, items)
}

// SendAction notes that an order is about to be sent to the device, before it is. It answers
// conflict for one of which that is not true any more.
func (d *Desk) SendAction(ctx context.Context, building, id record.ID) (Action, error) {
	k := key(building, "action", id)
	return d.actionStep(ctx, k, "action.send", func(x *draft) error {
		if state := x.fields(k).text("state"); state != "asked" {
			return problem.New(problem.Conflict, "the order is %s", state)
		}
		return x.setAll(k, pair{"state", record.Text("sent")}, pair{"sent_at", timeValue(x.eventTime())})
	})
}

// ActionEnd is what became of an order: answered, failed, expired or refused.
type ActionEnd struct {
	State  string
	Answer string
	Reason problem.Code
}

// EndAction notes what became of an order. What was noted before stays.
func (d *Desk) EndAction(ctx context.Context, building, id record.ID, in ActionEnd) (Action, error) {
	from := map[string][]string{"answered": {"sent"}, "failed": {"asked", "sent"}, "expired": {"asked"}, "refused": {"asked"}}[in.State]
	k := key(building, "action", id)
	return d.actionStep(ctx, k, "action."+in.State, func(x *draft) error {
		state := x.fields(k).text("state")
		if state == in.State {
			return nil
		}
		if !slices.Contains(from, state) {
			return problem.New(problem.Conflict, "the order is %s and cannot be %s", state, in.State)
		}
		return x.setAll(k, pair{"state", record.Text(in.State)}, textPair("answer", clip(in.Answer, stateMax)),
			pair{"answered_at", timeValue(x.eventTime())}, textPair("reason", string(in.Reason)))
	})
}

func (d *Desk) actionStep(ctx context.Context, k record.Key, what string, step func(*draft) error) (Action, error) {
	err := d.automate(ctx, k.Building, actuateName, what, []record.Key{k}, func(x *draft) error {
		if !hasContent(x.item(k)) {
			return notFound("action")
		}
		return step(x)
	})
	if err != nil {
		return Action{}, err
	}
	found, err := d.load(ctx, k.Building, k)
	if err != nil {
		return Action{}, err
	}
	return first(d.actionViews(ctx, []item{found.item(k)}))
}
