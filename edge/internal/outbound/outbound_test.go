package outbound_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"estate/edge/internal/hass"
	"estate/edge/internal/jinja"
	"estate/edge/internal/outbound"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/sync/record"
)

// world is a broker, the box's tables and its desk in memory, as an Outbound sees them.
type world struct {
	mu               sync.Mutex
	connected, asked chan struct{}
	moved            chan struct{}
	kept             map[string][]byte
	sent             []outbound.Message
	work             desk.Workload
	receipt          *time.Time
	trouble          string
}

func newWorld() *world {
	return &world{connected: make(chan struct{}, 1), asked: make(chan struct{}, 1), moved: make(chan struct{}, 1), kept: map[string][]byte{}}
}

func (w *world) Publish(_ context.Context, m outbound.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, m)
	return nil
}
func (w *world) Connected() <-chan struct{} { return w.connected }
func (w *world) Asked() <-chan struct{}     { return w.asked }
func (w *world) OpenAlarms(context.Context, record.ID) ([]desk.Alarm, error) {
	return nil, nil
}
func (w *world) Workload(context.Context, record.ID) (desk.Workload, error) { return w.work, nil }
func (w *world) Changes(context.Context, desk.Caller, record.ID, uint64) (desk.Changes, error) {
	return desk.Changes{}, nil
}
func (w *world) Kept(context.Context) (map[string][]byte, error) { return maps.Clone(w.kept), nil }
func (w *world) Keep(_ context.Context, topic string, payload []byte) error {
	w.kept[topic] = payload
	return nil
}
func (w *world) Inboxes(context.Context) (map[record.ID]uint64, error) { return nil, nil }
func (w *world) Told(context.Context, record.ID, uint64) error         { return nil }
func (w *world) take() (out []outbound.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out, w.sent = w.sent, nil
	return out
}
func (w *world) now(context.Context) (time.Time, time.Duration, error) { return time.Now(), 0, nil }
func (w *world) link(context.Context) httpapi.LinkStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return httpapi.LinkStatus{State: "synced", Waiting: 3, ReceiptAt: w.receipt}
}
func (w *world) wrong(context.Context) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trouble
}
func (w *world) run(t *testing.T, prefixes ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	o := outbound.New(outbound.Config{Code: "oak", Box: "b1", Version: "1.2.3", Desk: w, Local: w, Broker: w, Link: w.link, Blind: func() time.Time { return time.Time{} },
		Moved: w.moved, Time: w.now, TimeEvery: time.Hour, Birth: true, Prefixes: prefixes, Trouble: w.wrong,
		Lost: func(record.ID) {}, Log: slog.New(slog.DiscardHandler)})
	go func() { ended <- o.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// on finds the last message on a topic.
func on(list []outbound.Message, topic string) (found outbound.Message, ok bool) {
	for _, m := range list {
		if m.Topic == topic {
			found, ok = m, true
		}
	}
	return found, ok
}

// TestAnnouncement: what Home Assistant makes of the box's announcement and state, read as Home
// Assistant reads it: each entity has an id of its own, and each template gives its value.
func TestAnnouncement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.work = desk.Workload{Open: 7, Urgent: 2, Overdue: 4}
		at := time.Date(2026, 3, 1, 11, 59, 0, 0, time.UTC)
		w.trouble = "mqtt_left_out"
		stop := w.run(t, "homeassistant")
		defer stop()
		w.connected <- struct{}{}
		synctest.Wait()
		sent := w.take()
		config, ok := on(sent, "homeassistant/device/estate_b1/config")
		if !ok || !config.Retained || config.QoS != 1 {
			t.Fatalf("%+v", sent)
		}
		a, err := hass.Parse(hass.Address{Component: "device", ObjectID: "estate_b1"}, config.Payload)
		if err != nil || len(a.Problems) > 0 || a.Origin == "" || !slices.Equal(a.Device.Identifiers, []string{"estate_b1"}) || a.Device.Name == "" {
			t.Fatalf("%+v, %v", a, err)
		}
		state, _ := on(sent, "estate/v1/oak/state/box")
		without := values(t, a, state)
		w.mu.Lock()
		w.receipt, w.trouble = &at, ""
		w.mu.Unlock()
		w.moved <- struct{}{}
		<-time.After(time.Minute)
		synctest.Wait()
		if state, ok = on(w.take(), "estate/v1/oak/state/box"); !ok || !state.Retained {
			t.Fatal("what changed is not told")
		}
		want := "cause text nothing|cloud true|emergencies 2|emergency true|blind false|open 7|overdue 4|receipt text 2026-03-01T11:59:00Z|trouble false|waiting 3"
		if got := values(t, a, state); sorted(got) != sorted(want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if !strings.Contains(without, "cause text mqtt_left_out") || !strings.Contains(without, "trouble true") || !strings.Contains(without, "receipt no value") {
			t.Errorf("before the first receipt: %s", without)
		}
	})
}

func sorted(text string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Split(text, "|"))), "|")
}

// values reads each entity's state as Home Assistant does.
func values(t *testing.T, a hass.Announcement, state outbound.Message) string {
	t.Helper()
	if !json.Valid(state.Payload) {
		t.Fatalf("%s", state.Payload)
	}
	ids := map[string]bool{}
	var out []string
	for _, e := range a.Entities {
		if e.UniqueID == "" || ids[e.UniqueID] || e.Name == "" || len(e.Points) != 1 || e.Points[0].Topic != state.Topic || len(e.Availability.Sources) != 1 || e.Availability.Sources[0].Topic != "estate/v1/oak/state/availability" {
			t.Errorf("%+v", e)
			continue
		}
		ids[e.UniqueID] = true
		v, err := e.Points[0].Read(jinja.NewPayload(state.Payload), time.Now())
		switch {
		case err != nil:
			out = append(out, e.ID+" "+err.Error())
		case v.Form == hass.Number:
			out = append(out, fmt.Sprint(e.ID, " ", v.Number))
		case v.Form == hass.Switch:
			out = append(out, fmt.Sprint(e.ID, " ", v.On))
		default:
			out = append(out, e.ID+" text "+v.Text)
		}
	}
	return strings.Join(out, "|")
}

// TestAnnouncedAgain: a Home Assistant that has started hears everything again within half a
// minute, not at once with all others; and so does a broker that came back.
func TestAnnouncedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		stop := w.run(t, "ha/one", "homeassistant")
		defer stop()
		w.connected <- struct{}{}
		synctest.Wait()
		first := w.take()
		for _, topic := range []string{"ha/one/status", "homeassistant/status", "shellies/command", "ha/one/device/estate_b1/config", "estate/v1/oak/time"} {
			if _, ok := on(first, topic); !ok {
				t.Errorf("%s was not sent", topic)
			}
		}
		if _, ok := on(first, "homeassistant/device/estate_b1/config"); ok {
			t.Error("announced under both prefixes")
		}
		later := 0
		for range 20 {
			w.take()
			began := time.Now()
			w.asked <- struct{}{}
			for after := time.Duration(0); ; after = time.Since(began) {
				synctest.Wait()
				if _, ok := on(w.take(), "ha/one/device/estate_b1/config"); ok {
					if after > time.Second {
						later++
					}
					break
				}
				if after > 30*time.Second {
					t.Fatal("not announced again within half a minute")
				}
				<-time.After(500 * time.Millisecond)
			}
		}
		if later == 0 {
			t.Error("announced at once each time")
		}
		w.take()
		w.connected <- struct{}{}
		synctest.Wait()
		if _, ok := on(w.take(), "ha/one/device/estate_b1/config"); !ok {
			t.Error("not announced to a broker that may have forgotten")
		}
	})
}
