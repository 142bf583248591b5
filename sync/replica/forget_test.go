package replica_test

import (
	"context"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// mine shows tickets whose note is "mine", and their messages.
func mine(edge *box, messages ...record.Key) replica.View {
	return replica.View{Hash: record.Hash{1},
		May: func(k record.Key, r, parent record.Record) bool {
			if k.Kind == sim.Message {
				r = parent
			}
			return len(values(r, "note")) == 1 && values(r, "note")[0] == "mine"
		},
		Children: func(_ context.Context, parents []record.Key) (out []replica.FeedItem, err error) {
			for _, m := range messages {
				if s := edge.stored(m); len(s.Body) > 0 && parents[0] == ticket(1) {
					out = append(out, replica.FeedItem{Position: s.Position, Key: m, Body: s.Body})
				}
			}
			return out, nil
		}}
}

func message(edge *box, n string) record.Key {
	k := record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("m", n)}
	edge.write(k, replica.FieldWrite{Field: "ticket", Value: record.IDValue(ticket(1).ID)}, text("text", "hello"))
	return k
}

// SPEC R29: what leaves a reader's view leaves their phone, with its children, which did
// not move; what they wrote there themselves and the cloud has not settled stays.
func TestForget(t *testing.T) {
	l := newLab(t)
	edge, _ := l.pair()
	p := l.phone("phone")
	edge.write(ticket(1), text("note", "mine"))
	edge.write(ticket(2), text("note", "mine"))
	m := message(edge, "1")
	view := mine(edge, m)
	edge.pullView(p, view)
	want(t, "held", len(p.State.Records), 3)
	l.edit(p, p.Set(ticket(1), "title", "not sent yet"))
	edge.write(ticket(1), text("note", "theirs"))
	edge.pullView(p, view)
	want(t, "held", len(p.State.Records), 1)
	want(t, "copies", len(p.State.Copies.Held), 1)
	want(t, "the other stays", values(p.View(ticket(2)), "note"), []string{"mine"})
	want(t, "own work stays", values(p.View(ticket(1)), "title"), []string{"not sent yet"})
	want(t, "and nothing else of it", len(p.View(ticket(1)).Siblings("note")), 0)
	edge.push(p, yes)
	want(t, "and is sent", values(edge.record(ticket(1)), "title"), []string{"not sent yet"})
	edge.write(ticket(1), text("note", "mine"))
	edge.pullView(p, view)
	want(t, "back in view", len(p.State.Records), 3)
}

// SPEC R29, SPEC R12: another view is from zero: what it does not show is forgotten, not
// returned, while what the server lost is returned, not forgotten.
func TestForgottenOrReturned(t *testing.T) {
	l := newLab(t)
	edge, _ := l.pair()
	p := l.phone("phone")
	edge.write(ticket(1), text("note", "mine"))
	edge.write(ticket(2), text("note", "theirs"))
	snapshot := edge.store.Snapshot()
	edge.write(ticket(3), text("note", "lost"))
	edge.pull(p)
	edge.restore(snapshot)
	edge.pullView(p, mine(edge))
	want(t, "held", []bool{has(p, 1), has(p, 2), has(p, 3)}, []bool{true, false, true})
	back, _ := p.Return(edge.ID())
	want(t, "returned", []any{len(back.Records), back.Records[0].ID}, []any{1, ticket(3).ID})
	answer, err := edge.ApplyReturn(context.Background(), home, replica.Peer{Node: p.ID(), Tier: record.TierPhone, Person: ann}, mine(edge), back)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "taken and forgotten", answer.Taken.Results[0], wire.TakenResult{Kind: sim.Ticket, ID: ticket(3).ID, Forget: true})
	p.Taken(edge.ID(), answer.Taken)
	want(t, "held", []bool{has(p, 1), has(p, 2), has(p, 3)}, []bool{true, false, false})
	want(t, "restored", values(edge.record(ticket(3)), "note"), []string{"lost"})
}

func has(p *sim.Phone, n int) bool {
	_, records := p.State.Records[ticket(n)]
	_, copies := p.State.Copies.Held[ticket(n)]
	return records && copies
}

// SPEC R29, SPEC R25: a mark names a record to nobody who was not served it by this server:
// it differs by page and run, and no id or kind leads to it. What is secret, and what no
// rule can judge, is not even marked.
func TestMarksTellNothing(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "theirs"))
	nothing := replica.View{Hash: record.Hash{2}, May: func(record.Key, record.Record, record.Record) bool { return false }}
	read := func(b *box, after wire.Page) wire.Page {
		page, err := b.ReadView(context.Background(), home, nothing, wire.Pull{Holds: true, Cursor: wire.Cursor{Generation: b.boot, View: nothing.Hash, Position: after.To, Anchor: after.Anchor}})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	marks := map[string]bool{}
	note := func(p wire.Page) {
		want(t, "marks", len(p.Forget), 1)
		want(t, "records", len(p.Records)+len(p.Events), 0)
		want(t, "length", len(p.Forget[0]), wire.MarkBytes)
		marks[string(p.Forget[0])] = true
	}
	start := wire.Page{}
	first := read(edge, start)
	note(first)
	edge.write(ticket(1), text("note", "still theirs"))
	note(read(edge, first))
	edge.restart()
	note(read(edge, start))
	edge.sync(cloud)
	note(read(cloud, start))
	want(t, "different marks", len(marks), 4)

	quiet, err := edge.ReadView(context.Background(), home, nothing, wire.Pull{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "for a phone that holds nothing", len(quiet.Forget), 0)
	cloud.write(record.Key{Building: home, Kind: sim.Credential, ID: record.DerivedID("c")}, text("hash", "secret"))
	want(t, "with a secret", len(read(cloud, start).Forget), 1)
}

// SPEC R29: a mark counts on the page and in the run that it was made for, from the server
// that served the record.
func TestForgedMarks(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	edge.write(ticket(1), text("note", "mine"))
	edge.pullView(p, mine(edge))
	tag := p.State.Copies.Held[ticket(1)].Tags[edge.ID()]
	page := wire.Page{From: 3, To: 9, Generation: edge.boot, View: record.Hash{1}, Issuer: edge.PublicKey()}
	for name, change := range map[string]func(*wire.Page){
		"another run":    func(p *wire.Page) { p.Forget = [][]byte{wire.Mark(tag, cloud.boot, 9)} },
		"another page":   func(p *wire.Page) { p.Forget = [][]byte{wire.Mark(tag, edge.boot, 8)} },
		"another server": func(p *wire.Page) { p.Forget, p.Issuer = [][]byte{wire.Mark(tag, edge.boot, 9)}, cloud.PublicKey() },
		"no server":      func(p *wire.Page) { p.Forget, p.Issuer = [][]byte{wire.Mark(tag, edge.boot, 9)}, nil },
		"the bare tag":   func(p *wire.Page) { p.Forget = [][]byte{tag} },
	} {
		forged := page
		change(&forged)
		if err := p.Pulled(edge.ID(), forged); err != nil || !has(p, 1) {
			t.Errorf("%s: forgotten (%v)", name, err)
		}
	}
	page.Forget = [][]byte{wire.Mark(tag, edge.boot, 9)}
	if err := p.Pulled(edge.ID(), page); err != nil || has(p, 1) {
		t.Errorf("the true mark is not understood (%v)", err)
	}
}

// SPEC R29: all that hangs on what leaves goes with it, however much it is.
func TestForgetManyChildren(t *testing.T) {
	l := newLab(t)
	edge, _ := l.pair()
	p := l.phone("phone")
	edge.write(ticket(1), text("note", "mine"))
	var all []record.Key
	for n := range 40 {
		all = append(all, message(edge, string(rune('a'+n))))
	}
	view := mine(edge, all...)
	edge.pullView(p, view)
	want(t, "held", len(p.State.Records), 41)
	edge.write(ticket(1), text("note", "theirs"))
	edge.pullView(p, view)
	want(t, "held after", len(p.State.Records), 0)
}
