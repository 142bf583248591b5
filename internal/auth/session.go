package auth

import (
	"context"
	"errors"
	"time"

	"estate/sync/record"
)

// Errors of a SessionStore.
var (
	// ErrNoSession says that no refresh token has this hash.
	ErrNoSession = errors.New("auth: no such session")
	// ErrRotated says that the refresh token has been rotated already.
	ErrRotated = errors.New("auth: refresh token already rotated")
	// ErrRevoked says that the refresh token's family has been revoked.
	ErrRevoked = errors.New("auth: session revoked")
)

// Session is one refresh token of a family. A family is one sign-in on one client: each use
// of its token makes the next, and exactly one of an unrevoked family is unrotated.
type Session struct {
	Hash      TokenHash // primary key; the token itself is stored nowhere
	Family    record.ID
	Person    record.ID
	ClientID  string
	Agent     string
	CreatedAt time.Time
	ExpiresAt time.Time
	// Resent marks a token minted for a client that sent its predecessor again because the
	// answer was lost.
	Resent bool

	RotatedAt time.Time // zero while it is the family's current token
	Successor TokenHash // set with RotatedAt
	RevokedAt time.Time // zero while not revoked
}

// SessionStore keeps refresh tokens. Times are UTC with millisecond precision. Its methods
// may be called at once from many goroutines and, at the cloud, many processes;
// authtest.TestSessionStore is its specification.
type SessionStore interface {
	// CreateSession stores the first token of a new family.
	CreateSession(ctx context.Context, s Session) error
	// FindByHash returns a token's row, rotated and revoked ones too, or ErrNoSession.
	FindByHash(ctx context.Context, hash TokenHash) (Session, error)
	// Rotate, in one transaction, marks the row of old as rotated at next.CreatedAt with
	// next as its successor and stores next; or changes nothing and returns ErrNoSession,
	// ErrRevoked (revoked, whether or not rotated) or ErrRotated. Of callers at once for
	// one token exactly one succeeds.
	Rotate(ctx context.Context, old TokenHash, next Session) error
	// RevokeFamily marks every token of a family; one already revoked keeps its time, and
	// an unknown family is no error. A token that a concurrent Rotate adds is covered too:
	// once both have returned, none of the family can be rotated. (In PostgreSQL take a
	// lock on the family in both; locking the rows that exist misses the new one.)
	RevokeFamily(ctx context.Context, family record.ID, at time.Time) error
	// RevokePerson does the same for all families of a person that exist.
	RevokePerson(ctx context.Context, person record.ID, at time.Time) error
	// DeleteExpired removes rows whose ExpiresAt is before the given time and says how many.
	DeleteExpired(ctx context.Context, before time.Time) (int, error)
}

// Liveness tells whether a family still has a token that is not revoked. A store that offers
// it makes sign-out end access tokens at once at the node that issued them.
type Liveness interface {
	FamilyLive(ctx context.Context, family record.ID) (bool, error)
}

// Standing is what is known of a session and, while it lives, of its person.
type Standing struct {
	Live bool
	// Operator marks one of the operator's admins.
	Operator bool
}

// Standings is what a Liveness offers besides that knows operators, too: a request then asks
// once for what it would ask twice.
type Standings interface {
	FamilyStanding(ctx context.Context, family record.ID) (Standing, error)
}

// ErrNoAccount says that no account has this address or id.
var ErrNoAccount = errors.New("auth: no such account")

// Account is what sign-in needs to know of a person.
type Account struct {
	Person       record.ID
	Email        string // as NormaliseEmail gives it
	PasswordHash string // PHC string; empty means no password set
	Disabled     bool
}

// Accounts finds accounts; both methods return ErrNoAccount.
type Accounts interface {
	FindByEmail(ctx context.Context, email string) (Account, error)
	ByID(ctx context.Context, person record.ID) (Account, error)
}
