package desktest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// app is a phone that a test makes every byte of.
type app struct {
	*world
	owner   desk.Caller
	key     ed25519.PrivateKey
	replica record.ReplicaID
	n       uint64
	prev    record.Hash
}

func (w *world) app(owner desk.Caller) *app {
	seed := sha256.Sum256(owner.Person[:])
	private := ed25519.NewKeyFromSeed(seed[:])
	node := record.NodeID(private.Public().(ed25519.PublicKey))
	return &app{world: w, owner: owner, key: private, replica: record.MarkReplica(record.DerivedID("app", owner.Person.String()), node)}
}

func (a *app) event(t testing.TB, e record.Event, details record.Details) wire.EventItem {
	t.Helper()
	a.n++
	e.Building, e.Replica, e.N, e.Prev = a.home, a.replica, a.n, a.prev
	if e.Stamp == 0 {
		e.Stamp = hlc.At(a.clock.Load())
	}
	e.Actor, e.Action = record.Actor{Class: record.Person, Person: a.owner.Person}, "edit"
	body := must(e.Encode())(t)
	a.prev = record.HashEvent(body)
	var encoded []byte
	if len(details) > 0 {
		encoded = must(details.Encode())(t)
	}
	return wire.EventItem{Body: body, Details: encoded, Replica: a.replica, N: a.n}
}

// push sends one write of one field, after the card where it is the first.
func (a *app) push(t testing.TB, e record.Event, k record.Key, field string, value record.Value) wire.PushResult {
	t.Helper()
	var items []wire.EventItem
	if a.n == 0 {
		public := a.key.Public().(ed25519.PublicKey)
		items = append(items, a.event(t, record.Event{EventTime: a.clock.Load(), Card: &record.Card{Node: record.NodeID(public), Tier: record.TierPhone, PublicKey: public}}, nil))
	}
	salt, values := make([]byte, record.SaltBytes), []record.Value{value}
	e.Touches = []record.Touch{{Kind: k.Kind, ID: k.ID, Field: field, Replaced: []record.Dot{}, New: record.HashValues(salt, record.LabelNew, values)}}
	items = append(items, a.event(t, e, record.Details{{Salt: salt, Old: []record.Value{}, New: values}}))
	_, admit, err := a.PhoneView(ctx(), a.owner, a.home)
	if err != nil {
		t.Fatal(err)
	}
	node := record.NodeID(a.key.Public().(ed25519.PublicKey))
	out := must(a.node.ApplyPush(ctx(), a.home, replica.Peer{Node: node, Tier: record.TierPhone, Person: a.owner.Person}, admit,
		wire.Push{Head: record.SignHead(a.key, a.home, a.replica, a.n, a.prev), Transactions: items}))(t)
	return out.Results[len(out.Results)-1]
}

// A write that arrives after its author's access ended is refused by name; its value stays
// in the audit, where a manager finds it. They see nothing any more, and who was never a
// member learns nothing.
func testLateWrite(t *testing.T, open Opener) {
	w := populated(t, open)
	lamp := w.ticket(w.boss, desk.NewTicket{Title: "Lamp"})
	k := record.Key{Building: w.home, Kind: "ticket", ID: lamp.ID}
	if err := w.ProjectMember(ctx(), w.home, desk.Member{Person: w.tess.Person, Name: "tess", Email: "tess@example.org", Role: "technician"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Ticket(ctx(), w.tess, w.home, lamp.ID)
	wantCode(t, err, problem.NotFound)
	got := w.app(w.tess).push(t, record.Event{EventTime: w.clock.Load()}, k, "resolution", record.Text("New bulb"))
	equal(t, "refused", len(got.Refused), 1)
	equal(t, "code", got.Refused[0].Code, wire.CodeAuthorRevoked)
	equal(t, "resolution", must(w.Ticket(ctx(), w.boss, w.home, lamp.ID))(t).Resolution, "")

	view, _, err := w.PhoneView(ctx(), w.tess, w.home)
	if err != nil {
		t.Fatal(err)
	}
	page := must(w.node.ReadView(ctx(), w.home, view, wire.Pull{}))(t)
	equal(t, "records for a former member", len(page.Records)+len(page.Events), 0)
	_, _, err = w.PhoneView(ctx(), w.stranger, w.home)
	wantCode(t, err, problem.NotFound)

	for _, e := range must(w.Audit(ctx(), w.boss, w.home, desk.AuditFilter{Kind: "ticket", ID: lamp.ID}, desk.Page{}))(t).Items {
		if slices.ContainsFunc(e.Refusals, func(r desk.AuditRefusal) bool {
			return r.Code == wire.CodeAuthorRevoked && r.N == got.Dot.N && slices.Contains(r.Values, any("New bulb"))
		}) {
			return
		}
	}
	t.Fatal("the manager does not find the refused value")
}

// Nobody fills a building with apps that are none: each is a record that travels for ever.
func testManyApps(t *testing.T, open Opener) {
	w := populated(t, open)
	bind := func(c desk.Caller, n int) error {
		seed := sha256.Sum256(append(c.Person[:], byte(n)))
		public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
		return w.BindPhone(ctx(), w.home, c.Person, record.NodeID(public), public)
	}
	bound := 0
	for bound < 100 && bind(w.ann, bound) == nil {
		bound++
	}
	if bound < 10 || bound == 100 {
		t.Fatalf("%d apps of one person at once", bound)
	}
	wantCode(t, bind(w.ann, bound), problem.RateLimited)
	if err := bind(w.ann, 0); err != nil {
		t.Fatalf("an app that is known: %v", err)
	}
	if err := bind(w.bob, 0); err != nil {
		t.Fatalf("somebody else's: %v", err)
	}
	w.tick(24 * time.Hour)
	if err := bind(w.ann, bound); err != nil {
		t.Fatalf("a day later: %v", err)
	}
}

// Whatever times an app claims, lists that hold them can be written.
func testOddTimes(t *testing.T, open Opener) {
	w := populated(t, open)
	leak := w.ticket(w.ann, desk.NewTicket{Title: "Leak", Unit: w.unitA})
	k := record.Key{Building: w.home, Kind: "ticket", ID: leak.ID}
	tess := w.app(w.tess)
	for _, at := range []int64{math.MaxInt64, math.MinInt64, 0} {
		tess.push(t, record.Event{EventTime: at}, k, "title", record.Text("Odd"))
	}
	tess.push(t, record.Event{Stamp: ^hlc.Stamp(0), EventTime: 1}, k, "title", record.Text("Ahead"))
	tess.push(t, record.Event{EventTime: 1}, k, "started_at", record.Int(math.MaxInt64))
	list := must(w.Audit(ctx(), w.boss, w.home, desk.AuditFilter{}, desk.Page{}))(t)
	must(json.Marshal(list))(t)
	must(json.Marshal(must(w.Conflicts(ctx(), w.boss, w.home, desk.Page{}))(t)))(t)
	must(json.Marshal(must(w.Ticket(ctx(), w.boss, w.home, leak.ID))(t)))(t)
	must(json.Marshal(must(w.SyncState(ctx(), w.boss, w.home))(t)))(t)
}
