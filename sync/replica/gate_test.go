package replica_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"testing"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// cover adds single dots to a record's context, as an edge does that was taken over.
func cover(t *testing.T, body []byte, field string, dots ...record.Dot) []byte {
	t.Helper()
	r, err := record.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dots {
		r.Context = merge.JoinContexts(r.Context, record.Context{Dots: []record.FieldDot{{Field: field, Dot: d}}}, merge.NoLineage{})
	}
	out, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// An edge cannot claim numbers that their owners have not written yet, not by single dots
// either, whether in a record of its own or in one that a phone wrote at it: what the owner
// writes later stands (SPEC R9, trace t02).
func TestFutureSingleDots(t *testing.T) {
	for name, by := range map[string]func(l *lab, edge *box){
		"the edge's own record": func(_ *lab, edge *box) { edge.write(ticket(1), text("title", "edge")) },
		"a phone's write": func(l *lab, edge *box) {
			p := l.phone("helper")
			edge.pull(p)
			l.edit(p, p.Set(ticket(1), "title", "helper"))
			edge.push(p, yes)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			live := cloud.write(ticket(1), text("note", "cloud"))
			p := l.phone("phone")
			cloud.pull(p)
			mine := l.edit(p, p.Set(ticket(1), "status", "new"))
			cloud.push(p, yes)
			edge.sync(cloud)
			by(l, edge)
			page := edge.read(0, nil)
			i := slices.IndexFunc(page.Records, func(r wire.RecordItem) bool { return r.ID == ticket(1).ID })
			honest := page.Records[i].Body
			for _, d := range []record.Dot{{Replica: live.Replica, N: live.N + 1}, {Replica: mine.Replica, N: mine.N + 1}} {
				page.Records[i].Body = cover(t, honest, "note", d)
				page.From, page.To = 0, 0
				got := cloud.apply(edge, page)
				want(t, "quarantined", got.Ack.Quarantined, []wire.Quarantined{{Kind: sim.Ticket, ID: ticket(1).ID, Code: wire.CodeContextUnsigned}})
				want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"cloud"})
			}
			cloud.write(ticket(1), text("note", "later"))
			want(t, "the cloud's next write", values(cloud.record(ticket(1)), "note"), []string{"later"})
			cloud.pull(p)
			l.edit(p, p.Set(ticket(1), "note", "the phone's next write"))
			cloud.push(p, yes)
			edge.sync(cloud)
			want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"the phone's next write"})
			same(t, edge, cloud)
		})
	}
}

// A phone replaces a value of an edge that was rewound since: by whichever server it comes,
// nothing waits for ever, and what the author replaced does not stand beside the new value
// (SPEC R9, R15; flaw G6).
func TestReplacedNumberLostInARewind(t *testing.T) {
	for name, path := range map[string]func(edge, cloud *box, p *sim.Phone){
		"by the edge":  func(edge, _ *box, p *sim.Phone) { edge.push(p, yes) },
		"by the cloud": func(_, cloud *box, p *sim.Phone) { cloud.push(p, yes) },
		"by both":      func(edge, cloud *box, p *sim.Phone) { edge.push(p, yes); cloud.push(p, yes) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			cloud.write(ticket(1), text("title", "first"))
			edge.sync(cloud)
			snapshot := edge.store.Snapshot()
			lost := edge.write(ticket(1), text("title", "lost"))
			p := l.phone("phone")
			edge.pull(p)
			edge.restore(snapshot)
			edge.write(ticket(2), text("title", "after"))
			l.edit(p, p.Set(ticket(1), "title", "phone"))
			path(edge, cloud, p)
			edge.sync(cloud)
			cloud.push(p, yes)
			cloud.pull(p)
			want(t, "held back", len(edge.held(cloud))+len(cloud.held(edge)), 0)
			want(t, "outbox", len(p.State.Log), 0)
			same(t, edge, cloud)
			want(t, "the lost number is covered", merge.Covers(cloud.record(ticket(1)).Context, "title", lost, merge.NoLineage{}), true)
			edge.write(ticket(1), text("title", "again"))
			edge.sync(cloud)
			want(t, "the edge goes on", values(cloud.record(ticket(1)), "title"), []string{"again"})
		})
	}
}

// A phone that saw another's value at the cloud replaces it at an edge that knows neither:
// with the proofs that it brings there is no conflict later; without them nothing is lost,
// and who decided otherwise agrees in the end (SPEC R9).
func TestReplacedNumberUnknownHere(t *testing.T) {
	for name, c := range map[string]struct {
		bare, cloudToo bool
		title          []string
	}{
		"proven":                           {title: []string{"mine"}},
		"unproven":                         {bare: true, title: []string{"mine", "theirs"}},
		"unproven here, proven at the top": {bare: true, cloudToo: true, title: []string{"mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			theirs, p := l.phone("theirs"), l.phone("mine")
			l.edit(theirs, theirs.Set(ticket(1), "title", "theirs"))
			cloud.push(theirs, yes)
			cloud.pull(p)
			l.edit(p, p.Set(ticket(1), "title", "mine"))
			push := p.Push(p.Outbox()[0], wire.PushItemsMax-1)
			if c.cloudToo {
				if _, err := cloud.tryPush(p, yes, push); err != nil {
					t.Fatal(err)
				}
			}
			if c.bare {
				push.Heads, push.Cards = nil, nil
			}
			edge.take(p, yes, push)
			want(t, "at the edge", values(edge.record(ticket(1)), "title"), []string{"mine"})
			edge.sync(cloud)
			same(t, edge, cloud)
			want(t, "title", values(cloud.record(ticket(1)), "title"), c.title)
			want(t, "held back", len(cloud.held(edge)), 0)
		})
	}
}

// A phone cannot bring a card of another node by its word alone: a card decides what an
// entry covers (SPEC R9, R19).
func TestCardByWordAlone(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, v *wire.Vouched){
		"no receipt": func(_ *testing.T, v *wire.Vouched) { v.Receipt, v.Issuer = record.Receipt{}, nil },
		"receipt of a stranger": func(_ *testing.T, v *wire.Vouched) {
			v.Receipt = record.SignReceipt(key("stranger"), home, v.Receipt)
			v.Issuer = key("stranger").Public().(ed25519.PublicKey)
		},
		"signature of another": func(_ *testing.T, v *wire.Vouched) { v.Receipt.Signature = bytes.Repeat([]byte{1}, 64) },
		"another predecessor": func(t *testing.T, v *wire.Vouched) {
			e, err := record.DecodeEvent(v.Card.Body)
			if err != nil {
				t.Fatal(err)
			}
			e.Card.Predecessor, e.Card.PredecessorHash = record.Dot{Replica: record.DerivedID("replica", "x"), N: 1 << 40}, record.Hash{1}
			if v.Card.Body, err = e.Encode(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			theirs, p := l.phone("theirs"), l.phone("mine")
			dot := l.edit(theirs, theirs.Set(ticket(1), "title", "theirs"))
			cloud.push(theirs, yes)
			cloud.pull(p)
			l.edit(p, p.Set(ticket(1), "title", "mine"))
			push := p.Push(p.Outbox()[0], wire.PushItemsMax-1)
			want(t, "cards", len(push.Cards), 1)
			spoil(t, &push.Cards[0])
			edge.take(p, yes, push)
			want(t, "the card at the edge", edge.chain(dot.Replica).Card == nil, true)
			want(t, "the other's number is covered", edge.record(ticket(1)).Context.HasDot(record.FieldDot{Field: "title", Dot: dot}), false)
		})
	}
}

// An additive fact replaces nothing, not even before anything stands there (SPEC R7).
func TestImmutableReplacesNothing(t *testing.T) {
	l := newLab(t)
	_, cloud := l.pair()
	live := cloud.write(ticket(1), text("title", "a"))
	message := record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("message", "1")}
	mine, detail := touch(message, "text", "mine", live)
	push, peer := phoneEvent(t, []record.Touch{mine}, record.Details{detail})
	got, err := cloud.ApplyPush(context.Background(), home, peer, yes, push)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "refused", refusedAs(t, got), wire.CodeImmutable)
}

// Nobody gains rights over a record by naming another parent for it in the same
// transaction; a new record has the parent that it names (SPEC R7, R25).
func TestRightsOfTheStoredParent(t *testing.T) {
	for name, c := range map[string]struct {
		stored bool
		parent string
	}{"stored record": {true, "theirs"}, "new record": {false, "mine"}} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			_, cloud := l.pair()
			cloud.write(ticket(1), text("title", "theirs"))
			cloud.write(ticket(2), text("title", "mine"))
			message := record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("message", "1")}
			var replaced []record.Dot
			if c.stored {
				replaced = append(replaced, cloud.write(message, replica.FieldWrite{Field: "ticket", Value: record.IDValue(ticket(1).ID)}))
			}
			words, a := touch(message, "text", "let me in")
			moved, b := touch(message, "ticket", "", replaced...)
			b.New = []record.Value{record.IDValue(ticket(2).ID)}
			moved.New = record.HashValues(b.Salt, record.LabelNew, b.New)
			push, peer := phoneEvent(t, []record.Touch{words, moved}, record.Details{a, b})
			asked := false
			admit := func(_ record.Key, field string, _ []record.Value, _, parent record.Record) string {
				asked = true
				want(t, "parent for "+field, values(parent, "title"), []string{c.parent})
				return ""
			}
			if _, err := cloud.ApplyPush(context.Background(), home, peer, admit, push); err != nil {
				t.Fatal(err)
			}
			want(t, "asked", asked, true)
		})
	}
}
