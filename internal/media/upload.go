package media

import (
	"context"
	"hash"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"estate/internal/media/content"
	"estate/internal/problem"
)

// Uploader is who sends an upload, as the Authorizer found out.
type Uploader struct {
	// Person or node that owns the upload. Nobody else sees it.
	Person string
	// Building that the file will belong to.
	Building string
	// BytesMax narrows the limit of one file for this uploader; 0 leaves the general one.
	BytesMax int64
	// KeepLocation says that the building allows locations in photos.
	KeepLocation bool
	// Verbatim is for nodes: the bytes were checked and cleaned where a person first
	// uploaded them and keep the name they got there.
	Verbatim bool
	// MayReuse tells whether this uploader may name a file by its hash alone because it
	// could read it here anyway. Knowing a hash is no right to see the bytes, so nil
	// means never.
	MayReuse func(ctx context.Context, hash Hash) bool
}

// Authorizer decides who may upload what. It is asked at the creation of an upload and at
// every later request for it, with the metadata given at the creation. A *problem.Problem
// it returns is shown to the caller.
type Authorizer interface {
	Authorize(r *http.Request, meta Metadata) (Uploader, error)
}

// Catalogue learns of files that are whole and durable.
type Catalogue interface {
	// Completed records the file. It is called again, also after a restart, until it
	// returns nil or a *problem.Problem below status 500, which ends the upload as
	// refused; so it must be idempotent by Upload.ID.
	Completed(ctx context.Context, upload Upload) error
}

// Upload is a completed upload. Sent is what the client sent, Blob what is stored: they
// differ where a location was removed.
type Upload struct {
	ID              string       `json:"id"`
	Person          string       `json:"person"`
	Building        string       `json:"building"`
	Metadata        Metadata     `json:"metadata"`
	Sent            Hash         `json:"sent"`
	SentBytes       int64        `json:"sent_bytes"`
	Blob            Hash         `json:"blob"`
	BlobBytes       int64        `json:"blob_bytes"`
	Type            string       `json:"type"`
	Size            content.Size `json:"size"` // in pixels, upright; zero if not a picture
	Thumb           Hash         `json:"thumb"`
	ThumbBytes      int64        `json:"thumb_bytes"`
	LocationRemoved bool         `json:"location_removed"`
}

// The life of an upload:
//
//	receiving ──last byte, checks──▶ stored ──catalogue took it──▶ done
//	   ▲  │                            │
//	   └──┘ hash mismatch: offset 0    └──catalogue refuses──▶ failed
//	   └──refused type, pixels, damage──────────────────────▶ failed
type state string

const (
	receiving state = "receiving"
	stored    state = "stored"
	done      state = "done"
	failed    state = "failed"
)

// info is the file beside the data: everything that must survive a restart. Offset is the
// durable length; bytes beyond it in the data file were never acknowledged.
type info struct {
	ID           string       `json:"id"`
	Person       string       `json:"person"`
	Building     string       `json:"building"`
	KeepLocation bool         `json:"keep_location"`
	Verbatim     bool         `json:"verbatim"`
	Metadata     Metadata     `json:"metadata"`
	Size         int64        `json:"size"`
	Offset       int64        `json:"offset"`
	State        state        `json:"state"`
	Code         problem.Code `json:"code,omitempty"`
	Expires      time.Time    `json:"expires"`
	Result       *Upload      `json:"result,omitempty"`
}

// entry is one upload in memory. Whoever holds the lock may touch info, sum and the files.
type entry struct {
	dir string
	// Set once, readable without the lock.
	id, person, building string
	metadata             Metadata

	open atomic.Bool // neither done nor failed; follows info.State

	lock   chan struct{} // holds one value while somebody works on the upload
	info   info
	sum    hash.Hash // of the first summed bytes; nil after a restart
	summed int64

	mu        sync.Mutex
	interrupt func() // ends the request that is writing
}

func newEntry(dir string, in info) *entry {
	e := &entry{dir: dir, id: in.ID, person: in.Person, building: in.Building, metadata: in.Metadata,
		lock: make(chan struct{}, 1), info: in}
	e.open.Store(in.State == receiving || in.State == stored)
	return e
}

func (e *entry) tryLock() bool {
	select {
	case e.lock <- struct{}{}:
		return true
	default:
		return false
	}
}

func (e *entry) unlock() { <-e.lock }

// takeOver locks an upload whose client has come back: a request that still waits for
// bytes of a dead connection is ended first.
func (e *entry) takeOver(ctx context.Context) bool {
	if e.tryLock() {
		return true
	}
	e.mu.Lock()
	if e.interrupt != nil {
		e.interrupt()
	}
	e.mu.Unlock()
	return e.lockWithin(ctx, takeOverMax)
}

// lockWithin waits a while for the lock.
func (e *entry) lockWithin(ctx context.Context, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case e.lock <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *entry) setInterrupt(f func()) {
	e.mu.Lock()
	e.interrupt = f
	e.mu.Unlock()
}

func (e *entry) dataPath() string { return filepath.Join(e.dir, "data") }
func (e *entry) infoPath() string { return filepath.Join(e.dir, "info") }

func expiry(now time.Time, life time.Duration) time.Time {
	return now.Add(life).UTC().Truncate(time.Second)
}

// save writes the info durably with a new time of expiry.
func (e *entry) save(now time.Time) error {
	life := unfinishedLife
	ended := e.info.State == done || e.info.State == failed
	if ended {
		life = endedLife
	}
	e.open.Store(!ended)
	e.info.Expires = expiry(now, life)
	return writeJSON(e.infoPath(), e.info)
}

// remove deletes the upload from the disk. The info goes first: a folder without one is
// rubbish that the next start clears away.
func (e *entry) remove() error {
	if err := os.Remove(e.infoPath()); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.RemoveAll(e.dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(e.dir))
}
