package media

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"estate/internal/problem"
)

const (
	// BytesMaxDefault is the limit of one file: about three minutes of a phone's video.
	BytesMaxDefault = 100 << 20
	// stallMaxDefault ends a request whose connection is silent, so that it does not keep
	// the upload locked.
	stallMaxDefault = 30 * time.Second
	// takeOverMax is how long a returning client waits for its old request to end: one
	// sync to a slow disk.
	takeOverMax = 5 * time.Second
	// lockGrace bridges the moment in which Sweep looks at an upload.
	lockGrace = 100 * time.Millisecond
	// checkpointBytes is after how much of a long request what has come is made durable. When
	// the process is killed, what came since and while the last such write went on is lost.
	checkpointBytes = 4 << 20
	// unfinishedLife outlasts a technician's week without network.
	unfinishedLife = 7 * 24 * time.Hour
	// endedLife lets a client that lost the last answer find out that all went well.
	endedLife = 24 * time.Hour
	// sweepEvery is how long a hand-over that failed waits for its next attempt.
	sweepEvery = time.Minute
	// uploadsPerPersonMax counts unfinished uploads; it is above the 400 photos of a long offline job.
	uploadsPerPersonMax = 500
	// uploadsMax bounds the unfinished uploads of the whole store.
	uploadsMax = 20_000
	// thumbnailsAtOnceDefault is 1: one 50 megapixel picture takes up to 256 MiB.
	thumbnailsAtOnceDefault = 1
)

// Config is what an Uploads is made of.
type Config struct {
	Dir        string // of partial uploads; on the file system of the blobs if possible
	Blobs      BlobStore
	Authorizer Authorizer
	Catalogue  Catalogue
	Log        *slog.Logger
	Now        func() time.Time

	BytesMax         int64         // of one file; BytesMaxDefault if 0
	StallMax         time.Duration // of a silent connection; 30 s if 0
	ThumbnailsAtOnce int           // 1 if 0
}

// WithDefaults fills what was left zero.
func (c Config) WithDefaults() Config {
	if c.BytesMax == 0 {
		c.BytesMax = BytesMaxDefault
	}
	if c.StallMax == 0 {
		c.StallMax = stallMaxDefault
	}
	if c.ThumbnailsAtOnce == 0 {
		c.ThumbnailsAtOnce = thumbnailsAtOnceDefault
	}
	return c
}

// Uploads is a tus 1.0 server. It is an http.Handler for the collection, such as
// /media/uploads/, and the uploads below it; mount it without stripping the path.
type Uploads struct {
	Config
	dir    string
	thumbs chan struct{} // one value per preview being made

	mu      sync.Mutex
	entries map[string]*entry
}

// OpenUploads opens the folder of partial uploads and picks up what a former process left
// at its durable offset. Run finishes what was complete.
func OpenUploads(config Config) (*Uploads, error) {
	config = config.WithDefaults()
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("open uploads: %w", err)
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("open uploads: %w", err)
	}
	u := &Uploads{Config: config, dir: dir, entries: map[string]*entry{},
		thumbs: make(chan struct{}, config.ThumbnailsAtOnce)}
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open uploads: %w", err)
	}
	for _, folder := range folders {
		if err := u.load(folder.Name()); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// load reads one upload. An unreadable one is reported and left alone: it must not keep
// the others from starting.
func (u *Uploads) load(id string) error {
	if !validID(id) {
		return nil
	}
	dir := filepath.Join(u.dir, id)
	b, err := os.ReadFile(filepath.Join(dir, "info"))
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("clear unfinished creation: %w", err)
		}
		return nil
	}
	var in info
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	if err == nil && (in.ID != id || in.Offset < 0 || in.Offset > in.Size) {
		err = errors.New("the info does not fit the upload")
	}
	if err != nil {
		u.Log.Error("an upload cannot be read and is left aside", "upload", id, "error", err)
		return nil
	}
	u.entries[id] = newEntry(dir, in)
	return nil
}

// Run finishes and hands over what was left and removes what has expired, until the
// context ends.
func (u *Uploads) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		u.Sweep(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Sweep is one round of Run. An upload that somebody is working on is left to the next.
func (u *Uploads) Sweep(ctx context.Context) {
	for _, e := range u.all() {
		if ctx.Err() != nil {
			return
		}
		if e.tryLock() {
			u.sweepOne(ctx, e)
			e.unlock()
		}
	}
}

func (u *Uploads) sweepOne(ctx context.Context, e *entry) {
	var err error
	switch {
	case e.info.State == stored:
		err = u.handOver(ctx, e)
	case e.info.State == receiving && e.info.Offset == e.info.Size:
		err = u.finish(ctx, e)
	case u.Now().After(e.info.Expires):
		err = u.forget(e)
	}
	if err != nil {
		u.Log.Warn("an upload could not be finished", "upload", e.id, "error", err)
	}
}

// Unfinished counts the uploads that are neither done nor failed, for a metric.
func (u *Uploads) Unfinished() int {
	n := 0
	for _, e := range u.all() {
		if e.open.Load() {
			n++
		}
	}
	return n
}

func (u *Uploads) all() []*entry {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Values(u.entries))
}

func (u *Uploads) find(id string) *entry {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.entries[id]
}

// create makes a durable upload and returns it locked.
func (u *Uploads) create(in info) (*entry, error) {
	e := newEntry(filepath.Join(u.dir, in.ID), in)
	e.lock <- struct{}{}
	u.mu.Lock()
	own, all := 0, 0
	for _, other := range u.entries {
		if other.open.Load() {
			all++
			if other.person == in.Person {
				own++
			}
		}
	}
	tooMany := own >= uploadsPerPersonMax || all >= uploadsMax
	if !tooMany {
		u.entries[in.ID] = e
	}
	u.mu.Unlock()
	if tooMany {
		return nil, problem.New(problem.UploadTooMany, "")
	}
	err := makeDir(e.dir)
	if err == nil {
		err = e.save(u.Now())
	}
	if err != nil {
		_ = u.forget(e)
		return nil, fmt.Errorf("create upload: %w", diskError(err))
	}
	return e, nil
}

// forget removes an upload from the disk and from memory.
func (u *Uploads) forget(e *entry) error {
	u.mu.Lock()
	delete(u.entries, e.id)
	u.mu.Unlock()
	if err := e.remove(); err != nil {
		return fmt.Errorf("remove upload %s: %w", e.id, err)
	}
	return nil
}

func sortedKeys(m Metadata) []string { return slices.Sorted(maps.Keys(m)) }
