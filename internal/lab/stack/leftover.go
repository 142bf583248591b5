package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"estate/internal/lab/child"
)

const (
	lockFile = "lock"
	pidFile  = "pids.json"
	// leftoverTimeout is what a leftover program gets to end in order.
	leftoverTimeout = 10 * time.Second
	leftoverKill    = 5 * time.Second
)

// ErrRunning says that another run uses the folder.
var ErrRunning = errors.New("another run uses this folder")

// lock takes the folder for this process. The kernel lets go of it with the process.
func lock(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of %s: %w", dir, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrRunning, dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return file, nil
}

// unlock lets go of the folder. Closing alone would not: a program that this process is starting
// just now has a copy of the file until it runs.
func unlock(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}

// endLeftovers ends programs that a killed run left behind in this folder. Where the kernel
// ends children with their parent there are none.
func endLeftovers(ctx context.Context, dir string) (ended []string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, pidFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the process ids of the last run: %w", err)
	}
	var pids map[string]int
	if err := json.Unmarshal(text, &pids); err != nil {
		return nil, nil //nolint:nilerr // torn by a crash: the programs' own locks still keep two apart
	}
	for name, pid := range pids {
		if pid <= 1 || !child.Alive(pid) || !worksOn(pid, dir) {
			continue
		}
		if err := end(ctx, pid); err != nil {
			return ended, fmt.Errorf("end the leftover %s, process %d: %w", name, pid, err)
		}
		ended = append(ended, name)
	}
	return ended, nil
}

// worksOn recognises our own program behind a process id, which may have been given to a
// stranger since: its command line names the folder.
func worksOn(pid int, dir string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	for _, word := range strings.Split(string(line), "\x00") {
		if word == dir || strings.HasPrefix(word, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

func end(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	ending, cancel := context.WithTimeout(ctx, leftoverTimeout)
	defer cancel()
	if err := child.WaitGone(ending, pid); err == nil || ctx.Err() != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	killing, cancel := context.WithTimeout(ctx, leftoverKill)
	defer cancel()
	return child.WaitGone(killing, pid)
}

// notePIDs writes down what runs now, for the run after a crash. Programs that start at the
// same time write one after the other, and the last list is the whole one.
func (s *Stack) notePIDs() error {
	s.remembering.Lock()
	defer s.remembering.Unlock()
	pids := map[string]int{}
	for _, p := range s.Processes() {
		pids[p.Name()] = p.PID()
	}
	text, err := json.Marshal(pids)
	if err != nil {
		return fmt.Errorf("write down the process ids: %w", err)
	}
	return writeFile(filepath.Join(s.options.Dir, pidFile), text)
}
