package sqlitestore

import (
	"errors"
	"sync"
	"syscall"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// The driver's SQLite was translated without fdatasync and calls fsync, as SQLite does where
// there is none. A log that is written over then waits for the file system's own journal
// whenever its time of change has moved: each few milliseconds, for a few milliseconds. So
// files are opened through a VFS of our own, which is the system's in everything but that.

// datasync is the VFS, as far as it is not SQLite's, which keeps addresses in it: it lives as
// long as the program.
type datasync struct {
	open openFunc
	sync syncFunc

	mu         sync.Mutex
	methods    map[uintptr]uintptr // of open files: SQLite's, and the same but for xSync
	systemOpen uintptr
	systemSync uintptr
}

type (
	openFunc = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	syncFunc = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// datasyncName is how a connection string names the VFS.
const datasyncName = "estate-datasync"

// theDatasync registers the VFS with SQLite, which has one list of them in a process. It is nil
// where SQLite does not take it.
var theDatasync = sync.OnceValue(func() *datasync {
	tls := libc.NewTLS()
	defer tls.Close()
	system := sqlite3.Xsqlite3_vfs_find(tls, 0)
	name, err := libc.CString(datasyncName)
	if system == 0 || err != nil {
		return nil
	}
	d := &datasync{methods: map[uintptr]uintptr{}}
	d.open, d.sync = d.opens, d.syncs
	own := copied[sqlite3.Tsqlite3_vfs](tls, system)
	if own == 0 {
		return nil
	}
	vfs := at[sqlite3.Tsqlite3_vfs](own)
	d.systemOpen = vfs.FxOpen
	vfs.FpNext, vfs.FzName, vfs.FxOpen = 0, name, codeAt(&d.open)
	if sqlite3.Xsqlite3_vfs_register(tls, own, 0) != sqlite3.SQLITE_OK {
		return nil
	}
	return d
})

// datasyncVFS gives the name of the VFS for a connection string; empty for SQLite's own, which
// does the same and takes longer.
func datasyncVFS() string {
	if theDatasync() == nil {
		return ""
	}
	return datasyncName
}

// opens is the VFS's xOpen: the system's, after which files are synced by syncs.
func (d *datasync) opens(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := functionAt[openFunc](d.systemOpen)(tls, vfs, name, file, flags, outFlags)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	f := at[sqlite3.Tsqlite3_file](file)
	d.mu.Lock()
	defer d.mu.Unlock()
	own, known := d.methods[f.FpMethods]
	if !known {
		if own = copied[sqlite3.Tsqlite3_io_methods](tls, f.FpMethods); own == 0 {
			return rc // it is synced as SQLite does
		}
		m := at[sqlite3.Tsqlite3_io_methods](own)
		d.systemSync, m.FxSync = m.FxSync, codeAt(&d.sync)
		d.methods[f.FpMethods] = own
	}
	f.FpMethods = own
	return rc
}

// syncs is the xSync of open files: what was written, and the size where it grew, are on the
// disk when it is over. A new file's entry in its folder is the system's to sync.
func (d *datasync) syncs(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := at[sqlite3.TunixFile](file)
	if f.FctrlFlags&sqlite3.UNIXFILE_DIRSYNC != 0 {
		d.mu.Lock()
		system := functionAt[syncFunc](d.systemSync)
		d.mu.Unlock()
		return system(tls, file, flags)
	}
	for {
		err := syscall.Fdatasync(int(f.Fh))
		var failed syscall.Errno
		switch {
		case err == nil:
			return sqlite3.SQLITE_OK
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.As(err, &failed):
			f.FlastErrno = int32(failed)
		}
		return sqlite3.SQLITE_IOERR_FSYNC
	}
}

// SQLite was translated from C and calls functions by address, as the functions below do.

// at is what stands at an address.
func at[T any](a uintptr) *T { return *(**T)(unsafe.Pointer(&a)) } //nolint:gosec // memory of SQLite's

// copied gives the address of a copy, in memory of SQLite's; zero where there is none left.
func copied[T any](tls *libc.TLS, from uintptr) uintptr {
	to := sqlite3.Xsqlite3_malloc64(tls, uint64(unsafe.Sizeof(*at[T](from))))
	if to != 0 {
		*at[T](to) = *at[T](from)
	}
	return to
}

// codeAt is the address of a function that is kept.
func codeAt[F openFunc | syncFunc](kept *F) uintptr { return *(*uintptr)(unsafe.Pointer(kept)) } //nolint:gosec // a function is one pointer

// functionAt is what stands at an address of code.
func functionAt[F openFunc | syncFunc](code uintptr) F { return *(*F)(unsafe.Pointer(&code)) } //nolint:gosec // likewise
