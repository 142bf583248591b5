package actuate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// shows waits until the building shows a control in a state.
func (h *house) shows(control, state string) {
	h.t.Helper()
	h.eventually(control+" is "+state, func() bool {
		list, err := h.Controls(h.t.Context(), h.manager, h.building, h.device.ID)
		for _, c := range list {
			if err == nil && c.Control == control {
				return c.State == state
			}
		}
		return false
	})
}

// moves is a motor telling where it is and how it moves.
func (h *house) moves(position int, state string) {
	h.hear("shellyplus2pm-0123456789ab/status/cover:0", fmt.Sprintf(`{"id":0,"state":%q,"current_pos":%d}`, state, position), false)
}

// A motor takes its time: an order is done when the device says that it is there, give or take
// what motors miss, and not when it says that it moves.
func TestPosition(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.run()
	h.moves(100, "open")
	h.shows("cover:0.current_pos", "100")
	a := h.orderOf("cover:0.current_pos", "40")
	if s := h.told(1); !strings.Contains(string(s.Payload), `"Cover.GoToPosition"`) || !strings.Contains(string(s.Payload), `"pos":40`) {
		t.Errorf("told %s", s.Payload)
	}
	h.eventually("sent", func() bool { return h.read(a).State == "sent" })
	for _, position := range []int{90, 60, 43} {
		h.tick(time.Second)
		h.moves(position, "closing")
		h.shows("cover:0.current_pos", fmt.Sprint(position))
		if got := h.read(a); got.Over() {
			t.Fatalf("at %d: %+v", position, got)
		}
	}
	h.tick(time.Second)
	h.moves(41, "stopped")
	if got := h.ends(a, 0); got.State != "answered" || got.Answer != "41" {
		t.Errorf("%+v, %+v", got, got.Reason)
	}
}

// Who stops a motor cannot know how it will be by then: that it moved on meanwhile refuses
// nothing. It is done when the device says, after it was told, that it does not move.
func TestStop(t *testing.T) {
	t.Parallel()
	h := build(t)
	stop := h.run()
	h.moves(80, "closing")
	h.shows("cover:0.state", "closing")
	stop()
	a := h.orderOf("cover:0.state", "stopped")
	h.moves(60, "opening")
	h.run()
	if s := h.told(1); !strings.Contains(string(s.Payload), `"Cover.Stop"`) {
		t.Errorf("told %s", s.Payload)
	}
	h.eventually("sent", func() bool { return h.read(a).State == "sent" })
	h.tick(time.Second)
	h.moves(61, "opening")
	h.shows("cover:0.current_pos", "61")
	if got := h.read(a); got.Over() {
		t.Fatalf("it moves: %+v", got)
	}
	h.moves(62, "stopped")
	if got := h.ends(a, 0); got.State != "answered" || got.Answer != "stopped" {
		t.Errorf("%+v, %+v", got, got.Reason)
	}
}

// A thermostat is told a temperature, in the bounds that it announced, and a mode of its list.
func TestClimate(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.run()
	h.hear("homeassistant/climate/hall/config", `{"uniq_id":"hall","dev":{"cns":[["mac","0123456789ab"]]},"mode_stat_t":"c/mode","mode_cmd_t":"c/mode/set","modes":["off","heat"],"temp_stat_t":"c/temp","temp_cmd_t":"c/temp/set","min_temp":10,"max_temp":26}`, true)
	h.hear("c/mode", "heat", false)
	h.hear("c/temp", "19", false)
	h.shows("hall.temperature", "19")
	h.shows("hall.mode", "heat")
	if _, err := h.PlanAction(t.Context(), h.manager, h.building, h.device.ID, "hall.temperature", "27"); err == nil {
		t.Error("27 degrees are beyond the bounds")
	}
	if _, err := h.PlanAction(t.Context(), h.manager, h.building, h.device.ID, "hall.mode", "cool"); err == nil {
		t.Error("it has no mode to cool")
	}
	for n, c := range []struct{ control, value, topic, says string }{{"hall.temperature", "21.5", "c/temp/set", "21.50"}, {"hall.mode", "off", "c/mode/set", "off"}} {
		a := h.orderOf(c.control, c.value)
		if s := h.told(n + 1); s.Topic != c.topic || string(s.Payload) != c.value {
			t.Errorf("told %s %s", s.Topic, s.Payload)
		}
		h.eventually("sent", func() bool { return h.read(a).State == "sent" })
		h.tick(time.Second)
		h.hear(strings.TrimSuffix(c.topic, "/set"), c.says, false)
		if got := h.ends(a, 0); got.State != "answered" || got.Answer != c.value {
			t.Errorf("%+v, %+v", got, got.Reason)
		}
	}
}
