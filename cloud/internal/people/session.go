package people

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/auth"
	"estate/sync/record"
)

const sessionColumns = `hash, family, person, client_id, agent, created_at, expires_at, resent, rotated_at, successor, revoked_at`

// lockFamily serialises all changes of one family, so that a revocation also covers the
// token that a concurrent rotation adds.
const lockFamily = `SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))`

// CreateSession implements auth.SessionStore.
func (s *Store) CreateSession(ctx context.Context, row auth.Session) error {
	if err := insertSession(ctx, s.pool, row); err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	return nil
}

type execer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func insertSession(ctx context.Context, db execer, r auth.Session) error {
	rows, err := db.Query(ctx, `INSERT INTO session (`+sessionColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`,
		r.Hash[:], [16]byte(r.Family), [16]byte(r.Person), r.ClientID, r.Agent, r.CreatedAt, r.ExpiresAt, r.Resent,
		orNull(r.RotatedAt), successor(r), orNull(r.RevokedAt))
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func successor(r auth.Session) []byte {
	if r.RotatedAt.IsZero() {
		return nil
	}
	return r.Successor[:]
}

// FindByHash implements auth.SessionStore.
func (s *Store) FindByHash(ctx context.Context, hash auth.TokenHash) (auth.Session, error) {
	return findSession(ctx, s.pool, hash, "")
}

func findSession(ctx context.Context, db execer, hash auth.TokenHash, lock string) (auth.Session, error) {
	rows, err := db.Query(ctx, `SELECT `+sessionColumns+` FROM session WHERE hash=$1`+lock, hash[:])
	if err != nil {
		return auth.Session{}, fmt.Errorf("find session: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanSession)
	if errors.Is(err, pgx.ErrNoRows) {
		return auth.Session{}, auth.ErrNoSession
	}
	if err != nil {
		return auth.Session{}, fmt.Errorf("find session: %w", err)
	}
	return r, nil
}

func scanSession(row pgx.CollectableRow) (auth.Session, error) {
	var r auth.Session
	var hash, next []byte
	var family, person [16]byte
	var rotated, revoked *time.Time
	err := row.Scan(&hash, &family, &person, &r.ClientID, &r.Agent, &r.CreatedAt, &r.ExpiresAt, &r.Resent, &rotated, &next, &revoked)
	if err != nil {
		return r, err
	}
	copy(r.Hash[:], hash)
	copy(r.Successor[:], next)
	r.Family, r.Person, r.CreatedAt, r.ExpiresAt = family, person, r.CreatedAt.UTC(), r.ExpiresAt.UTC()
	if rotated != nil {
		r.RotatedAt = rotated.UTC()
	}
	if revoked != nil {
		r.RevokedAt = revoked.UTC()
	}
	return r, nil
}

// Rotate implements auth.SessionStore.
func (s *Store) Rotate(ctx context.Context, old auth.TokenHash, next auth.Session) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockFamily, next.Family.String()); err != nil {
			return fmt.Errorf("lock family: %w", err)
		}
		row, err := findSession(ctx, tx, old, " FOR UPDATE")
		switch {
		case err != nil:
			return err
		case !row.RevokedAt.IsZero():
			return auth.ErrRevoked
		case !row.RotatedAt.IsZero():
			return auth.ErrRotated
		}
		if _, err := tx.Exec(ctx, `UPDATE session SET rotated_at=$2, successor=$3 WHERE hash=$1`, old[:], next.CreatedAt, next.Hash[:]); err != nil {
			return fmt.Errorf("mark rotated: %w", err)
		}
		return insertSession(ctx, tx, next)
	})
	if err != nil {
		return fmt.Errorf("rotate session: %w", err)
	}
	return nil
}

// RevokeFamily implements auth.SessionStore.
func (s *Store) RevokeFamily(ctx context.Context, family record.ID, at time.Time) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return revoke(ctx, tx, family, at) })
	if err != nil {
		return fmt.Errorf("revoke family: %w", err)
	}
	return nil
}

func revoke(ctx context.Context, tx pgx.Tx, family record.ID, at time.Time) error {
	if _, err := tx.Exec(ctx, lockFamily, family.String()); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE session SET revoked_at=$2 WHERE family=$1 AND revoked_at IS NULL`, [16]byte(family), at)
	return err
}

// RevokePerson implements auth.SessionStore.
func (s *Store) RevokePerson(ctx context.Context, person record.ID, at time.Time) error {
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT family FROM session WHERE person=$1 ORDER BY family`, [16]byte(person))
	if err != nil {
		return fmt.Errorf("list families: %w", err)
	}
	families, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil {
		return fmt.Errorf("list families: %w", err)
	}
	for _, f := range families {
		if err := s.RevokeFamily(ctx, f, at); err != nil {
			return err
		}
	}
	return nil
}

// DeleteExpired implements auth.SessionStore.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time) (int, error) {
	tag, err := s.pool.Exec(ctx, `DELETE FROM session WHERE expires_at < $1`, before)
	if err != nil {
		return 0, fmt.Errorf("delete expired sessions: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// selectStandings finds sessions that live and says of each whether its person is an
// operator's admin. The list stands in a sub-select so that the plan is made once (see
// pgstore's selectRecords).
const selectStandings = `SELECT k.nth, coalesce((SELECT admin AND NOT disabled FROM account WHERE id = s.person), false)
	FROM unnest((SELECT $1::uuid[])) WITH ORDINALITY AS k (family, nth)
	CROSS JOIN LATERAL (SELECT person FROM session WHERE family = k.family AND revoked_at IS NULL LIMIT 1) s`

// standings looks several sessions up in one statement.
func (s *Store) standings(families []record.ID) ([]auth.Standing, error) {
	ctx, cancel := context.WithTimeout(context.Background(), standingTimeout)
	defer cancel()
	ids := make([][16]byte, len(families))
	for i, f := range families {
		ids[i] = f
	}
	out := make([]auth.Standing, len(families))
	rows, err := s.pool.Query(ctx, selectStandings, ids)
	if err != nil {
		return nil, fmt.Errorf("look up sessions: %w", err)
	}
	var nth int
	var operator bool
	_, err = pgx.ForEachRow(rows, []any{&nth, &operator}, func() error {
		out[nth-1] = auth.Standing{Live: true, Operator: operator}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up sessions: %w", err)
	}
	return out, nil
}

// FamilyStanding implements auth.Standings: requests that arrive together ask together.
func (s *Store) FamilyStanding(ctx context.Context, family record.ID) (auth.Standing, error) {
	return s.asked.Ask(ctx, family)
}

// FamilyLive implements auth.Liveness.
func (s *Store) FamilyLive(ctx context.Context, family record.ID) (bool, error) {
	standing, err := s.FamilyStanding(ctx, family)
	return standing.Live, err
}
