package sim_test

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"

	"estate/sync/sim"
)

var (
	seeds   = flag.Uint64("sim.seeds", 400, "how many seeds to run (a tenth with -short)")
	seed    = flag.Uint64("sim.seed", 0, "run this seed only")
	steps   = flag.Int("sim.steps", sim.StepsUsual, "steps of each run")
	without = flag.String("sim.without", "", "rules that nobody keeps")
	kinds   = flag.String("sim.faults", "", "kinds of trouble of every run; empty: as the seed says")
)

func config(t *testing.T, n uint64) sim.Config {
	t.Helper()
	c := sim.Config{Seed: n, Steps: *steps, Faults: sim.FaultsOf(n)}
	var err error
	if c.Without, err = sim.ParseRules(*without); err != nil {
		t.Fatal(err)
	}
	if *kinds != "" {
		if c.Faults, err = sim.ParseFaults(*kinds); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// shards run side by side; a seed is a world of its own.
const shards = 4

// coverSeeds are enough seeds for everything of the list to happen many times or, at the
// rarest, some times: fewer seeds do not prove that it cannot.
const coverSeeds = 400

// TestSeeds runs many worlds; nothing may be lost, diverge or wait for ever in any.
func TestSeeds(t *testing.T) {
	first, last := uint64(1), *seeds
	if testing.Short() {
		last /= 10
	}
	if *seed != 0 {
		first, last = *seed, *seed
	}
	var mu sync.Mutex
	total := map[string]int{}
	t.Run("shards", func(t *testing.T) {
		for shard := range uint64(shards) {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for n := first + shard; n <= last; n += shards {
					c := config(t, n)
					report, err := sim.Run(c)
					if err != nil {
						t.Errorf("%v\nreplay: %s", err, c.Replay())
					}
					mu.Lock()
					for what, times := range report.Counts {
						total[what] += times
					}
					mu.Unlock()
				}
			})
		}
	})
	t.Log(total)
	if *seed != 0 || last < coverSeeds || t.Failed() {
		return
	}
	for _, what := range sim.Covered() {
		if total[what] == 0 {
			t.Errorf("%q never happened in %d runs", what, last)
		}
	}
}

// A run is the same each time.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	c := sim.Config{Seed: 77, Faults: sim.AllFaults()}
	a, _ := sim.Run(c)
	b, _ := sim.Run(c)
	if a.Digest != b.Digest || fmt.Sprint(a.Counts) != fmt.Sprint(b.Counts) {
		t.Fatalf("two runs of one seed differ:\n%v\n%v", a, b)
	}
	c.Seed++
	if b, _ = sim.Run(c); a.Digest == b.Digest {
		t.Fatal("two seeds make the same run")
	}
}

func found(r sim.Report, what string) bool {
	for _, v := range r.Violations {
		if strings.Contains(v, what) {
			return true
		}
	}
	return false
}
