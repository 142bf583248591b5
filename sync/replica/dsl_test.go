package replica_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

var (
	home  = record.DerivedID("building", "home")
	other = record.DerivedID("building", "other")
	ann   = record.DerivedID("person", "ann")
)

const noon = int64(1_790_000_000_000)

// lab is a network of a test, with a clock that the test moves.
type lab struct {
	t     *testing.T
	now   int64
	boots int
	known map[record.ID]record.Tier
	// revoked are nodes whose keys may be in other hands.
	revoked map[record.ID]bool
}

// box is one node of the lab.
type box struct {
	*replica.Node
	lab   *lab
	store *memstore.Store
	fault *keyFault
	boot  record.ID
	skew  int64
	taken []takenPage // by link, each for this box
}

// keyFault is a store that cannot take one record, or nothing at all.
type keyFault struct {
	replica.Store
	bad  record.Key
	busy bool
	// busyAfter counts the updates until the store is busy; zero for never.
	busyAfter int
}

var errKey = errors.New("this record breaks the store")

func (f *keyFault) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	if f.busyAfter > 0 {
		if f.busyAfter--; f.busyAfter == 0 {
			return replica.ErrBusy
		}
	}
	if f.busy {
		return replica.ErrBusy
	}
	return f.Store.Update(ctx, building, func(tx replica.Tx) error { return fn(keyFaultTx{tx, f}) })
}

type keyFaultTx struct {
	replica.Tx
	fault *keyFault
}

func (f keyFaultTx) Save(ctx context.Context, e replica.Effects) error {
	for _, r := range e.Records {
		if r.Key == f.fault.bad {
			return errKey
		}
	}
	return f.Tx.Save(ctx, e)
}

// takenPage is a page that a link brought a box.
type takenPage struct {
	from *box
	page wire.Page
}

func newLab(t *testing.T) *lab {
	t.Helper()
	t.Parallel()
	return &lab{t: t, now: noon, known: map[record.ID]record.Tier{}, revoked: map[record.ID]bool{}}
}

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (l *lab) node(name string, tier record.Tier) *box {
	b := &box{lab: l, store: memstore.New()}
	b.fault = &keyFault{Store: b.store}
	b.Node = &replica.Node{Key: key(name), Tier: tier, Rules: sim.Rules{}, Store: b.fault, Schema: 1,
		Boot: func() record.ID { return b.boot }, Now: func() int64 { return l.now + b.skew }, Random: rand.NewChaCha8(sha256.Sum256([]byte(name))),
		Trusted: func(_ context.Context, _, node record.ID, tier record.Tier) (bool, error) {
			if b.Tier == record.TierEdge && tier == record.TierEdge {
				return node == b.ID(), nil // an edge knows itself and the cloud
			}
			return l.known[node] == tier, nil
		},
		Servers: func(_ context.Context, _, node record.ID) (replica.Server, error) {
			return replica.Server{Tier: l.known[node], Revoked: l.revoked[node]}, nil
		}}
	l.known[b.ID()] = tier
	b.restart()
	return b
}

func (l *lab) pair() (edge, cloud *box) {
	return l.node("edge", record.TierEdge), l.node("cloud", record.TierCloud)
}

func (l *lab) phone(name string) *sim.Phone {
	return sim.NewPhone(home, ann, key(name), rand.NewChaCha8(sha256.Sum256([]byte(name))), func() int64 { return l.now })
}

// restart is a new run of the process on the same store.
func (b *box) restart() {
	b.lab.boots++
	b.boot = record.DerivedID("boot", fmt.Sprint(b.lab.boots))
}

// restore puts an older disk in place.
func (b *box) restore(snapshot *memstore.Store) {
	b.store = snapshot.Snapshot()
	b.fault.Store = b.store
	b.restart()
}

func (b *box) peer() replica.Peer {
	return replica.Peer{Node: b.ID(), Tier: b.Tier, PublicKey: b.Key.Public().(ed25519.PublicKey)}
}

func ticket(n int) record.Key {
	return record.Key{Building: home, Kind: sim.Ticket, ID: record.DerivedID("ticket", fmt.Sprint(n))}
}

func person() record.Actor { return record.Actor{Class: record.Person, Person: ann} }

func text(field, value string) replica.FieldWrite {
	return replica.FieldWrite{Field: field, Value: record.Text(value)}
}

func (b *box) try(k record.Key, fields ...replica.FieldWrite) (replica.Written, error) {
	return b.Write(context.Background(), k.Building, []record.Key{k}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: person(), Action: "edit", Writes: []replica.RecordWrite{{Key: k, Fields: fields}}}, nil
	})
}

func (b *box) write(k record.Key, fields ...replica.FieldWrite) record.Dot {
	b.lab.t.Helper()
	w, err := b.try(k, fields...)
	if err != nil {
		b.lab.t.Fatalf("write %s: %v", k, err)
	}
	return w.Dot
}

func (b *box) load(need replica.Need) replica.Have {
	b.lab.t.Helper()
	have, err := b.store.Load(context.Background(), home, need)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	return have
}

func (b *box) stored(k record.Key) replica.Stored {
	return b.load(replica.Need{Keys: []record.Key{k}}).Records[k]
}

func (b *box) record(k record.Key) record.Record { return b.stored(k).Record }
func (b *box) position() uint64                  { return b.load(replica.Need{}).State.Position }

func (b *box) chain(r record.ReplicaID) replica.Chain {
	return b.load(replica.Need{Chains: []record.ReplicaID{r}}).Chains[r]
}

// heldMap is what the node holds of every chain.
func (b *box) heldMap() map[record.ReplicaID]uint64 {
	b.lab.t.Helper()
	list, err := b.store.Chains(context.Background(), home)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	out := map[record.ReplicaID]uint64{}
	for _, c := range list {
		out[c.Replica] = c.Held
	}
	return out
}

func (b *box) held(from *box) []replica.QuarantineRow {
	return b.load(replica.Need{Peer: from.ID(), Quarantine: 1000}).Quarantine
}

func (b *box) events(r record.ReplicaID) []record.Event {
	b.lab.t.Helper()
	rows, err := b.store.Events(context.Background(), home, r, 1, ^uint64(0), 1000)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	var out []record.Event
	for _, row := range rows {
		e, err := record.DecodeEvent(row.Body)
		if err != nil {
			b.lab.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func (b *box) greet(from *box) replica.Greeting {
	b.lab.t.Helper()
	h, err := from.Hello(context.Background(), home, b.peer())
	if err != nil {
		b.lab.t.Fatal(err)
	}
	g, err := b.Greet(context.Background(), home, from.peer(), h)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	return g
}

func (b *box) read(after uint64, held map[record.ReplicaID]uint64) wire.Page {
	b.lab.t.Helper()
	p, err := b.ReadPage(context.Background(), home, after, 0, held, func(uint64) bool { return false })
	if err != nil {
		b.lab.t.Fatal(err)
	}
	return p
}

func (b *box) apply(from *box, p wire.Page) replica.Applied {
	b.lab.t.Helper()
	a, err := b.ApplyPage(context.Background(), home, from.peer(), p)
	if err != nil {
		b.lab.t.Fatalf("apply page: %v", err)
	}
	return a
}

// send is one session of one direction: greet, the rest of the feed, wants, acks.
func (b *box) send(to *box) replica.Applied {
	b.lab.t.Helper()
	g := b.greet(to)
	if len(g.Receipts) > 0 {
		to.apply(b, wire.Page{Receipts: g.Receipts})
	}
	var all replica.Applied
	for after, done := g.From, false; !done; {
		p := b.read(after, g.Held)
		a := to.apply(b, p)
		for _, w := range a.Wants {
			if events, err := b.ReadEvents(context.Background(), home, w); err == nil && len(events.Events) > 0 {
				to.apply(b, events)
			}
		}
		if err := b.ApplyAck(context.Background(), home, to.peer(), a.Ack); err != nil {
			b.lab.t.Fatalf("apply ack: %v", err)
		}
		all.Alarms = append(all.Alarms, a.Alarms...)
		all.Ack.Quarantined = append(all.Ack.Quarantined, a.Ack.Quarantined...)
		all.Ack.Released = append(all.Ack.Released, a.Ack.Released...)
		after, done = p.To, p.Last
	}
	return all
}

// sync exchanges both ways until nothing moves.
func (b *box) sync(to *box) {
	b.lab.t.Helper()
	for range 8 {
		before := [2]uint64{b.position(), to.position()}
		b.send(to)
		to.send(b)
		if before == [2]uint64{b.position(), to.position()} {
			return
		}
	}
	b.lab.t.Fatal("the exchange never comes to rest")
}

func yes(record.Key, string, []record.Value, record.Record, record.Record) string { return "" }

// deny admits all but one field.
func deny(field string) replica.Admit {
	return func(_ record.Key, f string, _ []record.Value, _, _ record.Record) string {
		if f == field {
			return wire.CodeFieldForbidden
		}
		return ""
	}
}

func (b *box) tryPush(p *sim.Phone, admit replica.Admit, push wire.Push) (wire.Pushed, error) {
	return b.ApplyPush(context.Background(), home, replica.Peer{Node: p.ID(), Tier: record.TierPhone, Person: ann}, admit, push)
}

func (b *box) push(p *sim.Phone, admit replica.Admit) wire.Pushed {
	b.lab.t.Helper()
	var last wire.Pushed
	for _, r := range p.Outbox() {
		last = b.take(p, admit, p.Push(r, wire.PushItemsMax-1))
	}
	return last
}

func (b *box) take(p *sim.Phone, admit replica.Admit, push wire.Push) wire.Pushed {
	b.lab.t.Helper()
	out, err := b.tryPush(p, admit, push)
	if err != nil {
		b.lab.t.Fatalf("push: %v", err)
	}
	if err := p.Pushed(out, b.Tier, b.Key.Public().(ed25519.PublicKey)); err != nil {
		b.lab.t.Fatal(err)
	}
	return out
}

func everything(record.Key, record.Record, record.Record) bool { return true }

func (b *box) pull(p *sim.Phone) {
	b.lab.t.Helper()
	b.pullView(p, replica.View{May: everything})
}

func (b *box) pullView(p *sim.Phone, v replica.View) {
	b.lab.t.Helper()
	for last := false; !last; {
		page, err := b.ReadView(context.Background(), home, v, p.Pull(b.ID()))
		if err != nil {
			b.lab.t.Fatal(err)
		}
		if err := p.Pulled(b.ID(), page); err != nil {
			b.lab.t.Fatal(err)
		}
		last = page.Last
	}
}

// giveBack lets a phone return what a whole pass did not bring.
func (b *box) giveBack(p *sim.Phone) (all []wire.TakenResult) {
	b.lab.t.Helper()
	for range 10 {
		back, any := p.Return(b.ID())
		if !any {
			return all
		}
		answer := b.takeBack(p, back)
		p.Taken(b.ID(), answer.Taken)
		all = append(all, answer.Taken.Results...)
	}
	b.lab.t.Fatal("the return never ends")
	return nil
}

func (b *box) takeBack(p *sim.Phone, back wire.Returned) replica.Return {
	b.lab.t.Helper()
	answer, err := b.ApplyReturn(context.Background(), home, replica.Peer{Node: p.ID(), Tier: record.TierPhone, Person: ann}, replica.View{May: everything}, back)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	return answer
}

func (l *lab) edit(p *sim.Phone, puts ...sim.Put) record.Dot {
	l.t.Helper()
	dot, err := p.Write(puts...)
	if err != nil {
		l.t.Fatal(err)
	}
	return dot
}

// values lists a field's values as text, sorted.
func values(r record.Record, field string) []string {
	out := []string{}
	for _, s := range r.Siblings(field) {
		v, _ := s.Value.AsText()
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// same holds two nodes to byte-identical records and equal chains.
func same(t *testing.T, a, b *box) {
	t.Helper()
	bodies := [2]map[record.Key]string{{}, {}}
	chains := [2]map[record.ReplicaID]uint64{{}, {}}
	for i, n := range []*box{a, b} {
		feed, err := n.store.Feed(context.Background(), home, 0, 1<<20, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range feed.Items {
			if item.Event == nil {
				bodies[i][item.Key] = string(item.Body)
			}
		}
		list, err := n.store.Chains(context.Background(), home)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			chains[i][c.Replica] = c.Held
		}
	}
	for k, body := range bodies[0] {
		if bodies[1][k] != body {
			t.Errorf("%s differs:\n%+v\n%+v", k, a.record(k), b.record(k))
		}
	}
	if len(bodies[0]) != len(bodies[1]) || len(bodies[0]) == 0 {
		t.Errorf("%d records here, %d there", len(bodies[0]), len(bodies[1]))
	}
	if fmt.Sprint(chains[0]) != fmt.Sprint(chains[1]) {
		t.Errorf("chains differ: %v, %v", chains[0], chains[1])
	}
}

func code(t *testing.T, err error, want string) {
	t.Helper()
	if got := replica.RefusalCode(err); got != want {
		t.Fatalf("got refusal %q (%v), want %q", got, err, want)
	}
}
