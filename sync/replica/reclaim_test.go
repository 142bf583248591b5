package replica_test

import (
	"fmt"
	"strings"
	"testing"

	"estate/sync/record"
	"estate/sync/sim"
	"estate/sync/wire"
)

func setting(n string) record.Key {
	return record.Key{Building: home, Kind: sim.Setting, ID: record.DerivedID("setting", n)}
}

// What only an edge was shown, of a kind that only the cloud writes, by a cloud that was then set
// back to an image of its memory: the edge may not say what it was, but it has the cloud's own
// signed events (SPEC R33).
func TestSettingsOfACloudSetBack(t *testing.T) {
	for name, since := range map[string]func(image *box){
		"nothing written since": func(*box) {},
		"another since":         func(image *box) { image.write(setting("b"), text("value", "theirs")) },
		"the same since":        func(image *box) { image.write(setting("new"), text("value", "theirs")) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			cloud.write(setting("old"), text("value", "common"))
			l.meet(edge, cloud)
			image := cloud.copyOf("cloud")
			cloud.write(setting("old"), text("value", "ours"))
			cloud.write(setting("new"), text("value", "the first"))
			cloud.write(setting("new"), text("value", "the second"))
			l.meet(edge, cloud)
			since(image)
			for range 3 {
				l.meet(edge, image)
			}
			same(t, edge, image)
			want(t, "a value that was replaced", distinct(values(image.record(setting("old")), "value")), []string{"ours"})
			got := distinct(values(image.record(setting("new")), "value"))
			if name == "the same since" {
				want(t, "new, and what was written since", got, []string{"the second", "theirs"})
			} else {
				want(t, "new", got, []string{"the second"})
			}
		})
	}
}

// An edge makes up an event of the cloud's, or changes one: what the cloud did not sign it does not
// write (SPEC R9, R33).
func TestSettingsThatTheCloudNeverWrote(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(setting("old"), text("value", "common"))
	l.meet(edge, cloud)
	image := cloud.copyOf("cloud")
	thief := cloud.copyOf("cloud") // what it writes is signed by another key below
	thief.write(setting("old"), text("value", "made up"))
	page := thief.read(0, nil)
	for i := range page.Heads {
		page.Heads[i] = record.SignHead(edge.Key, home, page.Heads[i].Replica, page.Heads[i].N, page.Heads[i].Hash)
	}
	page.Records = nil
	image.apply(edge, page)
	image.write(setting("b"), text("value", "goes on"))
	image.apply(edge, page)
	want(t, "old", values(image.record(setting("old")), "value"), []string{"common"})
}

// setBack is a cloud that was set back to an image after it wrote settings that edge alone was
// shown, and that learnt of it from a phone before that edge comes back: nothing of the other
// branch is there then.
func setBack(t *testing.T, l *lab, since func(edge, cloud, image *box)) (edge, image *box, fork record.Dot) {
	t.Helper()
	edge, cloud := l.pair()
	last := cloud.write(setting("old"), text("value", "common"))
	l.meet(edge, cloud)
	p := l.phone("ann")
	edge.pull(p)
	image = cloud.copyOf("cloud")
	since(edge, cloud, image)
	edge.pull(p)
	image.pull(p)
	fork = record.Dot{Replica: last.Replica, N: last.N + 1}
	want(t, "decided", image.chain(fork.Replica).Fork, fork.N)
	return edge, image, fork
}

// The cloud decided on a fork of its own chain by a phone's heads. What only an edge was shown it
// asks of that edge, which keeps it beside the chain (SPEC R33).
func TestSettingsOfACloudThatDecidedAlone(t *testing.T) {
	for name, c := range map[string]struct {
		many int
		size int
		seen bool
	}{"few": {many: 1, size: 1}, "more than an answer": {many: 600, size: 1}, "large": {many: 300, size: 9000}, "a head of this branch was seen": {many: 1, size: 1, seen: true}} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			var heads []record.Head
			edge, image, fork := setBack(t, l, func(edge, cloud, image *box) {
				cloud.write(setting("new"), text("value", "the first"))
				for n := range c.many {
					cloud.write(ticket(n), text("title", strings.Repeat("x", c.size)))
				}
				cloud.write(setting("new"), text("value", "the second"))
				l.meet(edge, cloud)
				image.write(setting("old"), text("value", "since"))
				for n := range 9 {
					image.write(ticket(1000+n), text("title", "since"))
				}
				heads = image.read(0, nil).Heads
			})
			if c.seen {
				edge.apply(image, wire.Page{Heads: heads})
			}
			for range 3 {
				l.meet(edge, image)
			}
			for _, b := range []*box{edge, image} {
				clean(t, b, fork)
				want(t, "what the other branch says", distinct(values(b.record(setting("new")), "value")), []string{"the second"})
				want(t, "what this one says", distinct(values(b.record(setting("old")), "value")), []string{"since"})
			}
			want(t, "set aside at the edge", len(edge.held(edge)), 0)
			same(t, edge, image)
		})
	}
}

// What was written again once is not written again when another edge, or the same, tells of that
// branch later: somebody may have changed it since. Nor is what the cloud had in its own branch
// (SPEC R33).
func TestBranchIsTakenOnce(t *testing.T) {
	l := newLab(t)
	second := l.node("edge2", record.TierEdge)
	third := l.node("edge3", record.TierEdge)
	edge, image, fork := setBack(t, l, func(edge, cloud, image *box) {
		cloud.write(setting("new"), text("value", "theirs"))
		l.meet(second, cloud) // has a part of the branch
		cloud.write(setting("later"), text("value", "theirs"))
		l.meet(edge, cloud)
		image.write(setting("own"), text("value", "ours"))
		l.meet(third, image) // has the branch of the image
	})
	backup := second.store.Snapshot()
	for range 2 {
		l.meet(edge, image)
	}
	for _, name := range []string{"new", "later", "own"} {
		image.write(setting(name), text("value", "changed"))
	}
	for range 3 {
		for _, b := range []*box{second, third, edge} {
			l.meet(b, image)
		}
	}
	second.restore(backup)
	for range 2 {
		l.meet(second, image)
	}
	for _, b := range []*box{image, edge, second, third} {
		clean(t, b, fork)
		for _, name := range []string{"new", "later", "own"} {
			want(t, name, distinct(values(b.record(setting(name)), "value")), []string{"changed"})
		}
	}
}

// A branch that is known is taken whenever the store can, whoever comes (SPEC R14, R33).
func TestBranchIsTakenAfterAFailure(t *testing.T) {
	l := newLab(t)
	edge, image, _ := setBack(t, l, func(edge, cloud, _ *box) {
		cloud.write(setting("new"), text("value", "theirs"))
		l.meet(edge, cloud)
	})
	image.fault.bad = setting("new")
	for range 3 {
		l.link(edge, image)
	}
	want(t, "while it fails", len(values(image.record(setting("new")), "value")), 0)
	image.fault.bad = record.Key{}
	for range 3 {
		l.meet(edge, image)
	}
	want(t, "then", distinct(values(image.record(setting("new")), "value")), []string{"theirs"})
}

// An edge brings the other branch, the cloud decides, and its store fails before the remedy is done.
// The edge never comes back: whoever comes next finds the cloud with what it brought (SPEC R33).
func TestBranchOutlivesWhoBroughtIt(t *testing.T) {
	for after := 1; after < 8; after++ {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			cloud.write(setting("old"), text("value", "common"))
			l.meet(edge, cloud)
			image := cloud.copyOf("cloud")
			last := cloud.write(setting("new"), text("value", "theirs"))
			l.meet(edge, cloud)
			image.write(setting("old"), text("value", "since"))
			image.fault.busyAfter = after
			for range 8 {
				if l.link(edge, image); image.chain(last.Replica).Fork > 0 {
					break // busy or not, this edge is gone
				}
			}
			want(t, "decided", image.chain(last.Replica).Fork > 0, true)
			for range 2 {
				l.meet(l.node("edge2", record.TierEdge), image)
			}
			want(t, "what only the first had", distinct(values(image.record(setting("new")), "value")), []string{"theirs"})
		})
	}
}
