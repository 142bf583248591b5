package cloud

import (
	"context"
	"log/slog"
	"time"

	"estate/cloud/internal/people"
	"estate/internal/desk"
)

// Timing of the projection jobs. A kick runs them at once; the sweep is for what another
// process queued and for what failed.
const (
	jobsSweepEvery = 2 * time.Second
	jobsAtOnce     = 100
)

// projector brings membership and credential records of buildings up to date with the
// accounts: one building and one account a transaction, only where something differs.
type projector struct {
	people *people.Store
	desk   *desk.Desk
	log    *slog.Logger
	kick   chan struct{}
}

func newProjector(p *people.Store, d *desk.Desk, log *slog.Logger) *projector {
	return &projector{people: p, desk: d, log: log, kick: make(chan struct{}, 1)}
}

// Kick asks for a run now. It never blocks.
func (p *projector) Kick() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// Run works until the context ends. A job that fails stays queued and holds up no other.
func (p *projector) Run(ctx context.Context) {
	ticker := time.NewTicker(jobsSweepEvery)
	defer ticker.Stop()
	failing := false
	for {
		err := p.Once(ctx)
		if failing != (err != nil) && ctx.Err() == nil {
			failing = err != nil
			p.log.WarnContext(ctx, "projection of accounts", "failing", failing, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		case <-ticker.C:
		}
	}
}

// Once does every job that is queued now and returns the last error.
func (p *projector) Once(ctx context.Context) error {
	for {
		jobs, err := p.people.NextJobs(ctx, jobsAtOnce)
		if err != nil {
			return err
		}
		var last error
		for _, j := range jobs {
			if err := p.project(ctx, j); err != nil {
				last = err
			}
		}
		if last != nil || len(jobs) < jobsAtOnce {
			return last
		}
	}
}

func (p *projector) project(ctx context.Context, j people.Job) error {
	err := p.desk.ProjectMember(ctx, j.Building, desk.Member{Person: j.Person, Name: j.Name, Email: j.Email, Role: j.Membership.Role,
		Units: j.Membership.Units, Active: j.Membership.Active, PasswordHash: j.PasswordHash, Disabled: j.Disabled})
	if err != nil {
		return err
	}
	return p.people.Done(ctx, j)
}
