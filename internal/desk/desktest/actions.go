package desktest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

// valve is a world with an adopted valve that is open, in unit A.
type valve struct {
	*world
	device desk.Device
	state  desk.ControlState
}

func newValve(t *testing.T, open Opener) *valve {
	w := populated(t, open)
	v := &valve{world: w}
	v.device = must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: "mac:0123456789ab", Name: "Main valve", Unit: w.unitA}))(t)
	v.state = desk.ControlState{Hardware: v.device.Hardware, Control: "valve", Name: "Water", Sort: "valve", Accepts: desk.Accepts{Values: []string{"open", "closed"}},
		State: "open", Expires: 15 * time.Minute}
	v.report("open")
	return v
}

// report is the device telling its state now.
func (v *valve) report(state string) {
	v.Helper()
	v.state.State, v.state.StateAt = state, v.now()
	if err := v.SaveControls(ctx(), v.home, []desk.ControlState{v.state}); err != nil {
		v.Fatal(err)
	}
}

func (v *valve) plan(value string) desk.ActionPlan {
	v.Helper()
	return v.plans("valve", value)
}

func (v *valve) plans(control, value string) desk.ActionPlan {
	v.Helper()
	return must(v.PlanAction(ctx(), v.tess, v.home, v.device.ID, control, value))(v.T)
}

func (v *valve) order(token string) (desk.Action, error) {
	return v.OrderAction(ctx(), v.tess, v.home, v.device.ID, token)
}

// done gives an order and has it answered.
func (v *valve) done(value string) desk.Action {
	v.Helper()
	a := must(v.order(v.plan(value).Token))(v.T)
	must(v.SendAction(ctx(), v.home, a.ID))(v.T)
	v.report(value)
	return must(v.EndAction(ctx(), v.home, a.ID, desk.ActionEnd{State: "answered", Answer: value}))(v.T)
}

func testActions(t *testing.T, open Opener) {
	v := newValve(t, open)
	list := must(v.Controls(ctx(), v.tess, v.home, v.device.ID))(t)
	if len(list) != 1 || list[0].State != "open" || list[0].Refused != nil || !slices.Equal(list[0].Values, []string{"open", "closed"}) {
		t.Fatalf("controls: %+v", list)
	}
	v.tick(10 * time.Second)
	plan := v.plan("closed")
	if plan.State != "open" || plan.AgeSeconds != 10 || plan.UnitName != "A 1" || len(plan.Dangers) != 0 || plan.Value != "closed" {
		t.Fatalf("plan: %+v", plan)
	}
	asked := must(v.order(plan.Token))(t)
	equal(t, "state", asked.State, "asked")
	equal(t, "life", asked.ExpiresAt.Sub(*asked.AskedAt), desk.ActionLife)
	equal(t, "asked by", asked.AskedBy.Name, "tess")
	equal(t, "the same token again", must(v.order(plan.Token))(t).ID, asked.ID)
	v.tick(time.Second)
	_, err := v.order(v.plan("closed").Token)
	wantCode(t, err, problem.ActionPending)
	open1 := must(v.OpenActions(ctx(), v.home))(t)
	if len(open1) != 1 || open1[0].ID != asked.ID || open1[0].Hardware != v.device.Hardware {
		t.Fatalf("open orders: %+v", open1)
	}
	equal(t, "sent", must(v.SendAction(ctx(), v.home, asked.ID))(t).State, "sent")
	_, err = v.SendAction(ctx(), v.home, asked.ID)
	wantCode(t, err, problem.Conflict)
	_, err = v.EndAction(ctx(), v.home, asked.ID, desk.ActionEnd{State: "expired", Reason: problem.ActionExpired})
	wantCode(t, err, problem.Conflict)
	v.tick(2 * time.Second)
	v.report("closed")
	for range 2 {
		got := must(v.EndAction(ctx(), v.home, asked.ID, desk.ActionEnd{State: "answered", Answer: "closed"}))(t)
		if got.State != "answered" || got.Answer != "closed" || !got.AnsweredAt.Equal(v.now()) || got.Reason != nil {
			t.Fatalf("answered: %+v", got)
		}
	}
	equal(t, "orders", must(v.Actions(ctx(), v.boss, v.home, v.device.ID, desk.Page{}))(t).Items[0].State, "answered")
	equal(t, "open orders", len(must(v.OpenActions(ctx(), v.home))(t)), 0)
	var by []string
	for _, e := range must(v.Audit(ctx(), v.boss, v.home, desk.AuditFilter{Kind: "action", ID: asked.ID}, desk.Page{}))(t).Items {
		who := e.Automation
		if e.Actor != nil {
			who = e.Actor.Name
		}
		by = append(by, e.Action+" "+who)
	}
	if got := strings.Join(by, ", "); got != "action.answered actuate, action.send actuate, action.order tess" {
		t.Errorf("audit: %s", got)
	}
}

// An order is refused to whoever may not give it, and where it is about something else than
// what its author was shown.
func testActionRefusals(t *testing.T, open Opener) {
	v := newValve(t, open)
	for name, c := range map[string]desk.Caller{"tenant": v.ann, "stranger": v.stranger} {
		_, err := v.PlanAction(ctx(), c, v.home, v.device.ID, "valve", "closed")
		if !problem.HasCode(err, problem.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := v.OrderAction(ctx(), c, v.home, v.device.ID, v.plan("closed").Token); !problem.HasCode(err, problem.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := v.Controls(ctx(), c, v.home, v.device.ID); !problem.HasCode(err, problem.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := v.PlanAction(ctx(), v.tess, v.home, v.device.ID, "nothing", "closed")
	wantCode(t, err, problem.ControlUnknown)
	_, err = v.PlanAction(ctx(), v.tess, v.home, v.device.ID, "valve", "toggle")
	wantCode(t, err, problem.InvalidInput)

	token := v.plan("closed").Token
	for _, bad := range []string{"", "x", token[:len(token)-2], token + "AA", strings.ToUpper(token)} {
		_, err := v.order(bad)
		wantCode(t, err, problem.ConfirmationInvalid)
	}
	_, err = v.OrderAction(ctx(), v.boss, v.home, v.device.ID, token)
	wantCode(t, err, problem.ConfirmationInvalid)
	v.tick(61 * time.Second)
	_, err = v.order(token)
	wantCode(t, err, problem.ConfirmationExpired)

	token = v.plan("closed").Token
	v.report("closing")
	_, err = v.order(token)
	wantCode(t, err, problem.ActionStateChanged)

	v.report("open")
	token = v.plan("closed").Token
	v.tick(50 * time.Second)
	v.state.Expires = 40 * time.Second
	if err := v.SaveControls(ctx(), v.home, []desk.ControlState{v.state}); err != nil {
		t.Fatal(err)
	}
	_, err = v.order(token)
	wantCode(t, err, problem.DeviceStale)
	v.report("open")
	token = v.plan("closed").Token
	v.availability("offline")
	_, err = v.order(token)
	wantCode(t, err, problem.DeviceOffline)
	equal(t, "why", must(v.Controls(ctx(), v.tess, v.home, v.device.ID))(t)[0].Refused.Code, problem.DeviceOffline)
	v.availability("online")
	must(v.UpdateDevice(ctx(), v.boss, v.home, v.device.ID, desk.DeviceChange{Adopted: ptr(false)}))(t)
	_, err = v.order(token)
	wantCode(t, err, problem.DeviceNotAdopted)
	must(v.UpdateDevice(ctx(), v.boss, v.home, v.device.ID, desk.DeviceChange{Adopted: ptr(true)}))(t)
	gone := v.state
	gone.Gone = true
	if err := v.SaveControls(ctx(), v.home, []desk.ControlState{gone}); err != nil {
		t.Fatal(err)
	}
	_, err = v.order(token)
	wantCode(t, err, problem.ControlUnknown)
	equal(t, "orders", must(v.Actions(ctx(), v.boss, v.home, v.device.ID, desk.Page{}))(t).Total, 0)
}

func (v *valve) availability(what string) {
	v.Helper()
	if err := v.ReportDevice(ctx(), v.home, v.device.Hardware, desk.DeviceStatus{Availability: what}); err != nil {
		v.Fatal(err)
	}
}

// What is dangerous is said, and confirmed as it was said.
func testActionDangers(t *testing.T, open Opener) {
	v := newValve(t, open)
	must(v.CreateDevice(ctx(), v.boss, v.home, desk.NewDevice{Hardware: "leak 1", Name: "Bathroom", Unit: v.unitA}))(t)
	codes := func(p desk.ActionPlan) string {
		var out []string
		for _, d := range p.Dangers {
			out = append(out, d.Code)
			if d.Message == d.Code {
				t.Errorf("danger %s says nothing", d.Code)
			}
		}
		return strings.Join(out, " ")
	}
	raise := func(hardware, cause string) desk.AlarmEnd {
		t.Helper()
		if _, _, err := v.RaiseAlarm(ctx(), v.home, desk.AlarmInput{Hardware: hardware, Cause: cause, Onset: v.now(), Quiet: true}); err != nil {
			t.Fatal(err)
		}
		return desk.AlarmEnd{Hardware: hardware, Cause: cause, Onset: v.now()}
	}
	clear := func(e desk.AlarmEnd) {
		t.Helper()
		e.At = v.now()
		must(v.ClearAlarm(ctx(), v.home, e))(t)
	}
	leak := raise("leak 1", "leak")
	equal(t, "closing during a leak", codes(v.plan("closed")), "")
	v.tick(time.Second)
	v.done("closed")
	equal(t, "opening during a leak", codes(v.plan("open")), "leak_open closed_by_leak")
	v.tick(time.Second)
	clear(leak)
	plan := v.plan("open")
	equal(t, "opening after the leak", codes(plan), "closed_by_leak")
	opened := must(v.order(plan.Token))(t)
	if len(opened.Dangers) != 1 || opened.Dangers[0].Code != "closed_by_leak" {
		t.Errorf("what was confirmed: %+v", opened.Dangers)
	}
	must(v.EndAction(ctx(), v.home, opened.ID, desk.ActionEnd{State: "refused", Reason: problem.ActionStateChanged}))(t)
	v.tick(time.Second)
	safe := v.plan("closed")
	battery := raise(v.device.Hardware, "battery_low")
	_, err := v.order(safe.Token)
	wantCode(t, err, problem.ActionStateChanged)
	equal(t, "with an alarm of its own", codes(v.plan("closed")), "alarm_active")
	v.tick(time.Second)
	clear(battery)
	v.tick(time.Second)
	v.done("open")
	v.tick(time.Second)
	v.done("closed")
	equal(t, "closed when there was no leak", codes(v.plan("open")), "")
}

// An order that nobody carries out is seen to be overdue, and another may be given.
func testActionOverdue(t *testing.T, open Opener) {
	v := newValve(t, open)
	asked := must(v.order(v.plan("closed").Token))(t)
	v.tick(desk.ActionLife + desk.AnswerWait)
	equal(t, "overdue", must(v.Action(ctx(), v.tess, v.home, v.device.ID, asked.ID))(t).Overdue, false)
	v.tick(time.Second)
	equal(t, "overdue", must(v.Action(ctx(), v.tess, v.home, v.device.ID, asked.ID))(t).Overdue, true)
	v.report("open")
	must(v.order(v.plan("closed").Token))(t)
	end := must(v.EndAction(ctx(), v.home, asked.ID, desk.ActionEnd{State: "expired", Reason: problem.ActionExpired}))(t)
	if end.State != "expired" || end.Reason == nil || end.Reason.Remedy == "" || end.Overdue {
		t.Errorf("expired: %+v", end)
	}
	_, err := v.Action(ctx(), v.tess, v.home, record.DerivedID("another device"), asked.ID)
	wantCode(t, err, problem.NotFound)
}

// Numbers are compared as numbers; a control that is told of again is as it is told.
func testControls(t *testing.T, open Opener) {
	v := newValve(t, open)
	set := desk.ControlState{Hardware: v.device.Hardware, Control: "setpoint", Sort: "setpoint", Accepts: desk.Accepts{Min: ptr(5.0), Max: ptr(30.0)},
		State: "21", StateAt: v.now(), Expires: time.Hour}
	stray := set
	stray.Hardware = "mac:000000000000"
	for range 2 {
		if err := v.SaveControls(ctx(), v.home, []desk.ControlState{set, stray}); err != nil {
			t.Fatal(err)
		}
	}
	for value, want := range map[string]string{"21.50": "21.5", "5": "5", "31": "", "NaN": "", "x": "", "4.9": ""} {
		plan, err := v.PlanAction(ctx(), v.tess, v.home, v.device.ID, "setpoint", value)
		if want == "" {
			if !problem.HasCode(err, problem.InvalidInput) {
				t.Errorf("%s: %v", value, err)
			}
			continue
		}
		if err != nil || plan.Value != want {
			t.Errorf("%s: %q, %v", value, plan.Value, err)
		}
	}
	motor := set
	motor.Control, motor.Sort, motor.State, motor.Accepts = "blind", "cover", "opening", desk.Accepts{Values: []string{"open", "closed", desk.Stopped}}
	if err := v.SaveControls(ctx(), v.home, []desk.ControlState{motor}); err != nil {
		t.Fatal(err)
	}
	halt, move := v.plans("blind", desk.Stopped), v.plans("blind", "closed")
	motor.State = "open"
	if err := v.SaveControls(ctx(), v.home, []desk.ControlState{motor}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.order(move.Token); !problem.HasCode(err, problem.ActionStateChanged) {
		t.Errorf("it moved since: %v", err)
	}
	if _, err := v.order(halt.Token); err != nil {
		t.Errorf("it is to stop, wherever it is: %v", err)
	}
	motor.Gone = true
	if err := v.SaveControls(ctx(), v.home, []desk.ControlState{motor}); err != nil {
		t.Fatal(err)
	}
	all := must(v.AllControls(ctx(), v.home))(t)
	if len(all) != 2 {
		t.Fatalf("controls: %+v", all)
	}
	before := must(v.Position(ctx(), v.home))(t)
	if err := v.SaveControls(ctx(), v.home, all); err != nil {
		t.Fatal(err)
	}
	equal(t, "position after nothing new", must(v.Position(ctx(), v.home))(t), before)
	set.Gone = true
	if err := v.SaveControls(ctx(), v.home, []desk.ControlState{set}); err != nil {
		t.Fatal(err)
	}
	equal(t, "controls", len(must(v.Controls(ctx(), v.tess, v.home, v.device.ID))(t)), 1)
	set.Gone = false
	if err := v.SaveControls(ctx(), v.home, []desk.ControlState{set}); err != nil {
		t.Fatal(err)
	}
	equal(t, "controls, back again", len(must(v.Controls(ctx(), v.tess, v.home, v.device.ID))(t)), 2)
}
