package backup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"

	"estate/internal/backup"
)

// stopWait is what the program gets to remove what it had begun, when it is told to stop.
const stopWait = 10 * time.Second

// owner is the program that owns a store, run for one command.
type owner struct {
	path string
	args []string
	errs io.Writer
}

// answer is what it prints.
type answer struct {
	backup.Manifest
	Kept string `json:"kept"`
}

// run shows the program's progress and passes on what else it says.
func (o owner) run(ctx context.Context, doing string) (answer, error) {
	var said answer
	cmd := exec.CommandContext(ctx, o.path, o.args...) //nolint:gosec // the program beside this one
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWait
	var out bytes.Buffer
	cmd.Stdout = &out
	lines, err := cmd.StderrPipe()
	if err != nil {
		return said, err
	}
	if err := cmd.Start(); err != nil {
		return said, err
	}
	bar := newBar(o.errs, doing)
	var last string
	for s := bufio.NewScanner(lines); s.Scan(); {
		if done, total, ok := backup.ReadLine(s.Text()); ok {
			bar.set(done, total)
			continue
		}
		last = s.Text()
		bar.clear()
		fmt.Fprintln(o.errs, last)
	}
	err = cmd.Wait()
	bar.clear()
	var exit *exec.ExitError
	if errors.As(err, &exit) && last != "" {
		return said, errors.New(last)
	}
	if err != nil {
		return said, err
	}
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		return said, fmt.Errorf("understand what the program printed: %w", err)
	}
	return said, nil
}

// bar is a progress bar of bytes, which appears with the first report.
type bar struct {
	out   io.Writer
	doing string
	shown *progressbar.ProgressBar
}

func newBar(out io.Writer, doing string) *bar { return &bar{out: out, doing: doing} }

func (b *bar) set(done, total int64) {
	if b.shown == nil {
		b.shown = progressbar.NewOptions64(total, progressbar.OptionSetWriter(b.out), progressbar.OptionSetDescription(b.doing),
			progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	b.shown.ChangeMax64(total)
	_ = b.shown.Set64(done) // a terminal that is gone costs the bar, not the backup
}

func (b *bar) clear() {
	if b.shown != nil {
		_ = b.shown.Clear() // as above
	}
}
