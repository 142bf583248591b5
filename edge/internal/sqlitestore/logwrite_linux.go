package sqlitestore

import (
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite writes each page of a commit into its log by two calls of the system, one for the
// page's head, which cost more than the commit's sync. So what follows on what was written
// before is gathered, and written when it is looked for: before a sync above all, without which
// no commit is over (synchronous=FULL) and no other connection looks at it.

// gatherBytes is how much of a log is gathered: some pages with their heads. SQLite cannot write
// 128 KB at once.
const gatherBytes = 31 * (24 + 4096)

// gathered is what a connection has written into its log and the system does not have yet. It
// stands behind SQLite's own in the memory of an open file.
type gathered struct {
	buffer uintptr // gatherBytes, from the first write on
	length int32
	offset int64 // in the file
}

// gatheredAt is where it stands behind SQLite's own.
const gatheredAt = (unsafe.Sizeof(sqlite3.TunixFile{}) + 7) &^ 7

func gatheredOf(file uintptr) *gathered { return at[gathered](file + gatheredAt) }

type (
	// transferFunc reads or writes so much of a file from an offset on.
	transferFunc = func(tls *libc.TLS, file, data uintptr, bytes int32, offset int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	sizeFunc     = func(tls *libc.TLS, file, size uintptr) int32
	closeFunc    = func(tls *libc.TLS, file uintptr) int32
)

// logFile is the methods of logs. The connection that has a file open uses it alone.
type logFile struct {
	system    sqlite3.Tsqlite3_io_methods // of a file of which nothing is gathered
	writes    transferFunc
	reads     transferFunc
	syncs     syncFunc
	truncates truncateFunc
	sizes     sizeFunc
	closes    closeFunc
}

// gathers makes the methods of logs from those of other files.
func (l *logFile) gathers(m *sqlite3.Tsqlite3_io_methods) {
	l.system = *m
	l.writes, l.reads, l.syncs, l.truncates, l.sizes, l.closes = l.write, l.read, l.sync, l.truncate, l.size, l.close
	m.FxWrite, m.FxRead, m.FxSync = codeAt(&l.writes), codeAt(&l.reads), codeAt(&l.syncs)
	m.FxTruncate, m.FxFileSize, m.FxClose = codeAt(&l.truncates), codeAt(&l.sizes), codeAt(&l.closes)
}

// write is xWrite: it gathers what follows on what there is.
func (l *logFile) write(tls *libc.TLS, file, data uintptr, bytes int32, offset int64) int32 {
	g := gatheredOf(file)
	if g.length > 0 && (offset != g.offset+int64(g.length) || g.length+bytes > gatherBytes) {
		if rc := l.flush(tls, file); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	if g.buffer == 0 && bytes <= gatherBytes {
		g.buffer = sqlite3.Xsqlite3_malloc64(tls, gatherBytes)
	}
	if g.buffer == 0 || bytes > gatherBytes {
		return functionAt[transferFunc](l.system.FxWrite)(tls, file, data, bytes, offset)
	}
	if g.length == 0 {
		g.offset = offset
	}
	room, content := unsafe.Slice(at[byte](g.buffer), gatherBytes), unsafe.Slice(at[byte](data), bytes) //nolint:gosec // memory of SQLite's
	copy(room[g.length:], content)
	g.length += bytes
	return sqlite3.SQLITE_OK
}

// flush gives the system what was gathered. Where that fails it is as if the last write had:
// nothing of it is tried again.
func (l *logFile) flush(tls *libc.TLS, file uintptr) int32 {
	g := gatheredOf(file)
	if g.length == 0 {
		return sqlite3.SQLITE_OK
	}
	length := g.length
	g.length = 0
	return functionAt[transferFunc](l.system.FxWrite)(tls, file, g.buffer, length, g.offset)
}

func (l *logFile) read(tls *libc.TLS, file, data uintptr, bytes int32, offset int64) int32 {
	if rc := l.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return functionAt[transferFunc](l.system.FxRead)(tls, file, data, bytes, offset)
}

func (l *logFile) sync(tls *libc.TLS, file uintptr, flags int32) int32 {
	if rc := l.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return functionAt[syncFunc](l.system.FxSync)(tls, file, flags)
}

func (l *logFile) truncate(tls *libc.TLS, file uintptr, size int64) int32 {
	if rc := l.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return functionAt[truncateFunc](l.system.FxTruncate)(tls, file, size)
}

func (l *logFile) size(tls *libc.TLS, file, size uintptr) int32 {
	if rc := l.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return functionAt[sizeFunc](l.system.FxFileSize)(tls, file, size)
}

// close is xClose. What is gathered then belongs to no commit.
func (l *logFile) close(tls *libc.TLS, file uintptr) int32 {
	g := gatheredOf(file)
	sqlite3.Xsqlite3_free(tls, g.buffer)
	*g = gathered{}
	return functionAt[closeFunc](l.system.FxClose)(tls, file)
}
