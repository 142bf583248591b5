// Package ingest takes device messages from an MQTT broker, ours or another by URL, to the
// edge's store: decode, drop what came twice, keep sensors' state, raise and clear alarms.
// A message is acknowledged to the broker only after the store has it. It must never raise
// an alarm from a device that nobody adopted, never take a broker's retained state for an
// event, and never stop because one message is bad.
package ingest

import (
	"context"
	"errors"
	"time"

	"estate/edge/internal/decode"
)

// ErrRefused is wrapped by a Sink to say that this very input can never be stored. It is set
// aside and reported; any other error is tried again until it passes.
var ErrRefused = errors.New("refused by the store")

// Sink is where observations and alarms go. What a method was given is durable when it
// returns nil. Calls come from one goroutine and are repeated after a crash, so each must
// accept the same input again.
type Sink interface {
	// Restore gives what was saved before: called once, at the start.
	Restore(ctx context.Context) (Snapshot, error)
	// Known says whether the hardware was adopted as a device of this building. It must
	// answer from memory: it is asked for every observation.
	Known(hardware string) bool
	// Observe stores a batch: observations as readings (Observation.ID is the same when
	// delivered again), and the state beside them. May wrap ErrRefused.
	Observe(ctx context.Context, batch Batch) error
	// RaiseAlarm opens an alarm, or updates the one that is open for the same hardware
	// and kind. May wrap ErrRefused.
	RaiseAlarm(ctx context.Context, alarm Alarm) error
	// ClearAlarm closes an alarm that RaiseAlarm opened. May wrap ErrRefused.
	ClearAlarm(ctx context.Context, alarm Alarm) error
}

// Snapshot is what a Sink gives back after a restart.
type Snapshot struct {
	Sensors []SensorState
	Alarms  []Alarm // those still open
	// Announced are the messages in which devices and gateways told of themselves.
	Announced []decode.Message
}

// Batch is stored in one go.
type Batch struct {
	Observations []decode.Observation
	// Sensors are states that changed: save each by (Hardware, Kind), the last one wins.
	Sensors []SensorState
	// Announced are messages to be saved for the next start, each in place of what was saved
	// of its topic; one without a payload takes it away.
	Announced []decode.Message
}

// SensorState is the last that is known of one emergency sensor.
type SensorState struct {
	Hardware string
	Kind     decode.Kind
	Value    bool
	// Changed is when the value became what it is, Seen when it was last confirmed; event
	// times where the device sends them.
	Changed, Seen time.Time
}

// Alarm is one emergency, from the first sign until the sensor stayed quiet. Hardware,
// Kind and Since are its cause and identify it: two automations that see the same cause
// make one alarm.
type Alarm struct {
	Hardware string
	Kind     decode.Kind
	// Since is the onset: the event time, or the arrival where the device sends none.
	Since time.Time
	Name  string
	Value decode.Value
	// Flapping says that the sensor changes so often that it may be faulty.
	Flapping bool
	// Detail says in words what happened last.
	Detail string
	// Cleared is set when the alarm is cleared.
	Cleared time.Time
}

// Cause is the alarm's identity as text, to derive a record's id from.
func (a Alarm) Cause() string {
	return a.Hardware + "|" + string(a.Kind) + "|" + a.Since.UTC().Format(time.RFC3339Nano)
}
