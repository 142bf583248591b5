package sink_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/edge/internal/local"
	"estate/edge/internal/sink"
	"estate/edge/internal/sqlitestore"
	"estate/internal/desk"
	"estate/internal/rules"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const hardware = "z2m:0x1"

// house is a building with one manager on a real store.
type house struct {
	*desk.Desk
	t        *testing.T
	store    *sqlitestore.Store
	local    *local.Store
	building record.ID
	manager  desk.Caller
}

func build(t *testing.T) *house {
	t.Helper()
	ctx := t.Context()
	store, err := sqlitestore.Open(ctx, filepath.Join(t.TempDir(), "edge.db"), sqlitestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// Buildings are made at the cloud; for the sink it makes no difference.
	node := &replica.Node{Key: key, Tier: record.TierCloud, Rules: schema.Default(), Store: store, Boot: func() record.ID { return record.DerivedID("boot") },
		Now: func() int64 { return t0.UnixMilli() }, Random: rand.Reader, Schema: schema.Version}
	h := &house{t: t, store: store, local: local.New(store)}
	h.Desk = desk.New(desk.Config{Node: node, Table: schema.Default(), Query: sqlitestore.NewQueries(store, schema.Kinds()), Now: func() time.Time { return t0 }, Random: rand.Reader})
	person, err := record.NewID(1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h.manager = desk.Caller{Person: person, Admin: true}
	b, err := h.CreateBuilding(ctx, h.manager, desk.NewBuilding{Name: "Oak", Code: "OAK"})
	if err != nil {
		t.Fatal(err)
	}
	h.building = b.ID
	return h
}

func (h *house) sink(d sink.Desk) *sink.Sink {
	h.t.Helper()
	moved, stop := h.store.Watch(h.building)
	h.t.Cleanup(stop)
	return sink.New(sink.Config{Building: h.building, Desk: d, Local: h.local, Moved: moved, Log: slog.New(slog.DiscardHandler)})
}

func (h *house) adopt() {
	h.t.Helper()
	d, err := h.SeeDevice(h.t.Context(), h.building, hardware, "cellar", "")
	if err == nil {
		_, err = h.AdoptDevice(h.t.Context(), h.manager, h.building, d.ID, "Cellar", record.ID{})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) readings() int {
	h.t.Helper()
	got, err := h.Readings(h.t.Context(), h.manager, h.building, desk.DeviceID(h.building, hardware), time.Time{}, desk.Page{})
	if err != nil {
		h.t.Fatal(err)
	}
	return got.Total
}

func (h *house) counts() (alarms, tickets int) {
	h.t.Helper()
	a, err := h.Alarms(h.t.Context(), h.manager, h.building, desk.AlarmFilter{}, desk.Page{})
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := h.Tickets(h.t.Context(), h.manager, h.building, desk.TicketFilter{}, desk.Page{})
	if err != nil {
		h.t.Fatal(err)
	}
	return a.Total, b.Total
}

func seen(kind decode.Kind, v decode.Value, after time.Duration) decode.Observation {
	return decode.Observation{Hardware: hardware, Key: string(kind), Kind: kind, Value: v, ArrivalTime: t0.Add(after)}
}

func alarm() rules.Alarm {
	return rules.Alarm{Rule: "leak", Version: 1, Title: "Water leak", Cause: "leak", Severity: rules.Emergency, Category: "plumbing", Ticket: true,
		Device: hardware, Since: t0, Detail: "leak is true"}
}

func TestPace(t *testing.T) {
	t.Parallel()
	number, yes := decode.NumberValue, decode.BoolValue
	flapping := make([]decode.Observation, 100)
	for i := range flapping {
		flapping[i] = seen(decode.Contact, yes(i%2 == 0), time.Duration(i)*time.Second)
	}
	retained := seen(decode.Temperature, number(20), 0)
	retained.Retained = true
	for name, test := range map[string]struct {
		in   []decode.Observation
		want int
	}{
		"Chatty":      {[]decode.Observation{seen(decode.Temperature, number(20), 0), seen(decode.Temperature, number(21), time.Minute), seen(decode.Temperature, number(22), 5*time.Minute)}, 2},
		"Kinds":       {[]decode.Observation{seen(decode.Temperature, number(20), 0), seen(decode.Humidity, number(50), 0)}, 2},
		"DoorOpened":  {[]decode.Observation{seen(decode.Contact, yes(true), 0), seen(decode.Contact, yes(false), time.Second), seen(decode.Contact, yes(false), 2*time.Second)}, 2},
		"Flapping":    {flapping, 12},
		"Retained":    {[]decode.Observation{retained}, 0},
		"OfTheDevice": {[]decode.Observation{seen(decode.Battery, number(50), 0), seen(decode.LinkQuality, number(50), 0)}, 0},
		"ClockBack":   {[]decode.Observation{seen(decode.Temperature, number(20), time.Hour), seen(decode.Temperature, number(21), 0)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.adopt()
			s := h.sink(h.Desk)
			for _, o := range test.in {
				if err := s.Observe(t.Context(), []decode.Observation{o}); err != nil {
					t.Fatal(err)
				}
			}
			if got := h.readings(); got != test.want {
				t.Errorf("%d readings one by one, want %d", got, test.want)
			}
			// The same in one batch, and delivered again after a restart.
			if err := h.sink(h.Desk).Observe(t.Context(), test.in); err != nil {
				t.Fatal(err)
			}
			if got := h.readings(); got != test.want {
				t.Errorf("%d readings after all of it came again, want %d", got, test.want)
			}
		})
	}
}

func TestAdoptionCountsAtOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	s := h.sink(h.Desk)
	for range 2 { // the second answer comes from memory
		if _, ok := s.Known(hardware); ok {
			t.Fatal("known though nobody adopted it")
		}
	}
	h.adopt()
	if place, ok := s.Known(hardware); !ok || place.Name != "Cellar" {
		t.Fatal("adopted and not known")
	}
	no := false
	if _, err := h.UpdateDevice(t.Context(), h.manager, h.building, desk.DeviceID(h.building, hardware), desk.DeviceChange{Adopted: &no}); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Known(hardware); ok {
		t.Error("still known after it was let go")
	}
}

// TestAvailability: what a device, or its gateway, says of whether it is there is shown.
func TestAvailability(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.adopt()
	s := h.sink(h.Desk)
	for _, online := range []bool{true, false, false, true} {
		if err := s.Observe(t.Context(), ingest.Batch{Observations: []decode.Observation{seen(decode.Availability, decode.BoolValue(online), 0)}}); err != nil {
			t.Fatal(err)
		}
		d, err := h.DeviceByHardware(t.Context(), h.building, hardware)
		if want := map[bool]string{true: "online", false: "offline"}[online]; err != nil || d.Availability != want {
			t.Errorf("%q, %v, want %q", d.Availability, err, want)
		}
	}
}

// stopping is a desk behind which the power fails before an alarm is raised.
type stopping struct{ *desk.Desk }

var errPower = errors.New("power failed")

func (stopping) RaiseAlarm(context.Context, record.ID, desk.AlarmInput) (desk.Alarm, desk.Ticket, error) {
	return desk.Alarm{}, desk.Ticket{}, errPower
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := build(t)
	h.adopt()
	if err := h.sink(stopping{h.Desk}).RaiseAlarm(ctx, alarm()); !errors.Is(err, errPower) || errors.Is(err, ingest.ErrRefused) {
		t.Fatalf("a failure must be tried again: %v", err)
	}
	s := h.sink(h.Desk)
	if saved, err := s.Restore(ctx); err != nil || len(saved.Open) != 0 {
		t.Fatalf("%+v, %v", saved, err)
	}
	if err := s.RaiseAlarm(ctx, alarm()); err != nil {
		t.Fatal(err)
	}
	if saved, err := s.Restore(ctx); err != nil || len(saved.Open) != 1 || !saved.Open[0].Since.Equal(t0) || saved.Open[0].Device != hardware {
		t.Fatalf("%+v, %v", saved, err)
	}
	flapping := alarm()
	flapping.Flapping = true
	for range 2 {
		if err := s.RaiseAlarm(ctx, flapping); err != nil {
			t.Fatal(err)
		}
	}
	ended := alarm()
	ended.Cleared = t0.Add(time.Minute)
	for range 2 {
		if err := s.ClearAlarm(ctx, ended); err != nil {
			t.Fatal(err)
		}
	}
	if alarms, tickets := h.counts(); alarms != 1 || tickets != 1 {
		t.Errorf("%d alarms, %d tickets", alarms, tickets)
	}
	if open, err := h.OpenAlarms(ctx, h.building); err != nil || len(open) != 0 {
		t.Errorf("open: %+v, %v", open, err)
	}
	if saved, err := h.sink(h.Desk).Restore(ctx); err != nil || len(saved.Open) != 0 {
		t.Errorf("saved: %+v, %v", saved, err)
	}
	stranger := alarm()
	stranger.Device = "z2m:0x2"
	if err := s.RaiseAlarm(ctx, stranger); !errors.Is(err, ingest.ErrRefused) {
		t.Errorf("a device that nobody adopted: %v", err)
	}
	if saved, err := h.sink(h.Desk).Restore(ctx); err != nil || len(saved.Open) != 0 {
		t.Errorf("what was refused is kept: %+v, %v", saved, err)
	}
}

// A quiet alarm opens no ticket, and the alarms of a storm share one.
func TestTicketsOfAlarms(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := build(t)
	h.adopt()
	s := h.sink(h.Desk)
	for i, storm := range []time.Time{{}, t0, t0} {
		a := alarm()
		a.Cause, a.Ticket, a.Storm = fmt.Sprint("cause ", i/2), i > 0, storm
		a.Since = t0.Add(time.Duration(i) * time.Minute)
		if err := s.RaiseAlarm(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	a := alarm()
	a.Cause, a.Storm, a.Since = "cause 1", t0, t0.Add(time.Hour)
	if err := s.RaiseAlarm(ctx, a); err != nil {
		t.Fatal(err)
	}
	if alarms, tickets := h.counts(); alarms != 4 || tickets != 2 {
		t.Errorf("%d alarms, %d tickets, want 4 and 2", alarms, tickets)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	h := build(t)
	s := h.sink(h.Desk)
	var many []ingest.Candidate
	for i := range 250 {
		many = append(many, ingest.Candidate{Hardware: fmt.Sprintf("z2m:%d", i), Name: "n"})
	}
	known := map[string]bool{}
	for range 2 {
		if err := s.Register(t.Context(), many, known); err != nil {
			t.Fatal(err)
		}
	}
	all, err := h.AllDevices(t.Context(), h.building)
	if err != nil || len(all) != 200 || len(known) != 200 {
		t.Errorf("%d devices, %d known, %v", len(all), len(known), err)
	}
}
