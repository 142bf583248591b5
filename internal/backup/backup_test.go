package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"estate/internal/backup"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// archive makes a backup of one store, one good photo and one whose bytes changed.
func archive(t *testing.T) (path string, m backup.Manifest) {
	t.Helper()
	dir := t.TempDir()
	store, media := filepath.Join(dir, "edge.db"), filepath.Join(dir, "media", "blobs")
	writeFile(t, store, strings.Repeat("tickets ", 100_000))
	sum := sha256.Sum256([]byte("photo"))
	name := hex.EncodeToString(sum[:])
	writeFile(t, filepath.Join(media, name[:2], name[2:]), "photo")
	writeFile(t, filepath.Join(media, "aa", strings.Repeat("b", 62)), "changed")
	path = filepath.Join(dir, "oak.backup")
	w, err := backup.Create(path, 800_012, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddFile(t.Context(), "edge.db", store); err != nil {
		t.Fatal(err)
	}
	if err := w.AddBlobs(t.Context(), "media", media); err != nil {
		t.Fatal(err)
	}
	m, err = w.Finish(t.Context(), backup.Manifest{Role: backup.RoleEdge, Made: time.Unix(1, 0).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	return path, m
}

func TestArchiveRoundTrip(t *testing.T) {
	t.Parallel()
	path, made := archive(t)
	if len(made.Entries) != 3 || len(made.Skipped) != 1 || !strings.HasPrefix(made.Skipped[0], "media/aa/") || made.Bytes() != 800_012 {
		t.Fatalf("%+v", made)
	}
	into := t.TempDir()
	var last int64
	got, err := backup.Extract(t.Context(), path, into, func(done, total int64) { last = total - done })
	if err != nil || last != 0 {
		t.Fatalf("%v, %d bytes left", err, last)
	}
	for _, e := range got.Entries {
		b, err := os.ReadFile(filepath.Join(into, e.Name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != e.SHA256 {
			t.Errorf("%s is not what it was", e.Name)
		}
	}
	if err := got.Check(backup.RoleEdge); err != nil {
		t.Error(err)
	}
	if err := got.Check(backup.RoleCloud); !errors.Is(err, backup.ErrArchive) {
		t.Errorf("an edge's backup restored as the cloud's: %v", err)
	}
	if _, err := backup.Create(path, 0, nil); err == nil {
		t.Error("a backup replaced another")
	}
}

// Any changed byte and any cut is found, and a folder gets nothing beyond the damage.
func TestDamagedArchive(t *testing.T) {
	t.Parallel()
	path, made := archive(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	check := func(what string, at int, b []byte) {
		if err := os.WriteFile(damaged, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := backup.Verify(t.Context(), damaged, nil)
		if err == nil && what == "changed" && reflect.DeepEqual(m, made) {
			return // a bit that the compressor does not look at
		}
		if !errors.Is(err, backup.ErrArchive) {
			t.Errorf("%s at %d of %d: %v", what, at, len(good), err)
		}
	}
	for at := 0; at < len(good); at += max(1, len(good)/97) {
		b := bytes.Clone(good)
		b[at] ^= 0x40
		check("changed", at, b)
		check("cut", at, good[:at])
	}
	if _, err := backup.Verify(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
}

func TestUnfinishedArchiveLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "edge.db"), "x")
	w, err := backup.Create(filepath.Join(dir, "b"), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.AddFile(ctx, "edge.db", filepath.Join(dir, "edge.db")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
}
