package sink_test

import (
	"testing"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// TestOneTicketAcrossRules: two rules about one cause, and either of them after a restart, make
// one ticket for a device.
func TestOneTicketAcrossRules(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.adopt()
	for i, rule := range []string{"leak", "leak at night", "leak"} {
		a := alarm()
		a.Rule, a.Since = rule, t0.Add(time.Duration(i)*time.Minute)
		if err := h.sink(h.Desk).RaiseAlarm(t.Context(), a); err != nil { // a new sink, as after a restart
			t.Fatal(err)
		}
	}
	if alarms, tickets := h.counts(); alarms != 3 || tickets != 1 {
		t.Errorf("%d alarms, %d tickets, want 3 and 1", alarms, tickets)
	}
}

// TestBoxAlarmIsTheClouds: a box that comes back does not end the alarm about its own silence.
func TestBoxAlarmIsTheClouds(t *testing.T) {
	t.Parallel()
	h := build(t)
	node := record.DerivedID("box")
	if err := h.SeeBox(t.Context(), h.building, node); err != nil {
		t.Fatal(err)
	}
	in := desk.AlarmInput{Hardware: desk.BoxHardware(node), Cause: "box_silent", Onset: t0}
	if _, _, err := h.RaiseAlarm(t.Context(), h.building, in); err != nil {
		t.Fatal(err)
	}
	if open, err := h.OpenAlarms(t.Context(), h.building); err != nil || len(open) != 1 {
		t.Fatalf("%+v, %v", open, err)
	}
	if saved, err := h.sink(h.Desk).Restore(t.Context()); err != nil || len(saved.Open) != 0 {
		t.Errorf("the box would end it: %+v, %v", saved.Open, err)
	}
}
