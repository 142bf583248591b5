package cloud

import (
	"fmt"
	"net/http"
	"path/filepath"

	"estate/internal/attach"
	"estate/internal/media"
	"estate/internal/problem"
	"estate/sync/record"
)

func (c *Cloud) buildMedia() error {
	blobs, err := media.OpenFileStore(filepath.Join(c.cfg.Data, "blobs"), c.cfg.Log)
	if err != nil {
		return fmt.Errorf("open the blob store: %w", err)
	}
	c.blobs = blobs
	a := &attach.Attach{Desk: c.desk, Caller: c.caller, KeepLocation: c.desk.KeepsPhotoLocation, Node: func(r *http.Request) (record.ID, error) {
		_, building, err := c.gate.Authenticate(r)
		return building, err
	}}
	c.uploads, err = media.OpenUploads(media.Config{Dir: filepath.Join(c.cfg.Data, "uploads"), Blobs: blobs, Authorizer: a, Catalogue: a, Log: c.cfg.Log, Now: c.cfg.Now})
	if err != nil {
		return fmt.Errorf("open uploads: %w", err)
	}
	return nil
}

// The addresses of the media lane, for nodes.
const (
	pathNodeMedia = "/sync/media/"
	pathNodeBlobs = "/sync/blobs/"
)

// serveBlob gives an edge a file that a record of its building names.
func (c *Cloud) serveBlob(w http.ResponseWriter, r *http.Request) {
	err := func() error {
		_, building, err := c.gate.Authenticate(r)
		if err != nil {
			return err
		}
		hash, err := media.ParseHash(r.PathValue("hash"))
		if err != nil {
			return err
		}
		held, err := c.desk.HoldsBlob(r.Context(), building, record.Hash(hash))
		if err != nil {
			return err
		}
		if !held {
			return problem.New(problem.NotFound, "file")
		}
		return media.ServeBlob(w, r, c.blobs, hash, "application/octet-stream")
	}()
	if err != nil {
		c.outage.Refuse(w, r, err, c.cfg.Log)
		return
	}
	c.outage.Over(r.Context(), c.cfg.Log)
}
