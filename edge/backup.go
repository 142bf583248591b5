package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"estate/edge/internal/sqlitestore"
	"estate/edge/internal/telemetry"
	"estate/internal/auth"
	"estate/internal/backup"
)

// archiveBlobs is the folder of photos in an archive.
const archiveBlobs = "media/blobs"

// BackupAt writes everything that the box with this data folder keeps into one file: store,
// readings, key and photos. The edge may run and be written to meanwhile; the backup is its state at
// one moment. What it holds is secret: who has it can speak as this box. MQTT messages that
// were not taken in yet and unfinished uploads are not part of it.
func BackupAt(ctx context.Context, cfg Config, now func() time.Time, to string, progress backup.Progress) (_ backup.Manifest, err error) {
	cfg = cfg.WithDefaults()
	m := backup.Manifest{Role: backup.RoleEdge, Made: now().UTC().Truncate(time.Second), Program: cfg.Version}
	at := func(name string) string { return filepath.Join(cfg.Data, name) }
	if _, err := os.Stat(at(fileStore)); err != nil {
		return m, fmt.Errorf("no edge keeps its data in %s: %w", cfg.Data, err)
	}
	copied, measured := to+".db", to+".readings.db"
	defer func() {
		for _, name := range []string{copied, measured} {
			if gone := os.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}()
	if m.Buildings, err = sqlitestore.Snapshot(ctx, at(fileStore), copied); err != nil {
		return m, err
	}
	if _, err := os.Stat(at(fileReadings)); err == nil {
		if err := telemetry.Snapshot(ctx, at(fileReadings), measured); err != nil {
			return m, err
		}
	} else if measured = ""; !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	key, err := auth.ReadNodeKey(at(fileKey))
	if err != nil {
		return m, err
	}
	m.Node = key.ID().String()
	blobs := at(filepath.Join(folderBlobs, "blobs"))
	total, err := backup.SizeOf(copied, measured, blobs)
	if err != nil {
		return m, err
	}
	w, err := backup.Create(to, total, progress)
	if err != nil {
		return m, err
	}
	if err := addEdge(ctx, w, copied, measured, at(fileKey), blobs); err != nil {
		return m, errors.Join(err, w.Abort())
	}
	return w.Finish(ctx, m)
}

func addEdge(ctx context.Context, w *backup.Writer, store, readings, key, blobs string) error {
	if _, err := w.AddFile(ctx, fileStore, store); err != nil {
		return err
	}
	if readings != "" {
		if _, err := w.AddFile(ctx, fileReadings, readings); err != nil {
			return err
		}
	}
	if _, err := w.AddFile(ctx, fileKey, key); err != nil {
		return err
	}
	return w.AddBlobs(ctx, archiveBlobs, blobs)
}

// Restored says what a restore put in place.
type Restored struct {
	backup.Manifest
	// Kept is where the data that was there before lies now; empty where there was none.
	Kept string `json:"kept,omitempty"`
}

// RestoreAt puts a backup in the place of a data folder that no edge is using. Everything
// is verified before anything is moved. Data that was there is kept beside it, where
// replace allows it at all; what only it has and the restored box can use (messages of
// sensors not taken in yet, unfinished uploads, newer photos) is taken over. Everybody must
// sign in again. At its next start the edge tells the cloud that its store was set back,
// and both offer each other everything.
func RestoreAt(ctx context.Context, cfg Config, now func() time.Time, from string, replace bool, progress backup.Progress) (_ Restored, err error) {
	cfg = cfg.WithDefaults()
	var out Restored
	data := filepath.Clean(cfg.Data)
	there, err := occupied(data)
	if err != nil {
		return out, err
	}
	if there && !replace {
		return out, fmt.Errorf("%s holds an edge's data already: give another folder, or --replace to set it aside", data)
	}
	staged := data + ".restoring"
	if err := os.RemoveAll(staged); err != nil {
		return out, fmt.Errorf("clear an unfinished restore: %w", err)
	}
	if err := os.MkdirAll(staged, folderMode); err != nil {
		return out, fmt.Errorf("make the folder to restore into: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(staged))
		}
	}()
	if out.Manifest, err = stage(ctx, from, staged, progress); err != nil {
		return out, err
	}
	if there {
		out.Kept = data + now().UTC().Format(".before-restore-20060102-150405")
		if err := takeReadings(ctx, data, staged); err != nil {
			return out, err
		}
		if err := takeOver(data, staged); err != nil {
			return out, err
		}
		if err := os.Rename(data, out.Kept); err != nil {
			return out, fmt.Errorf("set the old data aside: %w", err)
		}
	} else if err := os.Remove(data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, fmt.Errorf("replace the empty folder: %w", err)
	}
	if err := os.Rename(staged, data); err != nil {
		return out, fmt.Errorf("put the restored data in place: %w", err)
	}
	return out, backup.SyncDir(filepath.Dir(data))
}

// occupied reports whether a data folder holds anything; it fails with ErrRunning where an
// edge is using it.
func occupied(data string) (bool, error) {
	names, err := os.ReadDir(data)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the data folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(data, fileStore)); err == nil {
		free, err := sqlitestore.TryLock(filepath.Join(data, fileStore))
		if errors.Is(err, sqlitestore.ErrLocked) {
			return true, fmt.Errorf("%w: stop it before you restore", ErrRunning)
		}
		if err != nil {
			return true, err
		}
		return true, free()
	}
	return len(names) > 0, nil
}

// stage extracts an archive and checks that an edge can start with it.
func stage(ctx context.Context, from, staged string, progress backup.Progress) (backup.Manifest, error) {
	m, err := backup.Extract(ctx, from, staged, progress)
	if err != nil {
		return m, err
	}
	if err := m.Check(backup.RoleEdge); err != nil {
		return m, err
	}
	store := filepath.Join(staged, fileStore)
	found, err := sqlitestore.Inspect(ctx, store)
	if err != nil {
		return m, err
	}
	if len(found) != len(m.Buildings) {
		return m, fmt.Errorf("%w: the store holds %d buildings, the manifest names %d", backup.ErrArchive, len(found), len(m.Buildings))
	}
	for i := range found {
		if found[i] != m.Buildings[i] {
			return m, fmt.Errorf("%w: the store holds %+v, the manifest says %+v", backup.ErrArchive, found[i], m.Buildings[i])
		}
	}
	key, err := auth.ReadNodeKey(filepath.Join(staged, fileKey))
	if err != nil {
		return m, err
	}
	if key.ID().String() != m.Node {
		return m, fmt.Errorf("%w: the key is of node %s, the manifest names %s", backup.ErrArchive, key.ID(), m.Node)
	}
	if _, err := telemetry.Inspect(ctx, filepath.Join(staged, fileReadings)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: %w", backup.ErrArchive, err)
	}
	return m, sqlitestore.EndSessions(ctx, store)
}

// takeReadings takes the old folder's readings over where they go on beyond the backup's.
func takeReadings(ctx context.Context, old, staged string) error {
	from, to := filepath.Join(old, fileReadings), filepath.Join(staged, fileReadings)
	theirs, err := telemetry.Inspect(ctx, from)
	if err != nil {
		return nil //nolint:nilerr // none, or damaged: the backup's are the best there are
	}
	ours, err := telemetry.Inspect(ctx, to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !theirs.After(ours) {
		return nil
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take over readings: %w", err)
	}
	return telemetry.Snapshot(ctx, from, to)
}

// takeOver brings into the restored folder what only the old one has: the broker's messages,
// unfinished uploads and downloads as copies, for they go on changing, and photos, which are
// named by their content, as links where the disk allows.
func takeOver(old, staged string) error {
	for name, bring := range map[string]func(from, to string) error{
		folderBroker: copyFile, folderUploads: copyFile, folderFetched: copyFile, folderBlobs: linkFile,
	} {
		root := filepath.Join(old, name)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(old, path)
			if err != nil {
				return err
			}
			to := filepath.Join(staged, rel)
			switch {
			case d.IsDir():
				return os.MkdirAll(to, folderMode)
			case d.Type().IsRegular():
				if err := bring(path, to); err != nil && !errors.Is(err, fs.ErrExist) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("take over %s: %w", name, err)
		}
	}
	return backup.SyncTree(staged)
}

func linkFile(from, to string) error {
	if err := os.Link(from, to); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return copyFile(from, to)
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // opened for reading
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(w, r); err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}
