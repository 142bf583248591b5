package replica_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
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
	for n := fork.N; n < fork.N+2000; n++ {
		for _, row := range b.load(replica.Need{Branches: []record.Dot{{Replica: fork.Replica, N: n}}}).Branches {
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

var _ = sim.Ticket
