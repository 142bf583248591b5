package storetest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// nodeUnderFault runs one story of a node (writes, a session both ways with a peer, a
// phone's pull and push) over the store, again and again: each time another of the story's
// calls to the store goes wrong in another way. The node's callers do what callers do: try
// again what was busy, look first where the outcome is not known. Every time the story must
// end as if nothing had happened, each write made once, nothing torn. Cites SPEC R10,
// SPEC R14.
func nodeUnderFault(t *testing.T, s replica.Store) {
	calls := playStory(t, s, "clean", -1, NoFault)
	stride := 1
	if testing.Short() {
		stride = 7
	}
	stories := 0
	for at := 0; at < len(calls); at += stride {
		for _, fault := range Faults(calls[at]) {
			playStory(t, s, fmt.Sprint(at, fault), at, fault)
			stories++
		}
	}
	t.Logf("%d calls in the story, %d stories", len(calls), stories)
}

// story is one run in a building of its own.
type story struct {
	t        *testing.T
	name     string
	building record.ID
	clean    replica.Store // the store of the node under test, without faults
	node     *replica.Node
	peer     *replica.Node
	phone    *sim.Phone
	calls    []Op
	acked    map[record.Key]map[string][]string // what stands where, as acknowledged
	writes   int                                // transactions of the node under test
}

const storyTime = int64(1_790_000_000_000)

func playStory(t *testing.T, s replica.Store, name string, at int, fault Fault) []Op {
	t.Helper()
	y := &story{t: t, name: name, building: record.DerivedID("story", name), clean: s, acked: map[record.Key]map[string][]string{}}
	faulty := &Faulty{Store: s, Next: func(op Op) Fault {
		y.calls = append(y.calls, op)
		if len(y.calls)-1 == at {
			return fault
		}
		return NoFault
	}}
	y.node, y.peer = y.newNode("under test", record.TierEdge, faulty), y.newNode("peer", record.TierCloud, memstore.New())
	person := record.DerivedID("person")
	y.phone = sim.NewPhone(y.building, person, storyKey(name+"phone"), storyRandom(name+"phone"), func() int64 { return storyTime })
	y.play(person)
	if at >= 0 && at >= len(y.calls) {
		t.Fatalf("%s: the story made %d calls only", name, len(y.calls))
	}
	y.check()
	return y.calls
}

func storyKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func storyRandom(name string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(name))) }

func (y *story) newNode(name string, tier record.Tier, s replica.Store) *replica.Node {
	boot := record.DerivedID("boot", y.name, name)
	return &replica.Node{Key: storyKey(y.name + name), Tier: tier, Rules: sim.Rules{}, Store: s, Schema: 1, Random: storyRandom(y.name + name),
		Boot: func() record.ID { return boot }, Now: func() int64 { return storyTime },
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
}

func as(n *replica.Node) replica.Peer {
	return replica.Peer{Node: n.ID(), Tier: n.Tier, PublicKey: n.PublicKey()}
}

func (y *story) play(person record.ID) {
	first, second := y.key("first"), y.key("second")
	y.write(y.node, first, "note", "one")
	y.write(y.peer, first, "title", "from above")
	y.write(y.node, second, "note", "two")
	y.session(y.peer, y.node)
	y.session(y.node, y.peer)
	y.write(y.node, first, "note", "three")
	y.pull()
	if _, err := y.phone.Write(y.phone.Set(first, "note", "from the phone"), y.phone.Set(second, "title", "phone's own")); err != nil {
		y.t.Fatal(err)
	}
	y.push(person)
	y.stands(first, "note", "from the phone")
	y.stands(second, "title", "phone's own")
	y.write(y.node, second, "note", "four")
	y.session(y.node, y.peer)
	y.session(y.peer, y.node)
}

func (y *story) key(name string) record.Key {
	return record.Key{Building: y.building, Kind: sim.Ticket, ID: record.DerivedID(y.name, name)}
}

func (y *story) stands(k record.Key, field, value string) {
	if y.acked[k] == nil {
		y.acked[k] = map[string][]string{}
	}
	y.acked[k][field] = []string{value}
}

// patient tries again what was busy. One fault is injected, so a second failure of the same
// step is the store's.
func (y *story) patient(what string, step func() error) {
	y.t.Helper()
	err := step()
	if errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrUnsure) {
		err = step()
	}
	if err != nil {
		y.t.Fatalf("%s: %s: %v", y.name, what, err)
	}
}

func (y *story) position(s replica.Store) uint64 {
	y.t.Helper()
	return mustLoad(y.t, s, y.building, replica.Need{}).State.Position
}

// write is a caller's write: one whose outcome is not known is looked up first, and one that
// failed must have left nothing.
func (y *story) write(n *replica.Node, k record.Key, field, value string) {
	y.t.Helper()
	store := y.peer.Store
	if n == y.node {
		store, y.writes = y.clean, y.writes+1
	}
	before := y.position(store)
	y.patient("write "+value, func() error {
		if y.position(store) > before {
			return nil // the look: it had happened
		}
		_, err := n.Write(testContext(y.t), y.building, []record.Key{k}, func(replica.Current) (replica.Intent, error) {
			return replica.Intent{Actor: record.Actor{Class: record.Person, Person: y.building}, Action: "edit",
				Writes: []replica.RecordWrite{{Key: k, Fields: []replica.FieldWrite{{Field: field, Value: record.Text(value)}}}}}, nil
		})
		if errors.Is(err, replica.ErrBusy) && y.position(store) != before {
			y.t.Fatalf("%s: write %s was refused and kept", y.name, value)
		}
		return err
	})
	y.stands(k, field, value)
}

// session sends all that one node holds to the other, as a link does.
func (y *story) session(from, to *replica.Node) {
	y.t.Helper()
	ctx := testContext(y.t)
	var g replica.Greeting
	y.patient("greet", func() error {
		h, err := to.Hello(ctx, y.building, as(from))
		if err == nil {
			g, err = from.Greet(ctx, y.building, as(to), h)
		}
		return err
	})
	for after, last := g.From, false; !last; {
		var p wire.Page
		var applied replica.Applied
		y.patient("read page", func() (err error) {
			p, err = from.ReadPage(ctx, y.building, after, 0, g.Held, func(uint64) bool { return false })
			return err
		})
		y.patient("apply page", func() (err error) { applied, err = to.ApplyPage(ctx, y.building, as(from), p); return err })
		if len(applied.Ack.Quarantined)+len(applied.Alarms)+len(applied.Wants) > 0 {
			y.t.Fatalf("%s: %+v", y.name, applied)
		}
		y.patient("apply ack", func() error { return from.ApplyAck(ctx, y.building, as(to), applied.Ack) })
		after, last = p.To, p.Last
	}
}

func (y *story) pull() {
	y.t.Helper()
	for last := false; !last; {
		var p wire.Page
		y.patient("pull", func() (err error) {
			p, err = y.node.ReadView(testContext(y.t), y.building, replica.View{May: func(record.Key, record.Record, record.Record) bool { return true }},
				wire.Pull{Cursor: y.phone.State.Cursors[y.node.ID()]})
			return err
		})
		if err := y.phone.Pulled(y.node.ID(), p); err != nil {
			y.t.Fatalf("%s: %v", y.name, err)
		}
		last = p.Last
	}
}

func (y *story) push(person record.ID) {
	y.t.Helper()
	admit := func(record.Key, string, []record.Value, record.Record, record.Record) string { return "" }
	for _, r := range y.phone.Outbox() {
		var answer wire.Pushed
		y.patient("push", func() (err error) {
			answer, err = y.node.ApplyPush(testContext(y.t), y.building, replica.Peer{Node: y.phone.ID(), Tier: record.TierPhone, Person: person}, admit, y.phone.Push(r, wire.PushItemsMax))
			return err
		})
		for _, result := range answer.Results {
			if len(result.Refused) > 0 {
				y.t.Fatalf("%s: refused %+v", y.name, result)
			}
		}
		if err := y.phone.Pushed(answer, y.node.Tier, y.node.PublicKey()); err != nil {
			y.t.Fatalf("%s: %v", y.name, err)
		}
	}
}

// check holds the end of a story: what was acknowledged stands, both nodes hold the same
// bytes, every chain is whole, and each write is one event.
func (y *story) check() {
	y.t.Helper()
	here, there := y.bodies(y.clean), y.bodies(y.peer.Store)
	if !maps.Equal(here, there) {
		y.t.Fatalf("%s: the nodes differ:\n%v\n%v", y.name, here, there)
	}
	for k, fields := range y.acked {
		r, err := record.Decode([]byte(here[k]))
		if err != nil {
			y.t.Fatalf("%s: %s: %v", y.name, k, err)
		}
		for field, want := range fields {
			var got []string
			for _, s := range r.Siblings(field) {
				text, _ := s.Value.AsText()
				got = append(got, text)
			}
			if !slices.Equal(got, want) {
				y.t.Fatalf("%s: %s.%s shows %q, want %q", y.name, k, field, got, want)
			}
		}
	}
	chains, err := y.clean.Chains(testContext(y.t), y.building)
	if err != nil {
		y.t.Fatal(err)
	}
	for _, c := range chains {
		rows, err := y.clean.Events(testContext(y.t), y.building, c.Replica, 1, c.Held, 1000)
		if err != nil || uint64(len(rows)) != c.Held {
			y.t.Fatalf("%s: %d of %d events of %s, %v", y.name, len(rows), c.Held, c.Replica, err)
		}
		var prev record.Hash
		for _, row := range rows {
			e, err := record.DecodeEvent(row.Body)
			if err != nil || e.Prev != prev || row.Hash != record.HashEvent(row.Body) {
				y.t.Fatalf("%s: event %d of %s does not follow: %v", y.name, row.N, c.Replica, err)
			}
			prev = row.Hash
		}
		if prev != c.Hash {
			y.t.Fatalf("%s: chain %s ends elsewhere", y.name, c.Replica)
		}
		if c.Card.Node == y.node.ID() && c.Held != uint64(y.writes)+1 {
			y.t.Fatalf("%s: %d events for %d writes and a card", y.name, c.Held, y.writes)
		}
	}
}

// bodies lists the records of a store, each once, at rising positions.
func (y *story) bodies(s replica.Store) map[record.Key]string {
	y.t.Helper()
	page := mustFeed(y.t, s, y.building, 0)
	ascending(y.t, positions(page))
	out := map[record.Key]string{}
	for _, i := range page.Items {
		if i.Event == nil {
			out[i.Key] = string(i.Body)
		}
	}
	return out
}
