// Package sink puts what devices say into the building: readings, the state of devices,
// alarms with their tickets, and devices that nobody adopted yet. It implements
// ingest.Sink over the use cases of package desk and the box's own tables.
//
// It must never let a device that nobody adopted cause a reading, an alarm or a ticket,
// and never let a chatty one fill the store.
package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/edge/internal/telemetry"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/internal/reading"
	"estate/internal/rules"
	"estate/sync/record"
)

const (
	// batteryStep is the change of a battery, in percent, that is worth a write.
	batteryStep = 1.0
)

// Desk is what a sink needs of desk.Desk.
type Desk interface {
	DeviceByHardware(ctx context.Context, building record.ID, hardware string) (desk.Device, error)
	SeeDevice(ctx context.Context, building record.ID, hardware, name, model string) (desk.Device, error)
	ReportDevice(ctx context.Context, building record.ID, hardware string, in desk.DeviceStatus) error
	RaiseAlarm(ctx context.Context, building record.ID, in desk.AlarmInput) (desk.Alarm, desk.Ticket, error)
	ClearAlarm(ctx context.Context, building record.ID, in desk.AlarmEnd) (desk.Alarm, error)
	OpenAlarms(ctx context.Context, building record.ID) ([]desk.Alarm, error)
	SeeBox(ctx context.Context, building, node record.ID) error
}

var _ Desk = (*desk.Desk)(nil)

// Local is what a sink needs of the box's own tables.
type Local interface {
	RuleStates(ctx context.Context) ([]rules.Saved, error)
	Announced(ctx context.Context) ([]decode.Message, error)
	SaveDevices(ctx context.Context, states []rules.Saved, announced []decode.Message) error
}

// Readings is where readings go.
type Readings interface {
	Add(ctx context.Context, batch []reading.Reading) (telemetry.Added, error)
	Keep(ctx context.Context, hardware string, from, to time.Time) error
}

// Config is what a Sink is made of; all of it is needed.
type Config struct {
	Building record.ID
	// Node is the box's own: as a device it has alarms, too.
	Node     record.ID
	Desk     Desk
	Local    Local
	Readings Readings
	// Moved receives after each commit that changed a device of the building, as replica.Store.Watch
	// gives it.
	Moved <-chan struct{}
	Log   *slog.Logger
}

// Sink implements ingest.Sink. Known is safe for concurrent use; the other methods are
// called from one goroutine.
type Sink struct {
	cfg     Config
	devices *directory
	battery map[string]float64 // the last that was written, by hardware
	online  map[string]string
}

var _ ingest.Sink = (*Sink)(nil)

// New makes a sink.
func New(cfg Config) *Sink {
	return &Sink{cfg: cfg, devices: newDirectory(cfg), battery: map[string]float64{}, online: map[string]string{}}
}

// Restore implements ingest.Sink.
func (s *Sink) Restore(ctx context.Context) (out ingest.Snapshot, err error) {
	if out.States, err = s.cfg.Local.RuleStates(ctx); err != nil {
		return out, err
	}
	if out.Announced, err = s.cfg.Local.Announced(ctx); err != nil {
		return out, err
	}
	open, err := s.cfg.Desk.OpenAlarms(ctx, s.cfg.Building)
	if err != nil {
		return out, fmt.Errorf("list open alarms: %w", err)
	}
	for _, a := range open {
		if desk.IsBox(a.Hardware) && (a.Cause == desk.CauseBoxSilent || a.Hardware != desk.BoxHardware(s.cfg.Node)) {
			continue // the cloud's, which says when it is over, or another box's
		}
		one := rules.Alarm{Device: a.Hardware, Cause: a.Cause}
		if a.RaisedAt != nil {
			one.Since = *a.RaisedAt
		}
		out.Open = append(out.Open, one)
	}
	return out, nil
}

// Known implements ingest.Sink.
func (s *Sink) Known(hardware string) (ingest.Place, bool) {
	now, _ := s.devices.lookUp(hardware)
	return now.place, now.adopted
}

// OutOfService implements ingest.Sink.
func (s *Sink) OutOfService(hardware string) bool {
	now, sure := s.devices.lookUp(hardware)
	return sure && !now.adopted
}

// Save implements ingest.Sink.
func (s *Sink) Save(ctx context.Context, states []rules.Saved, announced []decode.Message) error {
	return s.cfg.Local.SaveDevices(ctx, states, announced)
}

// Observe implements ingest.Sink.
func (s *Sink) Observe(ctx context.Context, observations []decode.Observation) error {
	var readings []reading.Reading
	for _, o := range observations {
		if r, ok := readingOf(o); ok {
			readings = append(readings, r)
		}
	}
	if len(readings) > 0 {
		added, err := s.cfg.Readings.Add(ctx, readings)
		if err != nil {
			return err
		}
		for _, r := range added.Refused {
			s.cfg.Log.WarnContext(ctx, "a reading cannot be kept", slog.String("hardware", r.Reading.Hardware), slog.String("key", r.Reading.Key), slog.String("reason", r.Reason))
		}
	}
	for _, o := range observations {
		if err := s.report(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// readingOf turns an observation into a reading; ok is false for what is none.
func readingOf(o decode.Observation) (r reading.Reading, ok bool) {
	r = reading.Reading{Series: reading.Series{Hardware: o.Hardware, Key: o.Key, Kind: string(o.Kind), Unit: o.Unit}, At: o.EventTime, Arrival: o.ArrivalTime}
	if r.At.IsZero() {
		r.At = o.ArrivalTime
	}
	switch o.Value.Type {
	case decode.Number:
		r.Type, r.Value = reading.Number, o.Value.Number
	case decode.Bool:
		r.Type = reading.Bool
		if o.Value.Bool {
			r.Value = 1
		}
	case decode.Text:
		r.Type, r.Text = reading.Text, o.Value.Text
	default:
		return r, false
	}
	return r, !o.Retained // the broker's last known state is no event
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

// RaiseAlarm implements ingest.Sink.
func (s *Sink) RaiseAlarm(ctx context.Context, a rules.Alarm) error {
	in := desk.AlarmInput{Hardware: a.Device, Cause: a.Cause, Onset: a.Since, Detail: a.Detail, Flapping: a.Flapping, Title: a.Title,
		Priority: a.Severity.Priority(), Category: a.Category, Quiet: !a.Ticket, Storm: a.Storm}
	if a.Device == desk.BoxHardware(s.cfg.Node) {
		if err := s.cfg.Desk.SeeBox(ctx, s.cfg.Building, s.cfg.Node); err != nil {
			return fmt.Errorf("enter the box as a device: %w", err)
		}
	}
	_, ticket, err := s.cfg.Desk.RaiseAlarm(ctx, s.cfg.Building, in)
	if err := refusal(err); err != nil {
		return fmt.Errorf("raise alarm: %w", err)
	}
	s.cfg.Log.WarnContext(ctx, "alarm", slog.String("hardware", a.Device), slog.String("cause", a.Cause),
		slog.Bool("flapping", a.Flapping), slog.String("ticket", ticket.ID.String()))
	return s.keep(ctx, a, a.Since)
}

// ClearAlarm implements ingest.Sink.
func (s *Sink) ClearAlarm(ctx context.Context, a rules.Alarm) error {
	end := desk.AlarmEnd{Hardware: a.Device, Cause: a.Cause, Onset: a.Since, At: a.Cleared, Detail: a.Detail}
	if _, err := s.cfg.Desk.ClearAlarm(ctx, s.cfg.Building, end); err != nil {
		return fmt.Errorf("clear alarm: %w", refusal(err))
	}
	return s.keep(ctx, a, a.Cleared)
}

// keep keeps the readings around the moment of an alarm.
func (s *Sink) keep(ctx context.Context, a rules.Alarm, at time.Time) error {
	return s.cfg.Readings.Keep(ctx, a.Device, at, at)
}

// refusal marks what trying again cannot cure.
func refusal(err error) error {
	var p *problem.Problem
	if errors.As(err, &p) && p.Status() < http.StatusInternalServerError {
		return fmt.Errorf("%w: %w", ingest.ErrRefused, err)
	}
	return err
}
