package media

import (
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"

	"estate/internal/media/content"
	"estate/internal/problem"
)

// ServeHTTP speaks tus 1.0: POST on the collection; HEAD, PATCH and DELETE on an upload;
// OPTIONS on both. Cross-origin headers are left to the middleware of the program.
func (u *Uploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set(headerResumable, tusVersion)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	method := r.Method
	if override := r.Header.Get(headerOverride); override != "" && method == http.MethodPost {
		method = override // for proxies that know no PATCH
	}
	if method == http.MethodOptions {
		h.Set(headerVersion, tusVersion)
		h.Set(headerExtension, tusExtensions)
		h.Set(headerMaxSize, strconv.FormatInt(u.BytesMax, 10))
		h.Set(headerAlgorithm, tusChecksums)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var err error
	switch {
	case r.Header.Get(headerResumable) != tusVersion:
		h.Set(headerVersion, tusVersion)
		err = problem.New(problem.TusVersion, "")
	case method == http.MethodPost:
		err = u.serveCreate(w, r)
	case method == http.MethodHead, method == http.MethodPatch, method == http.MethodDelete:
		err = u.serveUpload(w, r, method)
	default:
		h.Set("Allow", "OPTIONS, POST, HEAD, PATCH, DELETE")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	if err != nil {
		u.writeProblem(w, r, err)
	}
}

func (u *Uploads) serveCreate(w http.ResponseWriter, r *http.Request) error {
	meta, err := ParseMetadata(strings.Join(r.Header.Values(headerMetadata), ","))
	if err != nil {
		return err
	}
	who, err := u.Authorizer.Authorize(r, meta)
	if err != nil {
		return err
	}
	size, err := u.creationSize(r, who, meta)
	if err != nil {
		return err
	}
	withBody := r.Header.Get("Content-Type") == offsetType
	var sum *checksum
	if withBody {
		if sum, err = parseChecksum(r.Header.Get(headerChecksum)); err != nil {
			return err
		}
	}
	e, err := u.create(info{ID: newID(), Person: who.Person, Building: who.Building, KeepLocation: who.KeepLocation,
		Verbatim: who.Verbatim, Metadata: meta, Size: size, State: receiving})
	if err != nil {
		return err
	}
	defer e.unlock()
	w.Header().Set("Location", strings.TrimSuffix(r.URL.Path, "/")+"/"+e.id)
	known, err := u.reuse(r.Context(), e, who)
	if err == nil && withBody && !known {
		err = u.receive(w, r, e, sum)
	}
	if err != nil {
		return err
	}
	u.describe(w, e)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// creationSize reads the announced length and refuses early what would be refused late.
func (u *Uploads) creationSize(r *http.Request, who Uploader, meta Metadata) (int64, error) {
	size, err := parseCount(r.Header, headerLength)
	if err != nil {
		return 0, err
	}
	limit := u.BytesMax
	if who.BytesMax > 0 {
		limit = min(limit, who.BytesMax)
	}
	switch {
	case size > limit:
		return 0, problem.New(problem.MediaTooLarge, "%d bytes, at most %d", size, limit)
	case size == 0:
		return 0, invalidHeader(headerLength, "must be at least 1: an empty file is no media")
	case who.Verbatim && meta.expected().IsZero():
		return 0, invalidHeader(headerMetadata, "sha256 is required from a node")
	}
	if declared := meta[MetaFiletype]; declared == content.HEIC || declared == "image/heif" {
		return 0, problem.New(problem.MediaTypeRefused, "%s", declared)
	}
	return size, nil
}

func (u *Uploads) serveUpload(w http.ResponseWriter, r *http.Request, method string) error {
	e := u.find(path.Base(r.URL.Path))
	if e == nil {
		return problem.New(problem.NotFound, "")
	}
	who, err := u.Authorizer.Authorize(r, e.metadata)
	if err != nil {
		return err
	}
	if who.Person != e.person || who.Building != e.building {
		return problem.New(problem.NotFound, "")
	}
	switch method {
	case http.MethodHead:
		return u.serveHead(w, r, e)
	case http.MethodPatch:
		return u.servePatch(w, r, e)
	}
	return u.serveDelete(w, r, e)
}

// serveHead tells the durable offset. The client that asks has lost its connection, so a
// request that still holds the upload is ended. An offset equal to the length is only
// told once the file passed its checks.
func (u *Uploads) serveHead(w http.ResponseWriter, r *http.Request, e *entry) error {
	if !e.takeOver(r.Context()) {
		return problem.New(problem.UploadLocked, "")
	}
	defer e.unlock()
	if e.info.State == receiving && e.info.Offset == e.info.Size {
		if err := u.finish(r.Context(), e); err != nil {
			return err
		}
	}
	if e.info.State == failed {
		return problem.New(problem.UploadGone, "%s", e.info.Code)
	}
	u.describe(w, e)
	w.Header().Set(headerLength, strconv.FormatInt(e.info.Size, 10))
	if len(e.metadata) > 0 {
		w.Header().Set(headerMetadata, e.metadata.Encode())
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (u *Uploads) servePatch(w http.ResponseWriter, r *http.Request, e *entry) error {
	if r.Header.Get("Content-Type") != offsetType {
		return problem.New(problem.UploadContentType, "")
	}
	offset, err := parseCount(r.Header, headerOffset)
	if err != nil {
		return err
	}
	sum, err := parseChecksum(r.Header.Get(headerChecksum))
	if err != nil {
		return err
	}
	if !e.lockWithin(r.Context(), lockGrace) {
		return problem.New(problem.UploadLocked, "")
	}
	defer e.unlock()
	if e.info.State == failed {
		return problem.New(problem.UploadGone, "%s", e.info.Code)
	}
	if offset != e.info.Offset {
		w.Header().Set(headerOffset, strconv.FormatInt(e.info.Offset, 10))
		return problem.New(problem.UploadOffsetConflict, "%d, not %d", e.info.Offset, offset)
	}
	if e.info.State == receiving {
		if err := u.receive(w, r, e, sum); err != nil {
			return err
		}
	}
	u.describe(w, e)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// serveDelete cancels an upload. What is stored already belongs to the catalogue.
func (u *Uploads) serveDelete(w http.ResponseWriter, r *http.Request, e *entry) error {
	if !e.lockWithin(r.Context(), lockGrace) {
		return problem.New(problem.UploadLocked, "")
	}
	defer e.unlock()
	if e.info.State == stored || e.info.State == done {
		return problem.New(problem.UploadGone, "it is complete")
	}
	if err := u.forget(e); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// describe sets the headers that tell how far an upload is.
func (u *Uploads) describe(w http.ResponseWriter, e *entry) {
	h := w.Header()
	h.Set(headerOffset, strconv.FormatInt(e.info.Offset, 10))
	if result := e.info.Result; result != nil {
		h.Set(headerBlob, result.Blob.String())
		if !result.Thumb.IsZero() {
			h.Set(headerThumb, result.Thumb.String())
		}
		return
	}
	h.Set(headerExpires, e.info.Expires.UTC().Format(http.TimeFormat))
}

// writeProblem answers with the one form of errors; details of internal ones go to the log.
func (u *Uploads) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	var gone *connectionError
	if errors.As(err, &gone) {
		u.Log.Debug("an upload lost its connection", "method", r.Method, "error", err)
		w.Header().Set("Connection", "close")
		err = problem.Wrap(problem.Unavailable, err, "the connection was silent or was taken over")
	}
	p := problem.From(err)
	if p.Code == problem.Internal {
		u.Log.Error("upload request failed", "method", r.Method, "error", err)
	}
	body := map[string]any{"message": p.Message(), "code": p.Code, "remedy": p.Remedy()}
	if len(p.Fields) > 0 {
		body["errors"] = p.Fields
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Status())
	_ = json.NewEncoder(w).Encode(body) // a client that is gone cannot be told
}
