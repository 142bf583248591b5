package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"estate/internal/desk"
	"estate/internal/media"
	"estate/internal/problem"
	"estate/sync/record"
)

// pathUploads is the collection of tus uploads.
const pathUploads = "/media/uploads/"

type inMedia struct {
	InBuilding
	Media record.ID `path:"media" doc:"Id of the file's record"`
}

func (a *API) registerMedia() {
	const one = "/buildings/{building}/media/{media}"
	add(a, operation{id: "list-media", method: http.MethodGet, path: "/buildings/{building}/tickets/{ticket}/media", tag: tagTickets,
		summary: "Files of a ticket", text: "Files are added with tus 1.0 at " + pathUploads + ", with building and ticket in the upload's metadata."},
		func(ctx context.Context, c desk.Caller, in *InThread) (*outList[desk.Media], error) {
			return listed(a.cfg.Desk.MediaOf(ctx, c, in.Building, in.Ticket, in.page()))
		})
	add(a, operation{id: "get-media", method: http.MethodGet, path: one, tag: tagTickets, summary: "What is known of a file"},
		func(ctx context.Context, c desk.Caller, in *inMedia) (*outBody[desk.Media], error) {
			return body(a.cfg.Desk.Media(ctx, c, in.Building, in.Media))
		})
	if a.cfg.Media == nil {
		return
	}
	add(a, operation{id: "get-media-content", method: http.MethodGet, path: one + "/content", tag: tagTickets, stream: true,
		summary: "The bytes of a file", text: "Ranges are served; the entity tag is the SHA-256 of the bytes. Until the file has arrived at this node it is not found here."},
		func(ctx context.Context, c desk.Caller, in *inMedia) (*huma.StreamResponse, error) {
			m, err := a.cfg.Desk.Media(ctx, c, in.Building, in.Media)
			if err != nil {
				return nil, err
			}
			return a.blob(ctx, m.Digest, m.ContentType)
		})
	add(a, operation{id: "get-media-thumbnail", method: http.MethodGet, path: one + "/thumbnail", tag: tagTickets, stream: true, summary: "A small picture of a file"},
		func(ctx context.Context, c desk.Caller, in *inMedia) (*huma.StreamResponse, error) {
			m, err := a.cfg.Desk.Media(ctx, c, in.Building, in.Media)
			if err != nil {
				return nil, err
			}
			if m.Thumbnail == "" {
				return nil, problem.New(problem.NotFound, "the file has no thumbnail")
			}
			return a.blob(ctx, m.Thumbnail, "image/jpeg")
		})
}

// blob serves bytes that the caller may see.
func (a *API) blob(ctx context.Context, digest, contentType string) (*huma.StreamResponse, error) {
	hash, err := media.ParseHash(digest)
	if err != nil {
		return nil, err
	}
	if _, err := a.cfg.Media.Blobs.Stat(ctx, hash); err != nil {
		return nil, problem.Wrap(problem.NotFound, err, "the file has not arrived at this node yet")
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		r, w := humamux.Unwrap(out)
		if err := media.ServeBlob(w, r, a.cfg.Media.Blobs, hash, contentType); err != nil {
			refuse(w, r, err, a.failures)
		}
	}}, nil
}
