// Package people keeps the operator's accounts, their memberships and their sessions in
// PostgreSQL. None of it is replicated: what an edge needs of it is projected into records
// of each building by jobs.
//
// It must never return a password hash to anything but sign-in and the projection.
package people

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/auth"
	"estate/internal/groupcommit"
	"estate/internal/problem"
	"estate/sync/record"
)

// uniqueViolation is PostgreSQL's code for a duplicate key.
const uniqueViolation = "23505"

const (
	// standingsMax bounds how many requests share a look at their sessions.
	standingsMax = 256
	// standingTimeout is for a server that hangs; a caller leaves when its request ends.
	standingTimeout = 30 * time.Second
)

// listMax bounds one page of accounts.
const listMax = 200

// Account is a person as the operator's administrators see one.
type Account struct {
	ID        record.ID
	Email     string
	Name      string
	Admin     bool
	Disabled  bool
	CreatedAt time.Time
}

// Membership is a person's role in one building.
type Membership struct {
	Building record.ID
	Role     string
	Units    []record.ID
	Active   bool
}

// Store keeps accounts. It implements auth.Accounts and auth.SessionStore and is safe for
// concurrent use by many processes.
type Store struct {
	pool  *pgxpool.Pool
	now   func() time.Time
	asked *groupcommit.Gatherer[record.ID, auth.Standing]
}

// New returns a store on a pool whose database is migrated.
func New(pool *pgxpool.Pool, now func() time.Time) *Store {
	s := &Store{pool: pool, now: now}
	s.asked = groupcommit.NewGatherer(standingsMax, s.standings)
	return s
}

// Create adds an account. It returns problem conflict if the address is taken.
func (s *Store) Create(ctx context.Context, a Account, passwordHash string) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO account (id, email, name, password_hash, admin, created_at) VALUES ($1,$2,$3,$4,$5,$6)`,
		[16]byte(a.ID), a.Email, a.Name, passwordHash, a.Admin, s.now())
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		return problem.New(problem.Conflict, "an account with this e-mail address exists")
	}
	if err != nil {
		return fmt.Errorf("create account: %w", err)
	}
	return nil
}

// Change is what to change of an account; nil fields stay.
type Change struct {
	Name         *string
	Email        *string
	PasswordHash *string
	Disabled     *bool
	Admin        *bool
}

// Update changes an account and queues the projection of every building that knows the
// person, in one transaction. It returns problem not_found, or conflict for an address
// that another account has.
func (s *Store) Update(ctx context.Context, person record.ID, c Change) error {
	return s.in(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE account SET name=coalesce($2, name), email=coalesce($3, email), password_hash=coalesce($4, password_hash),
			disabled=coalesce($5, disabled), admin=coalesce($6, admin) WHERE id=$1`, [16]byte(person), c.Name, c.Email, c.PasswordHash, c.Disabled, c.Admin)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == uniqueViolation {
			return problem.New(problem.Conflict, "an account with this e-mail address exists")
		}
		if err != nil {
			return fmt.Errorf("change account: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return problem.New(problem.NotFound, "account")
		}
		_, err = tx.Exec(ctx, `INSERT INTO projection_job (building, account, queued_at)
			SELECT building, account, $2 FROM account_membership WHERE account=$1
			ON CONFLICT (building, account) DO UPDATE SET version = projection_job.version + 1`, [16]byte(person), s.now())
		return err
	})
}

// SetMembership gives a person a role in a building, or changes it, and queues its
// projection.
func (s *Store) SetMembership(ctx context.Context, person record.ID, m Membership) error {
	units := make([][16]byte, len(m.Units))
	for i, u := range m.Units {
		units[i] = u
	}
	return s.in(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO account_membership (account, building, role, units, active) VALUES ($1,$2,$3,$4,$5)
			ON CONFLICT (account, building) DO UPDATE SET role=excluded.role, units=excluded.units, active=excluded.active`,
			[16]byte(person), [16]byte(m.Building), m.Role, units, m.Active)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "23503" {
			return problem.New(problem.NotFound, "account")
		}
		if err != nil {
			return fmt.Errorf("set membership: %w", err)
		}
		_, err = tx.Exec(ctx, `INSERT INTO projection_job (building, account, queued_at) VALUES ($1,$2,$3)
			ON CONFLICT (building, account) DO UPDATE SET version = projection_job.version + 1`, [16]byte(m.Building), [16]byte(person), s.now())
		return err
	})
}

func (s *Store) in(ctx context.Context, fn func(pgx.Tx) error) error {
	if err := pgx.BeginFunc(ctx, s.pool, fn); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	return nil
}

// List returns accounts in order of address whose name or address contains the text:
// after one address, or skipping some; and how many there are in all.
func (s *Store) List(ctx context.Context, text, after string, skip, limit int) (list []Account, total int, err error) {
	const where = ` FROM account WHERE ($1 = '' OR position(lower($1) IN lower(name || ' ' || email)) > 0)`
	if err := s.pool.QueryRow(ctx, `SELECT count(*)`+where, text).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count accounts: %w", err)
	}
	if after != "" {
		skip = 0
	}
	rows, err := s.pool.Query(ctx, `SELECT id, email, name, admin, disabled, created_at`+where+` AND email > $2 ORDER BY email OFFSET $3 LIMIT $4`,
		text, after, max(skip, 0), min(limit, listMax))
	if err != nil {
		return nil, 0, fmt.Errorf("list accounts: %w", err)
	}
	list, err = pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, 0, fmt.Errorf("list accounts: %w", err)
	}
	return list, total, nil
}

// Any reports whether there is an account at all.
func (s *Store) Any(ctx context.Context) (bool, error) {
	var some bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM account)`).Scan(&some); err != nil {
		return false, fmt.Errorf("look for accounts: %w", err)
	}
	return some, nil
}

// Get returns one account. It returns problem not_found.
func (s *Store) Get(ctx context.Context, person record.ID) (Account, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, email, name, admin, disabled, created_at FROM account WHERE id=$1`, [16]byte(person))
	if err != nil {
		return Account{}, fmt.Errorf("read account: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAccount)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, problem.New(problem.NotFound, "account")
	}
	if err != nil {
		return Account{}, fmt.Errorf("read account: %w", err)
	}
	return a, nil
}

func scanAccount(row pgx.CollectableRow) (Account, error) {
	var a Account
	var id [16]byte
	err := row.Scan(&id, &a.Email, &a.Name, &a.Admin, &a.Disabled, &a.CreatedAt)
	a.ID, a.CreatedAt = id, a.CreatedAt.UTC()
	return a, err
}

// Memberships lists a person's buildings.
func (s *Store) Memberships(ctx context.Context, person record.ID) ([]Membership, error) {
	rows, err := s.pool.Query(ctx, `SELECT building, role, units, active FROM account_membership WHERE account=$1 ORDER BY building`, [16]byte(person))
	if err != nil {
		return nil, fmt.Errorf("list memberships: %w", err)
	}
	return pgx.CollectRows(rows, scanMembership)
}

func scanMembership(row pgx.CollectableRow) (Membership, error) {
	var m Membership
	var building [16]byte
	var units [][16]byte
	err := row.Scan(&building, &m.Role, &units, &m.Active)
	m.Building, m.Units = building, []record.ID{}
	for _, u := range units {
		m.Units = append(m.Units, u)
	}
	return m, err
}

// IsAdmin reports whether a person is an administrator of the operator.
func (s *Store) IsAdmin(ctx context.Context, person record.ID) (bool, error) {
	var admin bool
	err := s.pool.QueryRow(ctx, `SELECT admin AND NOT disabled FROM account WHERE id=$1`, [16]byte(person)).Scan(&admin)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read account: %w", err)
	}
	return admin, nil
}

// FindByEmail implements auth.Accounts.
func (s *Store) FindByEmail(ctx context.Context, email string) (auth.Account, error) {
	return s.account(ctx, `SELECT id, email, password_hash, disabled FROM account WHERE email=$1`, email)
}

// ByID implements auth.Accounts.
func (s *Store) ByID(ctx context.Context, person record.ID) (auth.Account, error) {
	return s.account(ctx, `SELECT id, email, password_hash, disabled FROM account WHERE id=$1`, [16]byte(person))
}

func (s *Store) account(ctx context.Context, query string, key any) (auth.Account, error) {
	var a auth.Account
	var id [16]byte
	err := s.pool.QueryRow(ctx, query, key).Scan(&id, &a.Email, &a.PasswordHash, &a.Disabled)
	if errors.Is(err, pgx.ErrNoRows) {
		return auth.Account{}, auth.ErrNoAccount
	}
	if err != nil {
		return auth.Account{}, fmt.Errorf("read account: %w", err)
	}
	a.Person = id
	return a, nil
}
