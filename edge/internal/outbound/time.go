package outbound

import (
	"context"
	"encoding/json"
	"fmt"
)

// Time is the beacon: the building's time, for devices without a clock.
type Time struct {
	UnixMillis int64 `json:"unix_ms"`
	// Source is where it comes from: "cloud" or "box".
	Source string `json:"source"`
	// UncertaintyMillis is what it may be off by; left out where that is not known.
	UncertaintyMillis *int64 `json:"uncertainty_ms,omitempty"`
}

// tellTime tells the time; who missed it hears the next one.
func (o *Outbound) tellTime(ctx context.Context) error {
	at, off, err := o.cfg.Time(ctx)
	if err != nil {
		return err
	}
	t := Time{UnixMillis: at.UnixMilli(), Source: "box"}
	if off > 0 {
		ms := off.Milliseconds()
		t.Source, t.UncertaintyMillis = "cloud", &ms
	}
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("write the time: %w", err)
	}
	return o.publish(ctx, Message{Topic: o.topic("time"), Payload: text})
}
