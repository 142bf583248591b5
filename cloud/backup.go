package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"estate/cloud/internal/pgstore"
	"estate/internal/backup"
)

// The folders of an archive.
const (
	archiveTables = "tables"
	archiveBlobs  = "media/blobs"
)

// BackupAt writes everything that the cloud keeps into one file: the database in one
// snapshot, and the photos in the data folder. Processes may run and be written to
// meanwhile. What it holds is secret: the cloud's keys and every account are in it.
func BackupAt(ctx context.Context, cfg Config, now func() time.Time, to string, progress backup.Progress) (_ backup.Manifest, err error) {
	cfg = cfg.WithDefaults()
	m := backup.Manifest{Role: backup.RoleCloud, Made: now().UTC().Truncate(time.Second), Program: cfg.Version}
	if err := cfg.Validate(); err != nil {
		return m, fmt.Errorf("configuration: %w", err)
	}
	staged := to + ".tables"
	if err := os.RemoveAll(staged); err != nil {
		return m, fmt.Errorf("clear an unfinished backup: %w", err)
	}
	if err := os.MkdirAll(staged, 0o700); err != nil {
		return m, fmt.Errorf("make a folder for the tables: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staged)) }()
	err = pgstore.Dump(ctx, cfg.DatabaseURL, &m, func(table string) (io.WriteCloser, error) {
		return os.OpenFile(filepath.Join(staged, table), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	})
	if err != nil {
		return m, err
	}
	blobs := filepath.Join(cfg.Data, "blobs", "blobs")
	total, err := backup.SizeOf(staged, blobs)
	if err != nil {
		return m, err
	}
	w, err := backup.Create(to, total, progress)
	if err != nil {
		return m, err
	}
	for _, t := range m.Tables {
		if _, err := w.AddFile(ctx, archiveTables+"/"+t.Name, filepath.Join(staged, t.Name)); err != nil {
			return m, errors.Join(err, w.Abort())
		}
	}
	if err := w.AddBlobs(ctx, archiveBlobs, blobs); err != nil {
		return m, errors.Join(err, w.Abort())
	}
	return w.Finish(ctx, m)
}

// RestoreAt puts a backup into an empty database and its photos into the data folder, where
// those that are there already stay. Everything is verified before anything is put in
// place. Everybody must sign in again. Processes that start on the database then tell every
// edge that the store was set back, and all offer each other everything.
func RestoreAt(ctx context.Context, cfg Config, from string, progress backup.Progress) (m backup.Manifest, err error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return m, fmt.Errorf("configuration: %w", err)
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return m, fmt.Errorf("make the data folder: %w", err)
	}
	staged := filepath.Join(cfg.Data, "restoring")
	if err := os.RemoveAll(staged); err != nil {
		return m, fmt.Errorf("clear an unfinished restore: %w", err)
	}
	if err := os.Mkdir(staged, 0o700); err != nil {
		return m, fmt.Errorf("make the folder to restore into: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staged)) }()
	if m, err = backup.Extract(ctx, from, staged, progress); err != nil {
		return m, err
	}
	if err := m.Check(backup.RoleCloud); err != nil {
		return m, err
	}
	// Photos first: a record says that one is present only once its bytes are.
	if err := placeBlobs(filepath.Join(staged, filepath.FromSlash(archiveBlobs)), filepath.Join(cfg.Data, "blobs", "blobs")); err != nil {
		return m, err
	}
	return m, pgstore.Fill(ctx, cfg.DatabaseURL, m, func(table string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(staged, archiveTables, table))
	})
}

// placeBlobs moves photos where they belong. Each is named by its content, so that one that
// is there already is the same.
func placeBlobs(from, to string) error {
	paths, err := backup.BlobFiles(from)
	if err != nil {
		return err
	}
	for _, path := range paths {
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return fmt.Errorf("restore photos: %w", err)
		}
		target := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return fmt.Errorf("restore photos: %w", err)
		}
		if err := os.Link(path, target); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("restore photos: %w", err)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	return backup.SyncTree(to)
}
