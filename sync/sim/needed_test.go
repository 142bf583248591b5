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
	steps        int
	faults       sim.Faults
	finds        []string // any of these
} {
	type want = struct {
		seed, within uint64
		steps        int
		faults       sim.Faults
		finds        []string
	}
	lost := []string{"lost:"}
	return map[sim.Rule]want{
		sim.PositionLock:     {11, 20, 300, sim.Network, []string{"lost:", "diverged:"}},
		sim.FreshIdentity:    {4, 20, 300, sim.Network | sim.RestoreEdge | sim.CloneEdge, lost},
		sim.NamedNumbers:     {4, 20, 300, sim.Network | sim.RestoreEdge | sim.CloneEdge, lost},
		sim.ExactRaising:     {10, 40, 300, sim.Network, lost},
		sim.ContiguousCursor: {87, 60, 300, sim.Network, []string{"lost:", "diverged:"}},
		sim.AdmissionFirst:   {8, 40, 300, sim.Network | sim.Refuse, lost},
		sim.SignedNumbers:    {18, 60, 300, sim.Network | sim.Forge, lost},
		sim.ViewHash:         {20, 60, 300, sim.Network | sim.Roles, []string{"diverged:"}},
		sim.EchoSession:      {3, 60, 300, sim.Network | sim.RestoreEdge | sim.RestoreCloud | sim.CloneEdge | sim.ClonePhone, []string{"lost:", "diverged:"}},
		sim.Seals:            {1, 20, 300, sim.Network | sim.RestoreEdge | sim.RestoreCloud, []string{"lost:", "diverged:"}},
	}
}

// masked are rules without which no run lost anything in some hundred seeds: what a phone was
// shown it returns (SPEC R30), and a rewound edge is offered everything (R15). That they are
// needed is shown by a test of package replica instead.
func masked() map[sim.Rule]string {
	return map[sim.Rule]string{
		sim.SettledReceipts: "TestSettled",
		sim.PageReader:      "TestPageForAnEarlierRun",
		sim.QuarantineJoin:  "TestQuarantineJoins",
	}
}

// Each rule is needed: where nobody keeps it, and everything else is as it ships, runs lose
// or reveal something that they do not with it.
func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	wants, others := needed(), masked()
	for _, rule := range sim.NeededRules() {
		if others[rule] != "" {
			continue
		}
		t.Run(string(rule), func(t *testing.T) {
			t.Parallel()
			want, ok := wants[rule]
			if !ok {
				t.Fatal("no seed is known that shows the need of it")
			}
			for n := want.seed; n < want.seed+want.within; n++ {
				c := sim.Config{Seed: n, Steps: want.steps, Faults: want.faults, Without: rule}
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
			t.Fatalf("seeds %d to %d show nothing: %s", want.seed, want.seed+want.within-1, sim.Config{Seed: want.seed, Steps: want.steps, Faults: want.faults, Without: rule}.Replay())
		})
	}
}
