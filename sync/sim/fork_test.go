package sim_test

import (
	"testing"

	"estate/sync/sim"
)

// forkSeeds take about two seconds for each kind.
const forkSeeds = 40

// Running edges and apps are copied, memory and all, and the cloud's database is set back to an
// image of its memory: nothing is lost, and all end alike, the
// phones' screens included. With copies of edges phones return nothing here: what they carry
// from branch to branch before any server has compared the two may still take values away
// (the open rows of sync/README.md).
func TestForks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    sim.Faults
		without sim.RuleSet
		met     []string
	}{
		"edge":  {sim.ForkEdge, sim.RuleSet{sim.Seals}, []string{"fork edge", "fork told", "alarm chain_fork"}},
		"phone": {sim.ForkPhone, nil, []string{"fork phone", "fork told", "alarm chain_fork", "refused chain_fork", "app found copied"}},
		"cloud": {sim.ForkCloud, nil, []string{"fork cloud", "fork told", "other history", "restored by a phone"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			total := map[string]int{}
			for seed := uint64(1); seed <= forkSeeds; seed++ {
				c := sim.Config{Seed: seed, Faults: sim.Network | c.kind, Often: c.kind, Without: c.without}
				report, err := sim.Run(c)
				if err != nil {
					t.Errorf("%v\nreplay: %s", err, c.Replay())
				}
				for what, times := range report.Counts {
					total[what] += times
				}
			}
			for _, what := range c.met {
				if total[what] == 0 {
					t.Errorf("%q never happened in %d runs", what, forkSeeds)
				}
			}
		})
	}
}

// Each of these runs once left a fork undecided for ever: what the two sides said in their
// hellos and first pages did not tell which chain had two branches.
func TestForksThatNobodySaw(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{75, 77, 87, 92, 3087, 3215, 3445, 3511} {
		c := sim.Config{Seed: seed, Faults: sim.AllFaults()}
		if _, err := sim.Run(c); err != nil {
			t.Errorf("%v\nreplay: %s", err, c.Replay())
		}
	}
}

// In each of these runs values of one branch of a fork once vanished: what a phone had been
// shown of the other came back by it, with no event of either (SPEC R34).
func TestForksThatPhonesCarry(t *testing.T) {
	t.Parallel()
	kept := 0
	for _, seed := range []uint64{3321, 4182, 4274} {
		c := sim.Config{Seed: seed, Faults: sim.AllFaults()}
		report, err := sim.Run(c)
		if err != nil {
			t.Errorf("%v\nreplay: %s", err, c.Replay())
		}
		kept += report.Counts["kept aside"]
	}
	if kept == 0 {
		t.Error("nothing was kept aside")
	}
}

// In each of these runs the fork of a copied app was once decided by nobody: no head proved what a
// server held of the one branch, or of the one branch no event was left (SPEC R23, R33).
func TestCopiedAppsThatNobodyDecidedOn(t *testing.T) {
	t.Parallel()
	restored := sim.Network | sim.RestoreCloud | sim.Crash | sim.CloudPair | sim.CloneEdge
	for seed, faults := range map[uint64]sim.Faults{178: sim.Network, 450: sim.Network, 14: restored} {
		c := sim.Config{Seed: seed, Faults: faults | sim.ForkPhone, Often: sim.ForkPhone}
		if _, err := sim.Run(c); err != nil {
			t.Errorf("%v\nreplay: %s", err, c.Replay())
		}
	}
}
