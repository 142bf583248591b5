package replica_test

import (
	"crypto/ed25519"
	"math/rand/v2"
	"slices"
	"testing"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// A number of a later run comes with the cards of the runs before it, and a head of each:
// their writer may have lost them in a restore, and takes nothing back that it did not
// sign (SPEC R9). Without the head of the earlier run the writer refused its own card for
// ever, and the two sides would normalise contexts differently (SPEC R19).
func TestProofsBringHeadsOfPredecessors(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{1})
	building := record.DerivedID("building")
	public, key, err := ed25519.GenerateKey(random)
	if err != nil {
		t.Fatal(err)
	}
	var page wire.Page
	var last record.Head
	for n := range int64(3) {
		card := &record.Card{Node: record.NodeID(public), Tier: record.TierEdge, PublicKey: public}
		if n > 0 {
			card.Predecessor, card.PredecessorHash = record.Dot{Replica: last.Replica, N: last.N}, last.Hash
		}
		id, err := record.NewReplicaID(1000+n, random, card.Node)
		if err != nil {
			t.Fatal(err)
		}
		e := record.Event{Version: 1, Building: building, Replica: id, N: 1, Stamp: hlc.At(1000 + n), EventTime: 1000 + n,
			Actor: record.Actor{Class: record.Automation, Name: "replica"}, Action: "card", Card: card}
		body, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		last = record.SignHead(key, building, id, 1, record.HashEvent(body))
		page.Events = append(page.Events, wire.EventItem{Body: body, Replica: id, N: 1})
		page.Heads = append(page.Heads, last)
	}
	var proofs replica.Proofs
	proofs.Take(building, page)
	var push wire.Push
	proofs.Prove(&push, []record.Dot{{Replica: last.Replica, N: 1}}, func(record.Dot) (record.Head, wire.EventItem, bool) {
		return record.Head{}, wire.EventItem{}, false
	})
	if len(push.Cards) != 3 {
		t.Fatalf("%d cards, want 3", len(push.Cards))
	}
	for _, want := range page.Heads {
		if !slices.ContainsFunc(push.Heads, func(h record.Head) bool { return h.Replica == want.Replica && h.N == want.N }) {
			t.Errorf("no head of %s", want.Replica)
		}
	}
}
