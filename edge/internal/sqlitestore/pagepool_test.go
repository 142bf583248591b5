package sqlitestore

import (
	"path/filepath"
	"testing"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite takes its memory for pages before it is used at all, whichever test comes first.
var _ = dsn("before every test", false)

// The pages of an open store lie in the one piece of memory that was set aside for them.
func TestPagesLieTogether(t *testing.T) {
	t.Parallel()
	openTest(t, filepath.Join(t.TempDir(), "store.db"))
	tls := libc.NewTLS()
	defer tls.Close()
	counts := libc.Xcalloc(tls, 2, 8)
	defer libc.Xfree(tls, counts)
	if rc := sqlite3.Xsqlite3_status64(tls, sqlite3.SQLITE_STATUS_PAGECACHE_USED, counts, counts+8, 0); rc != sqlite3.SQLITE_OK {
		t.Fatalf("SQLite does not say: %d", rc)
	}
	if used := libc.AtomicLoadNInt64(counts, 0); used == 0 {
		t.Error("no page of the store lies there")
	}
}
