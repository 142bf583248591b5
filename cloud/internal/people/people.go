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
	"estate/internal/problem"
	"estate/sync/record"
)

// uniqueViolation is PostgreSQL's code for a duplicate key.
const uniqueViolation = "23505"

// listMax bounds one page of accounts.
const listMax = 200

// Account is a person as the operator's administrators see one.
type Account struct {
	ID          record.ID    `json:"id"`
	Email       string       `json:"email"`
	Name        string       `json:"name"`
	Admin       bool         `json:"admin"`
	Disabled    bool         `json:"disabled"`
	CreatedAt   time.Time    `json:"created_at"`
	Memberships []Membership `json:"memberships"`
}

// Membership is a person's role in one building.
type Membership struct {
	Building record.ID   `json:"building"`
	Role     string      `json:"role"`
	Units    []record.ID `json:"units"`
	Active   bool        `json:"active"`
}

// Store keeps accounts. It implements auth.Accounts and auth.SessionStore and is safe for
// concurrent use by many processes.
type Store struct {
	pool *pgxpool.Pool
	now  func() time.Time
}

// New returns a store on a pool whose database is migrated.
func New(pool *pgxpool.Pool, now func() time.Time) *Store { return &Store{pool: pool, now: now} }

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

// SetPassword replaces the hash and queues the projection of every building.
func (s *Store) SetPassword(ctx context.Context, person record.ID, passwordHash string) error {
	return s.change(ctx, person, `UPDATE account SET password_hash=$2 WHERE id=$1`, passwordHash)
}

// SetDisabled locks an account out, or lets it in again.
func (s *Store) SetDisabled(ctx context.Context, person record.ID, disabled bool) error {
	return s.change(ctx, person, `UPDATE account SET disabled=$2 WHERE id=$1`, disabled)
}

// change updates one account and queues its projection in the same transaction.
func (s *Store) change(ctx context.Context, person record.ID, update string, value any) error {
	return s.in(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, update, [16]byte(person), value)
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

// List returns accounts in order of address, after one address.
func (s *Store) List(ctx context.Context, after string, limit int) ([]Account, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, email, name, admin, disabled, created_at FROM account WHERE email > $1 ORDER BY email LIMIT $2`, after, min(limit, listMax))
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	for i := range out {
		if out[i].Memberships, err = s.Memberships(ctx, out[i].ID); err != nil {
			return nil, err
		}
	}
	return out, nil
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
	a.Memberships, err = s.Memberships(ctx, person)
	return a, err
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
