package replica_test

import (
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/wire"
)

// aside lists the texts that a node keeps beside a record until a chain is proven.
func (b *box) aside(k record.Key, field string) []string {
	for _, q := range b.held(b) {
		if q.Key == k && q.Code == wire.CodeChainUnproven {
			r, err := record.Decode(q.Body)
			if err != nil {
				b.lab.t.Fatal(err)
			}
			return values(r, field)
		}
	}
	return []string{}
}

// A phone returns what one copy of a running edge showed it to that edge itself, which was
// restored. What the other copy gave is older by the numbers, and its author never saw it
// replaced: it is kept beside the record, and stands again once the fork is known (SPEC R34).
func TestReturnedOverTheOtherBranch(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("title", "common"))
	backup := edge.store.Snapshot()
	twin := edge.copyOf("edge")
	edge.write(ticket(2), text("title", "more of one"))
	edge.write(ticket(1), text("title", "one"))
	p := l.phone("ann")
	edge.pull(p)
	clone := edge.copyOf("clone")
	twin.write(ticket(1), text("title", "the other"))
	l.meet(twin, cloud)
	edge.restore(backup)
	edge.pull(p)
	edge.giveBack(p)
	want(t, "returned", values(edge.record(ticket(1)), "title"), []string{"one"})
	l.meet(edge, cloud)
	kept := slices.Concat(values(cloud.record(ticket(1)), "title"), cloud.aside(ticket(1), "title"))
	if !slices.Contains(kept, "the other") {
		t.Errorf("the cloud held what the other copy gave, and keeps %v", kept)
	}
	clone.restart()
	for range 3 {
		for _, b := range []*box{clone, edge, twin} {
			l.meet(b, cloud)
		}
	}
	for _, b := range []*box{edge, twin, clone, cloud} {
		want(t, "both branches", distinct(values(b.record(ticket(1)), "title")), []string{"one", "the other"})
		want(t, "of one only", distinct(values(b.record(ticket(2)), "title")), []string{"more of one"})
		want(t, "kept aside in the end", len(b.aside(ticket(1), "title")), 0)
	}
}

// A phone returns one branch to the cloud, which has no event of it. The other copy was
// started anew, and its next run goes on from a number of its own branch: that covers what the
// phone brought.
func TestOtherBranchOverTheReturned(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(2), text("title", "common"))
	twin := edge.copyOf("edge")
	edge.write(ticket(1), text("title", "one"))
	edge.write(ticket(3), text("title", "more of one"))
	p := l.phone("ann")
	edge.pull(p)
	twin.write(ticket(2), text("note", "the other"))
	twin.restart()
	twin.write(ticket(1), text("title", "later"))
	cloud.pull(p)
	cloud.giveBack(p)
	want(t, "returned", values(cloud.record(ticket(1)), "title"), []string{"one"})
	l.meet(twin, cloud)
	kept := slices.Concat(values(cloud.record(ticket(1)), "title"), cloud.aside(ticket(1), "title"))
	if !slices.Contains(kept, "one") {
		t.Errorf("the cloud was given one branch by a phone, and keeps %v", kept)
	}
	for range 3 {
		l.meet(edge, cloud)
		l.meet(twin, cloud)
	}
	for _, b := range []*box{edge, twin, cloud} {
		want(t, "both branches", distinct(slices.Sorted(slices.Values(values(b.record(ticket(1)), "title")))), []string{"later", "one"})
		want(t, "kept aside in the end", len(b.held(b)), 0)
	}
}

// A phone returns what an edge wrote in a later run, whose lineage goes on from a number of one
// branch that the cloud does not hold: it holds the other.
func TestReturnedLaterRunOverTheOtherBranch(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	twin := edge.copyOf("edge")
	edge.write(ticket(2), text("title", "one"))
	edge.write(ticket(2), text("title", "one again"))
	twin.write(ticket(1), text("title", "the other"))
	l.meet(twin, cloud)
	edge.restart()
	edge.write(ticket(1), text("note", "later"))
	p := l.phone("ann")
	edge.pull(p)
	cloud.pull(p)
	cloud.giveBack(p)
	kept := slices.Concat(values(cloud.record(ticket(1)), "title"), cloud.aside(ticket(1), "title"))
	if !slices.Contains(kept, "the other") {
		t.Errorf("the cloud held what the other copy gave, and keeps %v", kept)
	}
	for range 3 {
		l.meet(edge, cloud)
		l.meet(twin, cloud)
	}
	for _, b := range []*box{edge, twin, cloud} {
		if got := values(b.record(ticket(1)), "title"); !slices.Contains(got, "the other") {
			t.Errorf("in the end %v", got)
		}
		want(t, "kept aside in the end", len(b.held(b)), 0)
	}
}

// Without a fork nothing stays aside: the events come and prove what the phone brought.
func TestAsideIsDroppedOnceProven(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("title", "old"))
	l.meet(edge, cloud)
	p := l.phone("ann")
	edge.write(ticket(1), text("title", "new"))
	edge.pull(p)
	cloud.pull(p)
	cloud.giveBack(p)
	want(t, "shown", values(cloud.record(ticket(1)), "title"), []string{"new"})
	want(t, "kept aside", cloud.aside(ticket(1), "title"), []string{"new", "old"})
	l.meet(edge, cloud)
	l.meet(edge, cloud)
	want(t, "shown", values(cloud.record(ticket(1)), "title"), []string{"new"})
	want(t, "kept aside", len(cloud.held(cloud)), 0)
	same(t, edge, cloud)
}
