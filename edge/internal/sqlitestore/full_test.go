package sqlitestore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"estate/sync/storetest"
)

const (
	// smallDisk is the filesystem that runs full, and ballast what is deleted to free some.
	smallDisk = 24 << 20
	ballast   = 12 << 20
	// enough is how many writes must pass after it was freed: far less than what fits.
	enough = 100
	// patience ends a writer that neither writes nor says why.
	patience = 60 * time.Second
	// limitEnv has the child limit the size of its files instead, and lift the limit when its
	// input ends: where the test may not mount.
	limitEnv = "ESTATE_SQLITESTORE_LIMIT"
)

// limitFiles applies limitEnv in the child.
func limitFiles() error {
	text := os.Getenv(limitEnv)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ) // a write beyond the limit fails instead
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)
	}()
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: before.Max})
}

// fullDisk starts a writer on a disk that runs full, and returns its output, and how to free
// some space.
func fullDisk(t *testing.T) (child *exec.Cmd, out *bufio.Scanner, path string, free func()) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "store.db")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	child = exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+path)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	free = func() { _ = in.Close() }
	switch err := syscall.Mount("estate-test", dir, "tmpfs", 0, "mode=700,size="+strconv.Itoa(smallDisk)); {
	case err == nil:
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		heavy := filepath.Join(dir, "ballast")
		if err := os.WriteFile(heavy, bytes.Repeat([]byte{1}, ballast), 0o600); err != nil {
			t.Fatal(err)
		}
		free = func() {
			if err := os.Remove(heavy); err != nil {
				t.Error(err)
			}
		}
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		t.Logf("mounting is not allowed here (%v): a limit of the size of files stands for the full disk", err)
		child.Env = append(child.Env, limitEnv+"="+strconv.Itoa(smallDisk-ballast))
	default:
		t.Fatal(err)
	}
	pipe, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child, bufio.NewScanner(pipe), path, free
}

// Invariant 1 on a full disk: what cannot be stored is refused as busy and nothing of it is
// kept, reading goes on, writing goes on by itself once there is space, and then kill -9
// takes nothing that was acknowledged.
func TestFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	child, out, path, free := fullDisk(t)
	var acks bytes.Buffer
	acked, after, busy, resumed := 0, 0, "", false
	for after < enough && out.Scan() {
		line := out.Text()
		acks.WriteString(line + "\n")
		switch {
		case strings.HasPrefix(line, storetest.LineBusy):
			busy = line
			free()
		case line == storetest.LineResumed:
			resumed = true
		case resumed:
			after++
		default:
			acked++
		}
	}
	if busy == "" || !resumed || after < enough {
		_ = child.Process.Kill()
		t.Fatalf("%d writes, then %q, %d after it: the writer ended by itself: %v", acked, busy, after, child.Wait())
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed: that is its status
	s := openTest(t, path)
	var verdict string
	if err := s.DB().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity: %s, %v", verdict, err)
	}
	t.Logf("%d writes until %s; %d in all survived", acked, busy, storetest.CheckAcknowledged(t, s, &acks))
}
