package local

import (
	"context"
	"database/sql"
	"fmt"

	"estate/edge/internal/decode"
	"estate/internal/rules"
)

// RuleStates reads what rules knew of devices before the last stop.
func (s *Store) RuleStates(ctx context.Context) ([]rules.Saved, error) {
	out, err := all(ctx, s.tables.DB(), func(rows *sql.Rows) (rules.Saved, error) {
		var one rules.Saved
		err := rows.Scan(&one.Rule, &one.Version, &one.Device, &one.State)
		return one, err
	}, `SELECT rule, version, device, state FROM rule_state ORDER BY rule, device`)
	if err != nil {
		return nil, fmt.Errorf("read what rules know: %w", err)
	}
	return out, nil
}

// Announced reads the messages in which devices and gateways told of themselves.
func (s *Store) Announced(ctx context.Context) ([]decode.Message, error) {
	out, err := all(ctx, s.tables.DB(), func(rows *sql.Rows) (decode.Message, error) {
		m := decode.Message{Retained: true}
		var heard int64
		err := rows.Scan(&m.Topic, &m.Payload, &heard)
		m.Arrival = fromNano(heard)
		return m, err
	}, `SELECT topic, payload, heard_at FROM announcement ORDER BY topic`)
	if err != nil {
		return nil, fmt.Errorf("read what devices announced: %w", err)
	}
	return out, nil
}

// SaveDevices stores what rules know of devices, and messages in which devices told of
// themselves: each in place of what was saved of its topic, which one without a payload takes
// away.
func (s *Store) SaveDevices(ctx context.Context, states []rules.Saved, announced []decode.Message) error {
	if len(states) == 0 && len(announced) == 0 {
		return nil
	}
	err := s.tables.Local(ctx, func(tx *sql.Tx) error {
		for _, one := range states {
			if one.State == nil {
				if _, err := tx.ExecContext(ctx, `DELETE FROM rule_state WHERE rule = ? AND device = ?`, one.Rule, one.Device); err != nil {
					return err
				}
				continue
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO rule_state (rule, device, version, state) VALUES (?, ?, ?, ?)
				ON CONFLICT (rule, device) DO UPDATE SET version = excluded.version, state = excluded.state`, one.Rule, one.Device, one.Version, one.State)
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
		return fmt.Errorf("save what is known of devices: %w", err)
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
