package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Time is the beacon: the building's time, for devices without a clock.
type Time struct {
	UnixMillis int64 `json:"unix_ms"`
	// Source is where it comes from: "cloud" or "box".
	Source string `json:"source"`
	// UncertaintyMillis is what it may be off by; left out where that is not known.
	UncertaintyMillis *int64 `json:"uncertainty_ms,omitempty"`
}

// TimeMessage is the message that tells the time of a building: at, and what it may be off by, 0
// where that is not known.
func TimeMessage(code string, at time.Time, off time.Duration) (Message, error) {
	t := Time{UnixMillis: at.UnixMilli(), Source: "box"}
	if off > 0 {
		ms := off.Milliseconds()
		t.Source, t.UncertaintyMillis = "cloud", &ms
	}
	text, err := json.Marshal(t)
	if err != nil {
		return Message{}, fmt.Errorf("write the time: %w", err)
	}
	return Message{Topic: "estate/v1/" + code + "/time", Payload: text}, nil
}

// tellTime tells the time; who missed it hears the next one.
func (o *Outbound) tellTime(ctx context.Context) error {
	at, off, err := o.cfg.Time(ctx)
	if err != nil {
		return err
	}
	m, err := TimeMessage(o.cfg.Code, at, off)
	if err != nil {
		return err
	}
	return o.publish(ctx, m)
}
