package replica_test

import (
	"context"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// SPEC R13: an edge passes the cloud's settled receipt on to a phone that never meets the
// cloud; its own word does not settle.
func TestSettledReachesAPhoneThroughTheEdge(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "from the cellar"))
	edge.push(p, yes)
	chain := p.Outbox()[0]
	ask := func() []record.Receipt {
		page, err := edge.ReadView(context.Background(), home, replica.View{Node: p.ID(), May: everything}, wire.Pull{Replicas: []record.ReplicaID{chain}})
		if err != nil {
			t.Fatal(err)
		}
		return page.Receipts
	}
	want(t, "receipts before the cloud has it", len(ask()), 0)
	edge.sync(cloud)
	got := ask()
	want(t, "receipts after", len(got), 1)
	want(t, "issuer", got[0].Issuer, cloud.ID())
	want(t, "settled", got[0].Settled, p.State.Chains[chain].Head.N)
	if err := got[0].Verify(home, cloud.PublicKey()); err != nil {
		t.Fatal(err)
	}
	for _, server := range []*box{edge, cloud} {
		page, err := server.ReadView(context.Background(), home, replica.View{Node: l.phone("another").ID(), May: everything}, wire.Pull{Replicas: []record.ReplicaID{chain}})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "receipts for another's chain", len(page.Receipts), 0)
	}
	_, err := edge.ReadView(context.Background(), home, replica.View{Node: p.ID(), May: everything}, wire.Pull{Replicas: make([]record.ReplicaID, wire.PullChainsMax+1)})
	code(t, err, wire.CodeFrameTooLarge)
}

// SPEC R12: a parent that moves into a view brings its children, which did not move.
func TestChildrenFollowTheirParentIntoAView(t *testing.T) {
	l := newLab(t)
	edge, _ := l.pair()
	message := record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("m", "1")}
	edge.write(ticket(1), text("note", "theirs"))
	edge.write(message, replica.FieldWrite{Field: "ticket", Value: record.IDValue(ticket(1).ID)}, text("text", "hello"))
	view := replica.View{Hash: record.Hash{1},
		May: func(k record.Key, r, parent record.Record) bool {
			if k.Kind == sim.Message {
				r = parent
			}
			return len(values(r, "note")) == 1 && values(r, "note")[0] == "mine"
		},
		Children: func(_ context.Context, parents []record.Key) ([]replica.FeedItem, error) {
			if parents[0] != ticket(1) {
				return nil, nil
			}
			s := edge.stored(message)
			return []replica.FeedItem{{Position: s.Position, Key: message, Body: s.Body}}, nil
		}}
	first, err := edge.ReadView(context.Background(), home, view, wire.Pull{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "before", len(first.Records), 0)
	edge.write(ticket(1), text("note", "mine"))
	next, err := edge.ReadView(context.Background(), home, view, wire.Pull{Cursor: wire.Cursor{Generation: first.Generation, View: first.View, Position: first.To}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "records", len(next.Records), 2)
	want(t, "child", next.Records[1].ID, message.ID)
}

// SPEC R13: a receipt that was lost with its session is made up for at the next greeting,
// for chains of earlier starts too, so that nothing looks unsent for ever.
func TestLostReceiptIsMadeUpAtTheGreeting(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	first := edge.write(ticket(1), text("note", "one"))
	cloud.apply(edge, edge.read(0, nil)) // applied, and the acknowledgement is lost
	edge.restart()
	second := edge.write(ticket(1), text("note", "two"))
	cloud.apply(edge, edge.read(0, nil))
	want(t, "before", edge.chain(first.Replica).Receipted, 0)
	edge.greet(cloud)
	want(t, "the earlier start's chain", edge.chain(first.Replica).Receipted, first.N)
	want(t, "this one's", edge.chain(second.Replica).Receipted, second.N)
	want(t, "the cloud takes no receipt from below", cloud.chain(first.Replica).Receipted, 0)
}

// SPEC R13: a settled receipt that was lost with its session comes with the next one, so
// that a phone that never meets the cloud keeps nothing for ever.
func TestLostSettledReceiptComesAgain(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "from the cellar"))
	edge.push(p, yes)
	chain := p.Outbox()[0]
	cloud.apply(edge, edge.read(0, nil)) // applied, and the acknowledgement is lost
	edge.restart()
	edge.sync(cloud)
	want(t, "settled as the edge knows it", edge.chain(chain).Settled(), p.State.Chains[chain].Head.N)
}
