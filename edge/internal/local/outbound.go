package local

import (
	"context"
	"database/sql"
	"fmt"

	"estate/sync/record"
)

// Kept gives the messages that brokers were asked to keep, by topic.
func (s *Store) Kept(ctx context.Context) (map[string][]byte, error) {
	out := map[string][]byte{}
	_, err := all(ctx, s.tables.DB(), func(rows *sql.Rows) (struct{}, error) {
		var topic string
		var payload []byte
		err := rows.Scan(&topic, &payload)
		out[topic] = payload
		return struct{}{}, err
	}, `SELECT topic, payload FROM mqtt_kept`)
	if err != nil {
		return nil, fmt.Errorf("read what brokers keep: %w", err)
	}
	return out, nil
}

// Keep notes what brokers are being asked to keep on a topic; an empty payload takes the note
// away.
func (s *Store) Keep(ctx context.Context, topic string, payload []byte) error {
	if len(payload) == 0 {
		_, err := s.exec(ctx, "forget what brokers keep", `DELETE FROM mqtt_kept WHERE topic = ?`, topic)
		return err
	}
	_, err := s.exec(ctx, "note what brokers keep", `INSERT INTO mqtt_kept (topic, payload) VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload`, topic, payload)
	return err
}

// Inboxes gives the people with a login for an inbox and the position up to which each was
// told.
func (s *Store) Inboxes(ctx context.Context) (map[record.ID]uint64, error) {
	out := map[record.ID]uint64{}
	_, err := all(ctx, s.tables.DB(), func(rows *sql.Rows) (struct{}, error) {
		var person []byte
		var position int64
		err := rows.Scan(&person, &position)
		if len(person) == len(record.ID{}) {
			out[record.ID(person)] = uint64(position)
		}
		return struct{}{}, err
	}, `SELECT DISTINCT t.person, t.position FROM mqtt_told t JOIN mqtt_login l ON l.person = t.person`)
	if err != nil {
		return nil, fmt.Errorf("list inboxes: %w", err)
	}
	return out, nil
}

// BeginInbox gives a person an inbox that was told everything up to a position; one that is
// there stays as it is.
func (s *Store) BeginInbox(ctx context.Context, person record.ID, position uint64) error {
	_, err := s.exec(ctx, "begin an inbox", `INSERT INTO mqtt_told (person, position) VALUES (?, ?) ON CONFLICT DO NOTHING`, person[:], int64(position))
	return err
}

// Told notes up to where a person was told.
func (s *Store) Told(ctx context.Context, person record.ID, position uint64) error {
	_, err := s.exec(ctx, "note what an inbox was told", `INSERT INTO mqtt_told (person, position) VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET position = excluded.position`,
		person[:], int64(position))
	return err
}

// LoginsOf lists the names of a person's logins.
func (s *Store) LoginsOf(ctx context.Context, person record.ID) ([]string, error) {
	out, err := all(ctx, s.tables.DB(), func(rows *sql.Rows) (string, error) {
		var name string
		err := rows.Scan(&name)
		return name, err
	}, `SELECT username FROM mqtt_login WHERE person = ?`, person[:])
	if err != nil {
		return nil, fmt.Errorf("list a person's logins: %w", err)
	}
	return out, nil
}
