package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"syscall"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver, pure Go

	"estate/schema"
	"estate/sync/replica"
)

// ErrLocked says that another process has the store open.
var ErrLocked = errors.New("sqlitestore: another process has the store open")

// lockFile takes the process lock beside the database. The kernel drops it with the
// process, however that ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the store's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrLocked, path, err), f.Close())
	}
	return f, nil
}

// unlock gives the process lock back. To close the file alone may not do it: a child that is
// about to be started holds a copy of the descriptor until it runs.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

const (
	// writerCacheKB holds the inner pages of all indexes, and what a commit changes.
	writerCacheKB = 8_000
	// readerCacheKB is little, for there are up to readersMax + poolMax of them: a reader
	// forgets its pages with each commit of the writer, and the system keeps the file's.
	readerCacheKB = 1_000
)

// dsn is the connection string. synchronous=FULL is what makes an acknowledgement true
// after power loss; group commit pays for it.
func dsn(path string, write bool) string {
	pagePool() // before SQLite is used at all
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "temp_store(MEMORY)", fmt.Sprintf("wal_autocheckpoint(%d)", logPagesFar)}}
	if write {
		q.Set("_txlock", "immediate")
		q.Add("_pragma", fmt.Sprintf("cache_size(-%d)", writerCacheKB))
	} else {
		q.Add("_pragma", "query_only(1)")
		q.Add("_pragma", fmt.Sprintf("cache_size(-%d)", readerCacheKB))
	}
	if vfs := datasyncVFS(); vfs != "" {
		q.Set("vfs", vfs)
	}
	return (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: q.Encode()}).String()
}

// prepareFile checks the file and brings it to this release's form.
func (s *Store) prepareFile(ctx context.Context) error {
	var verdict string
	if err := s.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("check the file: %w", translate(err))
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: quick_check: %s", replica.ErrCorrupt, verdict)
	}
	migrations, err := goose.NewProvider(goose.DialectSQLite3, s.write, schema.SQLiteMigrations())
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := migrations.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the file's version: %w", translate(err))
	}
	if have > want {
		return fmt.Errorf("the file is of version %d, this program knows %d: run the newer program", have, want)
	}
	if have == want {
		return nil
	}
	if have > 0 {
		if err := backupTo(ctx, s.write, fmt.Sprintf("%s.before-%04d", s.path, want)); err != nil {
			return err
		}
		s.log.InfoContext(ctx, "store backed up before migrating", "version", have)
	}
	if _, err := migrations.Up(ctx); err != nil {
		return fmt.Errorf("migrate from version %d to %d: %w", have, want, translate(err))
	}
	s.log.InfoContext(ctx, "store migrated", "path", s.path, "from", have, "to", want)
	return nil
}

// backupTo copies a database as it is to another file, in place of an earlier copy of that
// name.
func backupTo(ctx context.Context, db *sql.DB, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the earlier backup: %w", err)
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return fmt.Errorf("copy the store: %w", translate(err))
	}
	if err := os.Chmod(to, 0o600); err != nil {
		return fmt.Errorf("protect the backup: %w", err)
	}
	return nil
}
