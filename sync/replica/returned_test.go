package replica_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// kept is a phone that was shown a note by a server which then lost it, and the message by
// which it returns it.
type kept struct {
	*lab
	edge, cloud *box
	phone       *sim.Phone
}

// lose gives the server back the disk of before the note.
func lose(t *testing.T, tier record.Tier) (k kept, server *box) {
	t.Helper()
	l := newLab(t)
	k = kept{lab: l}
	k.edge, k.cloud = l.pair()
	k.phone = l.phone("phone")
	server = k.edge
	if tier == record.TierCloud {
		server = k.cloud
	}
	server.write(ticket(1), text("title", "before"))
	snapshot := server.store.Snapshot()
	server.write(ticket(1), text("note", "only on a phone"))
	server.write(ticket(2), text("note", "this too"))
	server.pull(k.phone)
	server.restore(snapshot)
	server.pull(k.phone)
	return k, server
}

func (k kept) message(server *box) wire.Returned {
	k.t.Helper()
	back, any := k.phone.Return(server.ID())
	if !any {
		k.t.Fatal("nothing to return")
	}
	return back
}

// SPEC R30: what a store acknowledged, lost and a phone had been shown comes back, at the
// edge and at the cloud, once and for good.
func TestReturned(t *testing.T) {
	for _, tier := range []record.Tier{record.TierEdge, record.TierCloud} {
		t.Run(tier.String(), func(t *testing.T) {
			k, server := lose(t, tier)
			want(t, "lost", len(server.record(ticket(1)).Siblings("note")), 0)
			back := k.message(server)
			want(t, "returned", len(back.Records), 2)
			answer := server.takeBack(k.phone, back)
			want(t, "restored", len(answer.Restored), 2)
			want(t, "note", values(server.record(ticket(1)), "note"), []string{"only on a phone"})
			want(t, "title", values(server.record(ticket(1)), "title"), []string{"before"})
			want(t, "the other", values(server.record(ticket(2)), "note"), []string{"this too"})
			before := server.position()
			again := server.takeBack(k.phone, back)
			want(t, "restored by a replay", len(again.Restored), 0)
			want(t, "position after a replay (SPEC R11)", server.position(), before)
			k.phone.Taken(server.ID(), answer.Taken)
			if _, any := k.phone.Return(server.ID()); any {
				t.Fatal("returned again after it was taken")
			}
			// The server goes on from there and the building converges.
			server.write(ticket(1), text("note", "and on"))
			k.edge.sync(k.cloud)
			same(t, k.edge, k.cloud)
			want(t, "after", values(k.cloud.record(ticket(1)), "note"), []string{"and on"})
		})
	}
}

// SPEC R30: what the server still holds, or holds a later state of, is not returned, and
// an old state changes nothing.
func TestReturnedIsWhatIsMissing(t *testing.T) {
	l := newLab(t)
	edge, _ := l.pair()
	p := l.phone("phone")
	edge.write(ticket(1), text("note", "v1"))
	edge.write(ticket(2), text("note", "w1"))
	edge.pull(p)
	old := p.State.Copies.Clone()
	edge.write(ticket(1), text("note", "v2"))
	edge.restart()
	edge.pull(p)
	if back, any := p.Return(edge.ID()); any {
		t.Fatalf("returned %d records that the server has", len(back.Records))
	}
	replay := wire.Returned{Issuers: [][]byte{edge.PublicKey()}, Records: old.Held[ticket(1)].Items, Heads: []record.Head{p.State.Proofs.Heads[edge.load(replica.Need{}).State.Replica]}}
	before := edge.position()
	answer := edge.takeBack(p, replay)
	want(t, "an older state", []any{answer.Taken.Results[0].Code, len(answer.Restored), edge.position()}, []any{"", 0, before})
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"v2"})
}

// SPEC R30, SPEC R9, SPEC R25: what a phone makes up, alters or took elsewhere is answered
// with a code, enters nothing and blocks nothing.
func TestReturnedForged(t *testing.T) {
	thief := key("thief")
	for name, c := range map[string]struct {
		code   string
		change func(k kept, m *wire.Returned)
	}{
		"a changed byte": {wire.CodeBadSignature, func(_ kept, m *wire.Returned) { m.Records[0].Body = altered(m.Records[0].Body) }},
		"another key":    {wire.CodeBadSignature, func(_ kept, m *wire.Returned) { m.Records[0].ID = ticket(3).ID }},
		"no seal":        {wire.CodeBadSignature, func(_ kept, m *wire.Returned) { m.Records[0].Seal = nil }},
		"no issuer":      {wire.CodeBadSignature, func(_ kept, m *wire.Returned) { m.Issuers = nil }},
		"another building": {wire.CodeBadSignature, func(k kept, m *wire.Returned) {
			m.Records[0].Seal = wire.SealRecord(k.edge.Key, other, noon, m.Records[0])
		}},
		"a server of nobody": {wire.CodeNodeUnknown, func(_ kept, m *wire.Returned) {
			m.Records[0].Seal = wire.SealRecord(thief, home, noon, m.Records[0])
			m.Issuers = append(m.Issuers, thief.Public().(ed25519.PublicKey))
		}},
		"a phone's own seal": {wire.CodeNodeUnknown, func(k kept, m *wire.Returned) {
			k.known[k.phone.ID()] = record.TierPhone
			m.Records[0].Seal = wire.SealRecord(k.phone.Key, home, noon, m.Records[0])
			m.Issuers = append(m.Issuers, k.phone.Key.Public().(ed25519.PublicKey))
		}},
		"no bytes": {wire.CodeRecordMalformed, func(k kept, m *wire.Returned) {
			m.Records[0].Body = nil
			m.Records[0].Seal = wire.SealRecord(k.edge.Key, home, noon, m.Records[0])
		}},
		"numbers that nobody signed": {wire.CodeContextUnsigned, func(_ kept, m *wire.Returned) { m.Heads = nil }},
		"a replica of nobody":        {wire.CodeReplicaUnknown, func(k kept, m *wire.Returned) { forgeReplica(k, m) }},
		"a kind of a later release": {wire.CodeKindUnknown, func(k kept, m *wire.Returned) {
			m.Records[0].Kind = "nothing"
			m.Records[0].Seal = wire.SealRecord(k.edge.Key, home, noon, m.Records[0])
		}},
		"a secret": {wire.CodeKindUnknown, func(k kept, m *wire.Returned) {
			m.Records[0].Kind = sim.Credential
			m.Records[0].Seal = wire.SealRecord(k.edge.Key, home, noon, m.Records[0])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			k, edge := lose(t, record.TierEdge)
			m := k.message(edge)
			m.Records = slices.Clone(m.Records)
			first := m.Records[0]
			c.change(k, &m)
			answer := edge.takeBack(k.phone, m)
			want(t, "code", answer.Taken.Results[0].Code, c.code)
			want(t, "nothing of it", len(edge.record(record.Key{Building: home, Kind: first.Kind, ID: first.ID}).Siblings("note")), 0)
			want(t, "no word on what is here", answer.Taken.Results[0].Forget, false)
			k.phone.Taken(edge.ID(), answer.Taken)
			want(t, "still on the phone", len(k.phone.State.Copies.Held), 2)
			if c.code == wire.CodeBadSignature && len(m.Issuers) > 0 {
				want(t, "the rest goes on", answer.Taken.Results[1].Code, "")
			}
		})
	}
}

// forgeReplica makes an honest server's record reach a replica that nobody has a card of.
func forgeReplica(k kept, m *wire.Returned) {
	r, err := record.Decode(m.Records[0].Body)
	if err != nil {
		k.t.Fatal(err)
	}
	r.Context.Vector = append(slices.Clone(r.Context.Vector), record.Dot{Replica: record.ReplicaID{0xff, 1}, N: 9})
	slices.SortFunc(r.Context.Vector, record.Dot.Compare)
	if m.Records[0].Body, err = r.Encode(); err != nil {
		k.t.Fatal(err)
	}
	m.Records[0].Seal = wire.SealRecord(k.edge.Key, home, noon, m.Records[0])
}

// altered is the same record with another value of the same length.
func altered(body []byte) []byte {
	r, err := record.Decode(body)
	if err != nil {
		panic(err)
	}
	for i, f := range r.Fields {
		if v, ok := f.Siblings[0].Value.AsText(); ok {
			s := f.Siblings[0]
			s.Value = record.Text(fmt.Sprintf("%*s", len(v), "x"))
			return must(record.Record{Fields: append(slices.Clone(r.Fields[:i]), record.Field{Name: f.Name, Siblings: []record.Sibling{s}}), Context: r.Context}.Encode())
		}
	}
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// SPEC R28: more than one message may bring is refused as a whole.
func TestReturnedLimits(t *testing.T) {
	l := newLab(t)
	edge, _ := l.pair()
	for _, m := range []wire.Returned{
		{Records: make([]wire.RecordItem, wire.ReturnItemsMax+1)}, {Heads: make([]record.Head, wire.PushProofsMax+1)},
		{Cards: make([]wire.Vouched, wire.PushProofsMax+1)}, {Issuers: make([][]byte, wire.ReturnKeysMax+1)},
	} {
		_, err := edge.ApplyReturn(context.Background(), home, replica.Peer{Node: ann}, replica.View{May: everything}, m)
		code(t, err, wire.CodeFrameTooLarge)
	}
}

// SPEC R30: a record that breaks the store breaks no other, and is offered again.
func TestReturnedStoreFails(t *testing.T) {
	k, edge := lose(t, record.TierEdge)
	edge.fault.bad = ticket(1)
	codes := map[record.ID]string{}
	for _, r := range edge.giveBack(k.phone) {
		codes[r.ID] = r.Code
	}
	want(t, "codes", []string{codes[ticket(1).ID], codes[ticket(2).ID]}, []string{wire.CodeStoreFailed, ""})
	want(t, "the other", values(edge.record(ticket(2)), "note"), []string{"this too"})
	edge.fault.bad = record.Key{}
	k.phone.State.Copies.Retry(edge.ID())
	edge.giveBack(k.phone)
	want(t, "note", values(edge.record(ticket(1)), "note"), []string{"only on a phone"})
}

// SPEC R30, SPEC R7: above the edge a seal of an edge is worth what the edge may write: no
// kind of the cloud's alone.
func TestReturnedAboveTheEdge(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	setting := record.Key{Building: home, Kind: sim.Setting, ID: record.DerivedID("s")}
	edge.write(ticket(1), text("note", "the edge died with it"))
	edge.pull(p)
	item := p.State.Copies.Held[ticket(1)].Items[0]
	m := wire.Returned{Issuers: [][]byte{edge.PublicKey()}, Heads: []record.Head{p.State.Proofs.Heads[edge.load(replica.Need{}).State.Replica]}, Records: []wire.RecordItem{item}}
	for _, v := range p.State.Proofs.Cards {
		m.Cards = append(m.Cards, v)
	}
	forged := wire.RecordItem{Kind: setting.Kind, ID: setting.ID, Body: item.Body}
	forged.Seal = wire.SealRecord(edge.Key, home, noon, forged)
	m.Records = append(m.Records, forged)
	answer := cloud.takeBack(p, m)
	want(t, "codes", []string{answer.Taken.Results[0].Code, answer.Taken.Results[1].Code}, []string{"", wire.CodeKindNotYours})
	want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"the edge died with it"})
}

// SPEC R30: what only the cloud writes goes back to the cloud; an edge that took it could not
// show the cloud that it is genuine (seed 108 of the simulator).
func TestReturnedSettingsGoToTheCloud(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	setting := record.Key{Building: home, Kind: sim.Setting, ID: record.DerivedID("s")}
	snapshot := cloud.store.Snapshot()
	cloud.write(setting, text("value", "on"))
	cloud.pull(p)
	cloud.restore(snapshot)
	edge.pull(p)
	edge.restart()
	edge.pull(p)
	want(t, "at the edge", edge.giveBack(p)[0].Code, wire.CodeKindNotYours)
	cloud.pull(p)
	want(t, "at the cloud", cloud.giveBack(p)[0].Code, "")
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "value", values(edge.record(setting), "value"), []string{"on"})
	want(t, "held back", len(cloud.held(edge)), 0)
}

// SPEC R30: a revoked server's seal counts for what the cloud holds the events of, and
// takes nothing away.
func TestReturnedUnderARevokedSeal(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	edge.write(ticket(1), text("note", "receipted"))
	edge.sync(cloud)
	cloud.write(ticket(1), text("title", "the cloud's"))
	edge.sync(cloud)
	edge.write(ticket(2), text("note", "the cloud never had it"))
	edge.pull(p)
	events := cloud.read(0, nil)
	events.Records, events.From, events.To = nil, 0, 0
	l.revoked[edge.ID()] = true

	// The thief of the key seals states of his own: one without the values, one with another.
	good := p.State.Copies.Held[ticket(1)].Items[0]
	r := must(record.Decode(good.Body))
	empty := wire.RecordItem{Kind: good.Kind, ID: good.ID, Body: must(record.Record{Context: r.Context}.Encode())}
	empty.Seal = wire.SealRecord(edge.Key, home, noon, empty)
	other := wire.RecordItem{Kind: good.Kind, ID: good.ID, Body: altered(good.Body)}
	other.Seal = wire.SealRecord(edge.Key, home, noon, other)

	proofs := wire.Returned{Issuers: [][]byte{edge.PublicKey()}}
	for id, v := range p.State.Proofs.Cards {
		proofs.Cards, proofs.Heads = append(proofs.Cards, v), append(proofs.Heads, p.State.Proofs.Heads[id])
	}
	before := cloud.position()
	m := proofs
	m.Records = []wire.RecordItem{empty, other, p.State.Copies.Held[ticket(2)].Items[0]}
	answer := cloud.takeBack(p, m)
	want(t, "codes", []string{answer.Taken.Results[1].Code, answer.Taken.Results[2].Code}, []string{wire.CodeNodeRevoked, wire.CodeNodeRevoked})
	want(t, "nothing moved", cloud.position(), before)
	want(t, "note", values(cloud.record(ticket(1)), "note"), []string{"receipted"})
	want(t, "title", values(cloud.record(ticket(1)), "title"), []string{"the cloud's"})

	// A cloud that lost the record and holds the events again takes the genuine one.
	box := l.node("cloud", record.TierCloud)
	box.apply(edge, events)
	m = proofs
	m.Records = []wire.RecordItem{good}
	answer = box.takeBack(p, m)
	want(t, "genuine", answer.Taken.Results[0].Code, "")
	want(t, "note", values(box.record(ticket(1)), "note"), []string{"receipted"})
}

// What a server could not take for its disk is offered again though another state of the
// record is refused beside it for good: an edge knows no other edge's seal.
func TestReturnedBesideARefusal(t *testing.T) {
	t.Parallel()
	k, server, now := ticket(1), record.DerivedID("node", "edge"), []string{wire.CodeStoreFailed, wire.CodeNodeUnknown}
	item := func(seal string) wire.RecordItem {
		r := record.Record{}.With("note", []record.Sibling{{Dot: record.Dot{Replica: record.DerivedID("replica", seal), N: 1}, Stamp: 1, Class: record.Person, Value: record.Text(seal)}})
		return wire.RecordItem{Kind: k.Kind, ID: k.ID, Body: must(r.Encode()), Seal: &wire.Seal{Node: record.DerivedID("node", seal)}}
	}
	for range 2 {
		c := replica.Copies{Held: map[record.Key]replica.Holding{k: {Items: []wire.RecordItem{item("a"), item("b")}}},
			Missing: map[record.ID]replica.Missing{server: {Ended: true, Keys: map[record.Key]string{k: ""}}}}
		c.Taken(home, server, wire.Taken{Results: []wire.TakenResult{{Kind: k.Kind, ID: k.ID, Code: now[0]}, {Kind: k.Kind, ID: k.ID, Code: now[1]}}})
		if _, some := c.Return(server, &replica.Proofs{}, func(record.Dot) (h record.Head, card wire.EventItem, ok bool) { return }); some {
			t.Error("returned again at once")
		}
		c.Retry(server)
		if back, _ := c.Return(server, &replica.Proofs{}, func(record.Dot) (h record.Head, card wire.EventItem, ok bool) { return }); len(back.Records) != 2 {
			t.Errorf("%v: %d states are returned at the next pull, want 2", now, len(back.Records))
		}
		slices.Reverse(now)
	}
}

// A phone brings an edge a record before its events: in the edge's feed it lies a page before them
// for good. The cloud is restored, and gets back from there what it wrote itself: with the
// signature that the record needs, or both would never be alike (SPEC R9, R30).
func TestReturnedBeforeItsEvents(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("title", "before"))
	backup := cloud.store.Snapshot()
	last := cloud.write(ticket(2), text("title", "after"))
	p := l.phone("ann")
	cloud.pull(p)
	edge.pull(p)
	edge.giveBack(p)
	want(t, "returned", values(edge.record(ticket(2)), "title"), []string{"after"})
	for i := range wire.PageItemsMax / 2 {
		edge.write(ticket(10+i), text("title", "in between"))
	}
	l.meet(edge, cloud)
	same(t, edge, cloud)
	cloud.restore(backup)
	page := edge.read(0, cloud.heldMap())
	if page.Last || slices.ContainsFunc(page.Events, func(e wire.EventItem) bool { return e.Replica == last.Replica }) {
		t.Fatal("the events come with the record")
	}
	want(t, "held back", len(cloud.apply(edge, page).Ack.Quarantined), 0)
	l.meet(edge, cloud)
	want(t, "at the cloud", values(cloud.record(ticket(2)), "title"), []string{"after"})
	same(t, edge, cloud)
}
