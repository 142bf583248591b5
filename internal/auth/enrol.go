package auth

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// EnrolCodeLife is how long an unused code works: long enough to carry it to the box.
	EnrolCodeLife = 24 * time.Hour

	enrolLabel = "estate node enrol v1"
)

// Errors of an EnrolStore.
var (
	// ErrNoEnrolment says that no code has this hash.
	ErrNoEnrolment = errors.New("auth: no such enrolment code")
	// ErrEnrolmentUsed says that the code has been used already.
	ErrEnrolmentUsed = errors.New("auth: enrolment code already used")
	// ErrNodeExists says that a node with this id is enrolled already.
	ErrNodeExists = errors.New("auth: node already enrolled")
)

// Enrolment is the row of one code. UsedBy and Public are set with UsedAt.
type Enrolment struct {
	Hash      TokenHash
	Building  record.ID
	By        record.ID // the person who asked for it
	CreatedAt time.Time
	ExpiresAt time.Time

	UsedAt time.Time
	UsedBy record.ID
	Public ed25519.PublicKey
}

// EnrolStore keeps enrolment codes beside the nodes that they let in. Times are UTC with
// millisecond precision; authtest.TestEnrolStore is its specification.
type EnrolStore interface {
	// CreateEnrolment stores a new code.
	CreateEnrolment(ctx context.Context, e Enrolment) error
	// FindEnrolment returns a code's row, used ones too, or ErrNoEnrolment.
	FindEnrolment(ctx context.Context, hash TokenHash) (Enrolment, error)
	// UseEnrolment marks an unused code as used and registers the node and its public key
	// for the code's building, in one transaction; or changes nothing and returns
	// ErrNoEnrolment, ErrEnrolmentUsed or ErrNodeExists. Of callers at once for one code
	// exactly one succeeds.
	UseEnrolment(ctx context.Context, hash TokenHash, node record.ID, public ed25519.PublicKey, at time.Time) error
}

// EnrolRequest is what a new node sends: the code, its public key, and a signature that
// proves it holds the other half.
type EnrolRequest struct {
	Code      Secret
	Node      record.ID
	Public    ed25519.PublicKey
	Signature []byte
}

// EnrolRequest makes a node's request to a server, named as in IssuerCloud.
func (k NodeKey) EnrolRequest(code EnrolCode, server string) EnrolRequest {
	return EnrolRequest{Code: NewSecret(code.Reveal()), Node: k.id, Public: k.Public(),
		Signature: k.Sign(enrolMessage(code, server, k.id, k.Public()))}
}

func enrolMessage(code EnrolCode, server string, node record.ID, public ed25519.PublicKey) []byte {
	hash := code.Hash()
	return message(enrolLabel, hash[:], []byte(server), node[:], public)
}

// Enrolments makes and redeems enrolment codes.
type Enrolments struct {
	store  EnrolStore
	server string
	now    func() time.Time
	random io.Reader
}

// NewEnrolments makes the server's side; server is the name that nodes are given for it.
func NewEnrolments(store EnrolStore, server string, now func() time.Time, random io.Reader) *Enrolments {
	return &Enrolments{store: store, server: server, now: now, random: random}
}

// Create makes a code for a new node of a building. The code is shown once and kept only as
// a hash. Whether the person may do so is the caller's to check.
func (e *Enrolments) Create(ctx context.Context, building, by record.ID) (EnrolCode, Enrolment, error) {
	if building.IsZero() || by.IsZero() {
		return EnrolCode{}, Enrolment{}, problem.New(problem.InvalidInput, "an enrolment code needs a building and a person")
	}
	code, err := NewEnrolCode(e.random)
	if err != nil {
		return EnrolCode{}, Enrolment{}, fmt.Errorf("make enrolment code: %w", err)
	}
	now := e.now().UTC().Truncate(time.Millisecond)
	row := Enrolment{Hash: code.Hash(), Building: building, By: by, CreatedAt: now, ExpiresAt: now.Add(EnrolCodeLife)}
	if err := e.store.CreateEnrolment(ctx, row); err != nil {
		return EnrolCode{}, Enrolment{}, fmt.Errorf("store enrolment code: %w", err)
	}
	return code, row, nil
}

// Redeem lets a node in by its code and returns the code's row. A node whose answer was lost
// may send the same request again and gets the same row. It returns enrol_code_invalid,
// enrol_code_used, enrol_code_expired, node_proof_invalid, or conflict for a node id that is
// enrolled already.
func (e *Enrolments) Redeem(ctx context.Context, req EnrolRequest) (Enrolment, error) {
	code, err := ParseEnrolCode(req.Code.Reveal())
	if err != nil {
		return Enrolment{}, err
	}
	if len(req.Public) != ed25519.PublicKeySize || req.Node != record.NodeID(req.Public) ||
		!ed25519.Verify(req.Public, enrolMessage(code, e.server, req.Node, req.Public), req.Signature) {
		return Enrolment{}, problem.New(problem.NodeProofInvalid, "")
	}
	row, err := e.find(ctx, code)
	if err != nil || !row.UsedAt.IsZero() {
		return usedBy(row, req, err)
	}
	now := e.now().UTC().Truncate(time.Millisecond)
	if !now.Before(row.ExpiresAt) {
		return Enrolment{}, problem.New(problem.EnrolCodeExpired, "")
	}
	switch err := e.store.UseEnrolment(ctx, row.Hash, req.Node, req.Public, now); {
	case err == nil:
		row.UsedAt, row.UsedBy, row.Public = now, req.Node, req.Public
		return row, nil
	case errors.Is(err, ErrEnrolmentUsed): // another request was first, perhaps our own
		row, err := e.find(ctx, code)
		return usedBy(row, req, err)
	case errors.Is(err, ErrNoEnrolment):
		return Enrolment{}, problem.New(problem.EnrolCodeInvalid, "")
	case errors.Is(err, ErrNodeExists):
		return Enrolment{}, problem.New(problem.Conflict, "this node is enrolled already")
	default:
		return Enrolment{}, fmt.Errorf("use enrolment code: %w", err)
	}
}

func (e *Enrolments) find(ctx context.Context, code EnrolCode) (Enrolment, error) {
	row, err := e.store.FindEnrolment(ctx, code.Hash())
	if errors.Is(err, ErrNoEnrolment) {
		return Enrolment{}, problem.New(problem.EnrolCodeInvalid, "")
	}
	if err != nil {
		return Enrolment{}, fmt.Errorf("find enrolment code: %w", err)
	}
	return row, nil
}

// usedBy answers for a used code: the node that used it asks again, anyone else is refused.
func usedBy(row Enrolment, req EnrolRequest, err error) (Enrolment, error) {
	if err != nil {
		return Enrolment{}, err
	}
	if row.UsedBy == req.Node && row.Public.Equal(req.Public) {
		return row, nil
	}
	return Enrolment{}, problem.New(problem.EnrolCodeUsed, "")
}
