package pglab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"estate/internal/lab/child"
)

const (
	temporaryPrefix = "estate-pg-"
	// sweepAge keeps the sweep away from folders that somebody is about to
	// use; whoever is killed leaves one behind for at most that long.
	sweepAge = 10 * time.Minute
	// initdbTimeout: half a second is normal, a busy machine may need many.
	initdbTimeout = 2 * time.Minute
)

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// makeDir makes the cluster's folder one that the server's account can enter.
func (c *Cluster) makeDir() error {
	dir := c.options.Dir
	if dir == "" {
		sweep(time.Now())
		made, err := os.MkdirTemp(os.TempDir(), temporaryPrefix+strconv.Itoa(os.Getpid())+"-*")
		if err != nil {
			return fmt.Errorf("make a folder for PostgreSQL: %w", err)
		}
		dir, c.temporary = made, true
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("resolve the cluster's folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the server's account must enter it; the data folder inside is 0700
		return fmt.Errorf("make the cluster's folder: %w", err)
	}
	// The server reports its working directory without symbolic links.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("resolve the cluster's folder: %w", err)
	}
	c.dir = dir
	if c.account == nil {
		return nil
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as above
		return fmt.Errorf("let the server's account enter %s: %w", dir, err)
	}
	if err := os.Chown(dir, int(c.account.Uid), int(c.account.Gid)); err != nil {
		return fmt.Errorf("give %s to the server's account: %w", dir, err)
	}
	return enterable(dir, c.account)
}

// create runs initdb, unless the folder holds a finished cluster. It works in
// a folder aside, so that a killed initdb leaves nothing that looks finished.
func (c *Cluster) create(ctx context.Context) error {
	passwordPath := filepath.Join(c.dir, "password")
	if _, err := os.Stat(filepath.Join(c.data(), "PG_VERSION")); err == nil {
		password, err := os.ReadFile(passwordPath)
		if err != nil {
			return fmt.Errorf("read the cluster's password: %w", err)
		}
		c.password = strings.TrimSpace(string(password))
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for a cluster in %s: %w", c.dir, err)
	}
	c.password = rand.Text()
	aside := c.data() + ".new"
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := os.WriteFile(passwordPath, []byte(c.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the cluster's password: %w", err)
	}
	if c.account != nil {
		if err := os.Chown(passwordPath, int(c.account.Uid), int(c.account.Gid)); err != nil {
			return fmt.Errorf("give the password file to the server's account: %w", err)
		}
	}
	if err := c.initdb(ctx, aside, passwordPath); err != nil {
		return err
	}
	if err := os.Rename(aside, c.data()); err != nil {
		return fmt.Errorf("put the new cluster in place: %w", err)
	}
	return nil
}

func (c *Cluster) initdb(ctx context.Context, aside, passwordPath string) error {
	ctx, cancel := context.WithTimeout(ctx, initdbTimeout)
	defer cancel()
	arguments := []string{"-D", aside, "-U", superuser, "--auth=scram-sha-256", "--pwfile=" + passwordPath, "--encoding=UTF8", "--locale=C"}
	if !c.options.FullDurability {
		arguments = append(arguments, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "initdb"), arguments...) //nolint:gosec // the binary the operator installed
	cmd.Dir, cmd.Env = c.dir, environment()
	cmd.SysProcAttr = child.Attr(c.account, killSignal)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("create a PostgreSQL cluster in %s: %w: %s", c.dir, err, strings.TrimSpace(string(output)))
	}
	return nil
}

func (c *Cluster) removeTemporary() error {
	if !c.temporary {
		return nil
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove the temporary cluster: %w", err)
	}
	return nil
}

// sweep removes temporary clusters whose makers were killed. Failing to is
// harmless: another start tries again.
func sweep(now time.Time) {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), temporaryPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), temporaryPrefix), "-")
		pid, err := strconv.Atoi(owner)
		info, statErr := os.Lstat(dir)
		if err != nil || statErr != nil || !info.IsDir() || now.Sub(info.ModTime()) < sweepAge {
			continue
		}
		if !child.Alive(pid) && len(child.WorkingIn(filepath.Join(dir, "data"))) == 0 {
			_ = os.RemoveAll(dir)
		}
	}
}
