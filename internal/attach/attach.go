// Package attach ties uploads to tickets: who may upload a photo to which ticket, and the
// media record that a whole upload becomes. Edge and cloud share it.
//
// It must never let a blob be read or reused by who may not see a record that names it.
package attach

import (
	"context"
	"net/http"
	"time"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/media"
	"estate/internal/problem"
	"estate/sync/record"
)

// The upload metadata that clients give besides tus's own filename and filetype.
const (
	MetaBuilding = "building" // UUID, required
	MetaTicket   = "ticket"   // UUID, required of people
	MetaID       = "id"       // UUIDv7 of the media record, optional: makes a retry the same record
	MetaTakenAt  = "taken_at" // RFC 3339, optional
	MetaSHA256   = "sha256"   // hex, of the bytes as sent; required of nodes
	metaFilename = "filename"
)

// Attach implements media.Authorizer and media.Catalogue over a desk. It is safe for
// concurrent use.
type Attach struct {
	Desk *desk.Desk
	// Caller resolves the person behind a request that carries an identity.
	Caller func(ctx context.Context, id auth.Identity) (desk.Caller, error)
	// Node says which node a request comes from, and its building; it returns an error for
	// a request without a node's token. Nil where no nodes upload.
	Node func(r *http.Request) (building record.ID, err error)
	// KeepLocation says whether a building allows locations in photos.
	KeepLocation func(ctx context.Context, building record.ID) bool
}

var (
	_ media.Authorizer = (*Attach)(nil)
	_ media.Catalogue  = (*Attach)(nil)
)

// Authorize implements media.Authorizer: a person must be able to write to the ticket; a
// node may bring what its building's records name.
func (a *Attach) Authorize(r *http.Request, meta media.Metadata) (media.Uploader, error) {
	building, err := record.ParseID(meta[MetaBuilding])
	if err != nil {
		return media.Uploader{}, problem.Invalid(problem.FieldError{Field: MetaBuilding, Message: "the building's id is needed"})
	}
	id, ok := auth.FromContext(r.Context())
	if !ok {
		return a.node(r, building)
	}
	c, err := a.Caller(r.Context(), id)
	if err != nil {
		return media.Uploader{}, err
	}
	ticket, err := record.ParseID(meta[MetaTicket])
	if err != nil {
		return media.Uploader{}, problem.Invalid(problem.FieldError{Field: MetaTicket, Message: "the ticket's id is needed"})
	}
	if err := a.Desk.MayWriteTo(r.Context(), c, building, ticket); err != nil {
		return media.Uploader{}, err
	}
	return media.Uploader{Person: c.Person.String(), Building: building.String(), KeepLocation: a.KeepLocation(r.Context(), building)}, nil
}

func (a *Attach) node(r *http.Request, building record.ID) (media.Uploader, error) {
	if a.Node == nil {
		return media.Uploader{}, problem.New(problem.Unauthenticated, "")
	}
	own, err := a.Node(r)
	if err != nil {
		return media.Uploader{}, err
	}
	if own != building {
		return media.Uploader{}, problem.New(problem.NotFound, "building")
	}
	return media.Uploader{Person: nodeUploader, Building: building.String(), Verbatim: true,
		MayReuse: func(ctx context.Context, h media.Hash) bool {
			held, err := a.Desk.HoldsBlob(ctx, building, record.Hash(h))
			return err == nil && held
		}}, nil
}

// nodeUploader stands for all nodes of a building: another edge of it may go on with an
// upload that one began.
const nodeUploader = "node"

// Completed implements media.Catalogue. A node's upload has its record already; a person's
// becomes one, under an id that a retry repeats.
func (a *Attach) Completed(ctx context.Context, u media.Upload) error {
	if u.Person == nodeUploader {
		return nil
	}
	building, err := record.ParseID(u.Building)
	if err != nil {
		return problem.New(problem.InvalidInput, "building")
	}
	person, err := record.ParseID(u.Person)
	if err != nil {
		return problem.New(problem.InvalidInput, "person")
	}
	ticket, err := record.ParseID(u.Metadata[MetaTicket])
	if err != nil {
		return problem.New(problem.InvalidInput, "ticket")
	}
	in := desk.NewMedia{Digest: record.Hash(u.Blob), Thumbnail: record.Hash(u.Thumb), Size: u.BlobBytes, ContentType: u.Type, Name: u.Metadata[metaFilename]}
	if in.ID, err = record.ParseID(u.Metadata[MetaID]); err != nil {
		in.ID = record.ID{}
		in.IdempotencyKey = "upload " + u.ID
	}
	if t, err := time.Parse(time.RFC3339, u.Metadata[MetaTakenAt]); err == nil {
		in.TakenAt = &t
	}
	c, err := a.Caller(ctx, auth.Identity{Person: person})
	if err != nil {
		return err
	}
	_, err = a.Desk.AddMedia(ctx, c, building, ticket, in)
	return err
}
