package replica_test

import (
	"context"
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// erase has the cloud erase transactions.
func (b *box) erase(dots ...record.Dot) replica.Erased {
	b.lab.t.Helper()
	out, err := b.Erase(context.Background(), home, person(), "erase.request", dots)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	return out
}

// detailed lists the numbers of a replica's events that have details here.
func (b *box) detailed(r record.ReplicaID) []uint64 {
	b.lab.t.Helper()
	rows, err := b.store.Events(context.Background(), home, r, 1, ^uint64(0), 1000)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	out := []uint64{}
	for _, row := range rows {
		if len(row.Details) > 0 {
			out = append(out, row.N)
		}
	}
	return out
}

// TestErase: the cloud's word takes the values of a transaction away on every node; links,
// other transactions and what records show stay. Again, nothing is left to do.
// Cites SPEC R32.
func TestErase(t *testing.T) {
	edge, cloud := newLab(t).pair()
	first := edge.write(ticket(1), text("title", "first"))
	second := edge.write(ticket(1), text("title", "second"))
	edge.sync(cloud)
	out := cloud.erase(second, first, first)
	want(t, "erased", out.Dots, []record.Dot{first, second})
	want(t, "events", len(out.Events), 1)
	want(t, "details at the cloud", cloud.detailed(first.Replica), []uint64{})
	edge.sync(cloud)
	want(t, "details at the edge", edge.detailed(first.Replica), []uint64{})
	want(t, "what the record shows", values(edge.record(ticket(1)), "title"), []string{"second"})
	same(t, edge, cloud)
	events := edge.events(out.Events[0].Replica)
	e := events[len(events)-1]
	want(t, "who, and why", []any{e.Actor, e.Action, e.Erasures}, []any{person(), "erase.request", out.Dots})
	for _, b := range []*box{edge, cloud} {
		have := b.load(replica.Need{Events: []record.Dot{first}})
		want(t, "erased by", have.Erased[first], out.Events[0])
	}
	third := edge.write(ticket(1), text("title", "third"))
	edge.sync(cloud)
	again := cloud.erase(first, third)
	want(t, "erased again", again.Dots, []record.Dot{third})
	want(t, "by nobody anew", len(cloud.erase(first, third).Events), 0)
}

// TestEraseRefused: only the cloud erases, and only so much at once. Cites SPEC R32.
func TestEraseRefused(t *testing.T) {
	edge, cloud := newLab(t).pair()
	dot := edge.write(ticket(1), text("title", "stays"))
	many := make([]record.Dot, record.ErasuresMax+1)
	for i := range many {
		many[i] = record.Dot{Replica: dot.Replica, N: uint64(i + 1)}
	}
	for name, c := range map[string]struct {
		node *box
		dots []record.Dot
	}{
		wire.CodeKindNotYours: {edge, []record.Dot{dot}}, wire.CodeFrameTooLarge: {cloud, many}, wire.CodeValueInvalid: {cloud, []record.Dot{{Replica: dot.Replica}}},
	} {
		_, err := c.node.Erase(context.Background(), home, person(), "erase.request", c.dots)
		code(t, err, name)
	}
	want(t, "details", edge.detailed(dot.Replica), []uint64{dot.N})
}

// TestErasureOfAnEdgeCountsForNothing: a stolen edge that signs an erasure destroys no
// evidence, its own or another's. Cites SPEC R32.
func TestErasureOfAnEdgeCountsForNothing(t *testing.T) {
	edge, cloud := newLab(t).pair()
	theirs := cloud.write(ticket(1), text("title", "the cloud's"))
	own := edge.write(ticket(2), text("title", "the edge's"))
	edge.sync(cloud)
	c := edge.chain(own.Replica)
	item, e := asCloud(t, record.Event{Replica: own.Replica, N: c.Held + 1, Prev: c.Hash, Erasures: sortedDots(theirs, own)})
	head := record.SignHead(edge.Key, home, e.Replica, e.N, record.HashEvent(item.Body))
	got := cloud.apply(edge, wire.Page{Events: []wire.EventItem{item}, Heads: []record.Head{head}})
	want(t, "alarms", len(got.Alarms), 0)
	want(t, "it is a link", cloud.chain(own.Replica).Held, e.N)
	want(t, "details", [][]uint64{cloud.detailed(theirs.Replica), cloud.detailed(own.Replica)}, [][]uint64{{theirs.N}, {own.N}})
	want(t, "erased", len(cloud.load(replica.Need{Events: []record.Dot{theirs, own}}).Erased), 0)
}

func sortedDots(dots ...record.Dot) []record.Dot {
	slices.SortFunc(dots, record.Dot.Compare)
	return dots
}

// TestErasedBeforeItCame: details of what is erased are dropped on arrival: in a page, behind
// a gap, and where the erasure comes in the same page. Cites SPEC R32, SPEC R24.
func TestErasedBeforeItCame(t *testing.T) {
	edge, cloud := newLab(t).pair()
	edge.sync(cloud.first())
	dots := []record.Dot{edge.write(ticket(1), text("title", "one")), edge.write(ticket(1), text("title", "two")), edge.write(ticket(1), text("title", "three"))}
	cloud.erase(dots[1])
	whole := edge.read(0, cloud.heldMap())
	gap := whole
	gap.Events = slices.Clone(whole.Events)
	gap.Events = slices.DeleteFunc(gap.Events, func(e wire.EventItem) bool { return e.Replica == dots[0].Replica && e.N == dots[0].N })
	gap.Records, gap.To = nil, 0
	cloud.apply(edge, gap)
	cloud.erase(dots[2]) // waits behind the gap
	want(t, "details behind the gap", cloud.detailed(dots[0].Replica), []uint64{})
	cloud.apply(edge, whole)
	want(t, "details at the cloud", cloud.detailed(dots[0].Replica), []uint64{dots[0].N})
	want(t, "held", cloud.chain(dots[0].Replica).Held, dots[2].N)
	want(t, "the value came", values(cloud.record(ticket(1)), "title"), []string{"three"})
	edge.sync(cloud)
	want(t, "details at the edge", edge.detailed(dots[0].Replica), []uint64{dots[0].N})
	same(t, edge, cloud)
}

// first gives a node something to begin with, and returns it.
func (b *box) first() *box {
	b.write(ticket(0), text("title", "first"))
	return b
}

// TestErasureSurvivesARewind: a disk of before the erasure brings nothing back, be it the
// edge's or the cloud's own. Cites SPEC R32.
func TestErasureSurvivesARewind(t *testing.T) {
	for _, rewound := range []string{"edge", "cloud"} {
		t.Run(rewound, func(t *testing.T) {
			edge, cloud := newLab(t).pair()
			dot := edge.write(ticket(1), text("title", "to be erased"))
			edge.sync(cloud.first())
			before := map[string]func(){"edge": edge.rewind(), "cloud": cloud.rewind()}
			cloud.erase(dot)
			edge.sync(cloud)
			before[rewound]()
			edge.sync(cloud)
			want(t, "details", [][]uint64{edge.detailed(dot.Replica), cloud.detailed(dot.Replica)}, [][]uint64{{}, {}})
			same(t, edge, cloud)
		})
	}
}

// rewind keeps the disk as it is and returns how to go back to it.
func (b *box) rewind() func() {
	disk := b.store.Snapshot()
	return func() { b.restore(disk) }
}

// TestErasedTransactionOfAPhone: a phone that brings an erased transaction to a server that
// lacks it gets its value in, and no details stay. Cites SPEC R32, SPEC R24.
func TestErasedTransactionOfAPhone(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.sync(cloud.first())
	p := l.phone("phone")
	dot := l.edit(p, p.Set(ticket(1), "note", "from the cellar"))
	cloud.erase(dot)
	edge.sync(cloud)
	edge.push(p, yes)
	want(t, "details", edge.detailed(dot.Replica), []uint64{})
	want(t, "value", values(edge.record(ticket(1)), "note"), []string{"from the cellar"})
	edge.sync(cloud)
	same(t, edge, cloud)
}
