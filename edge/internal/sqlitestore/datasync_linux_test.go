package sqlitestore

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// The files of a store are synced by fdatasync: the database, which SQLite locks, and the log,
// which it does not.
func TestDatasync(t *testing.T) {
	t.Parallel()
	openTest(t, filepath.Join(t.TempDir(), "store.db"))
	d := theDatasync()
	if d == nil {
		t.Fatal("SQLite does not take the VFS")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.methods) != 2 {
		t.Errorf("files of %d kinds are synced by it, want 2", len(d.methods))
	}
	for system, own := range d.methods {
		theirs, ours := at[sqlite3.Tsqlite3_io_methods](system), at[sqlite3.Tsqlite3_io_methods](own)
		if ours.FxSync != codeAt(&d.sync) || ours.FxWrite != theirs.FxWrite || ours.FxShmMap != theirs.FxShmMap {
			t.Error("it is more or less than another way to sync")
		}
	}
}

const asSystem = 1000 // no error of any system

// syncsAsSystem stands for SQLite's own way, and marks what it is asked for. It is no closure:
// nothing that the compiler sees would keep one.
func syncsAsSystem(_ *libc.TLS, file uintptr, _ int32) int32 {
	at[sqlite3.TunixFile](file).FlastErrno = asSystem
	return sqlite3.SQLITE_OK
}

// A sync that fails says so, and a new file's folder is synced by SQLite.
func TestDatasyncFails(t *testing.T) {
	t.Parallel()
	tls := libc.NewTLS()
	defer tls.Close()
	d, system := &datasync{}, syncFunc(syncsAsSystem)
	d.systemSync = codeAt(&system)
	opened, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	address := sqlite3.Xsqlite3_malloc64(tls, uint64(unsafe.Sizeof(sqlite3.TunixFile{})))
	defer sqlite3.Xsqlite3_free(tls, address)
	file := at[sqlite3.TunixFile](address)
	*file = sqlite3.TunixFile{Fh: int32(opened.Fd())}
	if rc := d.syncs(tls, address, sqlite3.SQLITE_SYNC_NORMAL); rc != sqlite3.SQLITE_OK || file.FlastErrno != 0 {
		t.Errorf("an open file: %d, errno %d", rc, file.FlastErrno)
	}
	file.FctrlFlags = sqlite3.UNIXFILE_DIRSYNC
	if rc := d.syncs(tls, address, sqlite3.SQLITE_SYNC_NORMAL); rc != sqlite3.SQLITE_OK || file.FlastErrno != asSystem {
		t.Errorf("a new file: %d, and SQLite was not asked", rc)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	*file = sqlite3.TunixFile{Fh: -1}
	if rc := d.syncs(tls, address, sqlite3.SQLITE_SYNC_NORMAL); rc != sqlite3.SQLITE_IOERR_FSYNC || file.FlastErrno != int32(syscall.EBADF) {
		t.Errorf("a file that is not open: %d, errno %d", rc, file.FlastErrno)
	}
}
