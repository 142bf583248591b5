// Package bench measures the real programs on this machine, beside the limit that the
// machine itself sets and beside the nearest of their kind.
//
// It must never fail because a figure is bad: it reports. It must never leave anything
// behind: what it started ends with it.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"estate/internal/lab"
	"estate/internal/lab/stack"
)

// options are what a bench can be told.
type options struct {
	quick bool
	// publisher is the program that speaks for the sensors; empty for this one.
	publisher string
	// records is the size of the backlog; zero for the bench's own.
	records int
	// growth is how many tickets make the building large; zero for the bench's own.
	growth int
	// edges are the sizes of the fleet; none for the bench's own.
	edges []int
	// only names the parts to run; empty for all.
	only []string
}

// wants reports whether a part was asked for.
func (o options) wants(part string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, part)
}

// bench is one running bench: what it runs on, and what it found so far.
type bench struct {
	*stack.Stack
	how      options
	progress io.Writer
	figures  []figure
}

// say tells the person who waits what is going on.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// add notes what was found.
func (b *bench) add(found ...figure) { b.figures = append(b.figures, found...) }

// Command is `estate bench`.
func Command() *cobra.Command {
	var how options
	var file string
	cmd := &cobra.Command{Use: "bench", Short: "Measure the real programs on this machine"}
	all := cmd.PersistentFlags()
	all.BoolVar(&how.quick, "quick", false, "a small run, within 45 seconds")
	all.StringVar(&file, "json", "", "write the figures to this file, too")
	add := func(name, short string, run func(context.Context, *bench) error) *cobra.Command {
		sub := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			figures, err := measure(cmd.Context(), cmd.ErrOrStderr(), run, how)
			if err != nil {
				err = fmt.Errorf("bench %s: %w", name, err)
			}
			err = errors.Join(err, report(cmd.OutOrStdout(), figures, file))
			if how.quick {
				cmd.PrintErrln("A small run shows that the bench works; its figures mean nothing.")
			}
			return err
		}}
		cmd.AddCommand(sub)
		return sub
	}
	add("freshness", "From a write or a sensor's message at the edge to a dashboard at the cloud", freshness).
		Flags().StringVar(&how.publisher, "publisher", "", "the program that speaks for the sensors, such as mosquitto_pub")
	add("fleet", "What a thousand edges cost while nothing happens, and how they come back all at once", fleet).
		Flags().IntSliceVar(&how.edges, "edges", nil, "sizes of the fleet, rising (default 1000,5000, or 20,40 with --quick)")
	add("mqtt", "How many messages of devices an edge makes durable, beside a subscriber that discards; how soon readings are drawn", runMQTT).
		Flags().StringSliceVar(&how.only, "only", nil, "parts to run: "+strings.Join(mqttParts(), ", ")+" (default all but detection, which replays months)")
	sync := add("sync", "How fast an edge and the cloud reconcile, beside COPY and PouchDB", runSync).Flags()
	sync.StringSliceVar(&how.only, "only", nil, "parts to run: "+strings.Join(partNames(), ", ")+" (default all)")
	sync.IntVar(&how.records, "records", 0, "tickets in the backlog (default 100000, 500 with --quick)")
	sync.IntVar(&how.growth, "growth", 0, "tickets that make the building large (default 1000000, 2000 with --quick)")
	return cmd
}

// databaseMB holds the tables that a bench works on, as a server that is set up for its load
// does (PostgreSQL's manual begins with a quarter of the machine's memory). With a demo's 64 MB a
// change of a hundred thousand tickets, and what it is compared with, measures how pages are
// written out and read again.
const databaseMB = 512

// measure runs a bench in a stack of its own, which is gone afterwards. What was found
// before a failure is given, too.
func measure(ctx context.Context, progress io.Writer, run func(context.Context, *bench) error, how options) (found []figure, err error) {
	if err := checkParts(how.only); err != nil {
		return nil, err
	}
	if err := roomFor("any bench", 0, freeMemory()); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	binaries, err := lab.BinariesIn(filepath.Dir(self))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/var/tmp", "estate-bench-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // PostgreSQL's account passes through
		return nil, fmt.Errorf("let PostgreSQL's account in: %w", err)
	}
	for _, one := range resources(dir) {
		if err := one.check(); err != nil {
			return nil, err
		}
	}
	s, err := stack.Open(ctx, stack.Options{Dir: dir, Binaries: binaries, FullDurability: true, SharedMB: databaseMB,
		Progress: func(line string) { fmt.Fprintln(progress, line) }})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	b := &bench{Stack: s, how: how, progress: progress}
	b.add(plain("machine: processors", float64(runtime.NumCPU()), "processors"), plain("machine: shared_buffers of PostgreSQL", databaseMB, "MB"),
		plain("machine: load of others at the start", load(), "processes"))
	running, stop := guarded(ctx, resources(dir))
	defer stop()
	if err := run(running, b); err != nil {
		if cause := context.Cause(running); errors.Is(cause, errNoRoom) || errors.Is(cause, errDiskFull) {
			return b.figures, cause
		}
		return b.figures, fmt.Errorf("%w\n%s", err, logs(s))
	}
	return b.figures, nil
}

// logs is the end of each program's log, for a failure.
func logs(s *stack.Stack) string {
	var text strings.Builder
	for _, p := range s.Processes() {
		lines := strings.Split(p.LogTail(), "\n")
		fmt.Fprintf(&text, "log of %s ends:\n%s\n", p.Name(), strings.Join(lines[max(0, len(lines)-5):], "\n"))
	}
	return text.String()
}
