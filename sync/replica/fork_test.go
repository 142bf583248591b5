package replica_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// copyOf is a copy of a running node: the same key, the same disk, and the same run, so
// that it does not notice.
func (b *box) copyOf(name string) *box {
	c := b.lab.node("copy of "+name, b.Tier)
	c.Key = b.Key
	c.store, c.boot, c.skew = b.store.Snapshot(), b.boot, b.skew
	c.fault.Store = c.store
	c.Random = rand.NewChaCha8(sha256.Sum256([]byte("copy of " + name)))
	return c
}

// clean holds a store to the end of a fork's remedy: no number beyond it counts anywhere.
func clean(t *testing.T, b *box, fork record.Dot) {
	t.Helper()
	feed, err := b.store.Feed(context.Background(), home, 0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range feed.Items {
		if item.Event != nil {
			if item.Event.Replica == fork.Replica && item.Event.N >= fork.N {
				t.Errorf("event %d is still part of its chain", item.Event.N)
			}
			continue
		}
		r, err := record.Decode(item.Body)
		if err != nil {
			t.Fatal(err)
		}
		dots := r.Context.Reaches()
		for _, f := range r.Fields {
			for _, s := range f.Siblings {
				dots = append(dots, s.Dot)
			}
		}
		for _, d := range dots {
			if d.Replica == fork.Replica && d.N >= fork.N {
				t.Errorf("%s still reaches %d of the fork at %d", item.Key, d.N, fork.N)
			}
		}
	}
	c := b.chain(fork.Replica)
	if c.Fork != fork.N || c.Cut != fork.N || c.Held >= fork.N {
		t.Errorf("the chain is held to %d, forked at %d, cut at %d; want a fork at %d", c.Held, c.Fork, c.Cut, fork.N)
	}
}

// evidence lists the actions of a forked chain's events beyond the fork.
func (b *box) evidence(fork record.Dot) (out []string) {
	b.lab.t.Helper()
	rows, err := b.store.Branches(context.Background(), home, replica.EventRow{Replica: fork.Replica, N: fork.N}, math.MaxInt)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	for _, row := range rows {
		if row.Replica == fork.Replica {
			out = append(out, fmt.Sprint(row.N))
		}
	}
	return out
}

// A running edge is copied: both go on under one replica. Both branches stand in the end,
// everywhere alike (SPEC R33; trace u04).
func TestForkOfARunningEdge(t *testing.T) {
	for name, n := range map[string]struct{ ours, theirs int }{
		"as long": {2, 2}, "copy is longer": {2, 5}, "copy is shorter": {5, 2}, "one each": {1, 1}, "long branches": {700, 600},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			edge.write(ticket(1), text("title", "common"), text("note", "untouched"))
			last := edge.write(ticket(2), text("title", "common"))
			l.meet(edge, cloud)
			twin := edge.copyOf("edge")
			fork := record.Dot{Replica: last.Replica, N: last.N + 1}
			edge.write(ticket(1), text("title", "ours"))
			for i := 1; i < n.ours; i++ {
				edge.write(ticket(10+i), text("title", fmt.Sprintf("ours %d", i)))
			}
			twin.write(ticket(1), text("title", "theirs"))
			for i := 1; i < n.theirs; i++ {
				twin.write(ticket(10+i), text("title", fmt.Sprintf("theirs %d", i)))
			}
			want(t, "without a fork", l.meet(edge, cloud), []string{})
			want(t, "ends", l.meet(twin, cloud), []string{wire.CodeChainFork})
			clean(t, cloud, fork)
			clean(t, twin, fork)
			cloud.write(ticket(3), text("title", "the cloud goes on"))
			edge.write(ticket(4), text("title", "the edge does not know yet"))
			l.meet(edge, cloud)
			l.meet(twin, cloud)
			l.meet(edge, cloud)
			for _, b := range []*box{edge, twin, cloud} {
				clean(t, b, fork)
				want(t, "both branches", distinct(values(b.record(ticket(1)), "title")), []string{"ours", "theirs"})
				want(t, "what was common", values(b.record(ticket(1)), "note"), []string{"untouched"})
				want(t, "what was common", values(b.record(ticket(2)), "title"), []string{"common"})
				want(t, "late", values(b.record(ticket(4)), "title")[0], "the edge does not know yet")
				for i := 1; i < min(n.ours, n.theirs); i++ {
					want(t, "both branches", distinct(values(b.record(ticket(10+i)), "title")), []string{fmt.Sprintf("ours %d", i), fmt.Sprintf("theirs %d", i)})
				}
				want(t, "held back", len(b.held(cloud))+len(b.held(edge)), 0)
			}
			same(t, edge, cloud)
			same(t, twin, cloud)
			if len(edge.evidence(fork)) < n.ours || len(twin.evidence(fork)) < n.theirs {
				t.Errorf("evidence: %d of %d events at the edge, %d of %d at its copy", len(edge.evidence(fork)), n.ours, len(twin.evidence(fork)), n.theirs)
			}
		})
	}
}

func distinct(in []string) []string {
	out := in[:0:0]
	for i, v := range in {
		if i == 0 || in[i-1] != v {
			out = append(out, v)
		}
	}
	return out
}

// A fork of a phone's replica, one branch at each server, reaches a third node late. The
// phone's next push to either side is refused: its app starts a new replica (SPEC R33).
func TestForkOfAPhone(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	third := l.node("third", record.TierEdge)
	p := l.phone("ann")
	l.edit(p, p.Set(ticket(1), "title", "common"))
	edge.push(p, yes)
	l.meet(edge, cloud)
	l.meet(third, cloud)
	twin := l.phone("ann")
	twin.State = p.State.Clone()
	fork := l.edit(p, p.Set(ticket(1), "title", "ours"))
	l.edit(p, p.Set(ticket(2), "title", "ours"))
	l.edit(twin, twin.Set(ticket(1), "title", "theirs"))
	edge.push(p, yes)
	cloud.push(twin, yes)
	l.meet(third, cloud) // merges the branch that is not the edge's
	want(t, "ends", l.meet(edge, cloud), []string{wire.CodeChainFork})
	l.meet(third, cloud)
	l.meet(edge, cloud)
	for _, b := range []*box{edge, cloud, third} {
		clean(t, b, fork)
		want(t, "both branches", distinct(values(b.record(ticket(1)), "title")), []string{"ours", "theirs"})
		want(t, "what only one wrote", distinct(values(b.record(ticket(2)), "title")), []string{"ours"})
	}
	same(t, edge, cloud)
	same(t, third, cloud)
	l.edit(p, p.Set(ticket(3), "title", "on the old replica"))
	answer, err := edge.tryPush(p, yes, p.Push(fork.Replica, wire.PushItemsMax-1))
	if err != nil {
		t.Fatal(err)
	}
	refused := slices.ContainsFunc(answer.Results, func(r wire.PushResult) bool {
		return len(r.Refused) == 1 && r.Refused[0] == wire.RefusedPart{Code: wire.CodeChainFork}
	})
	if _, stands := edge.load(replica.Need{Keys: []record.Key{ticket(3)}}).Records[ticket(3)]; !refused || stands {
		t.Fatalf("answered %+v, and the edge holds it: %v", answer.Results, stands)
	}
}

// An edge cannot make up a fork of another node's chain: the cloud cuts only what it holds
// two signed branches of (SPEC R33).
func TestForgedFork(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	evil := l.node("evil", record.TierEdge)
	at := edge.write(ticket(1), text("title", "true"))
	l.meet(edge, cloud)
	l.meet(evil, cloud)
	e := edge.events(at.Replica)[1]
	e.EventTime++ // another event 2, with the right link to event 1
	item, _ := encoded(t, e)
	h, err := evil.Hello(context.Background(), home, cloud.peer())
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.Held {
		if h.Held[i].Replica == at.Replica {
			h.Held[i].Hash, h.Held[i].Fork = record.HashEvent(item.Body), 2
			h.Held[i].Signed = nil
		}
	}
	g, err := cloud.Greet(context.Background(), home, evil.peer(), h)
	if err != nil || g.Disputed {
		t.Fatalf("greeting %+v, %v", g, err)
	}
	a := cloud.apply(evil, wire.Page{Events: []wire.EventItem{item}, Heads: []record.Head{record.SignHead(evil.Key, home, at.Replica, 2, record.HashEvent(item.Body))}})
	want(t, "decided", a.Forked, false)
	// Nor does its word in an event of its own count.
	evil.write(ticket(9), text("title", "x"))
	want(t, "fork", cloud.chain(at.Replica).Fork, 0)
	edge.write(ticket(1), text("title", "truer"))
	want(t, "ends", l.meet(edge, cloud), []string{})
	want(t, "title", values(cloud.record(ticket(1)), "title"), []string{"truer"})
}

// encoded builds the wire form of an event.
func encoded(t *testing.T, e record.Event) (wire.EventItem, record.Event) {
	t.Helper()
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return wire.EventItem{Body: body, Replica: e.Replica, N: e.N}, e
}

// A cloud that was restored from a backup of before the fork learns of it from its own
// event, which the edges bring back (SPEC R15, R33).
func TestForkBeforeARewind(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	last := edge.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	twin := edge.copyOf("edge")
	fork := record.Dot{Replica: last.Replica, N: last.N + 1}
	edge.write(ticket(1), text("title", "ours"))
	twin.write(ticket(1), text("title", "theirs"))
	l.meet(edge, cloud)
	backup := cloud.store.Snapshot()
	l.meet(twin, cloud)
	l.meet(edge, cloud)
	cloud.restore(backup)
	cloud.write(ticket(2), text("title", "after the restore"))
	l.meet(twin, cloud)
	l.meet(edge, cloud)
	l.meet(twin, cloud)
	for _, b := range []*box{edge, twin, cloud} {
		clean(t, b, fork)
		want(t, "both branches", distinct(values(b.record(ticket(1)), "title")), []string{"ours", "theirs"})
		want(t, "after", values(b.record(ticket(2)), "title"), []string{"after the restore"})
	}
	same(t, edge, cloud)
	same(t, twin, cloud)
}

// The cloud's own running replica is copied (SPEC R33).
func TestForkOfTheCloud(t *testing.T) {
	for name, longer := range map[string]int{"edge's branch is longer": 3, "as long": 1} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			last := cloud.write(ticket(1), text("title", "common"))
			l.meet(edge, cloud)
			twin := cloud.copyOf("cloud")
			fork := record.Dot{Replica: last.Replica, N: last.N + 1}
			setting := record.Key{Building: home, Kind: sim.Setting, ID: record.DerivedID("setting", "1")}
			for i := range longer {
				cloud.write(ticket(1+i), text("title", "ours"))
			}
			cloud.write(setting, text("value", "ours"))
			twin.write(ticket(1), text("title", "theirs"))
			twin.write(setting, text("value", "theirs"))
			l.meet(edge, cloud)
			want(t, "ends", l.meet(edge, twin), []string{wire.CodeChainFork})
			want(t, "both branches", distinct(values(twin.record(ticket(1)), "title")), []string{"ours", "theirs"})
			want(t, "what an edge may not write, by the cloud's own events", distinct(values(twin.record(setting), "value")), []string{"ours", "theirs"})
			l.meet(edge, cloud)
			l.meet(edge, twin)
			l.meet(edge, cloud)
			for _, b := range []*box{edge, twin, cloud} {
				clean(t, b, fork)
				want(t, "both branches", distinct(values(b.record(ticket(1)), "title")), []string{"ours", "theirs"})
				want(t, "both settings", distinct(values(b.record(setting), "value")), []string{"ours", "theirs"})
			}
			same(t, edge, cloud)
			same(t, edge, twin)
		})
	}
}

// What a phone was shown in one branch of a fork takes nothing away where the other is held,
// though nobody has decided on the fork yet: neither what it returns nor what it replaces
// (SPEC R9, R30, R33).
func TestForkByAPhone(t *testing.T) {
	for name, back := range map[string]func(l *lab, p *sim.Phone, cloud *box){
		"returned": func(l *lab, p *sim.Phone, cloud *box) {
			cloud.pull(p)
			cloud.giveBack(p)
			if !slices.Contains(values(cloud.record(ticket(1)), "title"), "ours") {
				l.t.Errorf("what the phone had is not taken: %v", values(cloud.record(ticket(1)), "title"))
			}
		},
		"replaced": func(l *lab, p *sim.Phone, cloud *box) {
			l.edit(p, p.Set(ticket(1), "title", "seen the one branch"))
			cloud.push(p, yes)
		},
	} {
		for _, longer := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " longer ", longer), func(t *testing.T) {
				l := newLab(t)
				edge, cloud := l.pair()
				edge.write(ticket(1), text("title", "common"))
				l.meet(edge, cloud)
				twin := edge.copyOf("edge")
				edge.write(ticket(1), text("title", "ours"))
				l.now++
				twin.write(ticket(1), text("title", "theirs"))
				p := l.phone("ann")
				edge.pull(p)
				if longer {
					edge.write(ticket(2), text("title", "more"))
					edge.pull(p) // which then proves the number by a head that says nothing here
				}
				l.meet(twin, cloud)
				back(l, p, cloud)
				if !slices.Contains(values(cloud.record(ticket(1)), "title"), "theirs") {
					t.Errorf("the cloud has %v", values(cloud.record(ticket(1)), "title"))
				}
				for range 2 {
					l.meet(edge, cloud)
					l.meet(twin, cloud)
				}
				for _, v := range []string{"ours", "theirs"} {
					if !slices.Contains(values(cloud.record(ticket(1)), "title"), v) {
						t.Errorf("%s is lost: %v", v, values(cloud.record(ticket(1)), "title"))
					}
				}
				same(t, edge, cloud)
				same(t, twin, cloud)
			})
		}
	}
}

// What another edge sends while a fork is suspected, and what lies below it, merges once the
// fork is decided: that edge has nothing to mend and does not send it again (SPEC R33).
func TestHeldBackBelowTheFork(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	third := l.node("third", record.TierEdge)
	edge.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	l.meet(third, cloud)
	twin := edge.copyOf("edge")
	edge.write(ticket(2), text("title", "ours"))
	l.meet(edge, cloud)
	for range 3 {
		twin.write(ticket(3), text("note", "theirs"), text("title", fmt.Sprint(twin.position())))
	}
	page := twin.read(0, nil)
	page.Events = page.Events[:len(page.Events)-1]
	cloud.apply(twin, page) // the line then ends, before the events that its head signs
	l.meet(third, cloud)
	third.write(ticket(1), text("note", "of a third"))
	l.meet(third, cloud)
	want(t, "held back", len(cloud.held(third)), 1)
	for range 2 {
		l.meet(edge, cloud)
		l.meet(twin, cloud)
		l.meet(third, cloud)
	}
	want(t, "held back", len(cloud.held(third)), 0)
	l.meet(edge, cloud)
	l.meet(twin, cloud)
	want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"of a third"})
	same(t, edge, cloud)
	same(t, twin, cloud)
	same(t, third, cloud)
}

// A copy of a running edge has the same run, so the cloud's cursor seems to fit its feed,
// though what lies below it there is something else: what the cloud does not hold tells. No
// number need be forked for that (SPEC R12, R33).
func TestCursorOfACopy(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p, q := l.phone("ann"), l.phone("bob")
	l.meet(edge, cloud)
	twin := edge.copyOf("edge")
	l.edit(p, p.Set(ticket(1), "title", "told to the edge"))
	l.edit(q, q.Set(ticket(2), "title", "told to its copy"))
	edge.push(p, yes)
	twin.push(q, yes)
	l.meet(edge, cloud)
	l.meet(twin, cloud)
	l.meet(edge, cloud)
	want(t, "of the edge", values(cloud.record(ticket(1)), "title"), []string{"told to the edge"})
	want(t, "of its copy", values(cloud.record(ticket(2)), "title"), []string{"told to its copy"})
	same(t, edge, cloud)
	same(t, twin, cloud)
}

// A running cloud is set back to an image of its memory, or copied: an edge holds one branch of
// its chain and has seen a head of the other. What proves the branch that it holds must not be
// lost by that, or the fork is never decided (SPEC R33).
func TestProofOfABranchStays(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	twin := cloud.copyOf("cloud")
	twin.write(ticket(2), text("title", "of the copy"))
	l.meet(edge, twin)
	cloud.write(ticket(3), text("title", "of the cloud"))
	cloud.write(ticket(4), text("title", "a longer branch"))
	edge.greet(cloud) // and the line breaks before the cloud's greeting
	l.meet(edge, cloud)
	l.meet(edge, twin)
	l.meet(edge, cloud)
	want(t, "of the copy", distinct(values(cloud.record(ticket(2)), "title")), []string{"of the copy"})
	want(t, "of the cloud", distinct(values(twin.record(ticket(3)), "title")), []string{"of the cloud"})
	same(t, edge, cloud)
	same(t, twin, cloud)
}

// A fork of a phone's replica whose branches are not of one length (SPEC R33).
func TestForkOfAPhoneByLength(t *testing.T) {
	for name, n := range map[string]struct{ ours, theirs, before int }{"the cloud's is longer": {ours: 2, theirs: 1}, "the edge's is longer": {ours: 1, theirs: 2},
		"much longer": {ours: 1, theirs: 9}, "one each": {ours: 1, theirs: 1}, "the edge has what is common": {ours: 3, theirs: 1, before: 1}, "edge, two": {ours: 3, theirs: 2, before: 1}} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			p := l.phone("ann")
			l.edit(p, p.Set(ticket(1), "title", "common"))
			if n.before > 0 {
				edge.push(p, yes)
			}
			twin := l.phone("ann")
			twin.State = p.State.Clone()
			var fork record.Dot
			for i := range n.ours {
				dot := l.edit(p, p.Set(ticket(1), "title", fmt.Sprintf("ours %d", i)))
				if i == 0 {
					fork = dot
				}
			}
			for i := range n.theirs {
				l.edit(twin, twin.Set(ticket(1), "title", fmt.Sprintf("theirs %d", i)))
			}
			cloud.push(p, yes)
			edge.push(twin, yes)
			for range 3 {
				l.meet(edge, cloud)
			}
			want(t, "ends", l.meet(edge, cloud), []string{})
			for _, b := range []*box{edge, cloud} {
				clean(t, b, fork)
				want(t, "both branches", distinct(values(b.record(ticket(1)), "title")), []string{fmt.Sprintf("ours %d", n.ours-1), fmt.Sprintf("theirs %d", n.theirs-1)})
			}
			same(t, edge, cloud)
		})
	}
}

// One copy of a cloud was started anew before it learnt of the fork, so its card names a number
// of its own branch. The other copy must not take the card for a forgery: the run that it begins
// says, under the same key, that there is a fork (SPEC R19, R33).
func TestForkToldByALaterRun(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	twin := cloud.copyOf("cloud")
	twin.write(ticket(2), text("title", "of the copy"))
	cloud.write(ticket(3), text("title", "of the cloud"))
	l.meet(edge, cloud)
	twin.restart()
	twin.write(ticket(4), text("title", "of its next run"))
	l.meet(edge, twin)
	l.meet(edge, cloud)
	l.meet(edge, twin)
	for n, v := range map[int]string{2: "of the copy", 3: "of the cloud", 4: "of its next run"} {
		want(t, "at the cloud", distinct(values(cloud.record(ticket(n)), "title")), []string{v})
	}
	same(t, edge, cloud)
	same(t, twin, cloud)
}

// Both copies of a running edge were started anew before they met anybody: their hellos name
// the forked chain only as the predecessor of what they write now (SPEC R19, R33).
func TestForkBelowLaterRuns(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	twin := edge.copyOf("edge")
	for n, b := range []*box{edge, twin} {
		b.write(ticket(2+n), text("title", "before the restart"))
		b.restart()
		b.write(ticket(4+n), text("title", "after it"))
	}
	l.meet(edge, cloud)
	l.meet(twin, cloud)
	l.meet(edge, cloud)
	l.meet(twin, cloud)
	for n, v := range map[int]string{2: "before the restart", 3: "before the restart", 4: "after it", 5: "after it"} {
		want(t, "at the cloud", distinct(values(cloud.record(ticket(n)), "title")), []string{v})
	}
	same(t, edge, cloud)
	same(t, twin, cloud)
}

// A phone brings what it was shown in one branch to the cloud, which has no event of either. The
// other branch comes first: its node sees by the head that the cloud names who else wrote
// under its replica (SPEC R30, R33).
func TestForkKnownByAReturnedHead(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	twin := edge.copyOf("edge")
	edge.write(ticket(1), text("note", "one branch"))
	edge.write(ticket(2), text("note", "more of it"))
	p := l.phone("ann")
	edge.pull(p)
	cloud.pull(p)
	cloud.giveBack(p)
	want(t, "returned", values(cloud.record(ticket(1)), "note"), []string{"one branch"})
	twin.write(ticket(1), text("status", "the other"))
	l.meet(twin, cloud)
	want(t, "of the branch that the phone brought", distinct(values(cloud.record(ticket(1)), "note")), []string{"one branch"})
	want(t, "of the other", values(cloud.record(ticket(1)), "status"), []string{"the other"})
	l.meet(edge, cloud)
	l.meet(twin, cloud)
	want(t, "in the end", distinct(values(twin.record(ticket(2)), "note")), []string{"more of it"})
	same(t, edge, cloud)
	same(t, twin, cloud)
}

// A phone signs two transactions under one number, and of one an edge has only the signature:
// it holds up nobody's line, and what the cloud has of the chain comes through (SPEC R33).
func TestForkByAHeadAlone(t *testing.T) {
	for name, beyond := range map[string]uint64{"the next number": 0, "the last one": 3, "one that nobody wrote": 9} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			p := l.phone("ann")
			last := l.edit(p, p.Set(ticket(1), "title", "common"))
			push := p.Push(last.Replica, 10)
			push.Head = record.SignHead(p.Key, home, last.Replica, last.N+1+beyond, record.Hash{1})
			if _, err := edge.tryPush(p, yes, push); err != nil {
				t.Fatal(err)
			}
			for i := range 4 {
				l.edit(p, p.Set(ticket(1+i), "title", "later"))
			}
			cloud.push(p, yes)
			edge.write(ticket(9), text("title", "another's"))
			l.meet(edge, cloud)
			l.meet(edge, cloud)
			for i := range 4 {
				want(t, "title", values(edge.record(ticket(1+i)), "title"), []string{"later"})
			}
			same(t, edge, cloud)
		})
	}
}
