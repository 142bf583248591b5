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
	out.Names, err = all(ctx, db, func(rows *sql.Rows) (decode.Name, error) {
		var n decode.Name
		err := rows.Scan(&n.Base, &n.Name, &n.Hardware)
		return n, err
	}, `SELECT base, name, hardware FROM gateway_name`)
	if err != nil {
		return out, fmt.Errorf("read gateway names: %w", err)
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

// SaveSensors stores states that changed; names, where not nil, replace all that were saved.
func (s *Store) SaveSensors(ctx context.Context, states []ingest.SensorState, names []decode.Name) error {
	if len(states) == 0 && names == nil {
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
		if names == nil {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM gateway_name`); err != nil {
			return err
		}
		for _, n := range names {
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO gateway_name (base, name, hardware) VALUES (?, ?, ?)`, n.Base, n.Name, n.Hardware); err != nil {
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
