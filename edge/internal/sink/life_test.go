package sink_test

import (
	"log/slog"
	"testing"
	"time"

	"estate/edge/internal/sink"
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

// TestBoxesOwnAlarm: what a box says of itself has a ticket, outlives a restart as the box's own to
// end, and leaves what another box or the cloud said.
func TestBoxesOwnAlarm(t *testing.T) {
	t.Parallel()
	h := build(t)
	node, other := record.DerivedID("box"), record.DerivedID("other box")
	if err := h.SeeBox(t.Context(), h.building, other); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.RaiseAlarm(t.Context(), h.building, desk.AlarmInput{Hardware: desk.BoxHardware(other), Cause: "unheard", Onset: t0}); err != nil {
		t.Fatal(err)
	}
	moved, stop := h.store.Watch(h.building)
	defer stop()
	s := sink.New(sink.Config{Building: h.building, Node: node, Desk: h.Desk, Local: h.local, Readings: h.readings, Moved: moved, Log: slog.New(slog.DiscardHandler)})
	a := alarm()
	a.Rule, a.Cause, a.Device, a.Title, a.Since = "unheard", "unheard", desk.BoxHardware(node), "Devices are not heard", t0.Add(time.Minute)
	for range 2 {
		if err := s.RaiseAlarm(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if alarms, tickets := h.counts(); alarms != 2 || tickets != 2 {
		t.Errorf("%d alarms, %d tickets", alarms, tickets)
	}
	saved, err := s.Restore(t.Context())
	if err != nil || len(saved.Open) != 1 || saved.Open[0].Device != a.Device || !saved.Open[0].Since.Equal(a.Since) {
		t.Fatalf("%+v, %v", saved.Open, err)
	}
	a.Cleared = t0.Add(time.Hour)
	if err := s.ClearAlarm(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if saved, err = s.Restore(t.Context()); err != nil || len(saved.Open) != 0 {
		t.Errorf("%+v, %v", saved.Open, err)
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
