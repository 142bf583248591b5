package actuate_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"estate/edge/internal/actuate"
	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/edge/internal/sqlitestore"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// patience is how long a test waits for what must happen, on the busiest machine.
const patience = 90 * time.Second

const hardware = "mac:0123456789ab"

// house is a building with one adopted relay, on a real store, with a clock of its own.
type house struct {
	*desk.Desk
	t        *testing.T
	store    *sqlitestore.Store
	building record.ID
	manager  desk.Caller
	device   desk.Device
	clock    atomic.Int64 // Unix milliseconds
	blind    atomic.Bool
	offset   time.Duration
	decoder  *decode.Decoder
	board    *actuate.Board

	mu     sync.Mutex
	sent   []decode.Sending
	broken error
}

func build(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, board: actuate.NewBoard(), decoder: decode.New(decode.Config{Building: "oak"})}
	h.clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "edge.db"), sqlitestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h.store = store
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// Buildings are made at the cloud; for orders it makes no difference.
	node := &replica.Node{Key: key, Tier: record.TierCloud, Rules: schema.Default(), Store: store, Boot: func() record.ID { return record.DerivedID("boot") },
		Now: h.clock.Load, Random: rand.Reader, Schema: schema.Version}
	h.Desk = desk.New(desk.Config{Node: node, Table: schema.Default(), Query: sqlitestore.NewQueries(store, schema.Kinds()), Now: h.now, Random: rand.Reader})
	person, err := record.NewID(1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h.manager = desk.Caller{Person: person, Admin: true}
	b, err := h.CreateBuilding(t.Context(), h.manager, desk.NewBuilding{Name: "Oak", Code: "OAK"})
	if err != nil {
		t.Fatal(err)
	}
	h.building = b.ID
	if h.device, err = h.CreateDevice(t.Context(), h.manager, h.building, desk.NewDevice{Hardware: hardware, Name: "Pump"}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) now() time.Time { return time.UnixMilli(h.clock.Load()).UTC() }

func (h *house) tick(d time.Duration) { h.clock.Add(d.Milliseconds()) }

// run carries orders out until stop is called.
func (h *house) run() (stop func()) {
	h.t.Helper()
	moved, unwatch := h.store.Watch(h.building)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	r := actuate.New(actuate.Config{Building: h.building, Desk: h.Desk, Board: h.board, Now: h.now, Moved: moved, Log: slog.New(slog.DiscardHandler),
		Blind: h.blind.Load, Offset: func(context.Context) (time.Duration, error) { return h.offset, nil },
		Publish: func(_ context.Context, s decode.Sending, _ time.Time) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.sent = append(h.sent, s)
			return h.broken
		}})
	go func() { ended <- r.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				h.t.Error(err)
			}
			unwatch()
		})
	}
	h.t.Cleanup(stop)
	return stop
}

// hear gives the board what a message says.
func (h *house) hear(topic, payload string, retained bool) {
	r := h.decoder.Decode(decode.Message{Topic: topic, Payload: []byte(payload), Retained: retained, Arrival: h.now()})
	h.board.Told(ingest.Told{Hardware: hardware, Controls: h.decoder.Controls(hardware)})
	h.board.Heard(r.Observations)
	h.board.Answered(r.Answers)
}

const prefix = "shellyplus1-0123456789ab"

// relay is the device telling its state.
func (h *house) relay(on bool) {
	h.hear(prefix+"/status/switch:0", fmt.Sprintf(`{"id":0,"output":%t}`, on), false)
}

const control = "switch:0.output"

// listed waits until the building shows the relay in a state.
func (h *house) listed(state string) {
	h.t.Helper()
	h.eventually("the relay is "+state, func() bool {
		list, err := h.Controls(h.t.Context(), h.manager, h.building, h.device.ID)
		return err == nil && len(list) == 1 && list[0].State == state
	})
}

func (h *house) eventually(what string, holds func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			h.t.Fatalf("after %s still not: %s", patience, what)
		case <-poll.C:
		}
	}
}

// order gives an order, as a person who sees what the building shows.
func (h *house) order(value string) desk.Action { return h.orderOf(control, value) }

func (h *house) orderOf(control, value string) desk.Action {
	h.t.Helper()
	plan, err := h.PlanAction(h.t.Context(), h.manager, h.building, h.device.ID, control, value)
	if err != nil {
		h.t.Fatal(err)
	}
	a, err := h.OrderAction(h.t.Context(), h.manager, h.building, h.device.ID, plan.Token)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func (h *house) read(a desk.Action) desk.Action {
	h.t.Helper()
	a, err := h.Action(h.t.Context(), h.manager, h.building, h.device.ID, a.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// ends waits for the end of an order, while time passes.
func (h *house) ends(a desk.Action, step time.Duration) desk.Action {
	h.t.Helper()
	h.eventually("the order has an end", func() bool {
		a = h.read(a)
		if !a.Over() {
			h.tick(step)
		}
		return a.Over()
	})
	return a
}

// told waits until the device was told n times.
func (h *house) told(n int) decode.Sending {
	h.t.Helper()
	h.eventually(fmt.Sprint("told ", n, " times"), func() bool { return h.times() >= n })
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sent[n-1]
}

func (h *house) times() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sent)
}

// known is a house whose relay is off and listed; nothing runs.
func known(t *testing.T) *house {
	t.Helper()
	h := build(t)
	stop := h.run()
	h.relay(false)
	h.listed("off")
	stop()
	return h
}

func TestAnswered(t *testing.T) {
	t.Parallel()
	h := known(t)
	h.run()
	a := h.order("on")
	h.told(1)
	h.eventually("sent", func() bool { return h.read(a).State == "sent" })
	h.tick(time.Second)
	h.relay(false) // says again what it was: no answer
	h.relay(true)
	if got := h.ends(a, 0); got.State != "answered" || got.Answer != "on" || got.Reason != nil || got.SentAt == nil {
		t.Errorf("%+v", got)
	}
	h.listed("on")
	if n := h.times(); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// What does not hold when the box looks again is refused, and nothing is sent.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(h *house)
		state     string
		reason    problem.Code
	}{
		"Late":        {func(h *house) { h.tick(desk.ActionLife) }, "expired", problem.ActionExpired},
		"VeryLate":    {func(h *house) { h.tick(time.Hour) }, "expired", problem.ActionExpired},
		"FromAhead":   {func(h *house) { h.offset = -time.Minute }, "expired", problem.ActionExpired},
		"ClockBehind": {func(h *house) { h.tick(-time.Hour); h.offset = 2 * time.Hour }, "expired", problem.ActionExpired},
		"Offline":     {func(h *house) { h.hear(prefix+"/online", "false", false) }, "refused", problem.DeviceOffline},
		"KeptOffline": {func(h *house) { h.hear(prefix+"/online", "false", true) }, "refused", problem.DeviceOffline},
		"Changed":     {func(h *house) { h.relay(true) }, "refused", problem.ActionStateChanged},
		"GatewayAway": {func(h *house) {
			h.board.Told(ingest.Told{Hardware: hardware, Via: "z2m:bridge:z", Controls: h.decoder.Controls(hardware)})
			h.board.Heard([]decode.Observation{{Hardware: "z2m:bridge:z", Key: "availability", Kind: decode.Availability, Value: decode.BoolValue(false), ArrivalTime: h.now()}})
		}, "refused", problem.DeviceOffline},
		"Gone": {func(h *house) { h.board.Told(ingest.Told{Hardware: hardware}) }, "failed", problem.ControlUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := known(t)
			a := h.order("on")
			c.meanwhile(h)
			h.run()
			step := time.Duration(0)
			if name == "Gone" {
				step = time.Second // it may only not have been told of yet
			}
			if got := h.ends(a, step); got.State != c.state || got.Reason == nil || got.Reason.Code != c.reason || got.Reason.Remedy == "" {
				t.Errorf("%+v, %+v", got, got.Reason)
			}
			if n := h.times(); n != 0 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// A state is believed for as long as the device itself says, else for as long as its reports
// usually take; past that an order is refused.
func TestStale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expire  string // of its announcement
		pauses  []time.Duration
		online  bool
		silence time.Duration
		want    problem.Code
	}{
		"AtOnce":        {"", nil, false, time.Minute, ""},
		"NoUsualPause":  {"", nil, false, 16 * time.Minute, problem.DeviceStale},
		"UsualPause":    {"", []time.Duration{10 * time.Minute, 10 * time.Minute, 10 * time.Minute}, false, 29 * time.Minute, ""},
		"TwiceAsLong":   {"", []time.Duration{10 * time.Minute, 10 * time.Minute, 10 * time.Minute}, false, 31 * time.Minute, problem.DeviceStale},
		"Online":        {"", nil, true, 24 * time.Hour, ""},
		"OnlineTooLong": {"", nil, true, 26 * time.Hour, problem.DeviceStale},
		"ItSaysSo":      {`"exp_aft":60,`, []time.Duration{10 * time.Minute, 10 * time.Minute, 10 * time.Minute}, true, 61 * time.Second, problem.DeviceStale},
		"ItSaysNot":     {`"exp_aft":60,`, nil, false, 59 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.run()
			h.hear("homeassistant/switch/r/config", `{"stat_t":"r/state","cmd_t":"r/set","avty_t":"r/up",`+c.expire+`"uniq_id":"r","dev":{"cns":[["mac","0123456789ab"]]}}`, true)
			for _, pause := range append(c.pauses, 0) {
				h.hear("r/state", "OFF", false)
				h.tick(pause)
			}
			h.hear("r/state", "OFF", false)
			if c.online {
				h.hear("r/up", "online", true)
			}
			h.eventually("saved with its expiry", func() bool {
				list, err := h.Controls(t.Context(), h.manager, h.building, h.device.ID)
				return err == nil && len(list) == 1 && list[0].State == "off" && list[0].StateAt.Equal(h.now()) && (list[0].ExpiresAfter > 30*60) == (c.online && c.expire == "")
			})
			h.tick(c.silence)
			_, err := h.PlanAction(t.Context(), h.manager, h.building, h.device.ID, "r", "on")
			if c.want == "" && err != nil || c.want != "" && !problem.HasCode(err, c.want) {
				t.Errorf("after %s: %v, want %q", c.silence, err, c.want)
			}
		})
	}
}

// An order that the device does not answer has failed, and says so; so has one of which it is
// not known whether the broker got it.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broken error
		want   problem.Code
	}{"Silent": {nil, problem.ActionNoAnswer}, "BrokerAway": {errors.New("away"), problem.BrokerAway}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := known(t)
			h.broken = c.broken
			h.run()
			a := h.order("on")
			h.told(1)
			h.relay(false)
			if got := h.ends(a, 2*time.Second); got.State != "failed" || got.Reason.Code != c.want || got.Answer != "off" {
				t.Errorf("%+v, %+v", got, got.Reason)
			}
			if n := h.times(); n != 1 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// While devices are not heard nothing is sent; once they are it is, if its time is not over.
func TestBlind(t *testing.T) {
	t.Parallel()
	h := known(t)
	h.blind.Store(true)
	h.run()
	first := h.order("on")
	if got := h.ends(first, time.Second); got.State != "failed" || got.Reason.Code != problem.BrokerAway {
		t.Errorf("%+v, %+v", got, got.Reason)
	}
	if n := h.times(); n != 0 {
		t.Fatalf("told %d times", n)
	}
	second := h.order("on")
	h.tick(desk.ActionLife / 2)
	h.blind.Store(false)
	h.told(1)
	h.relay(true)
	if got := h.ends(second, 0); got.State != "answered" {
		t.Errorf("%+v", got)
	}
}

// The edge stops between noting that it sends and the answer. The next run sends again what may
// have been sent, within its time, and nothing that the device already did.
func TestStoppedBetween(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(h *house)
		again     int
		state     string
	}{
		"SentAgain":     {func(*house) {}, 2, "answered"},
		"DoneMeanwhile": {func(h *house) { h.tick(time.Second); h.relay(true) }, 1, "answered"},
		"TooLateToSend": {func(h *house) { h.tick(desk.ActionLife) }, 1, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := known(t)
			stop := h.run()
			a := h.order("on")
			h.told(1)
			h.eventually("sent", func() bool { return h.read(a).State == "sent" })
			stop()
			h.board = actuate.NewBoard() // the next run knows what was saved
			h.relay(false)
			c.meanwhile(h)
			h.run()
			if c.again == 2 {
				if one, two := h.told(1), h.told(2); string(one.Payload) != string(two.Payload) || one.Topic != two.Topic {
					t.Errorf("told %s and then %s", one.Payload, two.Payload)
				}
				h.tick(time.Second)
				h.relay(true)
			}
			if got := h.ends(a, 2*time.Second); got.State != c.state {
				t.Errorf("%+v, %+v", got, got.Reason)
			}
			if n := h.times(); n != c.again {
				t.Errorf("told %d times, want %d", n, c.again)
			}
		})
	}
}

// A device that is there, and of which the broker kept the last state, can be ordered at once;
// of one that may not be there it is not known how old that is.
func TestKept(t *testing.T) {
	t.Parallel()
	for _, online := range []bool{true, false} {
		t.Run(fmt.Sprint("Online=", online), func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.run()
			if online {
				h.hear(prefix+"/online", "true", true)
			}
			h.hear(prefix+"/status/switch:0", `{"id":0,"output":false}`, true)
			h.listed("off")
			_, err := h.PlanAction(t.Context(), h.manager, h.building, h.device.ID, control, "on")
			if online && err != nil || !online && !problem.HasCode(err, problem.DeviceStale) {
				t.Errorf("%v", err)
			}
		})
	}
}
