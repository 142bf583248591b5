package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"estate/edge/internal/cloudlink"
	"estate/edge/internal/local"
	"estate/internal/attach"
	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/media"
	"estate/sync/record"
)

const (
	// scanItemsMax bounds one look through the feed for files to move.
	scanItemsMax = 500
	// scanRetry is the pause after a look that failed.
	scanRetry = 5 * time.Second
)

// files is the media of a building: what is stored here, what people upload, and the lanes
// to and from the cloud.
type files struct {
	building *building
	blobs    *media.FileStore
	uploads  *media.Uploads
	up, down *media.Lane
	http     *http.Client
}

func newFiles(b *building, enrolment local.Enrolment) (*files, error) {
	e := b.edge
	f := &files{building: b}
	var err error
	if f.blobs, err = media.OpenFileStore(e.path(folderBlobs), e.log); err != nil {
		return nil, err
	}
	a := &attach.Attach{Desk: b.desk, KeepLocation: b.desk.KeepsPhotoLocation,
		Caller: func(_ context.Context, id auth.Identity) (desk.Caller, error) {
			return desk.Caller{Person: id.Person}, nil
		}}
	f.uploads, err = media.OpenUploads(media.Config{Dir: e.path(folderUploads), Blobs: f.blobs, Authorizer: a,
		Catalogue: catalogue{a, f}, Log: e.log, Now: time.Now})
	if err != nil {
		return nil, err
	}
	var limit *rate.Limiter
	if e.cfg.MediaBytesPerSecond > 0 {
		limit = media.NewRate(e.cfg.MediaBytesPerSecond)
	}
	base := cloudURL(e.cfg, enrolment)
	f.http = &http.Client{Transport: &cloudlink.Transport{Sessions: b.link.sessions, Base: b.link.transport}}
	peer := media.Peer{HTTP: f.http, Rate: limit}
	f.up = media.NewLane(e.local.Blobs(local.Up), &media.Sender{Peer: peer, Blobs: f.blobs, Endpoint: base + cloudlink.PathMedia}, e.log, time.Now)
	f.down = media.NewLane(e.local.Blobs(local.Down), &media.Fetcher{Peer: peer, Blobs: f.blobs, Dir: e.path(folderFetched),
		Address: func(i media.Item) string { return base + cloudlink.PathBlobs + i.Hash.String() }}, e.log, time.Now)
	return f, nil
}

func (f *files) run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context) error{f.uploads.Run, f.up.Run, f.down.Run, f.scan} {
		group.Go(func() error { return ended(running, part(running)) })
	}
	return group.Wait()
}

// wake tells the lanes that the link is back.
func (f *files) wake() {
	f.up.Wake()
	f.down.Wake()
}

// scan follows the building's feed and queues the files that its records name: to the cloud
// what is here, from it what is not.
func (f *files) scan(ctx context.Context) error {
	moved, stop := f.building.edge.store.Watch(f.building.id)
	defer stop()
	var mark *uint64
	failing := false
	for {
		more, err := f.scanOnce(ctx, &mark)
		if ctx.Err() != nil {
			return nil
		}
		if failing != (err != nil) {
			failing = err != nil
			f.building.edge.log.WarnContext(ctx, "look for files to move", slog.Bool("failing", failing), slog.Any("error", err))
		}
		if more && err == nil {
			continue
		}
		var retry <-chan time.Time
		if err != nil {
			timer := time.NewTimer(scanRetry)
			defer timer.Stop() // few: each is a failure of the disk
			retry = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-moved:
		case <-retry:
		}
	}
}

// scanOnce looks through what moved since the last look, which mark is of. Where no media
// record did, there is nothing to note either.
func (f *files) scanOnce(ctx context.Context, mark **uint64) (more bool, err error) {
	e := f.building.edge
	if *mark == nil {
		last, err := e.local.Mark(ctx, f.building.id)
		if err != nil {
			return false, err
		}
		*mark = &last
	}
	items, err := e.store.MediaFeed(ctx, f.building.id, **mark, scanItemsMax)
	if err != nil || len(items) == 0 {
		return false, err
	}
	var wanted []local.Wanted
	for _, item := range items {
		r, err := record.Decode(item.Body)
		if err != nil {
			return false, fmt.Errorf("read %s: %w", item.Key, err)
		}
		of, err := f.wanted(ctx, r)
		if err != nil {
			return false, err
		}
		wanted = append(wanted, of...)
	}
	last := items[len(items)-1].Position
	if err := e.local.Want(ctx, f.building.id, last, wanted); err != nil {
		return false, err
	}
	*mark = &last
	if len(wanted) > 0 {
		f.wake()
	}
	return len(items) == scanItemsMax, nil
}

// wanted lists the files that a media record names.
func (f *files) wanted(ctx context.Context, r record.Record) ([]local.Wanted, error) {
	text := func(field string) string {
		s, _ := f.building.table.Shown("media", field, r).AsText()
		return s
	}
	var out []local.Wanted
	for _, field := range []string{"thumbnail", "digest"} {
		b, ok := f.building.table.Shown("media", field, r).AsBytes()
		hash := media.Hash{}
		if !ok || copy(hash[:], b) != len(hash) {
			continue
		}
		item := f.item(hash, field == "thumbnail")
		if !item.Thumb {
			item.Bytes, _ = f.building.table.Shown("media", "size", r).AsInt()
			item.Metadata[media.MetaFiletype], item.Metadata[media.MetaFilename] = text("content_type"), text("name")
		}
		w := local.Wanted{Direction: local.Up, Item: item}
		switch _, err := f.blobs.Stat(ctx, hash); {
		case errors.Is(err, media.ErrNoBlob):
			w.Direction = local.Down
		case err != nil:
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

func (f *files) item(hash media.Hash, thumb bool) media.Item {
	return media.Item{Hash: hash, Thumb: thumb, Added: time.Now(), Metadata: media.Metadata{attach.MetaBuilding: f.building.id.String()}}
}

// catalogue records an upload and queues its files for the cloud: the record may have come
// before the bytes, so that the feed has nothing new to say.
type catalogue struct {
	*attach.Attach
	files *files
}

// Completed implements media.Catalogue.
func (c catalogue) Completed(ctx context.Context, u media.Upload) error {
	if err := c.Attach.Completed(ctx, u); err != nil {
		return err
	}
	f := c.files
	whole := f.item(u.Blob, false)
	whole.Bytes, whole.Metadata[media.MetaFiletype], whole.Metadata[media.MetaFilename] = u.BlobBytes, u.Type, u.Metadata[media.MetaFilename]
	wanted := []local.Wanted{{Direction: local.Up, Item: whole}}
	if !u.Thumb.IsZero() {
		thumb := f.item(u.Thumb, true)
		thumb.Bytes = u.ThumbBytes
		wanted = append(wanted, local.Wanted{Direction: local.Up, Item: thumb})
	}
	if err := f.building.edge.local.Queue(ctx, wanted); err != nil {
		return err
	}
	f.wake()
	return nil
}
