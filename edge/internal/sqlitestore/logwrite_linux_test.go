package sqlitestore

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// openedLog is a log as SQLite opens it, through the VFS.
type openedLog struct {
	t    *testing.T
	tls  *libc.TLS
	path string
	file uintptr
}

func openLog(t *testing.T, path string) *openedLog {
	t.Helper()
	d := theDatasync()
	if d == nil {
		t.Fatal("SQLite does not take the VFS")
	}
	tls := libc.NewTLS()
	t.Cleanup(tls.Close)
	name, err := libc.CString(path)
	if err != nil {
		t.Fatal(err)
	}
	vfs, err := libc.CString(datasyncName)
	if err != nil {
		t.Fatal(err)
	}
	own := sqlite3.Xsqlite3_vfs_find(tls, vfs)
	file := sqlite3.Xsqlite3_malloc64(tls, uint64(at[sqlite3.Tsqlite3_vfs](own).FszOsFile))
	t.Cleanup(func() { sqlite3.Xsqlite3_free(tls, file); libc.Xfree(tls, name); libc.Xfree(tls, vfs) })
	const flags = sqlite3.SQLITE_OPEN_WAL | sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_CREATE
	if rc := d.opens(tls, own, name, file, flags, 0); rc != sqlite3.SQLITE_OK {
		t.Fatalf("open %s: %d", path, rc)
	}
	return &openedLog{t, tls, path, file}
}

func (l *openedLog) methods() *sqlite3.Tsqlite3_io_methods {
	return at[sqlite3.Tsqlite3_io_methods](at[sqlite3.Tsqlite3_file](l.file).FpMethods)
}

// lent gives fn a copy of some bytes in memory of SQLite's, and what is there afterwards.
func (l *openedLog) lent(content []byte, fn func(uintptr) int32) (after []byte, rc int32) {
	p := sqlite3.Xsqlite3_malloc64(l.tls, uint64(len(content)))
	defer sqlite3.Xsqlite3_free(l.tls, p)
	there := unsafe.Slice(at[byte](p), len(content))
	copy(there, content)
	rc = fn(p)
	return slices.Clone(there), rc
}

func (l *openedLog) write(content []byte, offset int64) int32 {
	_, rc := l.lent(content, func(p uintptr) int32 {
		return functionAt[transferFunc](l.methods().FxWrite)(l.tls, l.file, p, int32(len(content)), offset)
	})
	return rc
}

func (l *openedLog) sync() int32 {
	return functionAt[syncFunc](l.methods().FxSync)(l.tls, l.file, sqlite3.SQLITE_SYNC_NORMAL)
}

func (l *openedLog) close() int32 {
	return functionAt[closeFunc](l.methods().FxClose)(l.tls, l.file)
}

// holds fails where the file holds something else.
func (l *openedLog) holds(what string, want []byte) {
	l.t.Helper()
	got, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		l.t.Errorf("%s: the file holds %d bytes that are not the %d expected", what, len(got), len(want))
	}
}

// What follows on what was written is written with it, at the latest when the log is synced; and
// all that looks at the file finds it.
func TestLogIsGathered(t *testing.T) {
	t.Parallel()
	some := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	head, page := some('h', 24), some('p', 4096)
	both := slices.Concat(head, page)
	for name, c := range map[string]struct {
		act  func(*openedLog) int32
		want []byte
	}{
		"not looked for": {func(*openedLog) int32 { return 0 }, nil},
		"synced":         {(*openedLog).sync, both},
		"closed":         {(*openedLog).close, nil},
		"another place":  {func(l *openedLog) int32 { return l.write(head, 0) }, both},
		"written over": {func(l *openedLog) int32 {
			return l.write(some('n', 24), 0) | l.sync()
		}, slices.Concat(some('n', 24), page)},
		"read": {func(l *openedLog) int32 {
			got, rc := l.lent(some(0, 24), func(p uintptr) int32 {
				return functionAt[transferFunc](l.methods().FxRead)(l.tls, l.file, p, 24, 0)
			})
			if !bytes.Equal(got, head) {
				l.t.Errorf("read %q", got)
			}
			return rc
		}, both},
		"sized": {func(l *openedLog) int32 {
			got, rc := l.lent(some(0, 8), func(p uintptr) int32 {
				return functionAt[sizeFunc](l.methods().FxFileSize)(l.tls, l.file, p)
			})
			if want := int64(len(both)); *(*int64)(unsafe.Pointer(&got[0])) != want {
				l.t.Errorf("the size %x, want %x", got, want)
			}
			return rc
		}, both},
		"cut": {func(l *openedLog) int32 {
			return functionAt[truncateFunc](l.methods().FxTruncate)(l.tls, l.file, 24)
		}, head},
		"more than is gathered": {func(l *openedLog) int32 {
			return l.write(some('m', gatherBytes-100), int64(len(both)))
		}, both},
		"too much at once": {func(l *openedLog) int32 {
			return l.write(some('m', gatherBytes+1), int64(len(both)))
		}, slices.Concat(both, some('m', gatherBytes+1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLog(t, filepath.Join(t.TempDir(), "log"))
			if rc := l.write(head, 0) | l.write(page, 24); rc != sqlite3.SQLITE_OK {
				t.Fatalf("write: %d", rc)
			}
			if rc := c.act(l); rc != sqlite3.SQLITE_OK {
				t.Errorf("result %d", rc)
			}
			l.holds(name, c.want)
			if name != "closed" {
				l.close()
			}
		})
	}
}

// A disk that is full fails the sync, and what was lost is not written later.
func TestGatheredIsNotWritten(t *testing.T) {
	t.Parallel()
	l := openLog(t, "/dev/full")
	if rc := l.write([]byte("frame"), 0); rc != sqlite3.SQLITE_OK {
		t.Fatalf("write: %d", rc)
	}
	if rc := l.sync(); rc != sqlite3.SQLITE_FULL {
		t.Errorf("the sync gave %d, want %d", rc, sqlite3.SQLITE_FULL)
	}
	if rc := l.write([]byte("frame"), 0); rc != sqlite3.SQLITE_OK || gatheredOf(l.file).length != 5 {
		t.Errorf("the next write: %d, %d bytes are gathered", rc, gatheredOf(l.file).length)
	}
	l.close()
}
