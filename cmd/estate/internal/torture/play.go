package torture

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"estate/sync/sim"
)

// failure is a run that broke an invariant.
type failure struct {
	config sim.Config
	report sim.Report
}

// summary is what all runs together met.
type summary struct {
	seeds, checks int
	rounds        int // the most that any healed network took
	counts        map[string]int
	failed        []failure // ascending by seed
	without       sim.RuleSet
}

// failuresMax ends the search: more failures of one cause teach nothing.
const failuresMax = 10

// play runs the seeds of a plan side by side, until all are done, too many fail, or ctx
// ends.
func play(ctx context.Context, p plan, jobs int, done func()) summary {
	sum := summary{counts: map[string]int{}, without: p.config.Without}
	seeds := make(chan uint64)
	var mu sync.Mutex
	var workers sync.WaitGroup
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(sum.failed) >= failuresMax
	}
	for range jobs {
		workers.Go(func() {
			for seed := range seeds {
				c := p.at(seed)
				report, err := sim.Run(c)
				mu.Lock()
				sum.add(c, report, err)
				done()
				mu.Unlock()
			}
		})
	}
	for n := range p.count {
		if ctx.Err() != nil || enough() {
			break
		}
		seeds <- p.first + n
	}
	close(seeds)
	workers.Wait()
	slices.SortFunc(sum.failed, func(a, b failure) int { return cmp.Compare(a.config.Seed, b.config.Seed) })
	return sum
}

func (s *summary) add(c sim.Config, r sim.Report, err error) {
	s.seeds++
	s.checks += r.Checks
	s.rounds = max(s.rounds, r.Rounds)
	for what, times := range r.Counts {
		s.counts[what] += times
	}
	if err != nil {
		s.failed = append(s.failed, failure{config: c, report: r})
	}
}

// print writes the table of what happened.
func (s *summary) print(out io.Writer, took time.Duration) {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "what happened\ttimes")
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		fmt.Fprintf(table, "%s\t%d\n", what, s.counts[what])
	}
	_ = table.Flush() // the writer is the terminal: nothing else could be told either
	fmt.Fprintf(out, "\n%d seeds in %s (%.1f seeds/s), %d safety checks\n", s.seeds, took.Round(time.Millisecond), float64(s.seeds)/took.Seconds(), s.checks)
	fmt.Fprintf(out, "healed networks came to rest within %d rounds (bound %d)\n", s.rounds, sim.HealRounds)
	var never []string
	for _, what := range sim.Covered() {
		if s.counts[what] == 0 {
			never = append(never, what)
		}
	}
	switch {
	case len(never) > 0:
		fmt.Fprintf(out, "never happened in these runs: %q\n", never)
	default:
		fmt.Fprintln(out, "every kind of fault and every protocol event of the list happened")
	}
	switch {
	case len(s.failed) > 0:
		fmt.Fprintf(out, "%d seeds FAILED\n", len(s.failed))
	case len(s.without) > 0:
		fmt.Fprintf(out, "nothing was found WITHOUT %s: these seeds do not show that this is needed\n", s.without)
	default:
		fmt.Fprintln(out, "nothing lost, nothing leaked, everybody agrees")
	}
}
