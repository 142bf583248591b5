package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// Fetcher is a Mover in the other direction: it downloads blobs from another node with
// range requests.
type Fetcher struct {
	Peer
	Blobs BlobStore
	// Dir keeps what has arrived of a blob, by its hash.
	Dir string
	// Address is where the other side serves an item.
	Address func(item Item) string
}

// Move implements Mover. What arrived of an interrupted download is kept and continued.
func (f *Fetcher) Move(ctx context.Context, item Item, _ func(resume string) error) error {
	path := filepath.Join(f.Dir, item.Hash.String())
	if _, err := f.Blobs.Stat(ctx, item.Hash); err == nil {
		_ = os.Remove(path) // left by a process that was killed once the file was kept
		return nil
	}
	if err := makeDir(f.Dir); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return fmt.Errorf("open download: %w", err)
	}
	defer func() { _ = file.Close() }() // what counts was synced
	if err := f.complete(ctx, item, file); err != nil {
		return err
	}
	err = f.keep(ctx, item.Hash, file, path)
	if err == nil || errors.Is(err, ErrHash) {
		// Kept it is of no use: present, or wrong and to be fetched from the beginning.
		if removeErr := os.Remove(path); err == nil && removeErr != nil {
			return fmt.Errorf("remove download: %w", removeErr)
		}
	}
	return err
}

// keep stores what has arrived, without a copy where that is possible.
func (f *Fetcher) keep(ctx context.Context, hash Hash, file *os.File, path string) error {
	a, ok := f.Blobs.(adopter)
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read download: %w", err)
	}
	if !ok {
		return f.Blobs.Put(ctx, hash, file)
	}
	synced := make(chan error, 1)
	go func() { synced <- file.Sync() }() // while it is hashed
	got, _, err := HashOf(contextReader{ctx, file})
	if syncErr := <-synced; err == nil && syncErr != nil {
		err = fmt.Errorf("sync download: %w", diskError(syncErr))
	}
	switch {
	case err != nil:
		return err
	case got != hash:
		return fmt.Errorf("download: %w: it is %s", ErrHash, got)
	}
	return a.Adopt(ctx, hash, path)
}

// complete appends what is missing to the file.
func (f *Fetcher) complete(ctx context.Context, item Item, file *os.File) error {
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("measure download: %w", err)
	}
	if item.Bytes > 0 && have == item.Bytes {
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.Address(item), http.NoBody)
	if err != nil {
		return fmt.Errorf("request for download: %w", err)
	}
	if have > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		r.Header.Set("If-Range", `"`+item.Hash.String()+`"`)
	}
	answer, end, err := f.call(ctx, r, http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable) //nolint:bodyclose // end closes it
	if err != nil {
		return err
	}
	defer end()
	if answer.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return nil // all of it is here, or too much: the hash decides
	}
	if answer.StatusCode == http.StatusOK {
		have = 0
	}
	if err := file.Truncate(have); err != nil {
		return fmt.Errorf("restart download: %w", err)
	}
	if _, err := file.Seek(have, io.SeekStart); err != nil {
		return fmt.Errorf("continue download: %w", err)
	}
	limit := int64(BytesMaxDefault)
	if item.Bytes > 0 {
		limit = item.Bytes
	}
	n, err := io.Copy(file, io.LimitReader(answer.Body, limit-have+1))
	if err != nil {
		return &LinkError{fmt.Errorf("download %s: %w", item.Hash, diskError(err))}
	}
	if have+n > limit {
		_ = file.Truncate(0)
		return &RefusedError{Status: answer.StatusCode, Message: fmt.Sprintf("more than %d bytes came", limit)}
	}
	return nil
}
