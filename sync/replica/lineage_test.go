package replica_test

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// line makes cards of one app's replicas.
type line struct {
	key    ed25519.PrivateKey
	card   record.Card
	bodies map[string][]byte
}

func newLine(name string) *line {
	k := key(name)
	public := k.Public().(ed25519.PublicKey)
	return &line{key: k, card: record.Card{Node: record.NodeID(public), Tier: record.TierPhone, PublicKey: public}, bodies: map[string][]byte{}}
}

func (n *line) id(name string) record.ReplicaID {
	return record.MarkReplica(record.DerivedID("replica", name), n.card.Node)
}

// push is the card of a replica that names a predecessor up to its card, with that card's
// hash, or with a made-up one where it is not written yet; and its head.
func (n *line) push(t interface{ Fatal(...any) }, name, before string) wire.Push {
	card := n.card
	if before != "" {
		card.Predecessor, card.PredecessorHash = record.Dot{Replica: n.id(before), N: 1}, record.Hash{9}
		if body, written := n.bodies[before]; written {
			card.PredecessorHash = record.HashEvent(body)
		}
	}
	e := record.Event{Building: home, Replica: n.id(name), N: 1, Stamp: hlc.At(noon), EventTime: noon, Actor: person(), Action: "card", Card: &card}
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	n.bodies[name] = body
	return wire.Push{Head: record.SignHead(n.key, home, e.Replica, 1, record.HashEvent(body)), Transactions: []wire.EventItem{{Body: body, Replica: e.Replica, N: 1}}}
}

func (n *line) give(b *box, p wire.Push) error {
	_, err := b.ApplyPush(b.lab.t.Context(), home, replica.Peer{Node: n.card.Node, Tier: record.TierPhone, Person: ann}, yes, p)
	return err
}

// SPEC R19: a card whose predecessor's hash is another's, that names itself, or that closes a
// circle, is refused; a card whose predecessor is not here yet is not.
func TestLineageThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		cards [][2]string // replica and predecessor
		spoil bool        // the last one's hash
		code  string
	}{
		"as it should be":              {[][2]string{{"a", ""}, {"b", "a"}, {"c", "b"}}, false, ""},
		"another hash":                 {[][2]string{{"a", ""}, {"b", "a"}}, true, wire.CodeEventMalformed},
		"itself":                       {[][2]string{{"a", "a"}}, false, wire.CodeReplicaUnknown}, // no event at all
		"each other":                   {[][2]string{{"b", "a"}, {"a", "b"}}, false, wire.CodeEventMalformed},
		"a circle of three":            {[][2]string{{"b", "a"}, {"c", "b"}, {"a", "c"}}, false, wire.CodeEventMalformed},
		"a predecessor that comes yet": {[][2]string{{"b", "a"}, {"a", ""}}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			n := newLine("phone")
			for i, names := range c.cards {
				p, code, last := n.push(t, names[0], names[1]), "", i == len(c.cards)-1
				if last {
					code = c.code
				}
				if last && c.spoil {
					delete(n.bodies, names[1])
					p = n.push(t, names[0], names[1])
				}
				if got := replica.RefusalCode(n.give(edge, p)); got != code {
					t.Fatalf("card of %s: got %q, want %q", names[0], got, code)
				}
			}
			edge.sync(cloud)
			want(t, "chains at the cloud", len(cloud.heldMap()), len(edge.heldMap()))
		})
	}
}

// SPEC R19: whatever cards an app makes up, no server takes a circle, in whatever order they
// come, pushed or in a page.
func TestNoCircleIsHeld(t *testing.T) {
	l := newLab(t)
	rapid.Check(t, func(t *rapid.T) {
		edge, cloud := l.pair()
		n := newLine("phone")
		names := []string{"a", "b", "c", "d"}
		var items []wire.EventItem
		for _, name := range rapid.Permutation(names).Draw(t, "order") {
			p := n.push(t, name, rapid.SampledFrom(append(slices.Clone(names), "")).Draw(t, "before "+name))
			_ = n.give(edge, p)
			items = append(items, p.Transactions...)
		}
		cloud.apply(edge, wire.Page{Events: items})
		for _, b := range []*box{edge, cloud} {
			for _, name := range names {
				at, steps := n.id(name), 0
				for c := b.chain(at); c.Card != nil && c.Card.Predecessor.N > 0; c = b.chain(c.Card.Predecessor.Replica) {
					if steps++; steps > len(names) {
						t.Fatalf("a circle at the %s", b.Tier)
					}
				}
			}
		}
	})
}

// SPEC R19: an app whose earlier replica was settled and started again is no circle.
func TestLineageOfManyStarts(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	for range 5 {
		l.edit(p, p.Set(ticket(1), "note", p.State.Replica.String()))
		edge.push(p, yes)
		p.Restart()
		edge.restart()
		edge.write(ticket(1), text("title", edge.boot.String()))
	}
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "held back", len(cloud.held(edge)), 0)
	want(t, "note", len(cloud.record(ticket(1)).Siblings("note")), 1)
}
