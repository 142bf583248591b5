package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// decoderMemoryMax bounds what a damaged or malicious archive can make the decompressor
// allocate.
const decoderMemoryMax = 256 << 20

// Verify reads an archive from end to end and compares every file with the manifest. It
// returns ErrArchive.
func Verify(ctx context.Context, path string, progress Progress) (Manifest, error) {
	return open(ctx, path, nil, progress)
}

// Extract verifies an archive and writes its files into an empty folder, durably. What it
// wrote before a failure is the caller's to remove. It returns ErrArchive.
func Extract(ctx context.Context, path, into string, progress Progress) (Manifest, error) {
	root, err := os.OpenRoot(into)
	if err != nil {
		return Manifest{}, fmt.Errorf("open the folder to restore into: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing is written through it any more
	m, err := open(ctx, path, root, progress)
	if err != nil {
		return m, err
	}
	return m, SyncTree(into)
}

func open(ctx context.Context, path string, into *os.Root, progress Progress) (Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("open the backup: %w", err)
	}
	defer func() { _ = f.Close() }() // opened for reading
	info, err := f.Stat()
	if err != nil {
		return Manifest{}, fmt.Errorf("open the backup: %w", err)
	}
	var r io.Reader = f
	if progress != nil {
		r = &metered{r: f, total: info.Size(), progress: progress}
	}
	return read(ctx, r, into)
}

// metered tells how much of the archive was read.
type metered struct {
	r           io.Reader
	done, total int64
	progress    Progress
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.done += int64(n)
	m.progress(m.done, m.total)
	return n, err
}

// read goes through an archive. into may be nil: then it only compares.
func read(ctx context.Context, from io.Reader, into *os.Root) (Manifest, error) {
	zip, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(decoderMemoryMax))
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	defer zip.Close()
	t := tar.NewReader(zip)
	var found []Entry
	for {
		if err := ctx.Err(); err != nil {
			return Manifest{}, err
		}
		h, err := t.Next()
		if err != nil {
			return Manifest{}, fmt.Errorf("%w: it ends without a manifest: %w", ErrArchive, err)
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || h.Size < 0 {
			return Manifest{}, fmt.Errorf("%w: entry %q", ErrArchive, h.Name)
		}
		if h.Name == manifestName {
			m, err := compare(t, h.Size, found)
			if err != nil {
				return m, err
			}
			// Reading to the end checks the compressor's own sum of it all.
			if _, err := io.Copy(io.Discard, zip); err != nil {
				return m, fmt.Errorf("%w: %w", ErrArchive, err)
			}
			return m, nil
		}
		e, err := take(t, h, into)
		if err != nil {
			return Manifest{}, err
		}
		found = append(found, e)
	}
}

// take reads one file, hashes it, and writes it where it belongs.
func take(t *tar.Reader, h *tar.Header, into *os.Root) (Entry, error) {
	sum := sha256.New()
	var to io.Writer = sum
	var f *os.File
	if into != nil {
		var err error
		if err = into.MkdirAll(filepath.Dir(h.Name), 0o700); err == nil {
			f, err = into.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
		}
		if err != nil {
			return Entry{}, fmt.Errorf("restore %s: %w", h.Name, err)
		}
		to = io.MultiWriter(sum, f)
	}
	n, err := io.Copy(to, damaged{t})
	if err == nil && n != h.Size {
		err = fmt.Errorf("%w: it is cut off", ErrArchive)
	}
	if f != nil {
		if err == nil {
			err = f.Sync()
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return Entry{}, fmt.Errorf("restore %s: %w", h.Name, err)
	}
	return Entry{Name: h.Name, Bytes: n, SHA256: sumText(sum)}, nil
}

// damaged names what goes wrong on the archive's side of a copy.
type damaged struct{ r io.Reader }

func (d damaged) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return n, err
}

// compare reads the manifest and holds what was found against it, in order.
func compare(r io.Reader, size int64, found []Entry) (Manifest, error) {
	var m Manifest
	if size > manifestBytesMax {
		return m, fmt.Errorf("%w: manifest of %d bytes", ErrArchive, size)
	}
	text, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("%w: manifest: %w", ErrArchive, err)
	}
	if len(found) != len(m.Entries) {
		return m, fmt.Errorf("%w: it holds %d files, its manifest names %d", ErrArchive, len(found), len(m.Entries))
	}
	for i, e := range m.Entries {
		if found[i] != e {
			return m, fmt.Errorf("%w: %s is not what the manifest says", ErrArchive, e.Name)
		}
	}
	return m, nil
}

// SyncTree makes the names in a folder and below durable.
func SyncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return SyncDir(path)
	})
}
