package media

import (
	"context"
	"errors"
	"io"
	"time"
)

// Errors of a BlobStore.
var (
	// ErrNoBlob means that no such blob is present. A blob whose bytes do not hash to its
	// name is not present either.
	ErrNoBlob = errors.New("no such blob")
	// ErrHash means that the bytes given do not hash to the name given.
	ErrHash = errors.New("the bytes do not hash to the name")
)

// BlobStore keeps immutable bytes under their hash.
type BlobStore interface {
	// Put stores everything r gives. It returns nil only after the bytes are durable and
	// were found to hash to the name; ErrHash if they do not. Storing what is present
	// changes nothing.
	Put(ctx context.Context, hash Hash, r io.Reader) error
	// Open gives the bytes, ErrNoBlob if they are not present.
	Open(ctx context.Context, hash Hash) (Blob, error)
	// Stat describes a blob, ErrNoBlob if it is not present.
	Stat(ctx context.Context, hash Hash) (BlobInfo, error)
	// Delete removes a blob; removing what is not there is no error.
	Delete(ctx context.Context, hash Hash) error
	// List calls each for every blob by name, in order of name, without verifying the
	// bytes. An error of each ends the walk and is returned.
	List(ctx context.Context, each func(BlobInfo) error) error
}

// Blob is an open blob. It must be closed.
type Blob interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// BlobInfo describes a blob.
type BlobInfo struct {
	Hash   Hash
	Size   int64
	Stored time.Time
}
