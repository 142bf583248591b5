package replica_test

import (
	"context"
	"crypto/ed25519"
	"testing"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// An edge cannot put values of its own under a number that the cloud did write (SPEC R9).
func TestEdgeCitesTheCloud(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	live := cloud.write(ticket(1), text("title", "cloud"))
	edge.sync(cloud)
	own := settingBy(t, live)
	made := wire.RecordItem{Kind: sim.Ticket, ID: ticket(7).ID, Body: alterField(t, own.Body, "title")}
	got := cloud.apply(edge, wire.Page{Records: []wire.RecordItem{own, made}, To: 9, Generation: edge.boot})
	want(t, "quarantined", len(got.Ack.Quarantined), 2)
	want(t, "the ticket", len(cloud.record(ticket(7)).Fields), 0)
	want(t, "the setting", len(cloud.record(record.Key{Building: home, Kind: sim.Setting, ID: own.ID}).Fields), 0)
}

// alterField gives a record's one field another name.
func alterField(t *testing.T, body []byte, name string) []byte {
	t.Helper()
	r, err := record.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	r.Fields[0].Name = name
	out, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// asCloud builds an event and a record as the cloud would write them, with no signature:
// what an edge that was taken over can make up.
func asCloud(t *testing.T, e record.Event) (wire.EventItem, record.Event) {
	t.Helper()
	e.Building, e.Stamp, e.EventTime = home, hlc.At(noon), noon
	e.Actor, e.Action = record.Actor{Class: record.Person, Person: ann}, "edit"
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return wire.EventItem{Body: body, Replica: e.Replica, N: e.N}, e
}

func settingBy(t *testing.T, dot record.Dot) wire.RecordItem {
	t.Helper()
	r := record.Record{Context: record.Context{Vector: []record.Dot{dot}}}.With("value",
		[]record.Sibling{{Dot: dot, Stamp: hlc.At(noon), Class: record.Person, Value: record.Text("forged")}})
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return wire.RecordItem{Kind: sim.Setting, ID: record.DerivedID("setting", "forged"), Body: body}
}

// An edge cannot speak for the cloud: neither under the replica that the cloud writes
// under, nor under one of its earlier ones, nor under a new one with the cloud's card
// (SPEC R9, R15).
func TestEdgeSpeaksForTheCloud(t *testing.T) {
	for name, forge := range map[string]func(cloud *box, live record.Dot) record.Event{
		"live replica": func(cloud *box, live record.Dot) record.Event {
			return record.Event{Replica: live.Replica, N: live.N + 1, Prev: cloud.chain(live.Replica).Hash}
		},
		"live replica, behind a gap": func(cloud *box, live record.Dot) record.Event {
			return record.Event{Replica: live.Replica, N: live.N + 2, Prev: cloud.chain(live.Replica).Hash}
		},
		"replica of an earlier run": func(cloud *box, live record.Dot) record.Event {
			cloud.restart()
			return record.Event{Replica: live.Replica, N: live.N + 1, Prev: cloud.chain(live.Replica).Hash}
		},
		"new replica with the cloud's card": func(cloud *box, _ record.Dot) record.Event {
			return record.Event{Replica: record.MarkReplica(record.DerivedID("replica", "forged"), cloud.ID()), N: 1,
				Card: &record.Card{Node: cloud.ID(), Tier: record.TierCloud, PublicKey: cloud.PublicKey()}}
		},
		"new replica with the cloud's key in a phone's card": func(cloud *box, _ record.Dot) record.Event {
			return record.Event{Replica: record.MarkReplica(record.DerivedID("replica", "forged"), cloud.ID()), N: 1,
				Card: &record.Card{Node: cloud.ID(), Tier: record.TierPhone, PublicKey: cloud.PublicKey()}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			live := cloud.write(ticket(1), text("title", "cloud"))
			edge.sync(cloud)
			e := forge(cloud, live)
			item, e := asCloud(t, e)
			page := wire.Page{Events: []wire.EventItem{item}, Records: []wire.RecordItem{settingBy(t, e.Dot())}, From: 0, To: 9, Generation: edge.boot}
			got := cloud.apply(edge, page)
			if len(got.Ack.Quarantined) != 1 {
				t.Fatalf("quarantined %v", got.Ack.Quarantined)
			}
			want(t, "the forged record", len(cloud.record(record.Key{Building: home, Kind: sim.Setting, ID: page.Records[0].ID}).Fields), 0)
			// The cloud goes on writing, under a chain that has no forged link.
			dot := cloud.write(ticket(2), text("title", "goes on"))
			for _, event := range cloud.events(dot.Replica) {
				if event.Dot() == e.Dot() && event.Actor.Person == ann && event.Card == nil && len(event.Touches) == 0 {
					t.Fatal("the forged event is part of the cloud's chain")
				}
			}
			edge.sync(cloud)
			same(t, edge, cloud)
		})
	}
}

// What the cloud lost in a rewind comes back through the edge: its own signature is proof
// (SPEC R9, R17).
func TestLostEventsComeBack(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("title", "before"))
	snapshot := cloud.store.Snapshot()
	cloud.write(ticket(1), text("title", "lost"))
	last := cloud.write(lostSetting(), text("value", "lost too"))
	edge.sync(cloud)
	cloud.restore(snapshot)
	cloud.write(ticket(2), text("title", "after"))
	edge.sync(cloud)
	want(t, "the lost title", values(cloud.record(ticket(1)), "title"), []string{"lost"})
	want(t, "the lost setting", values(cloud.record(lostSetting()), "value"), []string{"lost too"})
	want(t, "held of the lost chain", cloud.chain(last.Replica).Held, last.N)
	same(t, edge, cloud)
}

func lostSetting() record.Key {
	return record.Key{Building: home, Kind: sim.Setting, ID: record.DerivedID("setting", "2")}
}

// A phone signs with the name of whoever pushes: an event in another person's name is
// refused with all that it says (SPEC R7).
func TestForgedAuthor(t *testing.T) {
	l := newLab(t)
	_, cloud := l.pair()
	cloud.write(ticket(1), text("title", "a"))
	p := l.phone("phone")
	cloud.pull(p)
	dot := l.edit(p, sim.Put{Key: ticket(1), Field: "title", Values: []record.Value{record.Text("in ann's name")}})
	peer := replica.Peer{Node: p.ID(), Tier: record.TierPhone, Person: record.DerivedID("person", "mallory")}
	_, err := cloud.ApplyPush(context.Background(), home, peer, yes, p.Push(dot.Replica, wire.PushItemsMax-1))
	code(t, err, wire.CodeAuthorForged)
	want(t, "title", values(cloud.record(ticket(1)), "title"), []string{"a"})
	want(t, "events of the phone", len(cloud.events(dot.Replica)), 0)
}

// A record that is full takes nothing more, which is told as a refusal of its fields; the
// other transactions of the push go on (SPEC R14).
func TestFullRecord(t *testing.T) {
	l := newLab(t)
	_, cloud := l.pair()
	p := l.phone("phone")
	big := make([]byte, 60<<10)
	for i := range big {
		big[i] = 'x'
	}
	for i := range 12 {
		big[0] = byte('a' + i)
		l.edit(p, sim.Put{Key: ticket(1), Field: "tags", Values: []record.Value{record.Text(string(big))}})
	}
	dot := l.edit(p, sim.Put{Key: ticket(2), Field: "title", Values: []record.Value{record.Text("small")}})
	got := cloud.push(p, yes)
	want(t, "title", values(cloud.record(ticket(2)), "title"), []string{"small"})
	last := got.Results[len(got.Results)-1]
	want(t, "last result", len(last.Refused), 0)
	want(t, "its dot", last.Dot, dot)
	refused := 0
	for _, r := range got.Results {
		for _, part := range r.Refused {
			want(t, "code", part.Code, wire.CodeRecordFull)
			refused++
		}
	}
	if refused == 0 || refused == 12 {
		t.Fatalf("%d of 12 refused", refused)
	}
}

// Dots that nobody wrote yet would take away values before they exist: the write counts,
// and what it claims to replace does not (SPEC R9).
func TestReplacedDotOfTheFuture(t *testing.T) {
	l := newLab(t)
	_, cloud := l.pair()
	live := cloud.write(ticket(1), text("title", "a"))
	mine, detail := touch(ticket(1), "title", "mine", record.Dot{Replica: live.Replica, N: live.N + 1})
	push, peer := phoneEvent(t, []record.Touch{mine}, record.Details{detail})
	got, err := cloud.ApplyPush(context.Background(), home, peer, yes, push)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "refused", len(got.Results[1].Refused), 0)
	want(t, "title", values(cloud.record(ticket(1)), "title"), []string{"a", "mine"})
	cloud.write(ticket(1), text("title", "later"))
	want(t, "title", values(cloud.record(ticket(1)), "title"), []string{"later"})
}

// phoneEvent makes one transaction of a phone, after its card, every byte of it.
func phoneEvent(t *testing.T, touches []record.Touch, details record.Details) (wire.Push, replica.Peer) {
	t.Helper()
	priv := key("phone")
	public := priv.Public().(ed25519.PublicKey)
	node := record.NodeID(public)
	rep := record.MarkReplica(record.DerivedID("replica", "phone"), node)
	encode := func(e record.Event) []byte {
		e.Building, e.Replica, e.Stamp, e.EventTime, e.Actor, e.Action = home, rep, hlc.At(noon), noon, person(), "edit"
		body, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	card := encode(record.Event{N: 1, Card: &record.Card{Node: node, Tier: record.TierPhone, PublicKey: public}})
	body := encode(record.Event{N: 2, Prev: record.HashEvent(card), Touches: touches})
	encoded, err := details.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return wire.Push{Head: record.SignHead(priv, home, rep, 2, record.HashEvent(body)),
			Transactions: []wire.EventItem{{Body: card, Replica: rep, N: 1}, {Body: body, Details: encoded, Replica: rep, N: 2}}},
		replica.Peer{Node: node, Tier: record.TierPhone, Person: ann}
}

func touch(k record.Key, field, value string, replaced ...record.Dot) (record.Touch, record.Detail) {
	salt, values := make([]byte, record.SaltBytes), []record.Value{record.Text(value)}
	return record.Touch{Kind: k.Kind, ID: k.ID, Field: field, Replaced: append([]record.Dot{}, replaced...), New: record.HashValues(salt, record.LabelNew, values)},
		record.Detail{Salt: salt, Old: []record.Value{}, New: values}
}

// What only the cloud writes, no phone writes: not at an edge, where nobody else could take
// it back, and not at the cloud, whose record would then not be the cloud's alone (SPEC R9).
func TestPhoneWritesWhatOnlyTheCloudWrites(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	mine, detail := touch(lostSetting(), "value", "mine")
	push, peer := phoneEvent(t, []record.Touch{mine}, record.Details{detail})
	for _, b := range []*box{edge, cloud} {
		got, err := b.ApplyPush(context.Background(), home, peer, yes, push)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "refused", refusedAs(t, got), wire.CodeKindNotYours)
		want(t, "the setting", len(b.record(lostSetting()).Fields), 0)
	}
}

// One transaction writes a field once: two elements under one dot could not be told apart
// by whoever removes one (SPEC R4).
func TestFieldTouchedTwice(t *testing.T) {
	l := newLab(t)
	_, cloud := l.pair()
	a, da := touch(ticket(1), "tags", "a")
	b, db := touch(ticket(1), "tags", "b")
	push, peer := phoneEvent(t, []record.Touch{a, b}, record.Details{da, db})
	got, err := cloud.ApplyPush(context.Background(), home, peer, yes, push)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "refused", len(got.Results[1].Refused), 2)
	want(t, "code", got.Results[1].Refused[0].Code, wire.CodeEventMalformed)
	want(t, "tags", values(cloud.record(ticket(1)), "tags"), []string{})
}

// refusedAs is the code of the one part of the second transaction that was refused.
func refusedAs(t *testing.T, got wire.Pushed) string {
	t.Helper()
	if len(got.Results) != 2 || len(got.Results[1].Refused) != 1 {
		t.Fatalf("results %+v", got.Results)
	}
	return got.Results[1].Refused[0].Code
}

// Who has seen another's replica id cannot claim it with a card of their own: at a server
// that does not know the id yet, the honest chain would be the fork (SPEC R1).
func TestReplicaOfAnotherNode(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	dot := edge.write(ticket(1), text("note", "one"))
	private := key("phone")
	public := private.Public().(ed25519.PublicKey)
	card := record.Event{Building: home, Replica: dot.Replica, N: 1, Stamp: hlc.At(noon), EventTime: noon, Actor: person(), Action: "card",
		Card: &record.Card{Node: record.NodeID(public), Tier: record.TierPhone, PublicKey: public}}
	body, err := card.Encode()
	if err != nil {
		t.Fatal(err)
	}
	push := wire.Push{Head: record.SignHead(private, home, dot.Replica, 1, record.HashEvent(body)), Transactions: []wire.EventItem{{Body: body, Replica: dot.Replica, N: 1}}}
	_, err = cloud.ApplyPush(context.Background(), home, replica.Peer{Node: record.NodeID(public), Tier: record.TierPhone, Person: ann}, yes, push)
	if err == nil {
		t.Error("a phone claimed the edge's replica")
	}
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "held back", len(cloud.held(edge)), 0)
}

// An edge cannot have another edge's chain cut: what it says in that one's name, with no
// signature of it, tells of no fork (SPEC R17, R33).
func TestEdgeTellsOfAnothersFork(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	other := l.node("other", record.TierEdge)
	dot := other.write(ticket(1), text("title", "mine"))
	other.sync(cloud)
	edge.sync(cloud)
	told := record.Touch{Kind: "chain", ID: dot.Replica, Field: "fork", Replaced: []record.Dot{{Replica: dot.Replica, N: 2}}, New: record.HashValues(make([]byte, record.SaltBytes), record.LabelNew, []record.Value{record.Int(2)})}
	e := record.Event{Building: home, Replica: dot.Replica, N: dot.N + 1, Prev: cloud.chain(dot.Replica).Hash, Stamp: hlc.At(noon), EventTime: noon,
		Actor: record.Actor{Class: record.Automation, Name: "replica"}, Action: "fork", Touches: []record.Touch{told}}
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	cloud.apply(edge, wire.Page{Events: []wire.EventItem{{Body: body, Replica: e.Replica, N: e.N}}, To: 99, Generation: edge.boot})
	want(t, "the other's chain is cut at", cloud.chain(dot.Replica).Fork, 0)
	want(t, "title", values(cloud.record(ticket(1)), "title"), []string{"mine"})
	// With a signature it is that one's word, whoever brings it: a restored cloud has no other.
	cloud = l.node("restored", record.TierCloud)
	other.sync(cloud)
	cloud.apply(edge, wire.Page{Events: []wire.EventItem{{Body: body, Replica: e.Replica, N: e.N}}, To: 99, Generation: edge.boot,
		Heads: []record.Head{record.SignHead(other.Key, home, e.Replica, e.N, record.HashEvent(body))}})
	want(t, "the other's chain is cut at", cloud.chain(dot.Replica).Fork, 2)
}
