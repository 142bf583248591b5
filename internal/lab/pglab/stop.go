package pglab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"estate/internal/lab/child"
)

const killSignal = syscall.SIGKILL

// Stop shuts the server down in order (sessions are ended, a checkpoint is
// written) and removes a temporary cluster. Stopping a stopped one is fine.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.shutdown(), c.removeTemporary())
}

// Restart stops the server where it runs and starts it on the same port: after
// Kill it recovers from its log like after a power cut.
func (c *Cluster) Restart(ctx context.Context) error {
	c.mu.Lock()
	err := c.shutdown()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.launch(ctx)
}

// shutdown requires c.mu.
func (c *Cluster) shutdown() error {
	if c.cmd == nil {
		return nil
	}
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ask PostgreSQL to stop: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := child.WaitGone(ctx, c.cmd.Process.Pid); err != nil {
		return errors.Join(err, c.kill())
	}
	_ = c.cmd.Wait() // its exit status says nothing that the caller can use
	c.cmd = nil
	return nil
}

// Kill ends the server and all its backends with SIGKILL, as a power cut
// would, and returns when the last of them is gone. Restart brings it back.
func (c *Cluster) Kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kill()
}

// KillBackend ends one process of the server other than the postmaster with SIGKILL, as the
// system does that runs out of memory: choose picks one of so many. The server then ends
// all sessions and recovers by itself.
func (c *Cluster) KillBackend(choose func(n int) int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return errors.New("kill a backend: the server does not run")
	}
	backends := slices.DeleteFunc(child.WorkingIn(c.data()), func(pid int) bool { return pid == c.cmd.Process.Pid })
	if len(backends) == 0 {
		return nil
	}
	slices.Sort(backends)
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	return killAll(ctx, backends[choose(len(backends)):][:1])
}

// kill requires c.mu.
func (c *Cluster) kill() error {
	if c.cmd == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	// A stopped postmaster cannot fork a backend between the look and the kill.
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the postmaster: %w", err)
	}
	backends := child.WorkingIn(c.data())
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the postmaster: %w", err)
	}
	_ = c.cmd.Wait() // killed: its status is known
	c.cmd = nil
	return killAll(ctx, backends)
}

// endLeftover ends what a killed run left in this folder: a server that still
// runs, or backends of a dead one that have not noticed.
func (c *Cluster) endLeftover(ctx context.Context) error {
	pid, err := c.leftoverPostmaster()
	if err != nil {
		return err
	}
	if pid != 0 {
		stopping, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end the leftover PostgreSQL, process %d: %w", pid, err)
		}
		if err := child.WaitGone(stopping, pid); err != nil && ctx.Err() != nil {
			return err
		}
	}
	killing, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	return killAll(killing, child.WorkingIn(c.data()))
}

// leftoverPostmaster reads the cluster's pid file; 0 means that none runs. A
// reused process id is recognised by the directory it works in.
func (c *Cluster) leftoverPostmaster() (int, error) {
	text, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the leftover pid file: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, fmt.Errorf("read the leftover pid file: %w", err)
	}
	for _, working := range child.WorkingIn(c.data()) {
		if working == pid {
			return pid, nil
		}
	}
	return 0, nil
}

func killAll(ctx context.Context, pids []int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, killSignal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return child.WaitGone(ctx, pids...)
}

// Deadline bounds a helper's start and stop of a cluster, initdb included.
const Deadline = initdbTimeout + startTimeout + time.Second
