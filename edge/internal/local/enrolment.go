package local

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"estate/internal/auth"
	"estate/sync/record"
)

// ErrNotEnrolled says that this box belongs to no building yet.
var ErrNotEnrolled = errors.New("this edge is not enrolled")

// ErrEnrolled says that this box already belongs to a building: a box that moves begins
// with an empty data folder.
var ErrEnrolled = errors.New("this edge is enrolled already")

// Enrolment is where this box belongs.
type Enrolment struct {
	Node     record.ID
	Building record.ID
	CloudURL string
	// Server is the name that the cloud signs and is answered under.
	Server string
	// CloudKey is the cloud's node key, with which it signs heads and receipts.
	CloudKey ed25519.PublicKey
	// TokenKeys are the keys of the cloud's access tokens.
	TokenKeys []auth.IssuerKey
	At        time.Time
}

// Enrolment reads the enrolment. It returns ErrNotEnrolled.
func (s *Store) Enrolment(ctx context.Context) (Enrolment, error) {
	found, err := all(ctx, s.tables.DB(), scanEnrolment, `SELECT node, building, cloud_url, server, cloud_key, enrolled_at FROM enrolment`)
	if err != nil {
		return Enrolment{}, fmt.Errorf("read enrolment: %w", err)
	}
	if len(found) == 0 {
		return Enrolment{}, ErrNotEnrolled
	}
	e := found[0]
	e.TokenKeys, err = all(ctx, s.tables.DB(), func(rows *sql.Rows) (auth.IssuerKey, error) {
		var k auth.IssuerKey
		err := rows.Scan((*[]byte)(&k.Public), &k.Issuer)
		return k, err
	}, `SELECT public_key, issuer FROM token_key ORDER BY public_key`)
	if err != nil {
		return Enrolment{}, fmt.Errorf("read token keys: %w", err)
	}
	return e, nil
}

func scanEnrolment(rows *sql.Rows) (Enrolment, error) {
	var e Enrolment
	var node, building []byte
	var at int64
	err := rows.Scan(&node, &building, &e.CloudURL, &e.Server, (*[]byte)(&e.CloudKey), &at)
	if err != nil {
		return e, err
	}
	if e.Node, err = idOf(node); err != nil {
		return e, err
	}
	e.Building, err = idOf(building)
	e.At = fromMilli(at)
	return e, err
}

// Enrol stores the enrolment. Enrolling again for the same building, with the same node and
// cloud, brings the address and the token keys up to date; anything else is ErrEnrolled.
func (s *Store) Enrol(ctx context.Context, e Enrolment) error {
	err := s.tables.Local(ctx, func(tx *sql.Tx) error {
		found, err := all(ctx, tx, scanEnrolment, `SELECT node, building, cloud_url, server, cloud_key, enrolled_at FROM enrolment`)
		if err != nil {
			return err
		}
		if len(found) > 0 && (found[0].Building != e.Building || found[0].Node != e.Node || !found[0].CloudKey.Equal(e.CloudKey)) {
			return ErrEnrolled
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO enrolment (only_one, node, building, cloud_url, server, cloud_key, enrolled_at) VALUES (1, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (only_one) DO UPDATE SET cloud_url = excluded.cloud_url, server = excluded.server`,
			e.Node[:], e.Building[:], e.CloudURL, e.Server, []byte(e.CloudKey), milli(e.At))
		if err != nil {
			return err
		}
		return replaceKeys(ctx, tx, e.TokenKeys)
	})
	if err != nil {
		return fmt.Errorf("store enrolment: %w", err)
	}
	return nil
}

func replaceKeys(ctx context.Context, tx *sql.Tx, keys []auth.IssuerKey) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM token_key`); err != nil {
		return err
	}
	for _, k := range keys {
		if _, err := tx.ExecContext(ctx, `INSERT INTO token_key (public_key, issuer) VALUES (?, ?)`, []byte(k.Public), k.Issuer); err != nil {
			return err
		}
	}
	return nil
}
