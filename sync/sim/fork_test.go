package sim_test

import (
	"testing"

	"estate/sync/sim"
)

// forkSeeds take about two seconds.
const forkSeeds = 40

// Running edges are copied, memory and all: nothing is lost, and all end alike. Phones return
// nothing here: what they carry from branch to branch before any server has compared the two
// may still take values away (the open rows of sync/README.md).
func TestForks(t *testing.T) {
	t.Parallel()
	total := map[string]int{}
	for seed := uint64(1); seed <= forkSeeds; seed++ {
		c := sim.Config{Seed: seed, Faults: sim.Network | sim.ForkEdge, Often: sim.ForkEdge, Without: sim.RuleSet{sim.Seals}}
		report, err := sim.Run(c)
		if err != nil {
			t.Errorf("%v\nreplay: %s", err, c.Replay())
		}
		for what, times := range report.Counts {
			total[what] += times
		}
	}
	for _, what := range []string{"fork edge", "fork told", "alarm chain_fork"} {
		if total[what] == 0 {
			t.Errorf("%q never happened in %d runs", what, forkSeeds)
		}
	}
}
