package ingest

import (
	"context"
	"errors"
	"time"

	"estate/internal/problem"
)

// storeRetryMin and storeRetryMax bound the wait while the store fails.
const (
	storeRetryMin = 100 * time.Millisecond
	storeRetryMax = 10 * time.Second
)

// store tries until it passes, is refused, or ctx ends; the error is then ErrRefused or
// ctx's.
func (i *Ingest) store(ctx context.Context, what string, try func() error) error {
	wait := storeRetryMin
	for {
		err := try()
		if err == nil || errors.Is(err, ErrRefused) {
			i.storeWorks(what)
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		i.storeFails(what, err)
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
		wait = min(2*wait, storeRetryMax)
	}
}

func (i *Ingest) storeFails(what string, err error) {
	i.mu.Lock()
	first := i.storeFailing.IsZero()
	if first {
		i.storeFailing = i.cfg.Now()
	}
	i.mu.Unlock()
	if first {
		i.log.Error("device data waits: the store fails, trying again", "attempted", what, "cause", err)
	}
}

func (i *Ingest) storeWorks(what string) {
	i.mu.Lock()
	since := i.storeFailing
	i.storeFailing = time.Time{}
	i.mu.Unlock()
	if !since.IsZero() {
		i.log.Info("the store takes device data again", "attempted", what, "failed_since", since)
	}
}

func (i *Ingest) setAside(hardware, key string, err error) {
	i.refused.Add(1)
	i.refusals.add(Refusal{Login: hardware, Key: key, Code: problem.MQTTPayloadRefused, Reason: err.Error()}, i.cfg.Now())
	i.log.Error("device data set aside: the store will never take it", "hardware", hardware, "key", key, "cause", err)
}
