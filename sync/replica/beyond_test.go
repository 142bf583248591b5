package replica_test

import (
	"testing"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/sim"
	"estate/sync/wire"
)

// hole is a phone that let go of two transactions, and a cloud that was restored from before
// them: nobody has their events any more.
func hole(t *testing.T) (l *lab, cloud *box, p *sim.Phone) {
	t.Helper()
	l = newLab(t)
	_, cloud = l.pair()
	p = l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "v2"))
	chain := p.Outbox()[0]
	push := p.Push(chain, 1)
	push.Transactions = push.Transactions[:1]
	cloud.take(p, yes, push) // the card
	snapshot := cloud.store.Snapshot()
	l.edit(p, p.Set(ticket(1), "note", "v3"))
	cloud.push(p, yes)
	cloud.pull(p)
	want(t, "outbox", len(p.State.Log), 0)
	cloud.restore(snapshot)
	return l, cloud, p
}

// SPEC R13: a number that is lost for good holds up no transaction after it, and what the
// phone writes later does not stand on it.
func TestSettledBeyondAGap(t *testing.T) {
	l, cloud, p := hole(t)
	chain := p.State.Replica
	dot := l.edit(p, p.Set(ticket(2), "note", "v4"))
	answer := cloud.push(p, yes)
	want(t, "settled", answer.Receipt.Settled, 1)
	want(t, "beyond", answer.Beyond.Spans, []record.Span{{From: dot.N, To: dot.N}})
	want(t, "asked for", answer.Wants, []wire.Want{{Replica: chain, From: 2, To: 3}})
	_, answered := p.Answer(answer.Wants[0])
	want(t, "answered", answered, false)
	cloud.pull(p)
	want(t, "outbox", len(p.State.Log), 0)

	next := l.edit(p, p.Set(ticket(2), "note", "v5"))
	want(t, "another replica", next.Replica != chain, true)
	want(t, "its lineage", p.State.Cards[next.Replica].Predecessor, record.Dot{Replica: chain, N: 1})
	cloud.push(p, yes)
	c := cloud.record(ticket(2)).Context
	want(t, "its entry is raised (SPEC R8)", c.Entry(next.Replica), next.N)
	cloud.pull(p)
	want(t, "outbox", len(p.State.Log), 0)
	want(t, "note", values(cloud.record(ticket(2)), "note"), []string{"v5"})

	// What was lost itself comes back under the seal, and is covered again.
	cloud.giveBack(p)
	want(t, "returned", values(cloud.record(ticket(1)), "note"), []string{"v3"})
	want(t, "covered", merge.Covers(cloud.record(ticket(1)).Context, "note", record.Dot{Replica: chain, N: 3}, p), true)
}

// SPEC R13: what is held of the chain and is not in its record keeps its own number open, and
// no other.
func TestSettledBeyondAnOpenPart(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "status", "assigned"))
	l.edit(p, p.Set(ticket(2), "note", "n3"))
	edge.push(p, yes)
	page := edge.read(0, nil)
	page.Records, page.From, page.To = nil, 0, 0
	cloud.apply(edge, page)
	l.edit(p, p.Set(ticket(3), "note", "n4"))
	push := p.Push(p.Outbox()[0], 100)
	push.Transactions = push.Transactions[3:]
	answer := cloud.take(p, deny("nothing"), push)
	want(t, "settled", answer.Receipt.Settled, 1)
	want(t, "beyond", answer.Beyond.Spans, []record.Span{{From: 4, To: 4}})
	push = p.Push(p.Outbox()[0], 100)
	push.Transactions = push.Transactions[2:3]
	answer = cloud.take(p, deny("note"), push) // refused is settled too, and spans join
	want(t, "beyond", answer.Beyond.Spans, []record.Span{{From: 3, To: 4}})
	if err := answer.Beyond.Verify(home, cloud.PublicKey()); err != nil {
		t.Fatal(err)
	}
	edge.sync(cloud)
	answer = cloud.take(p, yes, wire.Push{Head: push.Head})
	want(t, "settled", answer.Receipt.Settled, 4)
	want(t, "nothing beyond", answer.Beyond == nil, true)
}

// SPEC R13: an edge's word settles nothing, and nobody speaks for the cloud.
func TestForgedBeyond(t *testing.T) {
	l, cloud, p := hole(t)
	edge := l.node("edge", record.TierEdge)
	l.edit(p, p.Set(ticket(2), "note", "v4"))
	want(t, "of an edge", edge.push(p, yes).Beyond == nil, true)
	spans := []record.Span{{From: 4, To: 4}}
	good := record.SignBeyond(cloud.Key, home, record.Beyond{Replica: p.State.Replica, Spans: spans})
	if err := good.Verify(home, cloud.PublicKey()); err != nil || !good.Has(4) || good.Has(3) || good.Has(5) {
		t.Fatalf("a genuine statement: %v", err)
	}
	for name, b := range map[string]record.Beyond{
		"another key":      record.SignBeyond(edge.Key, home, record.Beyond{Replica: p.State.Replica, Spans: spans}),
		"another building": record.SignBeyond(cloud.Key, other, record.Beyond{Replica: p.State.Replica, Spans: spans}),
		"more numbers":     {Issuer: good.Issuer, Replica: good.Replica, Spans: []record.Span{{From: 3, To: 4}}, Signature: good.Signature},
		"another replica":  {Issuer: good.Issuer, Replica: record.ReplicaID{1}, Spans: spans, Signature: good.Signature},
		"too many":         record.SignBeyond(cloud.Key, home, record.Beyond{Replica: p.State.Replica, Spans: make([]record.Span, record.BeyondSpansMax+1)}),
	} {
		if err := b.Verify(home, cloud.PublicKey()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
