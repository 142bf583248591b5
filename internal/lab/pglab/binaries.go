package pglab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// ErrNoServer says that no PostgreSQL server is installed. Its text is the
// remedy.
var ErrNoServer = errors.New("no PostgreSQL server found: install the package postgresql, or set ESTATE_PG_BIN to the folder that holds initdb and postgres")

// Binaries finds the folder of initdb and postgres: ESTATE_PG_BIN, then the
// highest version in the folders that distributions use, then PATH. Fails
// with ErrNoServer.
func Binaries() (string, error) {
	if dir := os.Getenv("ESTATE_PG_BIN"); dir != "" {
		if !hasServer(dir) {
			return "", fmt.Errorf("ESTATE_PG_BIN=%s holds no initdb and postgres: %w", dir, ErrNoServer)
		}
		return dir, nil
	}
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("look for PostgreSQL in %s: %w", pattern, err)
		}
		found = append(found, dirs...)
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	for _, dir := range found {
		if hasServer(dir) {
			return dir, nil
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil && hasServer(filepath.Dir(path)) {
		return filepath.Dir(path), nil
	}
	return "", ErrNoServer
}

// version reads the major version out of /usr/lib/postgresql/15/bin.
func version(bin string) int {
	name := filepath.Base(filepath.Dir(bin))
	number, err := strconv.Atoi(strings.TrimPrefix(name, "pgsql-"))
	if err != nil {
		return 0
	}
	return number
}

func hasServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// account gives the credential to run the server under: nil (our own) unless
// we are root, whom PostgreSQL refuses.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("read the ids of account %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root and there is no account postgres or nobody to run it as")
}

// enterable checks that the account can pass through dir and all its
// ancestors, and names the one that it cannot: PostgreSQL's own message does
// not.
func enterable(dir string, as *syscall.Credential) error {
	if as == nil {
		return nil
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("check who may enter %s: %w", at, err)
		}
		mode := info.Mode().Perm()
		owner, ok := info.Sys().(*syscall.Stat_t)
		may := mode&0o001 != 0
		if ok {
			may = may || owner.Uid == as.Uid && mode&0o100 != 0 || owner.Gid == as.Gid && mode&0o010 != 0
		}
		if !may {
			return fmt.Errorf("account %d that runs PostgreSQL cannot enter %s (mode %o): choose another folder, or chmod o+x it", as.Uid, at, mode)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// Enterable says whether the account that a server would run under can enter dir, of which
// the last parts need not exist yet. The error names the folder that is in the way.
func Enterable(dir string) error {
	as, err := account()
	if err != nil {
		return err
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", dir, err)
	}
	for {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			return enterable(at, as)
		}
		at = filepath.Dir(at)
	}
}
