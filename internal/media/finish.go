package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"estate/internal/media/content"
	"estate/internal/problem"
)

// adopter is a BlobStore that can take over a file without copying it.
type adopter interface {
	Adopt(ctx context.Context, hash Hash, path string) error
}

// finish checks an upload whose bytes are all there, stores it and hands it over. It can
// be repeated from any point at which a process may die.
func (u *Uploads) finish(ctx context.Context, e *entry) error {
	ctx = context.WithoutCancel(ctx) // the bytes are here: a client that leaves changes nothing
	file, err := os.Open(e.dataPath())
	if err != nil {
		return fmt.Errorf("open complete upload: %w", err)
	}
	defer func() { _ = file.Close() }() // opened for reading
	sent, err := e.sentHash(file)
	if err != nil {
		return err
	}
	if want := e.metadata.expected(); !want.IsZero() && want != sent {
		return u.startOver(e, want, sent)
	}
	result, err := u.examine(ctx, e, file, sent)
	if err != nil {
		return u.refuse(e, err)
	}
	return u.keep(ctx, e, result)
}

// sentHash is the hash of the whole file, read from the disk where the running one was
// lost with a process.
func (e *entry) sentHash(file io.Reader) (Hash, error) {
	if e.sum != nil && e.summed == e.info.Size {
		return Hash(e.sum.Sum(nil)), nil
	}
	sent, n, err := HashOf(file)
	if err != nil {
		return Hash{}, err
	}
	if n != e.info.Size {
		return Hash{}, fmt.Errorf("upload %s has %d of %d bytes on the disk", e.id, n, e.info.Size)
	}
	return sent, nil
}

// startOver sets an upload back to offset 0, so that the client can send it again.
func (u *Uploads) startOver(e *entry, want, sent Hash) error {
	e.info.Offset = 0
	e.sum = nil
	if err := e.save(u.Now()); err != nil {
		return err
	}
	return problem.New(problem.MediaHashMismatch, "announced %s, arrived %s", want, sent)
}

// refuse ends an upload for a reason that sending it again cannot cure. Anything else,
// such as a full disk, is passed on and tried again.
func (u *Uploads) refuse(e *entry, cause error) error {
	var p *problem.Problem
	if !errors.As(cause, &p) || p.Status() >= 500 {
		return cause
	}
	e.info.State, e.info.Code = failed, p.Code
	if err := e.save(u.Now()); err != nil {
		return err
	}
	if err := os.Remove(e.dataPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove refused upload: %w", err)
	}
	return cause
}

// keep makes the result durable, lets go of the partial file and hands over.
func (u *Uploads) keep(ctx context.Context, e *entry, result Upload) error {
	e.info.State, e.info.Offset, e.info.Result = stored, e.info.Size, &result
	if err := e.save(u.Now()); err != nil {
		e.info.State, e.info.Result = receiving, nil
		return err
	}
	e.sum = nil
	if err := os.Remove(e.dataPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stored upload: %w", err)
	}
	return u.handOver(ctx, e)
}

// handOver tells the catalogue. A catalogue that cannot answer now is asked again by
// Sweep: the bytes are durable, so the client is done.
func (u *Uploads) handOver(ctx context.Context, e *entry) error {
	err := u.Catalogue.Completed(ctx, *e.info.Result)
	if err != nil {
		refused := u.refuse(e, err)
		if e.info.State == failed {
			return refused
		}
		u.Log.Warn("a stored upload waits to be recorded", "upload", e.id, "error", err)
		return nil
	}
	if e.info.Verbatim {
		return u.forget(e) // a node that asks again names the hash
	}
	e.info.State = done
	return e.save(u.Now())
}

// reuse completes a new upload at once where the same uploader may name present bytes by
// their hash: after a completed upload of their own, or by the catalogue's leave.
func (u *Uploads) reuse(ctx context.Context, e *entry, who Uploader) (bool, error) {
	want := e.metadata.expected()
	if want.IsZero() {
		return false, nil
	}
	if earlier := u.earlier(e, want); earlier != nil {
		if _, err := u.Blobs.Stat(ctx, earlier.Blob); err == nil {
			result := *earlier
			result.ID, result.Metadata = e.id, e.metadata
			return true, u.keep(ctx, e, result)
		}
	}
	if who.MayReuse == nil || !who.MayReuse(ctx, want) {
		return false, nil
	}
	blob, err := u.Blobs.Open(ctx, want)
	if errors.Is(err, ErrNoBlob) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer blob.Close()
	if n, err := blob.Seek(0, io.SeekEnd); err != nil || n != e.info.Size {
		return false, nil
	}
	result, err := u.examine(ctx, e, blob, want)
	if err != nil {
		return false, u.refuse(e, err)
	}
	return true, u.keep(ctx, e, result)
}

// earlier finds a completed upload of the same bytes by the same person.
func (u *Uploads) earlier(e *entry, sent Hash) *Upload {
	for _, other := range u.all() {
		if other.open.Load() || other.person != e.person || other.building != e.building || !other.tryLock() {
			continue
		}
		result, state := other.info.Result, other.info.State
		same := state == done && result.Sent == sent && result.SentBytes == e.info.Size &&
			other.info.KeepLocation == e.info.KeepLocation
		other.unlock()
		if same {
			return result
		}
	}
	return nil
}

// examine decides what the bytes are, stores what is to be stored and makes the preview.
// Its problems below status 500 are final.
func (u *Uploads) examine(ctx context.Context, e *entry, src io.ReaderAt, sent Hash) (Upload, error) {
	size := e.info.Size
	head := make([]byte, min(size, content.HeadBytes))
	if _, err := src.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return Upload{}, fmt.Errorf("read upload: %w", err)
	}
	mediaType, allowed := content.Sniff(head)
	result := Upload{ID: e.id, Person: e.person, Building: e.building, Metadata: e.metadata,
		Sent: sent, SentBytes: size, Blob: sent, BlobBytes: size, Type: mediaType}
	if e.info.Verbatim {
		return result, u.store(ctx, e, sent, io.NewSectionReader(src, 0, size))
	}
	if !allowed {
		return Upload{}, problem.New(problem.MediaTypeRefused, "%s", mediaType)
	}
	if content.IsImage(mediaType) {
		pixels, err := content.Measure(io.NewSectionReader(src, 0, size), mediaType)
		if err != nil {
			return Upload{}, contentProblem(err)
		}
		result.Size = pixels
	}
	plan, err := content.Sanitise(src, size, mediaType, e.info.KeepLocation)
	if err != nil {
		return Upload{}, contentProblem(err)
	}
	result.Size = result.Size.Upright(plan.Orientation)
	result.LocationRemoved = plan.Location
	if plan.Changed {
		if result.Blob, result.BlobBytes, err = HashOf(plan.Reader()); err != nil {
			return Upload{}, err
		}
		err = u.Blobs.Put(ctx, result.Blob, plan.Reader())
	} else {
		err = u.store(ctx, e, sent, plan.Reader())
	}
	if err != nil {
		return Upload{}, err
	}
	if content.IsImage(mediaType) {
		err = u.preview(ctx, &result, io.NewSectionReader(src, 0, size), plan.Orientation)
	}
	return result, err
}

// store keeps the bytes as they were sent, without a copy where that is possible.
func (u *Uploads) store(ctx context.Context, e *entry, sent Hash, r io.Reader) error {
	if a, ok := u.Blobs.(adopter); ok {
		if _, err := os.Stat(e.dataPath()); err == nil {
			return a.Adopt(ctx, sent, e.dataPath())
		}
	}
	return u.Blobs.Put(ctx, sent, r)
}

// preview makes and stores the small picture. A photo that cannot be decoded to its end
// is still kept, without one.
func (u *Uploads) preview(ctx context.Context, result *Upload, r io.Reader, orientation int) error {
	u.thumbs <- struct{}{}
	small, err := decode(r, result.Type, orientation)
	<-u.thumbs
	if err != nil {
		u.Log.Warn("no preview could be made", "upload", result.ID, "type", result.Type, "error", err)
		return nil
	}
	if result.Thumb, result.ThumbBytes, err = HashOf(bytes.NewReader(small)); err != nil {
		return err
	}
	return u.Blobs.Put(ctx, result.Thumb, bytes.NewReader(small))
}

// decode guards against a decoder that panics on a hostile picture: the upload would end
// the process again at every start.
func decode(r io.Reader, mediaType string, orientation int) (small []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the decoder failed: %v", v)
		}
	}()
	return content.Thumbnail(r, mediaType, orientation)
}

func contentProblem(err error) error {
	switch {
	case errors.Is(err, content.ErrTooManyPixels):
		return problem.Wrap(problem.MediaTooManyPixels, err, "")
	case errors.Is(err, content.ErrDamaged):
		return problem.Wrap(problem.MediaDamaged, err, "")
	}
	return err
}
