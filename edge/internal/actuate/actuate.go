// Package actuate carries out the orders that people give to a building's devices: it looks
// again whether what the person was shown still holds, tells the device in its own words, and
// awaits that the device says that it is in the state that was wanted.
//
// It must never send an order whose time is over, wherever it was given and however long it
// was under way; never to a device of which it is not known what state it is in; and never
// call an order done because it was sent.
package actuate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// tickEvery is how often controls are saved and orders looked for that wait for their turn.
	tickEvery = time.Second
	// publishWait bounds the sending of one order.
	publishWait = 5 * time.Second
	// aheadMax is how far an order may come from the future: beyond, one of the clocks is wrong
	// and its expiry says nothing.
	aheadMax = 30 * time.Second
	// saveMax bounds the controls of one transaction.
	saveMax = 100
	// carriedMax bounds the orders that are carried out at once.
	carriedMax = 100
)

// Desk is what a Runner needs of desk.Desk.
type Desk interface {
	OpenActions(ctx context.Context, building record.ID) ([]desk.Action, error)
	SendAction(ctx context.Context, building, id record.ID) (desk.Action, error)
	EndAction(ctx context.Context, building, id record.ID, in desk.ActionEnd) (desk.Action, error)
	AllControls(ctx context.Context, building record.ID) ([]desk.ControlState, error)
	SaveControls(ctx context.Context, building record.ID, list []desk.ControlState) error
}

var _ Desk = (*desk.Desk)(nil)

// Config is what a Runner works with; all of it is needed.
type Config struct {
	Building record.ID
	Desk     Desk
	Board    *Board
	// Publish sends an order, never after a time; it returns once the broker has it.
	Publish func(ctx context.Context, s decode.Sending, until time.Time) error
	// Blind says whether devices are not heard now.
	Blind func() bool
	// Now is the box's clock, and Offset what is to be added for the building's time.
	Now    func() time.Time
	Offset func(ctx context.Context) (time.Duration, error)
	// Moved receives when the building's orders changed.
	Moved <-chan struct{}
	Log   *slog.Logger
}

// Runner carries orders out.
type Runner struct {
	cfg Config

	mu      sync.Mutex
	carried map[record.ID]bool
	busy    map[[2]string]bool // controls that an order is under way to
	done    chan struct{}
}

// New makes a Runner.
func New(cfg Config) *Runner {
	return &Runner{cfg: cfg, carried: map[record.ID]bool{}, busy: map[[2]string]bool{}, done: make(chan struct{}, 1)}
}

// Run carries orders out until ctx ends. What was under way when it ended goes on in the next
// run.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	restored, failing := false, false
	for {
		err := r.round(ctx, &restored, &wg)
		if ctx.Err() == nil && failing != (err != nil) {
			failing = err != nil
			r.cfg.Log.WarnContext(ctx, "look after orders to devices", slog.Bool("failing", failing), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.cfg.Moved:
		case <-r.done:
		case <-tick.C:
		}
	}
}

// round saves what is new of controls and begins with the orders that are open.
func (r *Runner) round(ctx context.Context, restored *bool, wg *sync.WaitGroup) error {
	offset, err := r.cfg.Offset(ctx)
	if err != nil {
		return err
	}
	if !*restored {
		saved, err := r.cfg.Desk.AllControls(ctx, r.cfg.Building)
		if err != nil {
			return err
		}
		r.cfg.Board.restore(moved(saved, -offset))
		*restored = true
	}
	if list := r.cfg.Board.unsaved(saveMax); len(list) > 0 {
		if err := r.cfg.Desk.SaveControls(ctx, r.cfg.Building, moved(list, offset)); err != nil {
			return err
		}
		r.cfg.Board.saved(list)
	}
	open, err := r.cfg.Desk.OpenActions(ctx, r.cfg.Building)
	if err != nil {
		return err
	}
	for _, a := range open {
		if r.take(a) {
			wg.Go(func() { r.carry(ctx, a) })
		}
	}
	return nil
}

// moved gives times by another clock.
func moved(list []desk.ControlState, by time.Duration) []desk.ControlState {
	out := make([]desk.ControlState, 0, len(list))
	for _, s := range list {
		if !s.StateAt.IsZero() {
			s.StateAt = s.StateAt.Add(by)
		}
		out = append(out, s)
	}
	return out
}

// take says whether to begin with an order: one at a time to each control.
func (r *Runner) take(a desk.Action) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := [2]string{a.Hardware, a.Control}
	if r.carried[a.ID] || r.busy[at] || len(r.carried) >= carriedMax {
		return false
	}
	r.carried[a.ID], r.busy[at] = true, true
	return true
}

// carry carries one order out, to its end or the end of ctx.
func (r *Runner) carry(ctx context.Context, a desk.Action) {
	defer func() {
		r.mu.Lock()
		delete(r.carried, a.ID)
		delete(r.busy, [2]string{a.Hardware, a.Control})
		r.mu.Unlock()
		select {
		case r.done <- struct{}{}:
		default:
		}
	}()
	o := order{Runner: r, action: a}
	end, err := o.run(ctx)
	if err == nil && ctx.Err() == nil {
		a, err = r.cfg.Desk.EndAction(ctx, r.cfg.Building, a.ID, end)
	}
	switch {
	case ctx.Err() != nil: // the next run goes on
	case err != nil && !problem.HasCode(err, problem.Conflict):
		r.cfg.Log.ErrorContext(ctx, "an order to a device", slog.String("action", o.action.ID.String()), slog.Any("error", err))
	default:
		r.cfg.Log.InfoContext(ctx, "an order to a device", slog.String("action", o.action.ID.String()), slog.String("hardware", o.action.Hardware),
			slog.String("control", o.action.Control), slog.String("state", a.State), slog.String("reason", string(end.Reason)))
	}
}

// errStopped says that the run ended before the order did.
var errStopped = errors.New("the edge stops")
