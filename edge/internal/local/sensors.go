package local

import (
	"context"
	"database/sql"
	"fmt"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
)

// Sensors reads what ingest saved before the last stop.
func (s *Store) Sensors(ctx context.Context) (ingest.Snapshot, error) {
	var out ingest.Snapshot
	db, err := s.tables.DB(), error(nil)
	out.Sensors, err = all(ctx, db, func(rows *sql.Rows) (ingest.SensorState, error) {
		var one ingest.SensorState
		var changed, seen int64
		err := rows.Scan(&one.Hardware, &one.Kind, &one.Value, &changed, &seen)
		one.Changed, one.Seen = fromNano(changed), fromNano(seen)
		return one, err
	}, `SELECT hardware, kind, value, changed_at, seen_at FROM sensor_state`)
	if err != nil {
		return out, fmt.Errorf("read sensors: %w", err)
	}
	out.Announced, err = all(ctx, db, func(rows *sql.Rows) (decode.Message, error) {
		m := decode.Message{Retained: true}
		var heard int64
		err := rows.Scan(&m.Topic, &m.Payload, &heard)
		m.Arrival = fromNano(heard)
		return m, err
	}, `SELECT topic, payload, heard_at FROM announcement ORDER BY topic`)
	if err != nil {
		return out, fmt.Errorf("read what devices announced: %w", err)
	}
	out.Alarms, err = all(ctx, db, func(rows *sql.Rows) (ingest.Alarm, error) {
		a := ingest.Alarm{Value: decode.BoolValue(true)}
		var since int64
		err := rows.Scan(&a.Hardware, &a.Kind, &since, &a.Name, &a.Flapping, &a.Detail)
		a.Since = fromNano(since)
		return a, err
	}, `SELECT hardware, kind, since, name, flapping, detail FROM open_alarm`)
	if err != nil {
		return out, fmt.Errorf("read open alarms: %w", err)
	}
	return out, nil
}

// SaveSensors stores states that changed, and messages in which devices told of themselves:
// each in place of what was saved of its topic, which one without a payload takes away.
func (s *Store) SaveSensors(ctx context.Context, states []ingest.SensorState, announced []decode.Message) error {
	if len(states) == 0 && len(announced) == 0 {
		return nil
	}
	err := s.tables.Local(ctx, func(tx *sql.Tx) error {
		for _, one := range states {
			_, err := tx.ExecContext(ctx, `INSERT INTO sensor_state (hardware, kind, value, changed_at, seen_at) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (hardware, kind) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at, seen_at = excluded.seen_at`,
				one.Hardware, one.Kind, one.Value, nano(one.Changed), nano(one.Seen))
			if err != nil {
				return err
			}
		}
		for _, m := range announced {
			if err := saveAnnouncement(ctx, tx, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save sensors: %w", err)
	}
	return nil
}

// saveAnnouncement writes nothing where the topic's message is the one that was saved: a
// broker repeats all of them at each connect.
func saveAnnouncement(ctx context.Context, tx *sql.Tx, m decode.Message) error {
	if len(m.Payload) == 0 {
		_, err := tx.ExecContext(ctx, `DELETE FROM announcement WHERE topic = ?`, m.Topic)
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO announcement (topic, payload, heard_at) VALUES (?, ?, ?)
		ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload, heard_at = excluded.heard_at WHERE payload IS NOT excluded.payload`,
		m.Topic, m.Payload, nano(m.Arrival))
	return err
}

// OpenAlarm notes an alarm that stands.
func (s *Store) OpenAlarm(ctx context.Context, a ingest.Alarm) error {
	_, err := s.exec(ctx, "note open alarm", `INSERT INTO open_alarm (hardware, kind, since, name, flapping, detail) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (hardware, kind) DO UPDATE SET since = excluded.since, name = excluded.name, flapping = excluded.flapping, detail = excluded.detail`,
		a.Hardware, a.Kind, nano(a.Since), a.Name, a.Flapping, a.Detail)
	return err
}

// CloseAlarm forgets an alarm that ended.
func (s *Store) CloseAlarm(ctx context.Context, a ingest.Alarm) error {
	_, err := s.exec(ctx, "forget ended alarm", `DELETE FROM open_alarm WHERE hardware = ? AND kind = ? AND since = ?`, a.Hardware, a.Kind, nano(a.Since))
	return err
}
