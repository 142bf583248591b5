package replica_test

import (
	"testing"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

func messageKey(n string) record.Key {
	return record.Key{Building: home, Kind: sim.Message, ID: record.DerivedID("m", n)}
}

func (l *lab) say(p *sim.Phone, k record.Key, on record.Key, what string) record.Dot {
	l.t.Helper()
	return l.edit(p, sim.Put{Key: k, Field: "ticket", Values: []record.Value{record.IDValue(on.ID)}}, p.Set(k, "text", what))
}

// tenants may write messages on tickets of theirs: of those whose note says so.
func tenants(k record.Key, _ string, _ []record.Value, _, parent record.Record) string {
	if v := values(parent, "note"); k.Kind == sim.Message && (len(v) != 1 || v[0] != "mine") {
		return wire.CodeRecordForbidden
	}
	return ""
}

// SPEC R7: a message on a ticket that this edge lacks is neither admitted nor refused, and
// the cloud, which has the ticket, decides.
func TestParentThatTheEdgeLacks(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "mine"))
	cloud.push(p, tenants)
	cloud.pull(p)
	l.say(p, messageKey("1"), ticket(1), "hello")
	answer := edge.push(p, tenants)
	for _, r := range answer.Results {
		want(t, "refused at the edge", len(r.Refused), 0)
	}
	want(t, "nor admitted", edge.record(messageKey("1")).IsZero(), true)
	cloud.push(p, tenants)
	want(t, "at the cloud", values(cloud.record(messageKey("1")), "text"), []string{"hello"})
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "at the edge", values(edge.record(messageKey("1")), "text"), []string{"hello"})
	cloud.pull(p)
	want(t, "outbox", len(p.State.Log), 0)
}

// SPEC R7: what waited for its ticket is decided at the next push, be it of nothing, with the
// ticket's rights: an app that meets no other server loses nothing and gains nothing.
func TestParentThatComesLater(t *testing.T) {
	for note, text := range map[string][]string{"mine": {"hello"}, "theirs": {}} {
		t.Run(note, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			cloud.write(ticket(1), replica.FieldWrite{Field: "note", Value: record.Text(note)})
			p := l.phone("phone")
			dot := l.say(p, messageKey("1"), ticket(1), "hello")
			edge.push(p, tenants)
			edge.sync(cloud)
			want(t, "before the push", edge.record(messageKey("1")).IsZero(), true)
			push := p.Push(p.Outbox()[0], wire.PushItemsMax-1)
			push.Transactions = nil
			answer := edge.take(p, tenants, push)
			want(t, "text", values(edge.record(messageKey("1")), "text"), text)
			if note == "mine" {
				want(t, "told", len(answer.Results), 0)
			} else {
				want(t, "told", answer.Results, []wire.PushResult{{Dot: dot, Refused: []wire.RefusedPart{
					{Kind: sim.Message, ID: messageKey("1").ID, Field: "ticket", Code: wire.CodeRecordForbidden},
					{Kind: sim.Message, ID: messageKey("1").ID, Field: "text", Code: wire.CodeRecordForbidden}}}})
			}
			edge.sync(cloud)
			same(t, edge, cloud)
			push.Transactions = nil
			want(t, "settled", cloud.take(p, tenants, push).Receipt.Settled, dot.N)
		})
	}
}

// SPEC R7, SPEC R13: at the cloud a ticket may be on its way from an edge; a message waits for
// it, holds up no other transaction, and is refused only when it has waited for long.
func TestParentThatTheCloudLacks(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "mine"))
	p := l.phone("phone")
	late := l.say(p, messageKey("1"), ticket(1), "hello")
	never := l.say(p, messageKey("2"), ticket(2), "anybody?")
	after := l.edit(p, p.Set(ticket(3), "note", "mine"))
	answer := cloud.push(p, tenants)
	for _, r := range answer.Results {
		want(t, "refused", len(r.Refused), 0)
	}
	want(t, "settled", answer.Receipt.Settled, late.N-1)
	want(t, "settled beyond", answer.Beyond != nil && answer.Beyond.Has(after.N) && !answer.Beyond.Has(never.N), true)
	edge.sync(cloud)
	answer = cloud.push(p, tenants)
	want(t, "text", values(cloud.record(messageKey("1")), "text"), []string{"hello"})
	want(t, "settled with the ticket", answer.Receipt.Settled, never.N-1)
	l.now += 91 * 24 * 3600 * 1000
	answer = cloud.push(p, tenants)
	want(t, "settled", answer.Receipt.Settled, after.N)
	want(t, "text on a ticket that never came", cloud.record(messageKey("2")).IsZero(), true)
	want(t, "told", p.State.Refusals[record.FieldDot{Field: sim.Message + "/" + messageKey("2").ID.String() + "/text", Dot: never}], wire.CodeRecordForbidden)
	edge.sync(cloud)
	same(t, edge, cloud)
}

// SPEC R7: a ticket and its message in one transaction, and a message whose ticket was
// refused for the phone's clock and is written again behind it.
func TestParentOfTheSamePhone(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	k := messageKey("1")
	l.edit(p, p.Set(k, "text", "hello"), sim.Put{Key: k, Field: "ticket", Values: []record.Value{record.IDValue(ticket(1).ID)}}, p.Set(ticket(1), "note", "mine"))
	edge.push(p, tenants)
	want(t, "in one transaction", values(edge.record(k), "text"), []string{"hello"})
	p.State.Offset = 2 * hlc.AheadMax
	l.edit(p, p.Set(ticket(2), "note", "mine"))
	p.State.Offset, p.State.Stamp = 0, hlc.At(l.now)
	l.say(p, messageKey("2"), ticket(2), "set right")
	edge.push(p, tenants)
	l.edit(p, p.Set(ticket(2), "note", "mine"))
	edge.push(p, tenants)
	want(t, "in later ones", values(edge.record(messageKey("2")), "text"), []string{"set right"})
	edge.sync(cloud)
	same(t, edge, cloud)
}

// SPEC R7: rights are the author's. What somebody else wrote with this app and waits is not
// decided with the rights of whoever has it now.
func TestParentForAnotherPerson(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("note", "mine"))
	p := l.phone("phone")
	l.say(p, messageKey("1"), ticket(1), "hello")
	edge.push(p, tenants)
	edge.sync(cloud)
	push := p.Push(p.Outbox()[0], wire.PushItemsMax-1)
	push.Transactions = nil
	bob := replica.Peer{Node: p.ID(), Tier: record.TierPhone, Person: record.DerivedID("person", "bob")}
	if _, err := edge.ApplyPush(t.Context(), home, bob, tenants, push); err != nil {
		t.Fatal(err)
	}
	want(t, "decided for another", edge.record(messageKey("1")).IsZero(), true)
}

// twoClocks is an edge that goes ahead, as the phone does, and admits what the cloud refuses
// for its stamp.
func twoClocks(t *testing.T, puts ...sim.Put) (l *lab, edge, cloud *box, p *sim.Phone) {
	t.Helper()
	l = newLab(t)
	edge, cloud = l.pair()
	edge.skew = 2 * hlc.AheadMax
	p = l.phone("phone")
	p.State.Offset = 2 * hlc.AheadMax
	l.edit(p, puts...)
	edge.push(p, yes)
	want(t, "refused at the cloud", cloud.push(p, yes).Results[1].Refused[0].Code, wire.CodeClockAhead)
	p.State.Offset, p.State.Stamp = 0, hlc.At(l.now)
	return l, edge, cloud, p
}

// SPEC R7, SPEC R16: what an app writes again, because a server refused its stamp, is no
// second write where another server had admitted it.
func TestWrittenAgainWhereItStands(t *testing.T) {
	for name, c := range map[string]struct {
		put  sim.Put
		code string
	}{
		"a fact":                           {sim.Put{Key: messageKey("1"), Field: "text"}, ""},
		"not the author's to change later": {sim.Put{Key: ticket(1), Field: "title"}, wire.CodeFieldForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			c.put.Values = []record.Value{record.Text("hello")}
			l, edge, cloud, p := twoClocks(t, c.put)
			l.edit(p, c.put)
			once := func(_ record.Key, f string, _ []record.Value, r, _ record.Record) string {
				if len(r.Siblings(f)) > 0 {
					return c.code
				}
				return ""
			}
			for _, b := range []*box{edge, cloud} {
				results := b.push(p, once).Results
				want(t, "told", len(results[len(results)-1].Refused), 0)
				want(t, "text", values(b.record(c.put.Key), c.put.Field), []string{"hello"})
			}
			edge.skew = 0
			edge.sync(cloud)
			edge.sync(cloud)
			same(t, edge, cloud)
			for _, v := range values(edge.record(c.put.Key), c.put.Field) {
				want(t, "text", v, "hello")
			}
			cloud.pull(p)
			want(t, "outbox", len(p.State.Log), 0)
		})
	}
}

// SPEC R7: another value, another app's, and one that would take something away are second
// writes.
func TestWrittenAgainIsTheSame(t *testing.T) {
	hello, other := record.Text("hello"), record.Text("other")
	for name, c := range map[string]struct {
		again record.Value
		by    string
		takes bool
	}{
		"another value":      {other, "phone", false},
		"another app's":      {hello, "thief", false},
		"with a replacement": {hello, "phone", true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge := l.node("edge", record.TierEdge)
			p, q := l.phone("phone"), l.phone(c.by)
			first := l.edit(p, p.Set(messageKey("1"), "text", "hello"))
			edge.push(p, yes)
			if c.by == "phone" {
				q = p
			}
			put := sim.Put{Key: messageKey("1"), Field: "text", Values: []record.Value{c.again}}
			if c.takes {
				put.Replaced = []record.Sibling{{Dot: first, Value: hello}}
			}
			l.edit(q, put)
			results := edge.push(q, yes).Results
			want(t, "told", results[len(results)-1].Refused[0].Code, wire.CodeImmutable)
			want(t, "text", edge.record(messageKey("1")).Siblings("text")[0].Dot, first)
		})
	}
}
