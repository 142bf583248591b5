package ingest

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/lab/fuzztest"
	"estate/internal/rules"
)

// last keeps what ingest gave it last: the way up to the store, without one.
type last struct {
	observations []decode.Observation
	raised       []rules.Alarm
}

func (l *last) Restore(context.Context) (Snapshot, error) { return Snapshot{}, nil }
func (l *last) Known(hardware string) (Place, bool)       { return Place{}, hardware == adopted }
func (l *last) OutOfService(hardware string) bool         { return hardware != adopted }
func (l *last) Save(context.Context, []rules.Saved, []decode.Message) error {
	return nil
}
func (l *last) Observe(_ context.Context, list []decode.Observation) error {
	l.observations = list
	return nil
}
func (l *last) RaiseAlarm(_ context.Context, a rules.Alarm) error {
	l.raised = append(l.raised, a)
	return nil
}
func (l *last) ClearAlarm(context.Context, rules.Alarm) error { return nil }

// adopted is the only device of the building.
const adopted = "plain:oak/s1"

// FuzzMessages takes two messages of any topic and payload through the whole way up to the
// store: no panic, each is acknowledged once, nothing reaches the store or raises an alarm
// but the adopted device, and the lists that senders can fill stay within their limits.
func FuzzMessages(f *testing.F) {
	const state, list = "estate/v1/oak/dev/s1/state", `[{"ieee_address":"0x00158d0000000001","friendly_name":"cellar/leak"}]`
	f.Add(state, []byte(`{"leak":true,"temperature":11.5,"ts":"2026-03-01T11:59:00Z"}`), state, []byte(`{"leak":false}`), byte(0))
	f.Add("zigbee2mqtt/bridge/devices", []byte(list), "zigbee2mqtt/cellar/leak", []byte(`{"water_leak":true,"last_seen":1772366340}`), byte(1))
	f.Add("zigbee2mqtt/attic/availability", []byte("online"), "zigbee2mqtt/attic", []byte(`{"battery":1e999}`), byte(2))
	f.Add("estate/v1/elm/dev/s1/state", []byte("null"), "tele/x", []byte("\xff"), byte(3))
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, topic1 string, payload1 []byte, topic2 string, payload2 []byte, flags byte) {
		sink := &last{}
		i, err := New(Config{Building: "oak", Link: Link{URL: "tcp://127.0.0.1:1"}, Now: func() time.Time { return now }}, sink, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var acknowledged bytes.Buffer
		for _, m := range []message{{topic: &topic{name: topic1}, payload: payload1, retained: flags&1 > 0, duplicate: flags&2 > 0}, {topic: &topic{name: topic2}, payload: payload2}} {
			sink.observations = nil
			m.from, m.qos, m.id, m.arrival = &acknowledged, 1, 0x1234, now
			fuzztest.Bounded(t, int(m.size()), perByte, func() {
				acknowledged.Reset() // it may run again
				j, err := i.look([]message{m})
				if err == nil {
					err = i.settle(t.Context(), j)
				}
				if err != nil {
					t.Fatalf("%q on %q stops the ingest: %v", m.payload, m.topic.name, err)
				}
			})
			if acknowledged.String() != "\x40\x02\x12\x34" {
				t.Fatalf("%q on %q was acknowledged with %x", m.payload, m.topic.name, acknowledged.Bytes())
			}
			for _, o := range sink.observations {
				if o.Hardware != adopted || o.Value.Type == 0 || o.ArrivalTime != now {
					t.Fatalf("%q on %q stores %+v", m.payload, m.topic.name, o)
				}
			}
		}
		for _, a := range sink.raised {
			if a.Device != adopted || a.Cause == "" {
				t.Fatalf("alarm %+v", a)
			}
		}
		if len(i.refusals.list) > refusalsMax || len(i.quarantine.list) > candidatesMax {
			t.Fatalf("%d refusals, %d candidates", len(i.refusals.list), len(i.quarantine.list))
		}
	})
}

// perByte is what a message may cost for each of its bytes: JSON is read twice, and a key of
// a few bytes becomes an entry of a map.
const perByte = 512
