package replica_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
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
			forked := l.edit(p, p.Set(ticket(1), "title", "common")).Replica
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
				clean(t, b, record.Dot{Replica: forked, N: max(cloud.chain(forked).Fork, 2)})
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

// A server that decides anew after it was set back may know better where two branches part: its
// later word takes the place of its own, not of another's.
func TestLaterWordOnAFork(t *testing.T) {
	t.Parallel()
	one, two := key("one").Public().(ed25519.PublicKey), key("two").Public().(ed25519.PublicKey)
	r := record.DerivedID("replica")
	var c replica.Copies
	for _, step := range []struct {
		by   ed25519.PublicKey
		n    uint64
		news bool
		last uint64
	}{{one, 5, true, 5}, {two, 7, false, 5}, {one, 6, true, 6}, {two, 3, true, 3}, {one, 6, false, 3}, {two, 3, false, 3}, {nil, 9, false, 3}} {
		news := c.Learn(wire.Page{Issuer: step.by, Forks: []record.Dot{{Replica: r, N: step.n}}})
		if news != step.news || c.Forks[r] != step.last {
			t.Errorf("%+v: news %v, last common number %d", step, news, c.Forks[r])
		}
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

// An app was copied, and one copy started anew: its card names a number of its own branch that no
// server has yet. The other branch comes to have that number by an edge: the later run's push said
// what the number means, so that the two are found to differ (SPEC R19, R33).
func TestCardBeforeItsPredecessor(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("ann")
	forked := l.edit(p, p.Set(ticket(1), "title", "common"))
	forked.N++
	twin := l.phone("ann")
	twin.State = p.State.Clone()
	l.edit(p, p.Set(ticket(2), "title", "one"))
	l.edit(twin, twin.Set(ticket(2), "note", "the other"))
	twin.Restart()
	later := l.edit(twin, twin.Set(ticket(3), "note", "a later run"))
	cloud.take(twin, yes, twin.Push(forked.Replica, 1))
	cloud.take(twin, yes, twin.Push(later.Replica, 10))
	edge.push(p, yes)
	for range 3 {
		l.meet(edge, cloud)
	}
	want(t, "ends", l.meet(edge, cloud), []string{})
	for _, b := range []*box{edge, cloud} {
		clean(t, b, forked)
		want(t, "the later run", b.chain(later.Replica).Held, 2)
	}
	for range 2 {
		cloud.push(twin, yes)
		cloud.pull(twin)
	}
	l.meet(edge, cloud)
	same(t, edge, cloud)
	want(t, "of the one", distinct(values(cloud.record(ticket(2)), "title")), []string{"one"})
	want(t, "of the other", distinct(values(cloud.record(ticket(2)), "note")), []string{"the other"})
	want(t, "of the later run", distinct(values(cloud.record(ticket(3)), "note")), []string{"a later run"})
	other := l.phone("bob")
	edge.pull(other)
	shows(t, other, edge, ticket(1), ticket(2), ticket(3))
}

// Two copies of an app gave one field two values under one number, one at each server, and no event
// shows it yet: that of the edge waits behind a gap. A merge would take both values away; it keeps
// them beside the record until the fork is decided (SPEC R34).
func TestOneNumberTwoValues(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("ann")
	l.edit(p, p.Set(ticket(1), "title", "common"))
	twin := l.phone("ann")
	twin.State = p.State.Clone()
	cloud.push(p, yes)
	cloud.pull(p) // which lets go of it: the edge has a gap there
	l.edit(p, p.Set(ticket(2), "title", "one"))
	l.edit(p, p.Set(ticket(3), "title", "more"))
	edge.push(p, yes)
	l.edit(twin, twin.Set(ticket(2), "title", "the other"))
	cloud.push(twin, yes)
	cloud.apply(edge, edge.read(0, nil)) // of a session whose hellos were said before all this
	want(t, "beside what the cloud shows", cloud.aside(ticket(2), "title"), []string{"one", "the other"})
	for range 3 {
		for _, app := range []*sim.Phone{p, twin} {
			for _, b := range []*box{edge, cloud} {
				b.push(app, yes)
				b.pull(app)
			}
		}
		l.meet(edge, cloud)
	}
	same(t, edge, cloud)
	want(t, "in the end", distinct(values(cloud.record(ticket(2)), "title")), []string{"one", "the other"})
	want(t, "beside it", len(edge.aside(ticket(2), "title"))+len(cloud.aside(ticket(2), "title")), 0)
}

// An edge's word cuts nobody's chain; of one that the cloud knows to be forked it may say a lower
// beginning, as the cloud itself did before it was set back (SPEC R33).
func TestLowerForkByAnEdge(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p, other := l.phone("ann"), l.phone("bob")
	for i := range 3 {
		l.edit(p, p.Set(ticket(1+i), "title", "common"))
	}
	whole := l.edit(other, other.Set(ticket(5), "title", "whole"))
	twin := l.phone("ann")
	twin.State = p.State.Clone()
	forked := l.edit(p, p.Set(ticket(1), "note", "one"))
	l.edit(twin, twin.Set(ticket(1), "note", "the other"))
	cloud.push(p, yes)
	cloud.push(other, yes)
	edge.push(twin, yes)
	l.meet(edge, cloud)
	clean(t, cloud, forked)
	h, err := edge.Hello(context.Background(), home, cloud.peer())
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.Held {
		if r := h.Held[i].Replica; r == forked.Replica || r == whole.Replica {
			h.Held[i].Fork = 2
		}
	}
	if _, err := cloud.Greet(context.Background(), home, edge.peer(), h); err != nil {
		t.Fatal(err)
	}
	clean(t, cloud, record.Dot{Replica: forked.Replica, N: 2})
	want(t, "a chain that nobody knows to be forked", []uint64{cloud.chain(whole.Replica).Fork, cloud.chain(whole.Replica).Held}, []uint64{0, 2})
	l.meet(edge, cloud)
	same(t, edge, cloud)
	clean(t, edge, record.Dot{Replica: forked.Replica, N: 2})
	for i := range 3 {
		want(t, "common", distinct(values(cloud.record(ticket(1+i)), "title")), []string{"common"})
	}
	want(t, "both branches", distinct(values(cloud.record(ticket(1)), "note")), []string{"one", "the other"})
}
