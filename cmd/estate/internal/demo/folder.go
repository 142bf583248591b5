package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"estate/internal/lab"
	"estate/internal/lab/pglab"
)

// homeVariable names the folder that keeps the demo's data.
const homeVariable = "ESTATE_HOME"

// chooseFolder finds where the demo keeps its data: ESTATE_HOME, else .estate/demo here,
// or, where the account that runs PostgreSQL cannot enter that, a folder in /var/tmp.
func chooseFolder(private bool) (string, error) {
	if home := os.Getenv(homeVariable); home != "" {
		return filepath.Abs(home)
	}
	here, err := filepath.Abs(filepath.Join(".estate", "demo"))
	if err != nil {
		return "", fmt.Errorf("resolve the data folder: %w", err)
	}
	if !private || pglab.Enterable(here) == nil {
		return here, nil
	}
	return ownFolder("/var/tmp/estate-demo-" + strconv.Itoa(os.Getuid()))
}

// ownFolder makes a folder in a place that others can write to, or checks that the one
// there is ours: somebody else's would see our passwords.
func ownFolder(dir string) (string, error) {
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // PostgreSQL's account passes through
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at the data folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a folder that only this account can write to: remove it or set %s", dir, homeVariable)
	}
	return dir, nil
}

// programs finds the edge's and the cloud's binaries beside this one.
func programs() (lab.Binaries, error) {
	self, err := os.Executable()
	if err != nil {
		return lab.Binaries{}, fmt.Errorf("find this program: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return lab.Binaries{}, fmt.Errorf("find this program: %w", err)
	}
	return lab.BinariesIn(filepath.Dir(self))
}
