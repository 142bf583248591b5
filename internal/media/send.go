package media

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"estate/internal/problem"
)

const (
	// partBytes is what one PATCH carries. The other side keeps what arrives of it; but what
	// stands between may collect a request before it passes it on.
	partBytes = 32 << 20
	// carefulBytes is what one PATCH carries where the bytes were altered on the way: with a
	// checksum, so that it costs one part and not the file.
	carefulBytes = 4 << 20
)

// Sender is a Mover that uploads blobs to another node through tus.
type Sender struct {
	Peer
	Blobs BlobStore
	// Endpoint is the collection of uploads at the other side.
	Endpoint string
}

// Move implements Mover. It continues at item.Resume where the other side still knows
// that upload, and returns nil only when the other side says that it has the whole file
// under the right name.
func (s *Sender) Move(ctx context.Context, item Item, started func(resume string) error) error {
	blob, err := s.Blobs.Open(ctx, item.Hash)
	if err != nil {
		return fmt.Errorf("open blob to send: %w", err)
	}
	defer blob.Close()
	size, err := blob.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("measure blob to send: %w", err)
	}
	at, offset := item.Resume, int64(0)
	if at != "" {
		offset, err = s.offset(ctx, at)
		if hasStatus(err, http.StatusNotFound, http.StatusGone, http.StatusForbidden) {
			at, err = "", nil
		}
	}
	if err == nil && at == "" {
		at, offset, err = s.create(ctx, item, size)
		if err == nil && offset < size {
			err = started(at)
		}
	}
	if err != nil {
		return err
	}
	err = s.parts(ctx, at, offset, size, blob, false)
	if hasCode(err, problem.MediaHashMismatch) {
		err = s.parts(ctx, at, 0, size, blob, true) // the other side has begun anew
	}
	return err
}

// parts sends what is missing.
func (s *Sender) parts(ctx context.Context, at string, offset, size int64, blob io.ReaderAt, careful bool) error {
	limit := int64(partBytes)
	if careful {
		limit = carefulBytes
	}
	for offset < size {
		next, err := s.part(ctx, at, offset, io.NewSectionReader(blob, offset, min(limit, size-offset)), careful)
		if err != nil {
			return err
		}
		if next <= offset || next > size {
			return &RefusedError{Status: http.StatusConflict, Message: fmt.Sprintf("offset went from %d to %d of %d", offset, next, size)}
		}
		offset = next
	}
	return nil
}

// create starts an upload and returns its address and how much of it is there already.
func (s *Sender) create(ctx context.Context, item Item, size int64) (string, int64, error) {
	meta := Metadata{}
	for key, value := range item.Metadata {
		meta[key] = value
	}
	meta[MetaSHA256] = item.Hash.String()
	r, err := s.request(ctx, http.MethodPost, s.Endpoint, nil)
	if err != nil {
		return "", 0, err
	}
	r.Header.Set(headerLength, strconv.FormatInt(size, 10))
	r.Header.Set(headerMetadata, meta.Encode())
	answer, end, err := s.call(ctx, r, http.StatusCreated) //nolint:bodyclose // end closes it
	if err != nil {
		return "", 0, err
	}
	defer end()
	base, err := url.Parse(s.Endpoint)
	if err != nil {
		return "", 0, fmt.Errorf("endpoint of uploads: %w", err)
	}
	place, err := base.Parse(answer.Header.Get("Location"))
	// The requests carry this node's sign-in, so they go to no other host.
	if err != nil || place.Host != base.Host || place.Scheme != base.Scheme {
		return "", 0, &RefusedError{Status: answer.StatusCode, Message: "the upload has an address elsewhere"}
	}
	if answer.Header.Get(headerOffset) == "" {
		return place.String(), 0, nil
	}
	offset, err := parseCount(answer.Header, headerOffset)
	return place.String(), offset, err
}

func (s *Sender) offset(ctx context.Context, at string) (int64, error) {
	r, err := s.request(ctx, http.MethodHead, at, nil)
	if err != nil {
		return 0, err
	}
	answer, end, err := s.call(ctx, r, http.StatusOK) //nolint:bodyclose // end closes it
	if err != nil {
		return 0, err
	}
	defer end()
	return parseCount(answer.Header, headerOffset)
}

// part sends one PATCH.
func (s *Sender) part(ctx context.Context, at string, offset int64, section *io.SectionReader, careful bool) (int64, error) {
	r, err := s.request(ctx, http.MethodPatch, at, section)
	if err != nil {
		return 0, err
	}
	r.ContentLength = section.Size()
	r.Header.Set("Content-Type", offsetType)
	r.Header.Set(headerOffset, strconv.FormatInt(offset, 10))
	if careful {
		sum, _, err := HashOf(section)
		if err == nil {
			_, err = section.Seek(0, io.SeekStart)
		}
		if err != nil {
			return 0, fmt.Errorf("read blob to send: %w", err)
		}
		r.Header.Set(headerChecksum, "sha256 "+base64.StdEncoding.EncodeToString(sum[:]))
	}
	answer, end, err := s.call(ctx, r, http.StatusNoContent) //nolint:bodyclose // end closes it
	if err != nil {
		return 0, err
	}
	defer end()
	return parseCount(answer.Header, headerOffset)
}

func (s *Sender) request(ctx context.Context, method, at string, body io.Reader) (*http.Request, error) {
	if body == nil {
		body = bytes.NewReader(nil)
	}
	r, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return nil, fmt.Errorf("request for upload: %w", err)
	}
	r.Header.Set(headerResumable, tusVersion)
	return r, nil
}
