package replica_test

import (
	"fmt"
	"slices"
	"testing"

	"estate/sync/sim"
)

// The cloud decided on a fork of an app, told an edge, and was then set back to before both branches
// came. The apps have let go of what was settled: the edge alone has a branch, beside the chain, and
// the cloud asks it for that. So the heads that a copy tells have something to contradict (SPEC R33).
func TestForkThatAnEdgeRemembers(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("ann")
	l.edit(p, p.Set(ticket(1), "title", "common"))
	cloud.push(p, yes)
	twin := l.phone("ann")
	twin.State = p.State.Clone()
	backup := cloud.store.Snapshot()
	for n := range 3 {
		l.edit(p, p.Set(ticket(2+n), "title", "one"))
	}
	fork := l.edit(twin, twin.Set(ticket(2), "note", "the other"))
	cloud.push(p, yes)
	l.meet(edge, cloud)
	cloud.pull(p)
	cloud.pull(twin)
	cloud.pull(twin)
	edge.greet(cloud) // and the line breaks before the event that tells of the fork
	fork.N = cloud.chain(fork.Replica).Fork
	clean(t, edge, fork)
	cloud.restore(backup)
	cloud.pull(p)
	cloud.giveBack(p) // by its head alone, for what was settled it has let go of
	for range 3 {
		l.meet(edge, cloud)
		for _, app := range []*sim.Phone{p, twin} {
			for _, b := range []*box{edge, cloud} {
				b.push(app, yes)
				b.pull(app)
				b.giveBack(app)
			}
		}
	}
	l.meet(edge, cloud)
	clean(t, cloud, fork)
	same(t, edge, cloud)
	want(t, "held back", len(edge.held(cloud))+len(cloud.held(edge)), 0)
	want(t, "of the one", distinct(values(cloud.record(ticket(3)), "title")), []string{"one"})
	want(t, "of the other", distinct(values(cloud.record(ticket(2)), "note")), []string{"the other"})
}

// A copy of an app has settled at a cloud that was then set back, and what it wrote is left on its
// own screen only. An edge shows it the longer branch of the other copy, whose numbers cover what the
// edge never had: by them alone the app must not let go of what it was shown (SPEC R30, R33).
func TestShownTheOtherBranch(t *testing.T) {
	for name, longer := range map[string]int{"as long": 1, "longer": 3} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			p := l.phone("ann")
			l.edit(p, p.Set(ticket(1), "title", "common"))
			twin := l.phone("ann")
			twin.State = p.State.Clone()
			backup := cloud.store.Snapshot()
			l.edit(twin, twin.Set(ticket(1), "title", "on one screen only"))
			cloud.push(twin, yes)
			cloud.pull(twin)
			want(t, "not settled", len(twin.State.Log), 0)
			cloud.restore(backup)
			for n := range longer {
				l.edit(p, p.Set(ticket(1), "title", fmt.Sprintf("of the other %d", n)))
			}
			edge.push(p, yes)
			for range 3 {
				for _, app := range []*sim.Phone{twin, p} {
					for _, b := range []*box{edge, cloud} {
						b.push(app, yes)
						b.pull(app)
						b.giveBack(app)
					}
				}
				l.meet(edge, cloud)
			}
			same(t, edge, cloud)
			got := distinct(values(cloud.record(ticket(1)), "title"))
			want(t, "both", slices.Contains(got, "on one screen only") && slices.Contains(got, fmt.Sprintf("of the other %d", longer-1)), true)
		})
	}
}
