package media

import (
	"errors"
	"net/http"
	"time"

	"estate/internal/media/content"
	"estate/internal/problem"
)

// ServeBlob answers GET and HEAD with the bytes of a blob: ranges, the hash as ETag, kept
// by the browser for ever since a name never changes its bytes. The caller has decided
// that the person may see it; contentType is what was found when it was uploaded. A type
// that is not accepted is only offered for saving, and nothing in a file may run as a page
// of this server. The error is a not_found problem if the blob is not present; then
// nothing was written.
func ServeBlob(w http.ResponseWriter, r *http.Request, blobs BlobStore, hash Hash, contentType string) error {
	blob, err := blobs.Open(r.Context(), hash)
	if errors.Is(err, ErrNoBlob) {
		return problem.Wrap(problem.NotFound, err, "the file has not arrived here yet")
	}
	if err != nil {
		return err
	}
	defer blob.Close()
	disposition := "inline"
	if !content.Allowed(contentType) {
		contentType, disposition = "application/octet-stream", "attachment"
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", disposition)
	h.Set("ETag", `"`+hash.String()+`"`)
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	http.ServeContent(w, r, "", time.Time{}, blob)
	return nil
}
