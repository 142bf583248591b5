// Package desk holds the use cases of tickets and buildings that edge and cloud share:
// what a person or an automation does, decided under the building's lock with the rights
// that hold there and then.
//
// It must never answer with what the caller may not read, write a field that the table of
// kinds does not give to the caller's role, or keep state of its own that a restart would
// lose.
package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// Config is what a Desk works with. All of it is required but Readings, Entities, Reachable
// and Log.
type Config struct {
	Node  *replica.Node
	Table *schema.Table
	Query Query
	// Readings is where devices' readings are; without it asking for some is refused.
	Readings Readings
	// Entities is where a box knows what devices say; without it asking is refused.
	Entities Entities
	// Reachable tells whether the box of a building is in touch now; nil in the box itself. An
	// order that could not reach it in time is refused.
	Reachable func(ctx context.Context, building record.ID) (bool, error)
	// Now is the wall clock; the building's own offset is added where a write is stamped.
	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
}

// Desk is the use cases over one node. It is safe for concurrent use.
type Desk struct {
	node     *replica.Node
	table    *schema.Table
	query    Query
	readings Readings
	entities Entities
	// reachable is nil where there is nobody to reach.
	reachable func(ctx context.Context, building record.ID) (bool, error)
	now       func() time.Time
	random    io.Reader
	log       *slog.Logger

	// making is held per building while a use case looks for a record to join and makes
	// one where there is none, so that two at once in this process make one record.
	making    [makingStripes]sync.Mutex
	conflicts conflictIndex
	// prefixes spare creates a reading; see foresee.
	prefixes prefixes
	// bindings limits how many new apps one person may bring.
	bindings *auth.Limiter
}

// Limits of new apps: a person reinstalls some, on some devices; each is a record that
// every node of the building keeps for ever.
const (
	bindingsBurst   = 20
	bindingEvery    = time.Hour
	bindingsKeysMax = 10_000
)

// makingStripes is how many buildings can look and make at once; more only costs memory.
const makingStripes = 64

// New builds a Desk.
func New(c Config) *Desk {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Readings == nil {
		c.Readings = noReadings{}
	}
	if c.Entities == nil {
		c.Entities = noEntities{}
	}
	return &Desk{node: c.Node, table: c.Table, query: c.Query, readings: c.Readings, entities: c.Entities, reachable: c.Reachable, now: c.Now, random: c.Random, log: c.Log,
		bindings: auth.NewLimiter(bindingEvery, bindingsBurst, bindingsKeysMax, c.Now)}
}

// Caller is who asks, as the request was authenticated.
type Caller struct {
	Person record.ID
	// Admin marks a person of the operator, with a manager's rights in every building. It
	// counts at the cloud only: an edge knows memberships and nothing else.
	Admin bool
}

func (d *Desk) lockMaking(building record.ID) func() {
	m := &d.making[int(building[len(building)-1])%makingStripes]
	m.Lock()
	return m.Unlock
}

// newID takes a caller's id where there is one, derives one from an idempotency key, or
// makes one. An id from outside must be a UUIDv7: derived ids belong to causes.
func (d *Desk) newID(given record.ID, c Caller, key, purpose string) (record.ID, error) {
	switch {
	case !given.IsZero():
		if given[6]>>4 != 7 {
			return given, problem.Invalid(problem.FieldError{Field: "id", Message: "must be a UUIDv7"})
		}
		return given, nil
	case key != "":
		return record.DerivedID("idempotency", purpose, c.Person.String(), key), nil
	}
	return record.NewID(d.now().UnixMilli(), d.random)
}

// translate gives an error of the store or the replica the form that a person may see.
func translate(err error) error {
	var p *problem.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return err
	case errors.Is(err, replica.ErrBusy):
		return problem.Wrap(problem.Unavailable, err, "the store cannot take the write now")
	case errors.Is(err, replica.ErrUnsure):
		return problem.Wrap(problem.Unavailable, err, "it is not known whether the write happened; send the same request again")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem.Wrap(problem.Unavailable, err, "the request ended before its answer")
	}
	if code := replica.RefusalCode(err); code != "" {
		return refused(code, err.Error())
	}
	return err
}

// refused turns a wire code of the table of kinds into a problem.
func refused(code, detail string) error {
	switch code {
	case wire.CodeValueInvalid, wire.CodeFieldUnknown:
		return problem.New(problem.InvalidInput, "%s", detail)
	case wire.CodeImmutable:
		return problem.New(problem.Conflict, "%s", detail)
	case wire.CodeKindUnknown, wire.CodeWrongBuilding:
		return problem.New(problem.NotFound, "%s", detail)
	case wire.CodeKindNotYours:
		return problem.New(problem.Forbidden, "this can only be changed at the cloud")
	}
	return problem.New(problem.Forbidden, "%s", detail)
}

func invalid(field, format string, args ...any) error {
	return problem.Invalid(problem.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}
