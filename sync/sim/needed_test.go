package sim_test

import (
	"slices"
	"strings"
	"testing"

	"estate/sync/sim"
)

// needed says for each rule which seed finds what it prevents, under which faults. A change
// of the core moves what a seed does, so within seeds more are tried before the test fails.
func needed() map[sim.Rule]struct {
	seed, within uint64
	faults       sim.Faults
	often        sim.Faults
	finds        []string // any of these
} {
	type want = struct {
		seed, within  uint64
		faults, often sim.Faults
		finds         []string
	}
	lost := []string{"lost:"}
	return map[sim.Rule]want{
		sim.PositionLock:     {11, 20, sim.Network, 0, []string{"lost:", "diverged:"}},
		sim.FreshIdentity:    {5, 20, sim.Network | sim.RestoreEdge | sim.CloneEdge, 0, lost},
		sim.NamedNumbers:     {4, 20, sim.Network | sim.RestoreEdge | sim.CloneEdge, 0, lost},
		sim.ExactRaising:     {10, 40, sim.Network, 0, lost},
		sim.ContiguousCursor: {19, 60, sim.Network, sim.Network, []string{"in step with"}},
		sim.AdmissionFirst:   {8, 40, sim.Network | sim.Refuse, 0, lost},
		sim.SignedNumbers:    {18, 60, sim.Network | sim.Forge, 0, lost},
		sim.ViewHash:         {20, 60, sim.Network | sim.Roles, 0, []string{"diverged:"}},
		sim.EchoSession:      {3, 60, sim.Network | sim.RestoreEdge | sim.RestoreCloud | sim.CloneEdge | sim.ClonePhone, 0, []string{"lost:", "diverged:"}},
		sim.SettledReceipts:  {4, 20, sim.Network | sim.RestoreEdge, 0, lost},
		sim.PageReader:       {91, 60, sim.Network | sim.RestoreEdge, sim.RestoreEdge, []string{"in step with"}},
		sim.QuarantineJoin:   {30, 60, sim.BadRecord | sim.RestoreEdge, sim.BadRecord | sim.RestoreEdge, lost},
		sim.Seals:            {1, 20, sim.Network | sim.RestoreEdge | sim.RestoreCloud, 0, []string{"lost:", "diverged:"}},
	}
}

// Each rule is needed: where nobody keeps it, and everything else is as it ships, runs lose
// or reveal something that they do not with it.
func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	wants := needed()
	for _, rule := range sim.NeededRules() {
		t.Run(string(rule), func(t *testing.T) {
			t.Parallel()
			want, ok := wants[rule]
			if !ok {
				t.Fatal("no seed is known that shows the need of it")
			}
			for n := want.seed; n < want.seed+want.within; n++ {
				c := sim.Config{Seed: n, Faults: want.faults, Often: want.often, Without: rule}
				report, err := sim.Run(c)
				if err == nil || !slices.ContainsFunc(want.finds, func(what string) bool { return found(report, what) }) {
					continue
				}
				i := slices.IndexFunc(report.Violations, func(v string) bool {
					return slices.ContainsFunc(want.finds, func(what string) bool { return strings.Contains(v, what) })
				})
				t.Logf("%s finds: %s", c.Replay(), report.Violations[i])
				c.Without = ""
				if _, err := sim.Run(c); err != nil {
					t.Fatalf("with the rule kept: %v", err)
				}
				return
			}
			t.Fatalf("seeds %d to %d show nothing: %s", want.seed, want.seed+want.within-1, sim.Config{Seed: want.seed, Faults: want.faults, Often: want.often, Without: rule}.Replay())
		})
	}
}
