package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/rules"
)

// job is what is to be stored together, in this order: what devices told of themselves and what
// the rules know by now, then their alarms, then the readings. Only then the messages that said
// it are acknowledged. Where it stops in between, the start makes the alarms good, and what was
// not acknowledged is delivered again and recognised where it was stored.
type job struct {
	announced    []decode.Message
	states       []rules.Saved
	effects      []rules.Effect
	observations []decode.Observation
	messages     []message
	follow       following
}

func (j job) empty() bool {
	return len(j.announced)+len(j.states)+len(j.effects)+len(j.observations)+len(j.messages) == 0
}

// jobOf makes a job of effects, with what the rules know by now.
func (i *Ingest) jobOf(effects []rules.Effect) (job, error) {
	states, err := i.engine.Dirty()
	return job{states: states, effects: effects}, err
}

// settleAll stores one job after the other until ctx ends, which may be its error, and tells how
// long each took.
func (i *Ingest) settleAll(ctx context.Context, jobs <-chan job, settled chan<- time.Duration) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case j := <-jobs:
			began := i.cfg.Now()
			if err := i.settle(ctx, j); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
			case settled <- i.cfg.Now().Sub(began):
			}
		}
	}
}

// settle stores a job and acknowledges its messages.
func (i *Ingest) settle(ctx context.Context, j job) error {
	if len(j.states)+len(j.announced) > 0 {
		err := i.store(ctx, "save what is known of devices", func() error { return i.sink.Save(ctx, j.states, j.announced) })
		if errors.Is(err, ErrRefused) {
			i.setAside("", "state", err)
		} else if err != nil {
			return err
		}
	}
	for _, e := range j.effects {
		if err := i.apply(ctx, e); err != nil {
			return err
		}
	}
	if err := i.save(ctx, j.observations); err != nil {
		return err
	}
	i.tell(j)
	i.link.stored(j.messages)
	return nil
}

// apply hands an alarm to the sink.
func (i *Ingest) apply(ctx context.Context, e rules.Effect) error {
	what, call, count := "raise the alarm ", i.sink.RaiseAlarm, &i.raised
	if e.What == rules.Clear {
		what, call, count = "clear the alarm ", i.sink.ClearAlarm, &i.cleared
	}
	err := i.store(ctx, what+e.Alarm.Cause+" of "+e.Alarm.Device, func() error { return call(ctx, e.Alarm) })
	if errors.Is(err, ErrRefused) {
		i.setAside(e.Alarm.Device, e.Alarm.Cause, err)
		return nil
	}
	if err == nil {
		count.Add(1)
	}
	return err
}

// save stores readings. A batch that is refused is halved until the bad one is alone, so that
// it takes nothing else with it.
func (i *Ingest) save(ctx context.Context, list []decode.Observation) error {
	if len(list) == 0 {
		return nil
	}
	err := i.store(ctx, fmt.Sprintf("store %d observations", len(list)), func() error { return i.sink.Observe(ctx, list) })
	if !errors.Is(err, ErrRefused) {
		return err
	}
	half := len(list) / 2
	if half == 0 {
		i.setAside(list[0].Hardware, list[0].Key, err)
		return nil
	}
	if err := i.save(ctx, list[:half]); err != nil {
		return err
	}
	return i.save(ctx, list[half:])
}
