// Package desktest is one suite of the desk's use cases for every store: the twin in
// memory, SQLite and PostgreSQL answer alike or one of them has a bug.
//
// It must never be linked by what ships.
package desktest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// Opener makes an empty store with its queries. A nil query means the twin's.
type Opener func(t *testing.T) (replica.Store, desk.Query)

// noon is when every test begins.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// world is one node with two buildings and their people.
type world struct {
	*testing.T
	*desk.Desk
	node  *replica.Node
	store replica.Store
	clock atomic.Int64 // Unix milliseconds

	home, other  record.ID
	unitA, unitB record.ID
	root         desk.Caller // the operator's admin
	boss, tess   desk.Caller // manager and technician of home
	ann, bob     desk.Caller // tenants of unit A and unit B
	stranger     desk.Caller // manager of the other building
}

// bare is a world with no buildings.
func bare(t *testing.T, open Opener, name string, tier record.Tier) *world {
	t.Helper()
	w := &world{T: t}
	w.clock.Store(noon.UnixMilli())
	store, query := open(t)
	if query == nil {
		query = Memory{store}
	}
	w.store = store
	seed := sha256.Sum256([]byte(name))
	boot := record.DerivedID("boot", name)
	w.node = &replica.Node{Key: ed25519.NewKeyFromSeed(seed[:]), Tier: tier, Rules: schema.Default(), Store: store, Random: rand.Reader,
		Boot: func() record.ID { return boot }, Now: w.clock.Load, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
	w.Desk = desk.New(desk.Config{Node: w.node, Table: schema.Default(), Query: query, Now: w.now, Random: rand.Reader})
	w.home, w.other = record.DerivedID("building", "home"), record.DerivedID("building", "other")
	person := func(name string) desk.Caller { return desk.Caller{Person: record.DerivedID("person", name)} }
	w.boss, w.tess, w.ann, w.bob, w.stranger = person("boss"), person("tess"), person("ann"), person("bob"), person("stranger")
	w.root = desk.Caller{Person: record.DerivedID("person", "root"), Admin: true}
	return w
}

// populated is a cloud with both buildings, their units and people.
func populated(t *testing.T, open Opener) *world {
	t.Helper()
	w := bare(t, open, "cloud", record.TierCloud)
	home := must(w.CreateBuilding(ctx(), w.root, desk.NewBuilding{ID: w.newID(), Name: "Oak House", Code: "OAK", TimeZone: "Europe/Berlin"}))(t)
	other := must(w.CreateBuilding(ctx(), w.root, desk.NewBuilding{ID: w.newID(), Name: "Elm House", Code: "ELM"}))(t)
	w.home, w.other = home.ID, other.ID
	w.unitA = must(w.CreateUnit(ctx(), w.root, w.home, desk.NewUnit{Name: "A 1", Floor: "1"}))(t).ID
	w.unitB = must(w.CreateUnit(ctx(), w.root, w.home, desk.NewUnit{Name: "B 2", Floor: "2"}))(t).ID
	w.member(w.home, w.boss, "boss", schema.Manager)
	w.member(w.home, w.tess, "tess", schema.Technician)
	w.member(w.home, w.ann, "ann", schema.Tenant, w.unitA)
	w.member(w.home, w.bob, "bob", schema.Tenant, w.unitB)
	w.member(w.other, w.stranger, "stranger", schema.Manager)
	return w
}

func (w *world) member(building record.ID, c desk.Caller, name string, role schema.Role, units ...record.ID) {
	w.Helper()
	err := w.ProjectMember(ctx(), building, desk.Member{Person: c.Person, Name: name, Email: name + "@example.org", Role: string(role), Units: units, Active: true,
		PasswordHash: "$argon2id$" + name})
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) now() time.Time { return time.UnixMilli(w.clock.Load()).UTC() }

func (w *world) tick(d time.Duration) { w.clock.Add(d.Milliseconds()) }

func (w *world) newID() record.ID {
	w.Helper()
	return must(record.NewID(w.clock.Load(), rand.Reader))(w.T)
}

func (w *world) ticket(c desk.Caller, in desk.NewTicket) desk.Ticket {
	w.Helper()
	return must(w.CreateTicket(ctx(), c, w.home, in))(w.T).Ticket
}

func ctx() context.Context { return context.Background() }

// must returns a value whose error the test does not expect.
func must[V any](v V, err error) func(testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return v
	}
}

func wantCode(t testing.TB, err error, code problem.Code) {
	t.Helper()
	if !problem.HasCode(err, code) {
		t.Fatalf("error %v, want code %s", err, code)
	}
}

func equal[V comparable](t testing.TB, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

func ptr[V any](v V) *V { return &v }

// exchange sends everything that a holds of the building to b.
func exchange(t testing.TB, a, b *world) {
	t.Helper()
	peer := replica.Peer{Node: a.node.ID(), Tier: a.node.Tier, PublicKey: a.node.Key.Public().(ed25519.PublicKey)}
	for after := uint64(0); ; {
		p := must(a.node.ReadPage(ctx(), a.home, after, 0, nil, func(uint64) bool { return false }))(t)
		applied := must(b.node.ApplyPage(ctx(), a.home, peer, p))(t)
		if len(applied.Ack.Quarantined) > 0 {
			t.Fatalf("quarantined: %+v", applied.Ack.Quarantined)
		}
		back := replica.Peer{Node: b.node.ID(), Tier: b.node.Tier, PublicKey: b.node.Key.Public().(ed25519.PublicKey)}
		if err := a.node.ApplyAck(ctx(), a.home, back, applied.Ack); err != nil {
			t.Fatal(err)
		}
		if after = p.To; p.Last {
			return
		}
	}
}
