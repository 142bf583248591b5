package cloud

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/rules"
	"estate/sync/record"
)

// The rules of a building's devices are its box's: it hears them first and goes on without a
// line. What a box cannot tell is that it is gone itself, so that is what the cloud watches, by
// the same engine. The life of a silence:
//
//	heard ──BoxSilentMinutes without a sign──▶ alarm box_silent, one ticket
//	  ▲                                          │
//	  └──── in touch for a minute: cleared ◀─────┘  the ticket stays for a person
//
// Each process of the cloud watches; the lock lets one of them at a time look for an open alarm
// and raise one.

const (
	// watchEvery is how often boxes are looked at.
	watchEvery = 30 * time.Second
	// settleEvery is how often alarms are looked for that no process remembers raising.
	settleEvery = 10 * time.Minute
	// boxBackFor is how long a box must be in touch for its silence to be over.
	boxBackFor = time.Minute
	// fewBoxes is how many boxes may be silent all at once without anything being wrong here: of
	// more, one would be heard if the cloud's own line were not cut.
	fewBoxes = 3
	// watchLock is the advisory lock of who raises.
	watchLock = 0x657374617465_02
)

// watchman raises an alarm for boxes that are out of touch. It is used from one goroutine.
type watchman struct {
	boxes  func(ctx context.Context) ([]httpapi.EdgeView, error)
	locked func(ctx context.Context, do func() error) error
	desk   *desk.Desk
	log    *slog.Logger

	engine  *rules.Engine
	started time.Time
	settled time.Time
	of      map[string]httpapi.EdgeView // by hardware
	heard   map[string]time.Time        // the last sign that the engine was given, by hardware
	waiting []rules.Effect              // what the database did not take yet
	deaf    bool
}

// boxSilent is the rule.
func boxSilent(after time.Duration) rules.Rule {
	return rules.Rule{ID: "cloud:" + desk.CauseBoxSilent, Version: 1, Name: "The box is out of touch", Cause: desk.CauseBoxSilent, Severity: rules.Urgent, Category: "other", Ticket: true,
		When: rules.Condition{Silence: &rules.Silence{After: rules.Duration(after)}}, ClearAfter: rules.Duration(boxBackFor)}
}

func newWatchman(after time.Duration, boxes func(ctx context.Context) ([]httpapi.EdgeView, error), locked func(context.Context, func() error) error, d *desk.Desk, log *slog.Logger) *watchman {
	return &watchman{boxes: boxes, locked: locked, desk: d, log: log, heard: map[string]time.Time{}, engine: rules.New([]rules.Rule{boxSilent(after)}, time.UTC)}
}

// watchBoxes watches until ctx ends.
func (c *Cloud) watchBoxes(ctx context.Context) {
	if c.cfg.BoxSilentMinutes < 0 {
		return
	}
	list := edges{fleet: c.fleet, links: c.links, lines: c.lines, now: c.cfg.Now}
	w := newWatchman(time.Duration(c.cfg.BoxSilentMinutes)*time.Minute, func(ctx context.Context) ([]httpapi.EdgeView, error) { return list.Edges(ctx, nil) }, c.alone, c.desk, c.cfg.Log)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	failing := false
	for {
		err := w.once(ctx, c.cfg.Now())
		if failing != (err != nil) && ctx.Err() == nil {
			failing = err != nil
			c.cfg.Log.WarnContext(ctx, "watch boxes", slog.Bool("failing", failing), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// alone does something while no other process does.
func (c *Cloud) alone(ctx context.Context, do func() error) error {
	tx, err := c.store.Pool().Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin to raise an alarm alone: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // the lock ends with it
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(watchLock)); err != nil {
		return fmt.Errorf("raise an alarm alone: %w", err)
	}
	return do()
}

// once looks at all boxes.
func (w *watchman) once(ctx context.Context, now time.Time) error {
	if w.started.IsZero() {
		w.started = now
	}
	list, err := w.boxes(ctx)
	if err != nil {
		return fmt.Errorf("list boxes: %w", err)
	}
	w.of = map[string]httpapi.EdgeView{}
	some, all := 0, 0
	for _, b := range list {
		hardware := desk.BoxHardware(b.ID)
		w.of[hardware] = b
		at, known := lastSign(b, now, w.started)
		if b.Revoked || !known {
			continue
		}
		all++
		if b.Connected {
			some++
		}
		if !at.After(w.heard[hardware]) {
			continue
		}
		w.heard[hardware] = at
		yes := true
		w.waiting = append(w.waiting, w.engine.Observe(rules.Observation{Device: hardware, Name: "Box", Kind: "box", Key: "box", Bool: &yes, At: at, Arrival: at})...)
	}
	w.hear(ctx, some > 0 || all < fewBoxes)
	w.waiting = append(w.waiting, w.engine.Tick(now, !w.deaf)...)
	if _, err := w.engine.Dirty(); err != nil { // what it knows is in the database already
		return err
	}
	for len(w.waiting) > 0 {
		if err := w.apply(ctx, w.waiting[0], now); err != nil {
			return err
		}
		w.waiting = w.waiting[1:]
	}
	if now.Sub(w.settled) < settleEvery {
		return nil
	}
	if err := w.settle(ctx, now); err != nil {
		return err
	}
	w.settled = now
	return nil
}

// lastSign is when a box was last in touch, as far as this process can tell: what was before it
// began proves nothing, for the cloud may have been away.
func lastSign(b httpapi.EdgeView, now, started time.Time) (at time.Time, known bool) {
	switch {
	case b.Connected:
		return now, true
	case b.HeardAt == nil && b.ReportedAt == nil:
		return at, false // enrolled, and never seen
	case b.HeardAt != nil && b.HeardAt.After(started):
		return *b.HeardAt, true
	}
	return started, true
}

// hear notes whether boxes can be heard at all.
func (w *watchman) hear(ctx context.Context, yes bool) {
	if w.deaf == yes {
		w.deaf = !yes
		w.log.WarnContext(ctx, "no box at all is heard: rather the cloud's own line is cut, so none is taken for silent", slog.Bool("deaf", w.deaf))
	}
}

func (w *watchman) apply(ctx context.Context, e rules.Effect, now time.Time) error {
	b, known := w.of[e.Alarm.Device]
	if !known {
		return nil // it is gone from the fleet
	}
	if e.What == rules.Clear {
		return w.end(ctx, b.Building, now, "it is in touch again", func(a desk.Alarm) bool { return a.Hardware == e.Alarm.Device })
	}
	return w.locked(ctx, func() error {
		open, err := w.open(ctx, b.Building)
		if err != nil {
			return err
		}
		onset := e.Alarm.Since
		for _, a := range open {
			if a.Hardware != e.Alarm.Device {
				continue
			}
			if e.What == rules.Raise {
				return nil // another process, or this one before a restart, was first
			}
			onset = *a.RaisedAt
		}
		if err := w.desk.SeeBox(ctx, b.Building, b.ID); err != nil {
			return fmt.Errorf("enter a box as a device: %w", err)
		}
		_, ticket, err := w.desk.RaiseAlarm(ctx, b.Building, desk.AlarmInput{Hardware: e.Alarm.Device, Cause: e.Alarm.Cause, Onset: onset, Detail: e.Alarm.Detail, Flapping: e.Alarm.Flapping,
			Title: e.Alarm.Title, Priority: e.Alarm.Severity.Priority(), Category: e.Alarm.Category})
		if err != nil {
			return fmt.Errorf("raise the alarm of a silent box: %w", err)
		}
		w.log.WarnContext(ctx, "a box is silent", slog.String("building", b.Building.String()), slog.String("node", b.ID.String()), slog.String("ticket", ticket.ID.String()))
		return nil
	})
}

// open lists the open alarms of a building's boxes.
func (w *watchman) open(ctx context.Context, building record.ID) ([]desk.Alarm, error) {
	all, err := w.desk.OpenAlarms(ctx, building)
	if err != nil {
		return nil, fmt.Errorf("list open alarms: %w", err)
	}
	out := all[:0]
	for _, a := range all {
		if a.Cause == desk.CauseBoxSilent && a.RaisedAt != nil {
			out = append(out, a)
		}
	}
	return out, nil
}

// end clears the open alarms of a building's boxes that over says are over.
func (w *watchman) end(ctx context.Context, building record.ID, now time.Time, detail string, over func(desk.Alarm) bool) error {
	open, err := w.open(ctx, building)
	if err != nil {
		return err
	}
	for _, a := range open {
		if !over(a) {
			continue
		}
		if _, err := w.desk.ClearAlarm(ctx, building, desk.AlarmEnd{Hardware: a.Hardware, Cause: a.Cause, Onset: *a.RaisedAt, At: now, Detail: detail}); err != nil {
			return fmt.Errorf("clear the alarm of a box: %w", err)
		}
	}
	return nil
}

// settle clears alarms of boxes that are in touch or were revoked: whoever raised them may be
// gone.
func (w *watchman) settle(ctx context.Context, now time.Time) error {
	buildings := map[record.ID]bool{}
	for _, b := range w.of {
		buildings[b.Building] = true
	}
	raised := map[string]bool{}
	for _, a := range w.engine.Open() {
		raised[a.Device] = true
	}
	for building := range buildings {
		err := w.end(ctx, building, now, "it is in touch again, or was revoked", func(a desk.Alarm) bool {
			b, known := w.of[a.Hardware]
			return !known || b.Revoked || b.Connected && !raised[a.Hardware]
		})
		if err != nil {
			return err
		}
	}
	return nil
}
