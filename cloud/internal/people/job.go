package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"estate/sync/record"
)

// Job is one account whose records of one building are to be brought up to date.
type Job struct {
	Building     record.ID
	Person       record.ID
	Version      int64
	Email        string
	Name         string
	PasswordHash string
	Disabled     bool
	Membership   Membership
}

// NextJobs lists jobs, the oldest first. A job that is listed twice, by two processes, is
// harmless: the projection writes only what differs.
func (s *Store) NextJobs(ctx context.Context, limit int) ([]Job, error) {
	rows, err := s.pool.Query(ctx, `SELECT j.building, j.account, j.version, a.email, a.name, a.password_hash, a.disabled,
			coalesce(m.role, ''), coalesce(m.units, '{}'), coalesce(m.active, false)
		FROM projection_job j JOIN account a ON a.id = j.account
		LEFT JOIN account_membership m ON m.account = j.account AND m.building = j.building
		ORDER BY j.queued_at LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list projection jobs: %w", err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Job, error) {
		var j Job
		var building, person [16]byte
		var units [][16]byte
		err := row.Scan(&building, &person, &j.Version, &j.Email, &j.Name, &j.PasswordHash, &j.Disabled, &j.Membership.Role, &units, &j.Membership.Active)
		j.Building, j.Person, j.Membership.Building = building, person, building
		for _, u := range units {
			j.Membership.Units = append(j.Membership.Units, u)
		}
		return j, err
	})
	if err != nil {
		return nil, fmt.Errorf("list projection jobs: %w", err)
	}
	return jobs, nil
}

// Done removes a job unless the account has changed since it was listed.
func (s *Store) Done(ctx context.Context, j Job) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM projection_job WHERE building=$1 AND account=$2 AND version=$3`, [16]byte(j.Building), [16]byte(j.Person), j.Version)
	if err != nil {
		return fmt.Errorf("finish projection job: %w", err)
	}
	return nil
}

// Seed returns the 32-byte seed of one of the cloud's keys, made from fresh the first time
// that any process asks for it.
func (s *Store) Seed(ctx context.Context, name string, fresh []byte) ([]byte, error) {
	if _, err := s.pool.Exec(ctx, `INSERT INTO cloud_key (name, seed, created_at) VALUES ($1,$2,$3) ON CONFLICT (name) DO NOTHING`, name, fresh, s.now()); err != nil {
		return nil, fmt.Errorf("store key %s: %w", name, err)
	}
	var seed []byte
	err := s.pool.QueryRow(ctx, `SELECT seed FROM cloud_key WHERE name=$1`, name).Scan(&seed)
	if err == nil && len(seed) != len(fresh) {
		err = errors.New("wrong length")
	}
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", name, err)
	}
	return seed, nil
}
