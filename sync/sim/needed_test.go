package sim_test

import (
	"slices"
	"strings"
	"testing"

	"estate/sync/sim"
)

// want says which seed finds what a rule prevents, under which faults, and what else is off
// then: a second line of defence hides the first.
type want struct {
	seed, within  uint64
	faults, often sim.Faults
	also          sim.RuleSet
	finds         []string // any of these
}

// needed says so for each rule. A change of the core moves what a seed does, so within seeds
// more are tried before the test fails.
func needed() map[sim.Rule]want {
	lost := []string{"lost:"}
	apart := []string{"lost:", "diverged:"}
	check := sim.RuleSet{sim.CursorCheck}
	restores := sim.Network | sim.RestoreEdge | sim.RestoreCloud
	return map[sim.Rule]want{
		sim.PositionLock:     {11, 20, sim.Network, 0, nil, apart},
		sim.FreshIdentity:    {5, 20, sim.Network | sim.RestoreEdge | sim.CloneEdge, 0, nil, []string{"lost:", "names two transactions"}},
		sim.NamedNumbers:     {4, 20, sim.Network | sim.RestoreEdge | sim.CloneEdge, 0, nil, lost},
		sim.ExactRaising:     {10, 40, sim.Network, 0, nil, lost},
		sim.ContiguousCursor: {19, 60, sim.Network, sim.Network, check, []string{"in step with"}},
		sim.AdmissionFirst:   {8, 40, sim.Network | sim.Refuse, 0, nil, lost},
		sim.SignedNumbers:    {18, 60, sim.Network | sim.Forge, 0, nil, lost},
		sim.ViewHash:         {20, 60, sim.Network | sim.Roles, 0, nil, []string{"diverged:"}},
		sim.EchoSession:      {3, 60, restores | sim.CloneEdge | sim.ClonePhone, 0, nil, apart},
		sim.SettledReceipts:  {4, 20, sim.Network | sim.RestoreEdge, 0, nil, lost},
		sim.PageReader:       {91, 60, sim.Network | sim.RestoreEdge, sim.RestoreEdge, check, []string{"in step with"}},
		sim.CursorCheck:      {1, 60, sim.Network | sim.ForkEdge, sim.ForkEdge, sim.RuleSet{sim.Seals}, apart},
		sim.QuarantineJoin:   {30, 60, sim.BadRecord | sim.RestoreEdge, sim.BadRecord | sim.RestoreEdge, nil, lost},
		sim.Unproven:         {4182, 200, sim.AllFaults(), 0, nil, lost},
		sim.Seals:            {1, 20, restores, 0, nil, apart},
	}
}

// Each rule is needed: where nobody keeps it, and all else but what makes up for it is as it
// ships, runs lose or reveal something that they do not with it.
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
				c := sim.Config{Seed: n, Faults: want.faults, Often: want.often, Without: append(slices.Clone(want.also), rule)}
				report, err := sim.Run(c)
				if err == nil || !slices.ContainsFunc(want.finds, func(what string) bool { return found(report, what) }) {
					continue
				}
				i := slices.IndexFunc(report.Violations, func(v string) bool {
					return slices.ContainsFunc(want.finds, func(what string) bool { return strings.Contains(v, what) })
				})
				t.Logf("%s finds: %s", c.Replay(), report.Violations[i])
				c.Without = want.also
				if _, err := sim.Run(c); err != nil {
					t.Fatalf("with the rule kept: %v", err)
				}
				return
			}
			t.Fatalf("seeds %d to %d of %s show nothing with %s", want.seed, want.seed+want.within-1, rule, want.faults)
		})
	}
}
