package media

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"time"

	"estate/internal/problem"
)

// partBufferBytes is what one read of a fast line takes.
const partBufferBytes = 256 << 10

// connectionError is an end of the request before its body was complete. What arrived is
// kept; there is nobody left to tell.
type connectionError struct{ err error }

func (e *connectionError) Error() string { return "the connection ended: " + e.err.Error() }
func (e *connectionError) Unwrap() error { return e.err }

// receive appends the body of a request to a locked upload and finishes the upload after
// its last byte. When it returns nil, everything up to info.Offset is on the disk.
func (u *Uploads) receive(w http.ResponseWriter, r *http.Request, e *entry, want *checksum) error {
	if r.ContentLength > e.info.Size-e.info.Offset {
		return problem.New(problem.MediaTooLarge, "the part ends after the announced length %d", e.info.Size)
	}
	control := http.NewResponseController(w)
	// A large file on a slow line takes longer than the server's limit for a request; what
	// ends it here is silence. A writer that knows no deadlines leaves the server's own.
	_, _ = control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})
	stop := func() { _ = control.SetReadDeadline(time.Unix(1, 0)) } // in the past: ends a waiting read
	e.setInterrupt(stop)
	stall := time.AfterFunc(u.StallMax, stop)

	body := readerFunc(func(b []byte) (int, error) {
		n, err := r.Body.Read(b)
		stall.Reset(u.StallMax)
		return n, err
	})
	err := u.appendPart(e, body, want)
	stall.Stop()
	e.setInterrupt(nil)
	if err != nil {
		return err
	}
	if e.info.Offset < e.info.Size {
		return nil
	}
	return u.finish(r.Context(), e)
}

// appendPart writes a part behind the durable offset. With a checksum the part counts
// whole or not at all; without one, what arrived counts even if the connection ended, and
// becomes durable while more arrives.
func (u *Uploads) appendPart(e *entry, body io.Reader, want *checksum) (err error) {
	p, err := openPart(e, want)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := p.file.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close upload: %w", closeErr)
		}
	}()
	behind := make(chan reached, 1)
	copyErr := u.copyPart(e, p, body, behind)
	if p.saving {
		if err := e.reach(<-behind); err != nil {
			return err
		}
	}
	var gone *connectionError
	switch {
	case copyErr == nil && want != nil && string(p.part.Sum(nil)) != want.sum:
		return problem.New(problem.UploadChecksumMismatch, "")
	case copyErr == nil, want == nil && errors.As(copyErr, &gone):
		if p.at > e.info.Offset {
			if err := e.reach(u.save(e, p.file, e.info, p.at, p.sum)); err != nil {
				return err
			}
		}
	}
	return copyErr
}

// copyPart writes and hashes what comes until the part or its connection ends. What has
// come is made durable behind it, at most once at a time: p.saving says that a result is
// still to come.
func (u *Uploads) copyPart(e *entry, p *part, body io.Reader, behind chan reached) error {
	buffer := make([]byte, partBufferBytes)
	for {
		n, readErr := body.Read(buffer)
		if err := p.write(buffer[:n]); err != nil {
			return err
		}
		if p.saving {
			select {
			case r := <-behind:
				p.saving = false
				if err := e.reach(r); err != nil {
					return err
				}
			default:
			}
		}
		if p.part == nil && !p.saving && p.at-e.info.Offset >= checkpointBytes {
			p.saving = true
			in, at, sum := e.info, p.at, cloneHash(p.sum)
			go func() { behind <- u.save(e, p.file, in, at, sum) }()
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return nil
		case readErr != nil:
			return &connectionError{readErr}
		}
	}
}

// part is a write in progress. Its hashes run ahead of the durable state of the entry and
// become that state at commit, so that giving up needs no undo.
type part struct {
	file *os.File
	at   int64
	max  int64
	sum  hash.Hash // of the whole file up to at; nil if not known since a restart
	part hash.Hash // of this part, nil without a checksum
	// saving says that an earlier state of the file is being made durable.
	saving bool
}

func openPart(e *entry, want *checksum) (*part, error) {
	file, err := os.OpenFile(e.dataPath(), os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return nil, fmt.Errorf("open upload: %w", err)
	}
	p := &part{file: file, at: e.info.Offset, max: e.info.Size}
	if want != nil {
		p.part = want.new()
	}
	switch {
	case p.at == 0:
		p.sum = sha256.New()
	case e.sum != nil && e.summed == p.at:
		p.sum = cloneHash(e.sum)
	}
	err = file.Truncate(p.at) // bytes that were never acknowledged
	if err == nil {
		_, err = file.Seek(p.at, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open upload at %d: %w", p.at, err)
	}
	return p, nil
}

func (p *part) write(b []byte) error {
	if int64(len(b)) > p.max-p.at {
		return problem.New(problem.MediaTooLarge, "the part ends after the announced length %d", p.max)
	}
	if _, err := p.file.Write(b); err != nil {
		return fmt.Errorf("write upload: %w", diskError(err))
	}
	for _, h := range []hash.Hash{p.sum, p.part} {
		if h != nil {
			_, _ = h.Write(b) // a hash never fails
		}
	}
	p.at += int64(len(b))
	return nil
}

// reached is how far an upload is durable, and the hash up to there; nil if not known.
type reached struct {
	info info
	sum  hash.Hash
	err  error
}

// save makes everything written up to an offset durable: the bytes first, then the offset.
// It touches nothing of the entry, so that more may be written meanwhile.
func (u *Uploads) save(e *entry, file *os.File, in info, at int64, sum hash.Hash) reached {
	if err := file.Sync(); err != nil {
		return reached{err: fmt.Errorf("sync upload: %w", diskError(err))}
	}
	if in.Offset == 0 {
		if err := syncDir(e.dir); err != nil { // the name of the data file
			return reached{err: err}
		}
	}
	in.Offset, in.Expires = at, expiry(u.Now(), unfinishedLife)
	return reached{info: in, sum: sum, err: writeJSON(e.infoPath(), in)}
}

// reach notes what save did.
func (e *entry) reach(r reached) error {
	if r.err != nil {
		return r.err
	}
	e.info, e.sum, e.summed = r.info, r.sum, r.info.Offset
	return nil
}

// cloneHash copies a running SHA-256; the standard one can always be cloned.
func cloneHash(h hash.Hash) hash.Hash {
	if h == nil {
		return nil
	}
	if c, ok := h.(hash.Cloner); ok {
		if clone, err := c.Clone(); err == nil {
			return clone
		}
	}
	return nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
