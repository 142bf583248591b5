package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// What the cloud gave a receipt for is gone from a simulated edge, and nothing else is: five
// thousand of them took all of a machine's memory once.
func TestHoldLetsGo(t *testing.T) {
	t.Parallel()
	ctx, building := t.Context(), record.DerivedID("building")
	edge, edgePeer := testNode(t, newHold(building), record.TierEdge)
	cloud, cloudPeer := testNode(t, memstore.New(), record.TierCloud)
	h, _ := edge.Store.(*hold)
	s := &ship{building: building, code: "F0001", node: edge}
	after := uint64(0)
	for round := range 3 {
		for n := range 20 {
			if err := s.write(ctx, words(), record.DerivedID("author"), n); err != nil {
				t.Fatal(err)
			}
		}
		if len(h.own.list) < 40 {
			t.Fatalf("%d things are left before the cloud has them", len(h.own.list))
		}
		page, err := edge.ReadPage(ctx, building, after, 0, nil, func(uint64) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		if sent := len(page.Records); sent < 20 {
			t.Fatalf("the page of round %d has %d records", round, sent)
		}
		applied, err := cloud.ApplyPage(ctx, building, edgePeer, page)
		if err != nil {
			t.Fatal(err)
		}
		if err := edge.ApplyAck(ctx, building, cloudPeer, applied.Ack); err != nil {
			t.Fatal(err)
		}
		if len(h.own.list) > 2 || len(h.own.at) != len(h.own.list) {
			t.Fatalf("%d things and %d labels are left after the receipt", len(h.own.list), len(h.own.at))
		}
		after = page.To
	}
	if have, err := edge.Store.Load(ctx, building, replica.Need{}); err != nil || have.State.N != 61 { // and the card
		t.Fatalf("the edge wrote %d times, %v", have.State.N, err)
	}
	if _, err := edge.ReadPage(ctx, building, 0, 0, nil, func(uint64) bool { return false }); !errors.Is(err, errLetGo) {
		t.Fatalf("what is gone is read as if it had never been: %v", err)
	}
}

func testNode(t *testing.T, store replica.Store, tier record.Tier) (*replica.Node, replica.Peer) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	boot := record.DerivedID("boot", string(public))
	n := &replica.Node{Key: key, Tier: tier, Rules: schema.Default(), Store: store, Boot: func() record.ID { return boot },
		Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
	return n, replica.Peer{Node: n.ID(), Tier: tier, PublicKey: public}
}
