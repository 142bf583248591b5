package sink

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"estate/edge/internal/ingest"
	"estate/internal/problem"
)

const (
	// lookUpWait bounds one look at the store; it is a look-up by index in this process.
	lookUpWait = 5 * time.Second
	// candidatesMax bounds how many devices that nobody adopted get a record: a neighbour's
	// gateway or a misbehaving sender must not fill the store.
	candidatesMax = 200
	// rememberedMax bounds what is remembered between two changes of the building.
	rememberedMax = 10_000
)

// directory remembers which hardware was adopted. It forgets all of it whenever the
// building changed, so an adoption counts from the next message on.
type directory struct {
	cfg Config

	mu    sync.Mutex
	known map[string]known
}

// known is what is remembered of hardware.
type known struct {
	place   ingest.Place
	adopted bool
}

func newDirectory(cfg Config) *directory { return &directory{cfg: cfg, known: map[string]known{}} }

// lookUp says whether hardware was adopted. sure is false where the store could not be asked.
func (d *directory) lookUp(hardware string) (_ known, sure bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before, had := d.known[hardware]
	select {
	case <-d.cfg.Moved:
		clear(d.known)
	default:
		if had {
			return before, true
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookUpWait)
	defer cancel()
	device, err := d.cfg.Desk.DeviceByHardware(ctx, d.cfg.Building, hardware)
	if err != nil && !problem.HasCode(err, problem.NotFound) {
		// What was true a moment ago is the best that is known; it is asked again.
		d.cfg.Log.Error("look up a device", slog.String("hardware", hardware), slog.Any("error", err))
		return before, false
	}
	if len(d.known) >= rememberedMax {
		clear(d.known)
	}
	now := known{adopted: err == nil && device.Adopted}
	if now.adopted {
		now.place.Name = device.Name
		if !device.Unit.IsZero() {
			now.place.Unit = device.Unit.String()
		}
	}
	d.known[hardware] = now
	return now, true
}

// Register makes records of devices that send and were not adopted, so that a manager can
// adopt them. known are those that have one; it grows.
func (s *Sink) Register(ctx context.Context, candidates []ingest.Candidate, known map[string]bool) error {
	// Who speaks comes first: what a broker kept may announce devices that are long gone.
	slices.SortStableFunc(candidates, func(a, b ingest.Candidate) int { return min(b.Observations, 1) - min(a.Observations, 1) })
	for _, c := range candidates {
		if known[c.Hardware] {
			continue
		}
		if len(known) >= candidatesMax {
			return nil
		}
		if _, err := s.cfg.Desk.SeeDevice(ctx, s.cfg.Building, c.Hardware, c.Name, c.Model); err != nil {
			if err := refusal(err); !errors.Is(err, ingest.ErrRefused) {
				return err
			}
			s.cfg.Log.WarnContext(ctx, "a device cannot be entered", slog.String("hardware", c.Hardware), slog.Any("error", err))
		}
		known[c.Hardware] = true
	}
	return nil
}
