package replica_test

import (
	"context"
	"testing"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// SPEC R7, SPEC R24: admission is by field, a refusal is an event that keeps the value, and
// the rest goes on.
func TestAdmissionByField(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	edge.write(ticket(1), text("note", "v0"))
	p := l.phone("phone")
	edge.pull(p)
	dot := l.edit(p, p.Set(ticket(1), "note", "forbidden"), p.Set(ticket(1), "status", "done"))
	answer := edge.push(p, deny("note"))
	want(t, "told", answer.Results[1].Refused, []wire.RefusedPart{{Kind: sim.Ticket, ID: ticket(1).ID, Field: "note", Code: wire.CodeFieldForbidden}})
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"v0"})
	want(t, "status", values(edge.record(ticket(1)), "status"), []string{"done"})
	own := edge.load(replica.Need{}).State
	events := edge.events(own.Replica)
	refusal := events[len(events)-1]
	want(t, "refusal", refusal.Refusals, []record.Refused{{Dot: dot, Kind: sim.Ticket, ID: ticket(1).ID, Field: "note", Code: wire.CodeFieldForbidden}})
	rows, err := edge.store.Events(context.Background(), home, own.Replica, own.N, own.N, 1)
	if err != nil {
		t.Fatal(err)
	}
	details, err := record.DecodeDetails(rows[0].Details)
	if err != nil {
		t.Fatal(err)
	}
	kept, _ := details[0].New[0].AsText()
	want(t, "value in the audit", kept, "forbidden")
	before := edge.position()
	again := edge.push(p, yes)
	want(t, "refused once, refused", len(again.Results[1].Refused), 1)
	want(t, "position after a duplicate", edge.position(), before)
}

// SPEC R7: who knows of a refusal before deciding follows it.
func TestRefusalIsFollowed(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "forbidden"), p.Set(ticket(1), "title", "fine"))
	edge.push(p, deny("note"))
	edge.sync(cloud)
	answer := cloud.push(p, yes)
	want(t, "refused", len(answer.Results[1].Refused), 1)
	want(t, "settled", answer.Receipt.Settled, 2)
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "note", len(cloud.record(ticket(1)).Siblings("note")), 0)
	cloud.pull(p)
	want(t, "outbox", len(p.State.Log), 0)
}

// SPEC R7, SPEC R8 (trace t13): what the edge refused and the cloud admitted comes to the
// edge with the record, and no entry was raised over it before.
func TestAdmittedByOneIsAdmitted(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("title", "t"))
	edge.sync(cloud)
	p := l.phone("phone")
	edge.pull(p)
	l.edit(p, p.Set(ticket(1), "status", "assigned"))
	l.edit(p, p.Set(ticket(1), "note", "n2"))
	l.edit(p, p.Set(ticket(1), "status", "done"))
	cloud.push(p, yes)
	edge.push(p, deny("note"))
	want(t, "not raised at the edge", edge.record(ticket(1)).Context.Entry(p.State.Replica) < 3, true)
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"n2"})
	want(t, "status", values(edge.record(ticket(1)), "status"), []string{"done"})
	want(t, "single dots", len(edge.record(ticket(1)).Context.Dots), 0)
}

// SPEC R8 (trace u03): the events of a phone travel ahead of the record; holding them raises
// nothing.
func TestHeldIsNotApplied(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "status", "assigned"))
	l.edit(p, p.Set(ticket(1), "note", "n2"))
	edge.push(p, yes)
	page := edge.read(0, nil)
	page.Records, page.From, page.To = nil, 0, 0
	cloud.apply(edge, page)
	l.edit(p, p.Set(ticket(1), "status", "done"))
	push := p.Push(p.Outbox()[0], 100)
	push.Transactions = push.Transactions[3:]
	answer := cloud.take(p, yes, push)
	want(t, "settled only to what is here", answer.Receipt.Settled, 2)
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"n2"})
	want(t, "status", values(cloud.record(ticket(1)), "status"), []string{"done"})
	push.Transactions = nil
	want(t, "settled", cloud.take(p, yes, push).Receipt.Settled, 4)
}

// SPEC R13: only the cloud settles, and a phone keeps its transaction until it also pulled
// it.
func TestSettled(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "v"))
	want(t, "the edge settles nothing", edge.push(p, yes).Receipt.Settled, 0)
	want(t, "the cloud does", cloud.push(p, yes).Receipt.Settled, 2)
	want(t, "kept until pulled", len(p.State.Log), 1)
	cloud.pull(p)
	want(t, "dropped", len(p.State.Log), 0)
	want(t, "shown", values(p.View(ticket(1)), "note"), []string{"v"})
}

// SPEC R8, SPEC R19: a phone's next replica covers the one before it.
func TestPhoneLineage(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	for _, v := range []string{"1", "2", "3"} {
		l.edit(p, p.Set(ticket(1), "note", v))
		p.Restart()
	}
	cloud.push(p, yes)
	edge.push(p, yes)
	edge.sync(cloud)
	same(t, edge, cloud)
	c := cloud.record(ticket(1)).Context
	want(t, "dots and entries", []int{len(c.Dots), len(c.Vector)}, []int{0, 1})
}

// SPEC R7, SPEC R28: a phone speaks for itself alone, under its own signature.
func TestForgedPush(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	honest, thief := l.phone("phone"), l.phone("thief")
	l.edit(honest, honest.Set(ticket(1), "note", "v"))
	l.edit(thief, thief.Set(ticket(1), "note", "w"))
	good := honest.Push(honest.Outbox()[0], 100)
	for name, c := range map[string]struct {
		phone  *sim.Phone
		code   string
		change func(*wire.Push)
	}{
		"another's replica":   {thief, wire.CodeNodeUnknown, func(*wire.Push) {}},
		"another's head":      {thief, wire.CodeBadSignature, func(p *wire.Push) { p.Head = thief.Push(thief.Outbox()[0], 1).Head }},
		"head by another key": {honest, wire.CodeBadSignature, func(p *wire.Push) { p.Head = record.SignHead(thief.Key, home, p.Head.Replica, p.Head.N, p.Head.Hash) }},
		"beyond the head":     {honest, wire.CodeBadSignature, func(p *wire.Push) { p.Head = record.SignHead(honest.Key, home, p.Head.Replica, 1, p.Head.Hash) }},
		"another hash": {honest, wire.CodeChainFork, func(p *wire.Push) {
			p.Head = record.SignHead(honest.Key, home, p.Head.Replica, p.Head.N, record.Hash{1})
		}},
		"no card":                {honest, wire.CodeReplicaUnknown, func(p *wire.Push) { p.Transactions = p.Transactions[1:] }},
		"of another building":    {honest, wire.CodeWrongBuilding, func(p *wire.Push) { p.Transactions = []wire.EventItem{foreignEvent(t)} }},
		"without form and place": {honest, wire.CodeEventMalformed, func(p *wire.Push) { p.Transactions = []wire.EventItem{{Body: []byte("x")}} }},
	} {
		push := good
		c.change(&push)
		before := edge.position()
		_, err := edge.tryPush(c.phone, yes, push)
		if replica.RefusalCode(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
		want(t, name+": position", edge.position(), before)
	}
	edge.take(honest, yes, good)
	empty := wire.Push{Head: good.Head}
	_, err := edge.tryPush(thief, yes, empty)
	code(t, err, wire.CodeNodeUnknown)
}

func foreignEvent(t *testing.T) wire.EventItem {
	t.Helper()
	p := sim.NewPhone(other, ann, key("phone"), zero{}, func() int64 { return noon })
	if _, err := p.Write(p.Set(record.Key{Building: other, Kind: sim.Ticket, ID: ticket(1).ID}, "note", "v")); err != nil {
		t.Fatal(err)
	}
	return p.Push(p.Outbox()[0], 1).Transactions[0]
}

type zero struct{}

func (zero) Read(b []byte) (int, error) { return len(b), nil }

// SPEC R4, SPEC R16, SPEC R20, SPEC R24: what of a transaction a node refuses by itself,
// whatever the author's rights.
func TestJudged(t *testing.T) {
	message := record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("m", "1")}
	for name, c := range map[string]struct {
		code string
		puts func(p *sim.Phone) []sim.Put
		skew int64
		bare bool
	}{
		"many elements of a set (trace t08)": {code: wire.CodeSetManyElements, puts: func(*sim.Phone) []sim.Put {
			return []sim.Put{{Key: ticket(1), Field: "tags", Values: []record.Value{record.Text("a"), record.Text("b")}}}
		}},
		"two values of a field": {code: wire.CodeValueInvalid, puts: func(*sim.Phone) []sim.Put {
			return []sim.Put{{Key: ticket(1), Field: "note", Values: []record.Value{record.Text("a"), record.Text("b")}}}
		}},
		"second write of a fact": {code: wire.CodeImmutable, puts: func(p *sim.Phone) []sim.Put { return []sim.Put{p.Set(message, "text", "other")} }},
		"unknown kind": {code: wire.CodeKindUnknown, puts: func(p *sim.Phone) []sim.Put {
			return []sim.Put{p.Set(record.Key{Building: home, Kind: "nothing", ID: message.ID}, "text", "v")}
		}},
		"unknown field": {code: wire.CodeFieldUnknown, puts: func(p *sim.Phone) []sim.Put { return []sim.Put{p.Set(ticket(1), "nothing", "v")} }},
		"clock ahead":   {code: wire.CodeClockAhead, skew: 2 * hlc.AheadMax, puts: func(p *sim.Phone) []sim.Put { return []sim.Put{p.Set(ticket(1), "note", "v")} }},
		"values withheld": {code: wire.CodeEventMalformed, bare: true, puts: func(p *sim.Phone) []sim.Put {
			return []sim.Put{p.Set(ticket(1), "note", "v")}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge := l.node("edge", record.TierEdge)
			edge.write(message, text("text", "first"))
			edge.write(ticket(1), text("note", "v0"))
			p := l.phone("phone")
			edge.pull(p)
			p.State.Offset = c.skew
			l.edit(p, c.puts(p)...)
			push := p.Push(p.Outbox()[0], 10)
			if c.bare {
				push.Transactions[1].Details = nil
			}
			before := edge.record(ticket(1))
			answer := edge.take(p, yes, push)
			want(t, "code", answer.Results[1].Refused[0].Code, c.code)
			want(t, "record", edge.record(ticket(1)), before)
			want(t, "text", values(edge.record(message), "text"), []string{"first"})
		})
	}
}

// Rights are what the authority knows on arrival: a revoked author's write waits elsewhere.
func TestRevokedAuthor(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "late"))
	revoked := func(record.Key, string, []record.Value, record.Record, record.Record) string {
		return wire.CodeAuthorRevoked
	}
	push := p.Push(p.Outbox()[0], 10)
	cloud.take(p, revoked, push)
	cloud.sync(edge)
	want(t, "the edge follows", len(edge.take(p, yes, push).Results[1].Refused), 1)
	want(t, "note", len(edge.record(ticket(1)).Fields), 0)
	cloud.pull(p)
	want(t, "outbox", len(p.State.Log), 0)
}

// The rights of a message are those of its ticket, as the transaction itself names it.
func TestParentIsGiven(t *testing.T) {
	l := newLab(t)
	edge := l.node("edge", record.TierEdge)
	edge.write(ticket(1), text("title", "theirs"))
	p := l.phone("phone")
	message := record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("m", "1")}
	l.edit(p, sim.Put{Key: message, Field: "ticket", Values: []record.Value{record.IDValue(ticket(1).ID)}}, p.Set(message, "text", "hello"))
	var parents [][]string
	edge.push(p, func(_ record.Key, _ string, _ []record.Value, _, parent record.Record) string {
		parents = append(parents, values(parent, "title"))
		return ""
	})
	want(t, "parents", parents, [][]string{{"theirs"}, {"theirs"}})
}

// SPEC R25, SPEC R12, SPEC R19: a view shows what its reader may see, with the cards that
// it cites, and another view begins from zero.
func TestReadView(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("note", "mine"))
	cloud.restart()
	cloud.write(ticket(2), text("note", "theirs"))
	message := record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("m", "1")}
	cloud.write(message, replica.FieldWrite{Field: "ticket", Value: record.IDValue(ticket(1).ID)}, text("text", "hello"))
	cloud.sync(edge)
	mine := func(k record.Key, _, parent record.Record) bool {
		return k == ticket(1) || k.Kind == sim.Message && len(values(parent, "note")) == 1 && values(parent, "note")[0] == "mine"
	}
	view := replica.View{Hash: record.Hash{1}, May: mine}
	page, err := edge.ReadView(context.Background(), home, view, wire.Pull{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "records", len(page.Records), 2)
	want(t, "cards", len(page.Events), 2)
	for _, e := range page.Events {
		want(t, "card", e.N, 1)
	}
	p := l.phone("phone")
	if err := p.Pulled(edge.ID(), page); err != nil {
		t.Fatal(err)
	}
	next, err := edge.ReadView(context.Background(), home, view, wire.Pull{Cursor: p.State.Cursors[edge.ID()]})
	if err != nil || len(next.Records) != 0 || !next.Last {
		t.Fatalf("after the end: %+v, %v", next, err)
	}
	whole := replica.View{Hash: record.Hash{2}, May: everything}
	wider, err := edge.ReadView(context.Background(), home, whole, wire.Pull{Cursor: p.State.Cursors[edge.ID()]})
	if err != nil || wider.To != 0 || wider.Last {
		t.Fatalf("another view begins anew: %+v, %v", wider, err)
	}
	want(t, "nothing yet", len(wider.Records), 0)
	if wider, err = edge.ReadView(context.Background(), home, whole, wire.Pull{}); err != nil {
		t.Fatal(err)
	}
	want(t, "another view", len(wider.Records), 3)
}
