// Package lab starts and stops the system's real programs for the demo,
// benches and end-to-end tests.
//
// A program started here never outlives the one that started it, and no
// program that was started elsewhere is ever signalled.
package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"estate/internal/lab/child"
)

const (
	// probeTimeout bounds one look at the ready address; a program that
	// answers later than that is not ready.
	probeTimeout = 2 * time.Second
	// killTimeout is for the kernel to take a killed process away, which waits for a disk that
	// others keep busy.
	killTimeout = time.Minute
	// logTailBytesMax is what fits a test's failure message.
	logTailBytesMax = 4 << 10
)

// Spec says what to start and how to know that it is ready.
type Spec struct {
	// Name is what logs and errors call it.
	Name string
	Path string
	Args []string
	// Env is added to this process's own environment.
	Env []string
	// Dir is the working directory; empty: this process's own.
	Dir string
	// LogPath takes both outputs, appended.
	LogPath string
	// ReadyURL is ready when it answers 200, ReadyLine when a line of the log
	// written since this start contains it. One of the two, or neither.
	ReadyURL  string
	ReadyLine string
}

// Process is one running program.
type Process struct {
	spec      Spec
	cmd       *exec.Cmd
	logOffset int64
	exited    chan struct{}
	exitErr   error // set before exited closes
}

// Start starts the program and does not wait for it to be ready. It runs until
// it is ended or this process dies: no context ends it.
func Start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(spec.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }()
	offset, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("find the end of the log of %s: %w", spec.Name, err)
	}
	cmd := exec.Command(spec.Path, spec.Args...) //nolint:gosec,noctx // the caller's program; see above
	cmd.Dir, cmd.Env = spec.Dir, append(os.Environ(), spec.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = child.Attr(nil, syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	p := &Process{spec: spec, cmd: cmd, logOffset: offset, exited: make(chan struct{})}
	go func() {
		p.exitErr = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// StartReady starts the program and waits until it is ready; one that fails to
// be is killed.
func StartReady(ctx context.Context, spec Spec) (*Process, error) {
	p, err := Start(spec)
	if err != nil {
		return nil, err
	}
	if err := p.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, p.Kill9())
	}
	return p, nil
}

// WaitReady waits until the program is ready. It fails when the program ends
// first or ctx does, with the end of the log in the error.
func (p *Process) WaitReady(ctx context.Context) error {
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	err := child.Poll(ctx, p.spec.Name+" to be ready", func() (bool, error) {
		select {
		case <-p.exited:
			return false, fmt.Errorf("it ended: %w", p.ExitError())
		default:
		}
		return p.ready(ctx, client), nil
	})
	if err != nil {
		return fmt.Errorf("%w; its log ends:\n%s", err, p.LogTail())
	}
	return nil
}

func (p *Process) ready(ctx context.Context, client *http.Client) bool {
	switch {
	case p.spec.ReadyURL != "":
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.spec.ReadyURL, nil)
		if err != nil {
			return false
		}
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	case p.spec.ReadyLine != "":
		text, err := p.logSinceStart()
		return err == nil && bytes.Contains(text, []byte(p.spec.ReadyLine))
	default:
		return true
	}
}

// PID is the program's process id, also after it ended.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Name is what the Spec called it.
func (p *Process) Name() string { return p.spec.Name }

// Exited is closed when the program has ended, for whatever reason.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitError says how the program ended: nil for status 0 and while it runs.
func (p *Process) ExitError() error {
	select {
	case <-p.exited:
		return p.exitErr
	default:
		return nil
	}
}

// Kill9 ends the program and its own children with SIGKILL, as a power cut
// would, and returns when it is gone.
func (p *Process) Kill9() error {
	// The group's number stays taken while any member lives, so this cannot
	// hit a stranger as long as the leader was not reaped.
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := syscall.Kill(-p.PID(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s: %w", p.spec.Name, err)
	}
	return p.wait(killTimeout)
}

// Terminate asks the program to end in order and waits; one that does not in
// time is killed, which is an error.
func (p *Process) Terminate(timeout time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ask %s to end: %w", p.spec.Name, err)
	}
	if err := p.wait(timeout); err != nil {
		return errors.Join(err, p.Kill9())
	}
	return nil
}

func (p *Process) wait(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		return fmt.Errorf("wait for %s to end: still running after %s", p.spec.Name, timeout)
	}
}

// LogTail is the last part of what this start wrote.
func (p *Process) LogTail() string {
	text, err := p.logSinceStart()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-logTailBytesMax):]))
}

func (p *Process) logSinceStart() ([]byte, error) {
	log, err := os.Open(filepath.Clean(p.spec.LogPath))
	if err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", p.spec.Name, err)
	}
	defer func() { _ = log.Close() }()
	if _, err := log.Seek(p.logOffset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", p.spec.Name, err)
	}
	return io.ReadAll(log)
}
