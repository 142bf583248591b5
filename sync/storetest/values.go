package storetest

import (
	"errors"
	"strings"
	"testing"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

func sampleCard(before record.ReplicaID) *record.Card {
	c := &record.Card{Node: id("node", 1), Tier: record.TierEdge, PublicKey: []byte("a public key")}
	if !before.IsZero() {
		c.Predecessor, c.PredecessorHash = record.Dot{Replica: before, N: 7}, record.HashEvent([]byte("seven"))
	}
	return c
}

func sampleReceipt(replica record.ReplicaID, settled uint64) *record.Receipt {
	return &record.Receipt{Issuer: id("cloud", 1), Replica: replica, N: 7, Hash: record.HashEvent([]byte("e7")), Settled: settled, Signature: []byte("signature")}
}

// everything is effects with every part set.
func everything(state replica.State) replica.Effects {
	key := record.Key{Building: state.Building, Kind: "ticket", ID: id("ticket", 1)}
	unknown := record.Key{Building: state.Building, Kind: "of a later release", ID: id("ticket", 1)}
	from := id("replica", 1)
	state.Boot, state.Replica, state.N, state.Head = id("boot", 1), from, 5, record.HashEvent([]byte("head"))
	state.Stamp, state.ClockOffset, state.Position = hlc.Stamp(1<<63+5), -1234, 4
	return replica.Effects{
		State: state,
		Chains: []replica.Chain{{Replica: from, Card: sampleCard(record.ID{}), Held: 5, Hash: record.HashEvent([]byte("e5")),
			Signed: &record.Head{Replica: from, N: 5, Hash: record.HashEvent([]byte("e5")), Signature: []byte("signature")}, Receipted: 3, Receipt: sampleReceipt(from, 2), Fork: 9, Cut: 8,
			Proof:  &record.Head{Replica: from, N: 4, Hash: record.HashEvent([]byte("e4")), Signature: []byte("another signature")},
			Ahead:  []record.Head{{Replica: from, N: 6, Hash: record.HashEvent([]byte("e6")), Signature: []byte("a third")}, {Replica: from, N: 8, Hash: record.HashEvent([]byte("e8")), Signature: []byte("a fourth")}},
			Beside: []record.Head{{Replica: from, N: 12, Hash: record.HashEvent([]byte("e12")), Signature: []byte("a fifth")}, {Replica: from, N: 11, Hash: record.HashEvent([]byte("e11")), Signature: []byte{}}}}},
		Events: []replica.EventRow{
			{Replica: from, N: 5, Hash: record.HashEvent([]byte("e5")), Body: []byte("e5"), Details: []byte("details"), Position: 1},
			{Replica: from, N: 7, Hash: record.HashEvent([]byte("e7")), Body: []byte("e7")},
		},
		Records:    []replica.RecordRow{Row(key, 2, MakeRecord(from, 5, "leak")), Row(unknown, 3, MakeRecord(from, 5, "unknown"))},
		Touches:    []replica.PhoneTouch{{Key: key, Field: "title", Dot: record.Dot{Replica: id("phone", 1), N: 3}, Covered: true, Refused: true}},
		Quarantine: []replica.QuarantineRow{{Key: key, Peer: peer, Theirs: true, Code: "code", Detail: "detail", Since: 99, Body: []byte("held back")}},
		Cursor:     &replica.PeerCursor{Peer: peer, Cursor: wire.Cursor{Generation: id("generation", 1), View: record.HashEvent([]byte("view")), Position: 42}},
	}
}

func needOf(e replica.Effects) replica.Need {
	need := replica.Need{Peer: peer, Quarantine: 10}
	for _, r := range e.Records {
		need.Keys = append(need.Keys, r.Key)
	}
	for _, v := range e.Events {
		need.Events = append(need.Events, record.Dot{Replica: v.Replica, N: v.N})
	}
	for _, c := range e.Chains {
		need.Chains, need.Waiting = append(need.Chains, c.Replica), append(need.Waiting, c.Replica)
	}
	return need
}

func sameAs(t *testing.T, have replica.Have, e replica.Effects) {
	t.Helper()
	equal(t, "state", have.State, e.State)
	for _, r := range e.Records {
		equal(t, "record", have.Records[r.Key], replica.Stored{Record: r.Record, Body: r.Body, Position: r.Position})
	}
	for _, v := range e.Events {
		equal(t, "event", have.Events[record.Dot{Replica: v.Replica, N: v.N}], v.Hash)
	}
	for _, c := range e.Chains {
		got := have.Chains[c.Replica]
		equal(t, "card", *got.Card, *c.Card)
		equal(t, "head", *got.Signed, *c.Signed)
		equal(t, "proof", *got.Proof, *c.Proof)
		equal(t, "receipt", *got.Receipt, *c.Receipt)
		got.Card, got.Signed, got.Proof, got.Receipt, c.Card, c.Signed, c.Proof, c.Receipt = nil, nil, nil, nil, nil, nil, nil, nil
		equal(t, "chain", got, c)
	}
	for _, p := range e.Touches {
		equal(t, "touches", have.Touches[p.Key], []replica.PhoneTouch{p})
	}
	equal(t, "waiting", have.Waiting[id("replica", 1)], e.Events[1:])
	equal(t, "quarantine", have.Quarantine, e.Quarantine)
	equal(t, "cursor", have.Cursor, e.Cursor.Cursor)
}

func roundTrip(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	var e replica.Effects
	err := s.Update(ctx, building1, func(tx replica.Tx) error {
		e = everything(replica.State{Building: building1})
		if err := tx.Save(ctx, e); err != nil {
			return err
		}
		have, err := tx.Load(ctx, needOf(e))
		if err == nil {
			sameAs(t, have, e) // a transaction reads what it saved
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sameAs(t, mustLoad(t, s, building1, needOf(e)), e)
	buildings, err := s.Buildings(ctx)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "buildings", buildings, []record.ID{building1})
	equal(t, "all chains", mustLoad(t, s, building1, replica.Need{AllChains: true}).Chains[e.Chains[0].Replica].Held, e.Chains[0].Held)
	chains, err := s.Chains(ctx, building1)
	if err != nil || len(chains) != 1 || chains[0].Replica != e.Chains[0].Replica || chains[0].Card.Node != id("node", 1) {
		t.Fatalf("chains: %+v, %v", chains, err)
	}
}

func replace(t *testing.T, s replica.Store) {
	mustUpdate(t, s, building1, func(w *writer) { w.effects = everything(w.have.State) })
	var e replica.Effects
	mustUpdate(t, s, building1, func(w *writer) {
		e = everything(w.have.State)
		e.State.N, e.State.Position = 6, 9
		e.Records[0] = Row(e.Records[0].Key, 8, MakeRecord(id("replica", 1), 6, "repaired"))
		e.Events[0].Details, e.Events[1].Position = nil, 9 // erased; no longer waiting
		e.Chains[0].Held, e.Chains[0].Receipt = 6, sampleReceipt(id("replica", 1), 6)
		e.Touches[0].Refused = false
		e.Quarantine[0].Code, e.Quarantine[0].Body = "other", nil
		e.Cursor.Cursor.Position = 43
		w.effects = e
	})
	sameAs(t, mustLoad(t, s, building1, needOf(e)), e)
	equal(t, "positions", positions(mustFeed(t, s, building1, 0)), []uint64{1, 3, 8, 9})
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.TouchesGone, w.effects.QuarantineOut = e.Touches, e.Quarantine
	})
	have := mustLoad(t, s, building1, needOf(e))
	if len(have.Touches) != 0 || len(have.Quarantine) != 0 {
		t.Fatalf("what was removed is still there: %+v %+v", have.Touches, have.Quarantine)
	}
}

func absent(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	equal(t, "state", mustLoad(t, s, building1, needOf(everything(replica.State{Building: building1}))), replica.Have{State: replica.State{Building: building1}})
	if err := s.Update(ctx, building1, func(replica.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	buildings, err := s.Buildings(ctx)
	if err != nil || len(buildings) != 0 {
		t.Fatalf("an update that saved nothing left buildings %v (%v)", buildings, err)
	}
	if page := mustFeed(t, s, building1, 0); len(page.Items) != 0 || page.End != 0 {
		t.Fatalf("feed of nothing: %+v", page)
	}
}

func buildingsApart(t *testing.T, s replica.Store) {
	mustUpdate(t, s, building1, func(w *writer) { w.effects = everything(w.have.State) })
	need := needOf(everything(replica.State{Building: building2}))
	equal(t, "the other building", mustLoad(t, s, building2, need), replica.Have{State: replica.State{Building: building2}})
	var e replica.Effects
	mustUpdate(t, s, building2, func(w *writer) {
		e = everything(w.have.State)
		e.Records[0] = Row(e.Records[0].Key, 2, MakeRecord(id("replica", 1), 5, "same id, other building"))
		w.effects = e
	})
	sameAs(t, mustLoad(t, s, building2, need), e)
	first := everything(replica.State{Building: building1})
	sameAs(t, mustLoad(t, s, building1, needOf(first)), first)
	mustUpdate(t, s, building2, func(w *writer) {
		w.effects.TouchesGone, w.effects.QuarantineOut = e.Touches, e.Quarantine
	})
	sameAs(t, mustLoad(t, s, building1, needOf(first)), first)
}

func scope(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	other := everything(replica.State{Building: building2})
	_, err := s.Load(ctx, building1, needOf(other))
	wantError(t, err, replica.ErrScope)
	wantError(t, s.Update(ctx, building1, func(tx replica.Tx) error { return tx.Save(ctx, other) }), replica.ErrScope)
	mixed := everything(replica.State{Building: building1})
	mixed.Touches[0].Key.Building = building2
	wantError(t, s.Update(ctx, building1, func(tx replica.Tx) error { return tx.Save(ctx, mixed) }), replica.ErrScope)
	if page := mustFeed(t, s, building1, 0); len(page.Items) != 0 {
		t.Fatalf("something was kept: %+v", page)
	}
}

func idempotent(t *testing.T, s replica.Store) {
	mustUpdate(t, s, building1, func(w *writer) { w.effects = everything(w.have.State) })
	before := mustFeed(t, s, building1, 0)
	mustUpdate(t, s, building1, func(w *writer) { w.effects = everything(w.have.State) })
	equal(t, "feed", positions(mustFeed(t, s, building1, 0)), positions(before))
	e := everything(replica.State{Building: building1})
	sameAs(t, mustLoad(t, s, building1, needOf(e)), e)
}

func lineage(t *testing.T, s replica.Store) {
	const generations = 40
	mustUpdate(t, s, building1, func(w *writer) {
		for n := 1; n <= generations; n++ {
			var before record.ReplicaID
			if n > 1 {
				before = id("replica", n-1)
			}
			w.effects.Chains = append(w.effects.Chains, replica.Chain{Replica: id("replica", n), Card: sampleCard(before), Held: 7})
		}
		w.effects.Chains = append(w.effects.Chains, replica.Chain{Replica: id("stranger", 1), Held: 1},
			replica.Chain{Replica: id("orphan", 1), Card: sampleCard(id("nobody", 1)), Held: 1})
	})
	have := mustLoad(t, s, building1, replica.Need{Chains: []record.ReplicaID{id("replica", generations), id("replica", 3), id("orphan", 1), id("nobody", 1)}})
	if len(have.Chains) != generations+1 {
		t.Fatalf("got %d chains, want all %d of the lineage and the orphan", len(have.Chains), generations)
	}
	equal(t, "root", *have.Chains[id("replica", 1)].Card, *sampleCard(record.ID{}))
	equal(t, "a chain without its card", mustLoad(t, s, building1, replica.Need{Chains: []record.ReplicaID{id("stranger", 1)}}).Chains,
		map[record.ReplicaID]replica.Chain{id("stranger", 1): {Replica: id("stranger", 1), Held: 1}})
}

func touches(t *testing.T, s replica.Store) {
	phone := func(n int) record.ReplicaID { return id("phone", n) }
	touch := func(key record.Key, field string, dot record.Dot, covered, refused bool) replica.PhoneTouch {
		return replica.PhoneTouch{Key: key, Field: field, Dot: dot, Covered: covered, Refused: refused}
	}
	key := record.Key{Building: building1, Kind: "ticket", ID: id("ticket", 1)}
	all := []replica.PhoneTouch{
		touch(key, "status", record.Dot{Replica: phone(1), N: 2}, true, false),
		touch(key, "status", record.Dot{Replica: phone(1), N: 10}, false, false),
		touch(key, "title", record.Dot{Replica: phone(1), N: 3}, false, true),
		touch(key, "title", record.Dot{Replica: phone(1), N: 9}, false, false),
		touch(key, "unit", record.Dot{Replica: phone(2), N: 2}, true, false),
	}
	mustUpdate(t, s, building1, func(w *writer) { w.effects.Touches = all })
	have := mustLoad(t, s, building1, replica.Need{Keys: []record.Key{key, {Building: building1, Kind: "note", ID: key.ID}},
		Unsettled: []record.ReplicaID{phone(1), phone(2), phone(3)}})
	equal(t, "touches", have.Touches, map[record.Key][]replica.PhoneTouch{key: all})
	equal(t, "unsettled", have.Unsettled, map[record.ReplicaID]uint64{phone(1): 9})
	mustUpdate(t, s, building1, func(w *writer) { w.effects.TouchesGone = all[3:4] })
	equal(t, "unsettled", mustLoad(t, s, building1, replica.Need{Unsettled: []record.ReplicaID{phone(1)}}).Unsettled, map[record.ReplicaID]uint64{phone(1): 10})
}

func heldBack(t *testing.T, s replica.Store) {
	row := func(n int, since int64, theirs bool) replica.QuarantineRow {
		return replica.QuarantineRow{Key: record.Key{Building: building1, Kind: "ticket", ID: id("t", n)}, Peer: peer, Theirs: theirs, Code: "c", Since: since, Body: []byte("b")}
	}
	elsewhere := row(9, 1, false)
	elsewhere.Peer = id("peer", 2)
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.Quarantine = []replica.QuarantineRow{row(1, 30, false), row(2, 10, false), row(1, 5, true), elsewhere}
	})
	got := mustLoad(t, s, building1, replica.Need{Peer: peer, Quarantine: 2}).Quarantine
	equal(t, "oldest of the peer's first", got, []replica.QuarantineRow{row(2, 10, false), row(1, 30, false)})
	if got := mustLoad(t, s, building1, replica.Need{Peer: peer}).Quarantine; len(got) != 0 {
		t.Fatalf("none was asked for, got %v", got)
	}
	mustUpdate(t, s, building1, func(w *writer) { w.effects.QuarantineOut = []replica.QuarantineRow{row(1, 0, false)} })
	got = mustLoad(t, s, building1, replica.Need{Peer: peer, Quarantine: 1, HeldBack: []record.Key{row(1, 0, true).Key, row(2, 0, false).Key}}).Quarantine
	equal(t, "of a key whose own is not held back", got, []replica.QuarantineRow{row(2, 10, false)})
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.Quarantine = []replica.QuarantineRow{row(3, 20, false), row(4, 30, false)}
	})
	got = mustLoad(t, s, building1, replica.Need{Peer: peer, Quarantine: 1, HeldBack: []record.Key{row(2, 0, false).Key, row(4, 0, false).Key}}).Quarantine
	equal(t, "beyond the limit", got, []replica.QuarantineRow{row(2, 10, false), row(4, 30, false)})
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.QuarantineOut = []replica.QuarantineRow{row(3, 0, false), row(4, 0, false)}
	})
	got = mustLoad(t, s, building1, replica.Need{Peer: peer, Quarantine: 9}).Quarantine
	equal(t, "what is left", got, []replica.QuarantineRow{row(2, 10, false), row(1, 5, true)})
}

func waiting(t *testing.T, s replica.Store) {
	from := id("phone", 1)
	mustUpdate(t, s, building1, func(w *writer) {
		w.event(from, 1, "one", w.position())
		w.event(from, 4, "four", 0)
		w.event(from, 3, "three", 0)
		w.effects.Chains = []replica.Chain{{Replica: from, Held: 1, Hash: record.HashEvent([]byte("one"))}}
	})
	equal(t, "feed without what waits", positions(mustFeed(t, s, building1, 0)), []uint64{1})
	beyond := mustLoad(t, s, building1, replica.Need{Waiting: []record.ReplicaID{from, id("phone", 2)}}).Waiting
	if len(beyond) != 1 || len(beyond[from]) != 2 || beyond[from][0].N != 3 || string(beyond[from][1].Body) != "four" {
		t.Fatalf("waiting: %+v", beyond)
	}
	mustUpdate(t, s, building1, func(w *writer) {
		w.event(from, 2, "two", w.position())
		w.event(from, 3, "three", w.position())
		w.event(from, 4, "four", w.position())
		w.effects.Chains = []replica.Chain{{Replica: from, Held: 4, Hash: record.HashEvent([]byte("four"))}}
	})
	equal(t, "feed", positions(mustFeed(t, s, building1, 0)), []uint64{1, 2, 3, 4})
	if beyond := mustLoad(t, s, building1, replica.Need{Waiting: []record.ReplicaID{from}}).Waiting; len(beyond) != 0 {
		t.Fatalf("still waiting: %+v", beyond)
	}
}

func eventsRange(t *testing.T, s replica.Store) {
	ctx, from := testContext(t), id("replica", 1)
	mustUpdate(t, s, building1, func(w *writer) {
		for _, n := range []uint64{1, 2, 3, 5, 6} {
			w.event(from, n, strings.Repeat("e", int(n)), w.position())
		}
		w.event(id("replica", 2), 4, "another's", w.position())
	})
	for _, c := range []struct {
		from, to uint64
		limit    int
		want     []uint64
	}{{2, 5, 10, []uint64{2, 3, 5}}, {2, ^uint64(0), 2, []uint64{2, 3}}, {7, 9, 10, []uint64{}}, {0, 1, 10, []uint64{1}}, {5, 2, 10, []uint64{}}} {
		rows, err := s.Events(ctx, building1, from, c.from, c.to, c.limit)
		got := []uint64{}
		for _, r := range rows {
			if len(r.Body) != int(r.N) || r.Hash != record.HashEvent(r.Body) || r.Replica != from {
				t.Fatalf("row %+v", r)
			}
			got = append(got, r.N)
		}
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "numbers", got, c.want)
	}
}

func rollBack(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.State.Position = 9 // beyond the positions that everything takes
		w.record("ticket", id("t", 1), "before")
	})
	refused := errors.New("refused")
	err := s.Update(ctx, building1, func(tx replica.Tx) error {
		if err := tx.Save(ctx, everything(replica.State{Building: building1, Position: 4})); err != nil {
			return err
		}
		return refused
	})
	if err != refused { //nolint:errorlint // the port says: as it is
		t.Fatalf("got %v, want the very error", err)
	}
	e := everything(replica.State{Building: building1})
	have := mustLoad(t, s, building1, needOf(e))
	if len(have.Records)+len(have.Events)+len(have.Chains)+len(have.Touches)+len(have.Quarantine) != 0 || have.Cursor.Position != 0 || have.State.Position != 10 {
		t.Fatalf("something was kept: %+v", have)
	}
	mustUpdate(t, s, building1, func(w *writer) { w.record("ticket", id("t", 2), "after") })
	equal(t, "feed", shown(t, mustFeed(t, s, building1, 0)), map[record.ID]string{id("t", 1): "before", id("t", 2): "after"})
}

// overlooked swallows the error of a Save that failed halfway.
func overlooked(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	e := everything(replica.State{Building: building1})
	e.Records[1].Position = 0
	wantError(t, s.Update(ctx, building1, func(tx replica.Tx) error {
		_ = tx.Save(ctx, e)
		return nil
	}), replica.ErrCorrupt)
	equal(t, "kept", mustLoad(t, s, building1, needOf(e)), replica.Have{State: replica.State{Building: building1}})
}

func panics(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	func() {
		defer func() {
			if p := recover(); p != "boom" {
				t.Fatalf("recovered %v, want the caller's own panic", p)
			}
		}()
		_ = s.Update(ctx, building1, func(tx replica.Tx) error {
			if err := tx.Save(ctx, everything(replica.State{Building: building1})); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	mustUpdate(t, s, building1, func(w *writer) { w.record("ticket", id("t", 2), "after") })
	equal(t, "positions", positions(mustFeed(t, s, building1, 0)), []uint64{1})
}
