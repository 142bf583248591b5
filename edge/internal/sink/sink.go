// Package sink puts what devices say into the building: readings, the state of devices,
// alarms with their tickets, and devices that nobody adopted yet. It implements
// ingest.Sink over the use cases of package desk and the box's own tables.
//
// It must never let a device that nobody adopted cause a reading, an alarm or a ticket,
// and never let a chatty one fill the store.
package sink

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// readingEvery keeps one reading per device and quantity: a record costs about a
	// kilobyte here, at the cloud and on the line.
	readingEvery = 5 * time.Minute
	// changesMax bounds how many changes of a yes-or-no value are kept within readingEvery:
	// a door used often is news, a loose contact is not.
	changesMax = 12
	// batteryStep is the change of a battery, in percent, that is worth a write.
	batteryStep = 1.0
	// pacesMax bounds what is remembered of devices' paces; when full it starts anew, which
	// costs one more reading each.
	pacesMax = 20_000
)

// Desk is what a sink needs of desk.Desk.
type Desk interface {
	DeviceByHardware(ctx context.Context, building record.ID, hardware string) (desk.Device, error)
	SeeDevice(ctx context.Context, building record.ID, hardware, name, model string) (desk.Device, error)
	ReportDevice(ctx context.Context, building record.ID, hardware string, in desk.DeviceStatus) error
	StoreReadings(ctx context.Context, building record.ID, batch []desk.ReadingInput) error
	RaiseAlarm(ctx context.Context, building record.ID, in desk.AlarmInput) (desk.Alarm, desk.Ticket, error)
	ClearAlarm(ctx context.Context, building record.ID, in desk.AlarmEnd) (desk.Alarm, error)
}

var _ Desk = (*desk.Desk)(nil)

// Local is what a sink needs of the box's own tables.
type Local interface {
	Sensors(ctx context.Context) (ingest.Snapshot, error)
	SaveSensors(ctx context.Context, states []ingest.SensorState, announced []decode.Message) error
	OpenAlarm(ctx context.Context, a ingest.Alarm) error
	CloseAlarm(ctx context.Context, a ingest.Alarm) error
}

// Config is what a Sink is made of; all of it is needed.
type Config struct {
	Building record.ID
	Desk     Desk
	Local    Local
	// Moved receives after each commit that moved the building's feed, as replica.Store.Watch
	// gives it.
	Moved <-chan struct{}
	Log   *slog.Logger
}

// Sink implements ingest.Sink. Known is safe for concurrent use; the other methods are
// called from one goroutine.
type Sink struct {
	cfg     Config
	devices *directory
	paces   map[paceKey]*pace
	battery map[string]float64 // the last that was written, by hardware
	online  map[string]string
}

var _ ingest.Sink = (*Sink)(nil)

// New makes a sink.
func New(cfg Config) *Sink {
	return &Sink{cfg: cfg, devices: newDirectory(cfg), paces: map[paceKey]*pace{}, battery: map[string]float64{}, online: map[string]string{}}
}

// Restore implements ingest.Sink. Alarms that were open when the box stopped are raised
// again: what was raised already stays as it is, and what was noted in the moment of the
// stop is made good.
func (s *Sink) Restore(ctx context.Context) (ingest.Snapshot, error) {
	saved, err := s.cfg.Local.Sensors(ctx)
	if err != nil {
		return saved, err
	}
	for _, a := range saved.Alarms {
		_, _, err := s.cfg.Desk.RaiseAlarm(ctx, s.cfg.Building, alarmInput(a))
		if err := refusal(err); err != nil && !errors.Is(err, ingest.ErrRefused) {
			return ingest.Snapshot{}, fmt.Errorf("raise again what was open: %w", err)
		}
	}
	return saved, nil
}

// Known implements ingest.Sink.
func (s *Sink) Known(hardware string) bool { return s.devices.adopted(hardware) }

// Observe implements ingest.Sink.
func (s *Sink) Observe(ctx context.Context, batch ingest.Batch) error {
	var readings []desk.ReadingInput
	var kept []decode.Observation
	for _, o := range batch.Observations {
		if r, ok := reading(o); ok && s.due(o) {
			s.kept(o)
			readings, kept = append(readings, r), append(kept, o)
		}
	}
	if len(readings) > 0 {
		if err := refusal(s.cfg.Desk.StoreReadings(ctx, s.cfg.Building, readings)); err != nil {
			s.lost(kept)
			return fmt.Errorf("store %d readings: %w", len(readings), err)
		}
	}
	for _, o := range batch.Observations {
		if err := s.report(ctx, o); err != nil {
			return err
		}
	}
	return s.cfg.Local.SaveSensors(ctx, batch.Sensors, batch.Announced)
}

// reading turns an observation into a reading; ok is false for what is none.
func reading(o decode.Observation) (desk.ReadingInput, bool) {
	r := desk.ReadingInput{Hardware: o.Hardware, Quantity: string(o.Kind), UnitOfMeasure: o.Unit, EventTime: o.EventTime, ArrivalTime: o.ArrivalTime}
	switch {
	case o.Retained, o.Kind == decode.Battery, o.Kind == decode.LinkQuality, o.Kind == decode.Availability:
		return r, false // a state that was kept is no event; the others belong to the device
	case o.Value.Type == decode.Number:
		r.Value = o.Value.Number
	case o.Value.Type == decode.Bool && o.Value.Bool:
		r.Value = 1
	case o.Value.Type == decode.Bool:
	default:
		return r, false
	}
	if r.EventTime.IsZero() {
		r.EventTime = o.ArrivalTime
	}
	id := o.ID()
	r.ID = record.DerivedID("reading", hex.EncodeToString(id[:]))
	return r, true
}

// report writes what a device says of itself, when it changed.
func (s *Sink) report(ctx context.Context, o decode.Observation) error {
	var in desk.DeviceStatus
	switch {
	case o.Kind == decode.Availability && o.Value.Type == decode.Bool:
		in.Availability = map[bool]string{true: "online", false: "offline"}[o.Value.Bool]
		if s.online[o.Hardware] == in.Availability {
			return nil
		}
	case o.Kind == decode.Battery && o.Value.Type == decode.Number:
		before, known := s.battery[o.Hardware]
		if known && math.Abs(before-o.Value.Number) < batteryStep {
			return nil
		}
		in.Battery = &o.Value.Number
	default:
		return nil
	}
	if err := refusal(s.cfg.Desk.ReportDevice(ctx, s.cfg.Building, o.Hardware, in)); err != nil {
		return fmt.Errorf("report the state of a device: %w", err)
	}
	if in.Battery != nil {
		s.battery[o.Hardware] = *in.Battery
	} else {
		s.online[o.Hardware] = in.Availability
	}
	return nil
}

// RaiseAlarm implements ingest.Sink. It is noted before it is raised, so that a stop in
// between is made good by Restore.
func (s *Sink) RaiseAlarm(ctx context.Context, a ingest.Alarm) error {
	if err := s.cfg.Local.OpenAlarm(ctx, a); err != nil {
		return err
	}
	_, ticket, err := s.cfg.Desk.RaiseAlarm(ctx, s.cfg.Building, alarmInput(a))
	if err := refusal(err); err != nil {
		if errors.Is(err, ingest.ErrRefused) {
			err = errors.Join(err, s.cfg.Local.CloseAlarm(ctx, a))
		}
		return fmt.Errorf("raise alarm: %w", err)
	}
	s.cfg.Log.WarnContext(ctx, "alarm", slog.String("hardware", a.Hardware), slog.String("cause", string(a.Kind)),
		slog.Bool("flapping", a.Flapping), slog.String("ticket", ticket.ID.String()))
	return nil
}

// ClearAlarm implements ingest.Sink.
func (s *Sink) ClearAlarm(ctx context.Context, a ingest.Alarm) error {
	end := desk.AlarmEnd{Hardware: a.Hardware, Cause: string(a.Kind), Onset: a.Since, At: a.Cleared, Detail: a.Detail}
	_, err := s.cfg.Desk.ClearAlarm(ctx, s.cfg.Building, end)
	if err := refusal(err); err != nil && !errors.Is(err, ingest.ErrRefused) {
		return fmt.Errorf("clear alarm: %w", err)
	}
	if closing := s.cfg.Local.CloseAlarm(ctx, a); closing != nil {
		return closing
	}
	return refusal(err)
}

func alarmInput(a ingest.Alarm) desk.AlarmInput {
	return desk.AlarmInput{Hardware: a.Hardware, Cause: string(a.Kind), Onset: a.Since, Value: a.Value.String(), Detail: a.Detail, Flapping: a.Flapping}
}

// refusal marks what trying again cannot cure.
func refusal(err error) error {
	var p *problem.Problem
	if errors.As(err, &p) && p.Status() < http.StatusInternalServerError {
		return fmt.Errorf("%w: %w", ingest.ErrRefused, err)
	}
	return err
}
