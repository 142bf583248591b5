package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/klauspost/compress/zstd"
)

const fileMode = 0o600

// Progress is told how many bytes went by, of about how many in all; zero is unknown.
type Progress func(done, total int64)

// Writer makes one archive. It is used by one goroutine.
type Writer struct {
	path     string // of the finished archive
	file     *os.File
	zip      *zstd.Encoder
	tar      *tar.Writer
	manifest Manifest
	done     int64
	total    int64
	progress Progress
}

// Create begins an archive beside its final name. total is about how many bytes will be
// added. The caller ends it with Finish or Abort.
func Create(path string, total int64, progress Progress) (*Writer, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s exists: give another name, a backup never replaces one", path)
	}
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_RDWR|os.O_TRUNC, fileMode)
	if err != nil {
		return nil, fmt.Errorf("begin the backup: %w", err)
	}
	zip, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	return &Writer{path: path, file: f, zip: zip, tar: tar.NewWriter(zip), total: total, progress: progress}, nil
}

// AddFile adds a file as it is now, under a name. It must not grow or shrink meanwhile.
func (w *Writer) AddFile(ctx context.Context, name, path string) (Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return Entry{}, fmt.Errorf("back up %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // opened for reading
	info, err := f.Stat()
	if err != nil {
		return Entry{}, fmt.Errorf("back up %s: %w", name, err)
	}
	return w.add(ctx, name, info.Size(), f)
}

func (w *Writer) add(ctx context.Context, name string, size int64, r io.Reader) (Entry, error) {
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: fileMode}); err != nil {
		return Entry{}, fmt.Errorf("back up %s: %w", name, err)
	}
	sum := sha256.New()
	// A file that grew is taken up to the size it had.
	n, err := io.Copy(io.MultiWriter(w.tar, sum), &counted{ctx: ctx, r: io.LimitReader(r, size), w: w})
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Entry{}, fmt.Errorf("back up %s: %w", name, err)
	}
	e := Entry{Name: name, Bytes: size, SHA256: sumText(sum)}
	w.manifest.Entries = append(w.manifest.Entries, e)
	return e, nil
}

func sumText(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// counted reads with a context and tells how far it is.
type counted struct {
	ctx context.Context
	r   io.Reader
	w   *Writer
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.w.done += int64(n)
	c.w.progress(c.w.done, max(c.w.total, c.w.done))
	return n, err
}

// AddBlobs adds the files of a blob store's folder under a name, each of which is named by
// its SHA-256: xx/rest. One whose bytes do not have that hash any more is in the archive
// but no blob, and is named as skipped.
func (w *Writer) AddBlobs(ctx context.Context, name, dir string) error {
	paths, err := BlobFiles(dir)
	if err != nil {
		return err
	}
	for _, path := range paths {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return fmt.Errorf("back up photos: %w", err)
		}
		rel = filepath.ToSlash(rel)
		e, err := w.AddFile(ctx, name+"/"+rel, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the folder was listed
		}
		if err != nil {
			return err
		}
		if filepath.Dir(rel)+filepath.Base(rel) != e.SHA256 {
			w.manifest.Skipped = append(w.manifest.Skipped, e.Name)
		}
	}
	return nil
}

// BlobFiles lists the files below a folder in order, none where it does not exist.
func BlobFiles(dir string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	sort.Strings(paths)
	return paths, nil
}

// SizeOf adds up the files in folders, or files themselves.
func SizeOf(paths ...string) (int64, error) {
	var total int64
	for _, path := range paths {
		files, err := BlobFiles(path)
		if err != nil {
			return 0, err
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return 0, fmt.Errorf("size of %s: %w", f, err)
			}
			total += info.Size()
		}
	}
	return total, nil
}

// Finish writes the manifest, makes the archive durable, reads it back whole, and only then
// gives it its name. m's entries and skipped files are the writer's own.
func (w *Writer) Finish(ctx context.Context, m Manifest) (_ Manifest, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	m.Format, m.Entries, m.Skipped = Format, w.manifest.Entries, w.manifest.Skipped
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return m, fmt.Errorf("write the manifest: %w", err)
	}
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: manifestName, Size: int64(len(text)), Mode: fileMode}); err != nil {
		return m, fmt.Errorf("write the manifest: %w", err)
	}
	if _, err := w.tar.Write(text); err != nil {
		return m, fmt.Errorf("write the manifest: %w", err)
	}
	if err := errors.Join(w.tar.Close(), w.zip.Close(), w.file.Sync()); err != nil {
		return m, fmt.Errorf("end the backup: %w", err)
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return m, fmt.Errorf("read the backup back: %w", err)
	}
	if _, err := read(ctx, w.file, nil); err != nil {
		return m, fmt.Errorf("read the backup back: %w", err)
	}
	if err := w.file.Close(); err != nil {
		return m, fmt.Errorf("end the backup: %w", err)
	}
	if err := os.Rename(w.path+".part", w.path); err != nil {
		return m, fmt.Errorf("name the backup: %w", err)
	}
	return m, SyncDir(filepath.Dir(w.path))
}

// Abort removes what was written so far.
func (w *Writer) Abort() error {
	_ = w.zip.Close()
	_ = w.file.Close() // it is removed
	if err := os.Remove(w.path + ".part"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the unfinished backup: %w", err)
	}
	return nil
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// Lines is the progress that a program prints for the one that started it: "progress DONE
// TOTAL", at most a few hundred lines. ReadLine understands them.
func Lines(w io.Writer) Progress {
	last := int64(-1)
	return func(done, total int64) {
		if step := done * 200 / max(total, 1); step != last {
			last = step
			fmt.Fprintf(w, "progress %d %d\n", done, total)
		}
	}
}

// ReadLine reads one line of Lines; ok is false for any other.
func ReadLine(line string) (done, total int64, ok bool) {
	n, err := fmt.Sscanf(line, "progress %d %d", &done, &total)
	return done, total, err == nil && n == 2
}
