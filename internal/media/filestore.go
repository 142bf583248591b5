package media

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// verifiedMax bounds the memory of what was verified since the start: 8 MiB. When it is
// full it is emptied, which only costs reading some blobs again.
const verifiedMax = 100_000

// FileStore is a BlobStore of files: blobs/ab/cdef… by name, tmp/ for what is being
// written, quarantine/ for what no longer hashes to its name.
type FileStore struct {
	dir string
	log *slog.Logger

	mu       sync.Mutex
	verified map[Hash]seal
	corrupt  int
}

// seal is what a file looked like when its bytes were verified.
type seal struct {
	size    int64
	changed time.Time
}

// OpenFileStore opens or creates a store in a folder. What a killed process left in tmp/
// is removed.
func OpenFileStore(dir string, log *slog.Logger) (*FileStore, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open blob store: %w", err)
	}
	s := &FileStore{dir: abs, log: log, verified: make(map[Hash]seal)}
	if err := os.RemoveAll(filepath.Join(abs, "tmp")); err != nil {
		return nil, fmt.Errorf("clear unfinished blobs: %w", err)
	}
	for _, name := range []string{"blobs", "tmp", "quarantine"} {
		if err := makeDir(filepath.Join(abs, name)); err != nil {
			return nil, fmt.Errorf("open blob store: %w", err)
		}
	}
	return s, nil
}

func (s *FileStore) path(hash Hash) string {
	name := hash.String()
	return filepath.Join(s.dir, "blobs", name[:2], name[2:])
}

// Put implements BlobStore.
func (s *FileStore) Put(ctx context.Context, hash Hash, r io.Reader) error {
	if _, err := s.Stat(ctx, hash); err == nil {
		return nil
	}
	tmp := filepath.Join(s.dir, "tmp", newID())
	defer func() { _ = os.Remove(tmp) }() // gone already where it was renamed
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("put blob: %w", err)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), contextReader{ctx, r})
	if err == nil && Hash(sum.Sum(nil)) != hash {
		err = ErrHash
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("put blob %s: %w", hash, diskError(err))
	}
	return s.publish(tmp, hash, os.Rename)
}

// Adopt stores a file that the caller has written, synced and hashed, without copying it
// where the disk allows. The caller must not write to it again.
func (s *FileStore) Adopt(ctx context.Context, hash Hash, path string) error {
	if _, err := s.Stat(ctx, hash); err == nil {
		return nil
	}
	if err := s.publish(path, hash, os.Link); err == nil {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("adopt blob: %w", err)
	}
	defer func() { _ = f.Close() }() // opened for reading
	return s.Put(ctx, hash, f)
}

// publish gives verified bytes their name.
func (s *FileStore) publish(path string, hash Hash, move func(from, to string) error) error {
	target := s.path(hash)
	if err := makeDir(filepath.Dir(target)); err != nil {
		return fmt.Errorf("publish blob: %w", err)
	}
	if err := move(path, target); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("publish blob: %w", err)
	}
	if err := syncDir(filepath.Dir(target)); err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return fmt.Errorf("publish blob: %w", err)
	}
	s.remember(hash, info)
	return nil
}

// Open implements BlobStore.
func (s *FileStore) Open(ctx context.Context, hash Hash) (Blob, error) {
	if _, err := s.Stat(ctx, hash); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoBlob
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	return f, nil
}

// Stat implements BlobStore. The first look at a blob after a start, and the first after
// its file changed, reads and hashes it.
func (s *FileStore) Stat(ctx context.Context, hash Hash) (BlobInfo, error) {
	info, err := os.Stat(s.path(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return BlobInfo{}, ErrNoBlob
	}
	if err != nil {
		return BlobInfo{}, fmt.Errorf("stat blob: %w", err)
	}
	s.mu.Lock()
	known := s.verified[hash] == seal{info.Size(), info.ModTime()}
	s.mu.Unlock()
	if !known {
		if err := s.Verify(ctx, hash); err != nil {
			return BlobInfo{}, err
		}
	}
	return BlobInfo{Hash: hash, Size: info.Size(), Stored: info.ModTime()}, nil
}

// Verify reads a blob and compares it with its name. Bytes that differ are moved to
// quarantine/, logged, counted, and answered with ErrNoBlob: they are not present.
func (s *FileStore) Verify(ctx context.Context, hash Hash) error {
	f, err := os.Open(s.path(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoBlob
	}
	if err != nil {
		return fmt.Errorf("verify blob: %w", err)
	}
	defer func() { _ = f.Close() }() // opened for reading
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("verify blob: %w", err)
	}
	got, _, err := HashOf(contextReader{ctx, f})
	if err != nil {
		return fmt.Errorf("verify blob %s: %w", hash, err)
	}
	if got == hash {
		s.remember(hash, info)
		return nil
	}
	aside := filepath.Join(s.dir, "quarantine", hash.String()+"."+newID())
	if err := os.Rename(s.path(hash), aside); err != nil {
		return fmt.Errorf("set corrupt blob aside: %w", err)
	}
	s.mu.Lock()
	delete(s.verified, hash)
	s.corrupt++
	s.mu.Unlock()
	s.log.Error("a stored file no longer has the bytes of its name and was set aside",
		"blob", hash.String(), "found", got.String(), "bytes", info.Size())
	return ErrNoBlob
}

// Corrupt is the number of blobs set aside since the start, for a metric.
func (s *FileStore) Corrupt() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.corrupt
}

func (s *FileStore) remember(hash Hash, info fs.FileInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.verified) >= verifiedMax {
		clear(s.verified)
	}
	s.verified[hash] = seal{info.Size(), info.ModTime()}
}

// Delete implements BlobStore.
func (s *FileStore) Delete(_ context.Context, hash Hash) error {
	err := os.Remove(s.path(hash))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete blob: %w", err)
	}
	s.mu.Lock()
	delete(s.verified, hash)
	s.mu.Unlock()
	return nil
}

// List implements BlobStore.
func (s *FileStore) List(ctx context.Context, each func(BlobInfo) error) error {
	root := filepath.Join(s.dir, "blobs")
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if entry.IsDir() {
			return nil
		}
		hash, err := ParseHash(filepath.Base(filepath.Dir(path)) + entry.Name())
		if err != nil {
			return nil //nolint:nilerr // a file of another name is not ours
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // deleted meanwhile
		}
		return each(BlobInfo{Hash: hash, Size: info.Size(), Stored: info.ModTime()})
	})
}

// contextReader ends a long copy when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
