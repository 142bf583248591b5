package sink_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/edge/internal/local"
	"estate/edge/internal/sink"
	"estate/edge/internal/sqlitestore"
	"estate/edge/internal/telemetry"
	"estate/internal/desk"
	"estate/internal/reading"
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
	readings *telemetry.Store
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
	readings, err := telemetry.Open(ctx, filepath.Join(t.TempDir(), "readings.db"), telemetry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = readings.Close() })
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// Buildings are made at the cloud; for the sink it makes no difference.
	node := &replica.Node{Key: key, Tier: record.TierCloud, Rules: schema.Default(), Store: store, Boot: func() record.ID { return record.DerivedID("boot") },
		Now: func() int64 { return t0.UnixMilli() }, Random: rand.Reader, Schema: schema.Version}
	h := &house{t: t, store: store, local: local.New(store), readings: readings}
	h.Desk = desk.New(desk.Config{Node: node, Table: schema.Default(), Query: sqlitestore.NewQueries(store, schema.Kinds()), Readings: oneBuilding{readings}, Now: func() time.Time { return t0 }, Random: rand.Reader})
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
	return sink.New(sink.Config{Building: h.building, Desk: d, Local: h.local, Readings: h.readings, Moved: moved, Log: slog.New(slog.DiscardHandler)})
}

func (h *house) adopt() {
	h.t.Helper()
	d, err := h.SeeDevice(h.t.Context(), h.building, hardware, "cellar", "")
	if err == nil {
		_, err = h.AdoptDevice(h.t.Context(), h.manager, h.building, d.ID, desk.Adoption{Name: "Cellar"})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// measured are the readings of a key, the first first.
func (h *house) measured(kind decode.Kind) (out []float64) {
	h.t.Helper()
	got, err := h.readings.Points(h.t.Context(), reading.Query{Hardware: hardware, Key: string(kind), From: t0.Add(-time.Hour), To: t0.Add(24 * time.Hour), Points: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, p := range got.List {
		out = append(out, p.Last)
	}
	return out
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

func TestReadings(t *testing.T) {
	t.Parallel()
	number, yes := decode.NumberValue, decode.BoolValue
	retained := seen(decode.Temperature, number(20), 0)
	retained.Retained = true
	stamped := seen(decode.Temperature, number(20), time.Hour)
	stamped.EventTime = t0
	for name, test := range map[string]struct {
		in   []decode.Observation
		kind decode.Kind
		want []float64
	}{
		"Each":      {[]decode.Observation{seen(decode.Temperature, number(20), 0), seen(decode.Temperature, number(21), time.Second)}, decode.Temperature, []float64{20, 21}},
		"YesAndNo":  {[]decode.Observation{seen(decode.Contact, yes(true), 0), seen(decode.Contact, yes(false), time.Second)}, decode.Contact, []float64{1, 0}},
		"Retained":  {[]decode.Observation{retained}, decode.Temperature, nil},
		"Battery":   {[]decode.Observation{seen(decode.Battery, number(50), 0)}, decode.Battery, []float64{50}},
		"EventTime": {[]decode.Observation{seen(decode.Temperature, number(21), time.Minute), stamped}, decode.Temperature, []float64{20, 21}},
		"ClockBack": {[]decode.Observation{seen(decode.Temperature, number(20), time.Hour), seen(decode.Temperature, number(21), 0)}, decode.Temperature, []float64{21, 20}},
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
			// The same in one batch, delivered again after a restart.
			if err := h.sink(h.Desk).Observe(t.Context(), test.in); err != nil {
				t.Fatal(err)
			}
			if got := h.measured(test.kind); !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
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

// unreadable is a desk whose store cannot be read.
type unreadable struct{ *desk.Desk }

func (unreadable) DeviceByHardware(context.Context, record.ID, string) (desk.Device, error) {
	return desk.Device{}, errPower
}

// TestUnreadableIsNotOutOfService: a device that cannot be looked up has not left; its alarms
// would end, and what rules learnt of it be gone.
func TestUnreadableIsNotOutOfService(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.adopt()
	if h.sink(unreadable{h.Desk}).OutOfService(hardware) {
		t.Error("a store that cannot be read takes devices out of service")
	}
	s := h.sink(h.Desk)
	if s.OutOfService(hardware) || !s.OutOfService("mac:000000000000") {
		t.Error("an adopted device is in service, and one that nobody adopted is not")
	}
}

// TestAvailability: what a device, or its gateway, says of whether it is there is shown.
func TestAvailability(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.adopt()
	s := h.sink(h.Desk)
	for _, online := range []bool{true, false, false, true} {
		if err := s.Observe(t.Context(), []decode.Observation{seen(decode.Availability, decode.BoolValue(online), 0)}); err != nil {
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
