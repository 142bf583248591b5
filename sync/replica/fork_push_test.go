package replica_test

import (
	"fmt"
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/sim"
	"estate/sync/wire"
)

// unproven is up to where a box holds a phone's chain beyond its card and all signed heads over
// events that it holds; zero for nowhere.
func (b *box) unproven(r record.ReplicaID) uint64 {
	c := b.chain(r)
	if c.Signed != nil && c.Signed.N == c.Held && c.Signed.Hash == c.Hash || c.Proof != nil && c.Proof.N == c.Held && c.Proof.Hash == c.Hash || c.Fork > 0 || c.Held == 1 {
		return 0
	}
	return c.Held
}

// An edge has, by another phone's return, a signature of one branch of a copied app, and the
// other copy pushes: nothing of it is taken that leads to a head over another history, for no
// head would prove it, and nobody could ever decide on the fork (SPEC R33).
func TestPushAgainstAReturnedHead(t *testing.T) {
	for name, n := range map[string]struct{ common, shown, pushed int }{
		"as long as the branch that it was shown": {shown: 2, pushed: 2},
		"longer":                         {shown: 2, pushed: 4},
		"shorter":                        {shown: 3, pushed: 2},
		"behind what is common":          {common: 1, shown: 2, pushed: 2},
		"behind what is common, longer":  {common: 1, shown: 2, pushed: 3},
		"behind what is common, shorter": {common: 1, shown: 3, pushed: 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			p := l.phone("ann")
			forked := l.edit(p, p.Set(ticket(1), "title", "common")).Replica
			twin := l.phone("ann")
			twin.State = p.State.Clone()
			if n.common > 0 {
				edge.push(p, yes)
			}
			for i := range n.shown {
				l.edit(twin, twin.Set(ticket(2+i), "title", "shown"))
			}
			cloud.push(twin, yes)
			other := l.phone("bob")
			cloud.pull(other)
			edge.pull(other)
			edge.giveBack(other)
			want(t, "returned", values(edge.record(ticket(2)), "title"), []string{"shown"})
			for i := range n.pushed {
				l.edit(p, p.Set(ticket(2+i), "note", fmt.Sprintf("pushed %d", i)))
			}
			edge.push(p, yes)
			want(t, "held and not proven", edge.unproven(forked), 0)
			for range 4 {
				edge.push(p, yes)
				cloud.push(twin, yes)
				l.meet(edge, cloud)
				for _, app := range []*sim.Phone{p, twin} {
					edge.pull(app)
					cloud.push(app, yes)
					cloud.pull(app)
					cloud.giveBack(app)
				}
			}
			want(t, "ends", l.meet(edge, cloud), []string{})
			same(t, edge, cloud)
			for i := range n.pushed {
				want(t, "of the one", distinct(values(cloud.record(ticket(2+i)), "note")), []string{fmt.Sprintf("pushed %d", i)})
			}
			for i := range n.shown {
				want(t, "of the other", distinct(values(cloud.record(ticket(2+i)), "title")), []string{"shown"})
			}
			want(t, "outboxes", len(p.State.Log)+len(twin.State.Log), 0)
			shows(t, p, cloud, ticket(1), ticket(2), ticket(3))
			shows(t, twin, cloud, ticket(1), ticket(2), ticket(3))
		})
	}
}

// The same behind a gap: what waits there is proven by no head either, and the push is answered
// transaction by transaction, not refused whole (SPEC R33).
func TestPushBehindAGapAgainstAReturnedHead(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("ann")
	l.edit(p, p.Set(ticket(1), "title", "common"))
	cloud.push(p, yes)
	cloud.pull(p) // which lets go of it
	twin := l.phone("ann")
	twin.State = p.State.Clone()
	for i := range 2 {
		l.edit(twin, twin.Set(ticket(2+i), "title", "shown"))
		l.edit(p, p.Set(ticket(2+i), "note", "pushed"))
	}
	cloud.push(twin, yes)
	other := l.phone("bob")
	cloud.pull(other)
	edge.pull(other)
	edge.giveBack(other)
	answer := edge.push(p, yes)
	for _, r := range answer.Results {
		want(t, fmt.Sprint("answer for ", r.Dot.N), len(r.Refused) == 1 && r.Refused[0].Code == wire.CodeChainFork, r.Dot.N > 1)
	}
	for range 3 {
		edge.push(p, yes)
		l.meet(edge, cloud)
	}
	same(t, edge, cloud)
	for i := range 2 {
		want(t, "of the one", distinct(values(cloud.record(ticket(2+i)), "note")), []string{"pushed"})
		want(t, "of the other", distinct(values(cloud.record(ticket(2+i)), "title")), []string{"shown"})
	}
}

// A restored cloud has, by the edge, the one branch of a copied app, and of the other only what
// that app's screen shows: no event is left. The app knows that it was copied and signs what it
// wrote, number by number, so that the cloud can decide; else its screen would show old names
// beside new ones for good (SPEC R33).
func TestCopiedAppAfterARestore(t *testing.T) {
	for name, more := range map[string]int{"shorter": 0, "as long": 1, "longer": 3} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			p := l.phone("ann")
			replica := l.edit(p, p.Set(ticket(1), "title", "common")).Replica
			twin := l.phone("ann")
			twin.State = p.State.Clone()
			backup := cloud.store.Snapshot()
			l.edit(p, p.Set(ticket(2), "title", "one"))
			l.edit(p, p.Set(ticket(3), "title", "one"))
			cloud.push(p, yes)
			cloud.pull(p)
			want(t, "outbox", len(p.State.Log), 0)
			for range 1 + more {
				l.edit(twin, twin.Set(ticket(3), "note", "the other"))
			}
			edge.push(twin, yes)
			cloud.restore(backup)
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
			same(t, edge, cloud)
			want(t, "of the one", distinct(values(cloud.record(ticket(2)), "title")), []string{"one"})
			want(t, "of the other", distinct(values(cloud.record(ticket(3)), "note")), []string{"the other"})
			for _, b := range []*box{edge, cloud} {
				clean(t, b, record.Dot{Replica: replica, N: max(cloud.chain(replica).Fork, 2)})
			}
			for _, app := range []*sim.Phone{p, twin} {
				shows(t, app, cloud, ticket(1), ticket(2), ticket(3))
				if doubts := app.Pull(cloud.ID()); len(doubts.Replicas) > 0 {
					t.Errorf("asks for %v still", doubts.Replicas)
				}
			}
		})
	}
}

// The cloud decided on a fork of an app and told one of the copies, and was then set back to before
// that: its word is forgotten with it. The phones show what the cloud shows, and those that were
// copied let it decide anew (SPEC R33).
func TestForkThatARestoredCloudForgot(t *testing.T) {
	for name, left := range map[string]bool{"both copies are left": true, "one of them": false} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			p, other := l.phone("ann"), l.phone("bob")
			l.edit(p, p.Set(ticket(1), "title", "common"))
			twin := l.phone("ann")
			twin.State = p.State.Clone()
			backup := cloud.store.Snapshot()
			l.edit(p, p.Set(ticket(2), "title", "one"))
			l.edit(twin, twin.Set(ticket(2), "note", "the other"))
			cloud.push(p, yes)
			cloud.pull(twin)
			cloud.pull(twin)
			cloud.pull(other)
			want(t, "the cloud has decided", len(other.State.Copies.Forks), 1)
			cloud.restore(backup)
			edge.push(p, yes)
			apps := []*sim.Phone{p, other}
			if left {
				apps = append(apps, twin)
			}
			for range 3 {
				l.meet(edge, cloud)
				for _, app := range apps {
					for _, b := range []*box{edge, cloud} {
						b.push(app, yes)
						b.pull(app)
						b.giveBack(app)
					}
				}
			}
			same(t, edge, cloud)
			want(t, "of the one", distinct(values(cloud.record(ticket(2)), "title")), []string{"one"})
			if left {
				want(t, "of the other", distinct(values(cloud.record(ticket(2)), "note")), []string{"the other"})
			}
			for _, app := range apps {
				shows(t, app, cloud, ticket(1), ticket(2))
			}
		})
	}
}

// Two copies of an app push to an edge behind gaps, the head of the one below that of the other:
// once the gap is filled, what is held is proven (SPEC R23).
func TestHeadsOverWaitingEvents(t *testing.T) {
	for name, higherFirst := range map[string]bool{"the higher head first": true, "the lower head first": false} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			p := l.phone("ann")
			l.edit(p, p.Set(ticket(1), "title", "common"))
			cloud.push(p, yes)
			cloud.pull(p) // which lets go of it: the edge has a gap there
			twin := l.phone("ann")
			twin.State = p.State.Clone()
			forked := l.edit(p, p.Set(ticket(2), "title", "one"))
			for i := range 3 {
				l.edit(twin, twin.Set(ticket(2), "note", fmt.Sprintf("another %d", i)))
			}
			cloud.push(twin, yes)
			cloud.pull(twin) // which lets go of the number that the first wrote, too
			l.edit(twin, twin.Set(ticket(3), "note", "the last"))
			pushes := []*sim.Phone{p, twin}
			if higherFirst {
				pushes = []*sim.Phone{twin, p}
			}
			for _, app := range pushes {
				edge.push(app, yes)
			}
			want(t, "at the edge", []int{len(values(edge.record(ticket(2)), "title")), len(values(edge.record(ticket(3)), "note"))}, []int{1, 1})
			c := edge.chain(forked.Replica)
			proven := slices.ContainsFunc(append(c.Ahead, *c.Signed), func(h record.Head) bool { return h.N == forked.N })
			want(t, "the lower head is kept", proven, true)
			for range 3 {
				l.meet(edge, cloud)
				for _, app := range pushes {
					edge.push(app, yes)
					cloud.push(app, yes)
					cloud.pull(app)
				}
			}
			same(t, edge, cloud)
			want(t, "of the one", distinct(values(cloud.record(ticket(2)), "title")), []string{"one"})
			want(t, "of the other", distinct(values(cloud.record(ticket(2)), "note")), []string{"another 2"})
			want(t, "the last", distinct(values(cloud.record(ticket(3)), "note")), []string{"the last"})
		})
	}
}
