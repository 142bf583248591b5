// Package torture is `estate torture`: it plays simulated networks of the production
// replication code until it has seen enough faults, and says what was found.
//
// It must never touch a real store or a network: everything happens in memory, and a seed
// plays the same way on every machine.
package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"estate/sync/sim"
)

// seedsUsual ends within a minute on a small machine.
const seedsUsual = 200

// shrinkRuns bounds how many runs the search for a smaller failure may take.
const shrinkRuns = 400

// ErrFailed says that a run broke an invariant; what and how was printed.
var ErrFailed = errors.New("an invariant was broken")

// options are what the command can be told.
type options struct {
	seed, seeds  uint64
	steps, jobs  int
	faults, rule string
	often        string
	drop         string
	quiet        bool
	noShrink     bool
	trace        bool
}

// Command is `estate torture`.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "torture", Short: "Play simulated networks of the replication code and look for loss", Args: cobra.NoArgs,
		Long: "Runs clouds, edges and phones of the production replication code over a simulated network, disks and clocks, with faults drawn " +
			"from a seed. Safety is checked after every step; then the network heals and everybody must agree. A failure prints the command " +
			"that plays it again, and the smallest run found that still fails. With --without, a rule is not kept: such runs must fail.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o)
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&o.seed, "seed", 0, "play this seed; without --seeds only this one (0: from 1)")
	flags.Uint64Var(&o.seeds, "seeds", 0, fmt.Sprintf("how many seeds to play, from --seed on (0: %d, or the one of --seed)", seedsUsual))
	flags.IntVar(&o.steps, "steps", sim.StepsUsual, "how many things happen before the network heals")
	flags.IntVar(&o.jobs, "jobs", runtime.GOMAXPROCS(0), "seeds played side by side")
	flags.StringVar(&o.faults, "faults", "", "kinds of trouble, such as network,crash; all; none (empty: drawn from the seed)")
	flags.StringVar(&o.often, "often", "none", "kinds of trouble among those that come much more often than usual")
	flags.StringVar(&o.rule, "without", "", "rules that nobody keeps, such as page-reader,cursor-check, to see that they are needed")
	flags.StringVar(&o.drop, "drop", "", "steps that do not happen, such as 1-40,43, as a failure printed them")
	flags.BoolVar(&o.quiet, "quiet", false, "no progress bar")
	flags.BoolVar(&o.noShrink, "no-shrink", false, "do not look for a smaller run that still fails")
	flags.BoolVar(&o.trace, "trace", false, "print what happens, step by step (with one seed)")
	return cmd
}

// plan is the options, checked.
type plan struct {
	first, count uint64
	config       sim.Config // of every seed, less seed and drawn faults
	drawn        bool
}

func (o options) plan() (plan, error) {
	p := plan{first: o.seed, count: o.seeds, drawn: o.faults == ""}
	if p.first == 0 {
		p.first = 1
	}
	if p.count == 0 {
		p.count = seedsUsual
		if o.seed != 0 {
			p.count = 1
		}
	}
	if o.steps < 1 || o.jobs < 1 {
		return p, fmt.Errorf("--steps %d and --jobs %d must be at least 1", o.steps, o.jobs)
	}
	p.config.Steps = o.steps
	var err error
	if p.config.Without, err = sim.ParseRules(o.rule); err != nil {
		return p, fmt.Errorf("read --without: %w", err)
	}
	if !p.drawn {
		if p.config.Faults, err = sim.ParseFaults(o.faults); err != nil {
			return p, fmt.Errorf("read --faults: %w", err)
		}
	}
	if p.config.Often, err = sim.ParseFaults(o.often); err != nil {
		return p, fmt.Errorf("read --often: %w", err)
	}
	if p.config.Drop, err = parseSteps(o.drop, o.steps); err != nil {
		return p, fmt.Errorf("read --drop: %w", err)
	}
	return p, nil
}

// at is the run of one seed.
func (p plan) at(seed uint64) sim.Config {
	c := p.config
	c.Seed = seed
	if p.drawn {
		c.Faults = sim.FaultsOf(seed)
	}
	return c
}

// parseSteps reads a list such as 1-40,43.
func parseSteps(list string, stepsMax int) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	dropped := make([]bool, stepsMax+1)
	for _, span := range strings.Split(list, ",") {
		low, high, ranged := strings.Cut(span, "-")
		from, err := strconv.Atoi(low)
		to := from
		if err == nil && ranged {
			to, err = strconv.Atoi(high)
		}
		if err != nil || from < 1 || to < from || to > stepsMax {
			return nil, fmt.Errorf("%q is no stretch of steps between 1 and %d", span, stepsMax)
		}
		for n := from; n <= to; n++ {
			dropped[n] = true
		}
	}
	var out []int
	for n, is := range dropped {
		if is {
			out = append(out, n)
		}
	}
	return out, nil
}

func run(ctx context.Context, out, progress io.Writer, o options) error {
	p, err := o.plan()
	if err != nil {
		return err
	}
	count, err := strconv.ParseInt(strconv.FormatUint(p.count, 10), 10, 64)
	if err != nil {
		return fmt.Errorf("read --seeds: %w", err)
	}
	bar := progressbar.NewOptions64(count, progressbar.OptionSetWriter(progress), progressbar.OptionSetDescription("torture"),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("seeds"),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetVisibility(!o.quiet))
	if o.trace && count == 1 {
		p.config.Trace = func(step int, what string) { fmt.Fprintf(out, "%4d  %s\n", step, what) }
	}
	began := time.Now()
	sum := play(ctx, p, o.jobs, func() { _ = bar.Add(1) }) // a bar that cannot be drawn stops nothing
	_ = bar.Finish()
	sum.print(out, time.Since(began))
	if len(sum.failed) == 0 {
		return ctx.Err()
	}
	for _, f := range sum.failed {
		fmt.Fprintf(out, "\nFAILED seed %d\n", f.config.Seed)
		explain(out, f.report)
		fmt.Fprintf(out, "  replay: %s\n", f.config.Replay())
	}
	if first := sum.failed[0]; !o.noShrink {
		first.config.Trace = nil
		smaller, report := sim.Shrink(first.config, shrinkRuns)
		fmt.Fprintf(out, "\nSmallest run found that still fails:\n  %s\n", smaller.Replay())
		explain(out, report)
	}
	return fmt.Errorf("%w in %d of %d seeds", ErrFailed, len(sum.failed), sum.seeds)
}

// linesMax is how many violations of a run are printed: the first ones tell most.
const linesMax = 8

func explain(out io.Writer, r sim.Report) {
	for i, v := range r.Violations {
		if i == linesMax {
			fmt.Fprintf(out, "  and %d more\n", len(r.Violations)-i)
			return
		}
		fmt.Fprintf(out, "  %s\n", v)
	}
}
