// Package crash is the operator's `estate crash`: it kills the real programs at random
// moments while load runs, and shows what became of every acknowledged write.
//
// It must never touch an estate that is not its own: it runs in a folder that it makes and
// removes.
package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"estate/internal/lab"
	"estate/internal/lab/crash"
)

// cyclesDefault is what the promise is proved with.
const cyclesDefault = 200

// errWrong says that the report has findings.
var errWrong = errors.New("not every promise was kept: see the report")

// Command is `estate crash`.
func Command() *cobra.Command {
	options := crash.Options{}
	var keep, quiet bool
	cmd := &cobra.Command{
		Use: "crash", Short: "Kill everything at random moments under load, and look for each acknowledged write", Args: cobra.NoArgs,
		Long: "Starts PostgreSQL, two cloud processes and the edges of two buildings (one with a clock that is 3 hours wrong and jumps), " +
			"lets people, phones and sensors write, and ends something with SIGKILL in each cycle. Then all must be in step again, and every write that was acknowledged must be found. " +
			"The seed decides what is killed and when; what runs at that moment is up to the machine.",
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, options, keep, quiet) },
	}
	cmd.Flags().IntVar(&options.Cycles, "cycles", cyclesDefault, "how many times something is killed")
	cmd.Flags().Uint64Var(&options.Seed, "seed", 1, "decides what is killed and when")
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the folder with data and logs")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	return cmd
}

func run(cmd *cobra.Command, o crash.Options, keep, quiet bool) (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if o.Binaries, err = lab.BinariesIn(filepath.Dir(self)); err != nil {
		return err
	}
	if o.Dir, err = os.MkdirTemp("/var/tmp", "estate-crash-*"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() {
		if keep {
			fmt.Fprintln(cmd.ErrOrStderr(), "data and logs are in", o.Dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(o.Dir))
	}()
	if err := os.Chmod(o.Dir, 0o711); err != nil { //nolint:gosec // PostgreSQL's account passes through
		return fmt.Errorf("let PostgreSQL's account in: %w", err)
	}
	bar := progressbar.NewOptions(o.Cycles, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionSetDescription("kills"),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetVisibility(!quiet))
	o.Cycle = func(done int) { _ = bar.Set(done) }
	report, err := crash.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	_ = bar.Finish()
	if err := report.Print(cmd.OutOrStdout()); err != nil {
		return err
	}
	if len(report.Findings) > 0 {
		return errWrong
	}
	return nil
}
