package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"estate/internal/auth"
	"estate/sync/record"
)

var (
	_ auth.SessionStore = (*Store)(nil)
	_ auth.Liveness     = (*Store)(nil)
)

const (
	sessionColumns = `hash, family, person, client_id, agent, created_at, expires_at, resent, rotated_at, successor, revoked_at`
	insertSession  = `INSERT INTO session (` + sessionColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	findSession    = `SELECT ` + sessionColumns + ` FROM session WHERE hash = ?`
)

// CreateSession implements auth.SessionStore.
func (s *Store) CreateSession(ctx context.Context, row auth.Session) error {
	defer s.live.forget()
	_, err := s.exec(ctx, "create session", insertSession, sessionArgs(row)...)
	return err
}

func sessionArgs(r auth.Session) []any {
	var rotated, revoked, successor any
	if !r.RotatedAt.IsZero() {
		rotated, successor = milli(r.RotatedAt), r.Successor[:]
	}
	if !r.RevokedAt.IsZero() {
		revoked = milli(r.RevokedAt)
	}
	return []any{r.Hash[:], r.Family[:], r.Person[:], r.ClientID, r.Agent, milli(r.CreatedAt), milli(r.ExpiresAt), r.Resent, rotated, successor, revoked}
}

func scanSession(rows *sql.Rows) (auth.Session, error) {
	var r auth.Session
	var hash, family, person, successor []byte
	var created, expires int64
	var rotated, revoked sql.NullInt64
	err := rows.Scan(&hash, &family, &person, &r.ClientID, &r.Agent, &created, &expires, &r.Resent, &rotated, &successor, &revoked)
	if err != nil {
		return r, err
	}
	copy(r.Hash[:], hash)
	copy(r.Successor[:], successor)
	if r.Family, err = idOf(family); err != nil {
		return r, err
	}
	if r.Person, err = idOf(person); err != nil {
		return r, err
	}
	r.CreatedAt, r.ExpiresAt = fromMilli(created), fromMilli(expires)
	r.RotatedAt, r.RevokedAt = fromMilli(rotated.Int64), fromMilli(revoked.Int64)
	return r, nil
}

// FindByHash implements auth.SessionStore.
func (s *Store) FindByHash(ctx context.Context, hash auth.TokenHash) (auth.Session, error) {
	return oneSession(ctx, s.tables.DB(), hash)
}

func oneSession(ctx context.Context, q querier, hash auth.TokenHash) (auth.Session, error) {
	found, err := all(ctx, q, scanSession, findSession, hash[:])
	if err != nil {
		return auth.Session{}, fmt.Errorf("find session: %w", err)
	}
	if len(found) == 0 {
		return auth.Session{}, auth.ErrNoSession
	}
	return found[0], nil
}

// Rotate implements auth.SessionStore. There is one writer, so the look and the change are
// of one moment.
func (s *Store) Rotate(ctx context.Context, old auth.TokenHash, next auth.Session) error {
	defer s.live.forget()
	err := s.tables.Local(ctx, func(tx *sql.Tx) error {
		row, err := oneSession(ctx, tx, old)
		switch {
		case err != nil:
			return err
		case !row.RevokedAt.IsZero():
			return auth.ErrRevoked
		case !row.RotatedAt.IsZero():
			return auth.ErrRotated
		}
		_, err = tx.ExecContext(ctx, `UPDATE session SET rotated_at = ?, successor = ? WHERE hash = ?`, milli(next.CreatedAt), next.Hash[:], old[:])
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, insertSession, sessionArgs(next)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("rotate session: %w", err)
	}
	return nil
}

// RevokeFamily implements auth.SessionStore.
func (s *Store) RevokeFamily(ctx context.Context, family record.ID, at time.Time) error {
	defer s.live.forget()
	_, err := s.exec(ctx, "revoke session", `UPDATE session SET revoked_at = ? WHERE family = ? AND revoked_at IS NULL`, milli(at), family[:])
	return err
}

// RevokePerson implements auth.SessionStore.
func (s *Store) RevokePerson(ctx context.Context, person record.ID, at time.Time) error {
	defer s.live.forget()
	_, err := s.exec(ctx, "revoke sessions of a person", `UPDATE session SET revoked_at = ? WHERE person = ? AND revoked_at IS NULL`, milli(at), person[:])
	return err
}

// DeleteExpired implements auth.SessionStore.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time) (int, error) {
	defer s.live.forget()
	n, err := s.exec(ctx, "delete expired sessions", `DELETE FROM session WHERE expires_at < ?`, milli(before))
	return int(n), err
}

// FamilyLive implements auth.Liveness.
func (s *Store) FamilyLive(ctx context.Context, family record.ID) (bool, error) {
	known, changes := s.live.find(family)
	if known {
		return true, nil
	}
	var live bool
	err := s.tables.DB().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM session WHERE family = ? AND revoked_at IS NULL)`, family[:]).Scan(&live)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("look up session: %w", err)
	}
	if live {
		s.live.keep(changes, family)
	}
	return live, nil
}
