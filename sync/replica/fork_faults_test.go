package replica_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// Whatever happens in between — lines that break anywhere, stores that are busy, processes
// that start anew, old pages that come again — a fork loses no element that anybody added
// to a set, and all nodes end alike (SPEC R33).
func TestForkUnderFaults(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLab(t)
			random := rand.New(rand.NewPCG(seed, 33))
			edge, cloud := l.pair()
			third := l.node("third", record.TierEdge)
			added := map[string]bool{}
			n := 0
			add := func(b *box) {
				n++
				k, v := ticket(random.IntN(3)), fmt.Sprintf("%d", n)
				w, err := b.try(k, replica.FieldWrite{Field: "tags", Add: []record.Value{record.Text(v)}}, text("title", v))
				if err == nil {
					t.Log(nameOf(b, edge, cloud, third), "writes", v, w.Dot)
					added[fmt.Sprint(k.ID, v)] = true
				}
			}
			for range 3 + random.IntN(4) {
				add(edge)
				add(cloud)
			}
			l.linkFor(edge, cloud, random.IntN(60))
			from, name := edge, "edge"
			if seed%4 == 3 {
				from, name = cloud, "cloud"
			}
			twin := from.copyOf(name)
			pairs := [][2]*box{{edge, cloud}, {third, cloud}, {twin, cloud}}
			if from == cloud {
				pairs = [][2]*box{{edge, cloud}, {third, cloud}, {edge, twin}, {third, twin}}
			}
			boxes := []*box{edge, cloud, third, twin}
			for range 60 {
				p := pairs[random.IntN(len(pairs))]
				switch random.IntN(8) {
				case 0, 1, 2:
					add(boxes[random.IntN(len(boxes))])
				case 3:
					p[random.IntN(2)].fault.busyAfter = 1 + random.IntN(6)
					x, y := l.linkFor(p[0], p[1], random.IntN(80))
					t.Log("busy link", nameOf(p[0], edge, cloud, third), nameOf(p[1], edge, cloud, third), x.closed, y.closed, x.alarms, y.alarms, x.refused, y.refused)
					p[0].fault.busyAfter, p[1].fault.busyAfter = 0, 0
				case 4:
					if b := boxes[random.IntN(len(boxes))]; random.IntN(4) == 0 {
						t.Log("restart", nameOf(b, edge, cloud, third))
						b.restart()
					}
				case 5:
					to := random.IntN(2)
					if s := p[to].taken; len(s) > 0 {
						t.Log("late page to", nameOf(p[to], edge, cloud, third))
						late := s[random.IntN(len(s))]
						_, _ = p[to].ApplyPage(context.Background(), home, late.from.peer(), late.page)
					}
				default:
					x, y := l.linkFor(p[0], p[1], random.IntN(120))
					t.Log("link", nameOf(p[0], edge, cloud, third), nameOf(p[1], edge, cloud, third), x.closed, y.closed, x.alarms, y.alarms, x.refused, y.refused)
				}
			}
			for range 4 {
				for _, p := range pairs {
					l.meet(p[0], p[1])
				}
			}
			for _, b := range boxes {
				have := map[string]bool{}
				for i := range 3 {
					for _, v := range values(b.record(ticket(i)), "tags") {
						have[fmt.Sprint(ticket(i).ID, v)] = true
					}
				}
				for v := range added {
					if !have[v] {
						t.Errorf("%s is lost", v)
					}
				}
			}
			same(t, edge, cloud)
			same(t, twin, cloud)
			same(t, third, cloud)
		})
	}
}

func nameOf(b, edge, cloud, third *box) string {
	switch b {
	case edge:
		return "edge"
	case cloud:
		return "cloud"
	case third:
		return "third"
	}
	return "twin"
}

// A fork is decided, and a record that the store cannot take breaks its remedy off. A phone that
// pulls then is shown nothing under numbers that no head reaches; it comes when the remedy is done.
func TestPullWithinARemedy(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(3), text("title", "untouched"))
	l.meet(edge, cloud)
	twin := edge.copyOf("edge")
	last := edge.write(ticket(2), text("title", "ours"))
	twin.write(ticket(1), text("title", "theirs"))
	twin.write(ticket(1), text("title", "theirs again"))
	// Its line breaks before it brings more than its signature.
	cloud.apply(twin, wire.Page{Heads: cloud.greet(twin).Late})
	h, err := cloud.Hello(context.Background(), home, edge.peer())
	if err != nil {
		t.Fatal(err)
	}
	edge.fault.bad = ticket(2)
	_, err = edge.Greet(context.Background(), home, cloud.peer(), h)
	if c := edge.chain(last.Replica); err == nil || c.Fork == c.Cut {
		t.Fatalf("the remedy was not broken off: %v", err)
	}
	p := l.phone("ann")
	edge.pull(p)
	want(t, "without a fork", values(p.View(ticket(3)), "title"), []string{"untouched"})
	edge.fault.bad = record.Key{}
	l.meet(edge, cloud)
	edge.pull(p)
	want(t, "later", values(p.View(ticket(2)), "title"), []string{"ours"})
}
