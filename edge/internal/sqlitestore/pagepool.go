package sqlitestore

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// pagesKept is how many pages of databases SQLite keeps in one piece of memory, for all
// connections of the process: the writer's, and some of each reader's. What they need beyond
// it is allocated page by page.
const pagesKept = 2_200

// pageBytes is the size of a database's page.
const pageBytes = 4096

// pagePool gives SQLite a piece of memory for its pages, once in a process. A page and what
// SQLite notes of it are some 4,300 bytes, for which the driver's allocator, whose pieces are
// powers of two, takes 8,192: the same pages would take twice the memory. It reports false
// where SQLite was in use before, or takes it not; then each page is allocated by itself.
var pagePool = sync.OnceValue(func() bool {
	tls := libc.NewTLS()
	defer tls.Close()
	head := sqliteHeader(tls)
	if head <= 0 {
		return false
	}
	slot := (pageBytes + head + 7) &^ 7
	memory := libc.Xmalloc(tls, libc.Tsize_t(pagesKept*slot)) // SQLite's as long as the program lives
	if memory == 0 {
		return false
	}
	arguments := libc.NewVaList(memory, slot, int32(pagesKept))
	defer libc.Xfree(tls, arguments)
	if sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PAGECACHE, arguments) != sqlite3.SQLITE_OK {
		libc.Xfree(tls, memory)
		return false
	}
	return true
})

// sqliteHeader is what SQLite notes beside each page, in bytes; zero where it does not say.
func sqliteHeader(tls *libc.TLS) (bytes int32) {
	to := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(bytes)))
	if to == 0 {
		return 0
	}
	defer libc.Xfree(tls, to)
	arguments := libc.NewVaList(to)
	defer libc.Xfree(tls, arguments)
	if sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PCACHE_HDRSZ, arguments) != sqlite3.SQLITE_OK {
		return 0
	}
	return **(**int32)(unsafe.Pointer(&to)) //nolint:gosec // memory of the driver's
}
