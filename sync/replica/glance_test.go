package replica_test

import (
	"context"
	"errors"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// SPEC R12: a greeting that has nothing to store takes no lock. The head that an edge signed
// while it was away comes to the store with its page, and is not verified before.
func TestGreetingWithoutLock(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	written := edge.write(ticket(1), text("note", "1"))
	edge.sync(cloud)
	before := cloud.chain(written.Replica)
	edge.write(ticket(1), text("note", "2"))
	head := edge.read(0, nil).Heads[0]
	cloud.fault.busy = true // for whoever wants to write
	g := cloud.greet(edge)
	want(t, "late", g.Late, []record.Head{head})
	want(t, "held", g.Held[written.Replica], head.N)
	cloud.fault.busy = false
	want(t, "signed after the greeting", *cloud.chain(written.Replica).Signed, *before.Signed)
	cloud.apply(edge, wire.Page{Heads: g.Late})
	want(t, "signed after the page", *cloud.chain(written.Replica).Signed, head)
	cloud.fault.busy = true
	want(t, "late when it is known", len(cloud.greet(edge).Late), 0)
	cloud.fault.busy = false
	edge.sync(cloud)
	same(t, edge, cloud)
}

// SPEC R33: a greeting that tells of a fork is decided under the lock.
func TestGreetingOfAForkTakesTheLock(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	written := edge.write(ticket(1), text("note", "1"))
	edge.sync(cloud)
	h, err := edge.Hello(context.Background(), home, cloud.peer())
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.Held {
		if h.Held[i].Replica == written.Replica {
			h.Held[i].Fork = h.Held[i].N // its own word is enough
		}
	}
	cloud.fault.busy = true
	if _, err := cloud.Greet(context.Background(), home, edge.peer(), h); !errors.Is(err, replica.ErrBusy) {
		t.Errorf("got %v: the fork was decided without the lock", err)
	}
}

// What came late goes with the first page, until one is applied.
func TestLateHeadsGoWithTheFirstPage(t *testing.T) {
	t.Parallel()
	head := record.Head{Replica: record.DerivedID("r"), N: 7, Signature: []byte("signature")}
	s := replica.NewSession(replica.SessionConfig{Building: home, Peer: replica.Peer{Node: record.DerivedID("edge"), Tier: record.TierEdge}})
	hello := wire.Hello{Protocol: wire.Protocol, Building: home, Node: record.DerivedID("edge"), Tier: record.TierEdge}
	s.Step(1, replica.Opened{Hello: wire.Hello{Protocol: wire.Protocol, Building: home, Tier: record.TierCloud}})
	s.Step(2, replica.Received{Message: hello})
	s.Step(3, replica.Greeted{Late: []record.Head{head}})
	apply := func(effects []replica.SessionEffect) (pages []wire.Page) {
		for _, e := range effects {
			if a, ok := e.(replica.DoApplyPage); ok {
				pages = append(pages, a.Page)
			}
		}
		return pages
	}
	first := apply(s.Step(4, replica.Received{Message: wire.Page{ID: 1, To: 5}}))
	if len(first) != 1 || len(first[0].Heads) != 1 || first[0].Heads[0].N != head.N {
		t.Fatalf("applied %+v, want the head with it", first)
	}
	s.Step(5, replica.EffectFailed{Effect: replica.DoApplyPage{Page: first[0]}, Busy: true})
	again := apply(s.Step(1005, replica.Ticked{}))
	if len(again) != 1 || len(again[0].Heads) != 1 {
		t.Fatalf("applied again %+v, want the head with it", again)
	}
	s.Step(1006, replica.PageApplied{Ack: wire.Ack{Page: 1, To: 5}})
	next := apply(s.Step(1007, replica.Received{Message: wire.Page{ID: 2, From: 5, To: 6}}))
	if len(next) != 1 || len(next[0].Heads) != 0 {
		t.Errorf("applied %+v, want no head: it is there", next)
	}
}
