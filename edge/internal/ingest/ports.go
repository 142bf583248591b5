// Package ingest takes device messages from an MQTT broker, ours or another by URL, to the
// edge's store: decode, drop what came twice, keep sensors' state, raise and clear alarms.
// A message is acknowledged to the broker only after the store has it. It must never raise
// an alarm from a device that nobody adopted, never take a broker's retained state for an
// event, and never stop because one message is bad.
package ingest

import (
	"context"
	"errors"

	"estate/edge/internal/decode"
	"estate/internal/rules"
)

// ErrRefused is wrapped by a Sink to say that this very input can never be stored. It is set
// aside and reported; any other error is tried again until it passes.
var ErrRefused = errors.New("refused by the store")

// Place is an adopted device: where it is and what people call it.
type Place struct {
	Unit, Name string
}

// Sink is where observations and alarms go. What a method was given is durable when it
// returns nil. Known is called while another call is under way; the others come one at a time
// and are repeated after a crash, so each must accept the same input again.
type Sink interface {
	// Restore gives what was saved before: called once, at the start.
	Restore(ctx context.Context) (Snapshot, error)
	// Known says whether the hardware was adopted as a device of this building. It must
	// answer from memory: it is asked for every observation.
	Known(hardware string) (Place, bool)
	// OutOfService says that the hardware is for certain no device in service: it is false where
	// that cannot be looked up.
	OutOfService(hardware string) bool
	// Save stores what rules know of devices, each in place of what was saved of the same rule
	// and device, and messages in which devices told of themselves, each in place of what was
	// saved of its topic; one without a payload takes it away.
	Save(ctx context.Context, states []rules.Saved, announced []decode.Message) error
	// Observe stores observations as readings (Observation.ID is the same when delivered
	// again). May wrap ErrRefused.
	Observe(ctx context.Context, observations []decode.Observation) error
	// RaiseAlarm opens an alarm, or updates the one that is open for the same device and cause.
	// May wrap ErrRefused.
	RaiseAlarm(ctx context.Context, alarm rules.Alarm) error
	// ClearAlarm closes an alarm that RaiseAlarm opened. May wrap ErrRefused.
	ClearAlarm(ctx context.Context, alarm rules.Alarm) error
}

// Snapshot is what a Sink gives back after a restart.
type Snapshot struct {
	// States are what rules knew, with the alarms that were open.
	States []rules.Saved
	// Open are the alarms that the building shows as open. One that no rule holds open ended
	// in the moment of a stop.
	Open []rules.Alarm
	// Announced are the messages in which devices and gateways told of themselves.
	Announced []decode.Message
}
