package record_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/record"
)

// TestEventRoundTrip: events and details decode to what was encoded, byte for byte, and
// any changed byte is refused or canonical. Cites SPEC R17, SPEC R18, SPEC R24.
func TestEventRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, d := drawEvent(t)
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := record.DecodeEvent(b)
		if err != nil || back.Dot() != e.Dot() || back.Actor != e.Actor || len(back.Touches) != len(e.Touches) || !slices.Equal(back.Erasures, e.Erasures) {
			t.Fatalf("DecodeEvent = %v, %v; want %v", back, err, e)
		}
		raw, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		details, err := record.DecodeDetails(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := details.Check(back); err != nil {
			t.Fatal(err)
		}
		for i := range details {
			details[i].New = append(slices.Clone(details[i].New), record.Int(1))
			if err := details.Check(back); !errors.Is(err, record.ErrEvent) {
				t.Fatalf("invented value passed: %v", err)
			}
			details[i] = record.Detail{}
		}
		if err := details.Check(back); err != nil {
			t.Fatalf("erased details broke the chain: %v", err)
		}
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[i] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		canonicalEvent(t, b)
		sameEvent(t, b)
		i = rapid.IntRange(0, len(raw)-1).Draw(t, "at in details")
		raw[i] ^= rapid.ByteRange(1, 255).Draw(t, "flip in details")
		canonicalDetails(t, raw)
		sameDetails(t, raw)
	})
}

// TestErasuresRefused: an event's erasures are a list with one form, and a card has none.
// Cites SPEC R18, SPEC R32.
func TestErasuresRefused(t *testing.T) {
	t.Parallel()
	dots := func(n ...uint64) (out []record.Dot) {
		for _, n := range n {
			out = append(out, record.Dot{Replica: one, N: n})
		}
		return out
	}
	many := make([]uint64, record.ErasuresMax+1)
	for i := range many {
		many[i] = uint64(i + 1)
	}
	for name, list := range map[string][]record.Dot{
		"NotAscending": dots(2, 1), "Twice": dots(1, 1), "NoNumber": dots(0), "NoReplica": {{N: 1}}, "TooMany": dots(many...),
	} {
		e := second()
		e.Erasures = list
		if b, err := e.Encode(); err == nil {
			if _, err := record.DecodeEvent(b); !errors.Is(err, record.ErrEvent) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	card := first()
	card.Erasures = dots(1)
	b, err := card.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.DecodeEvent(b); !errors.Is(err, record.ErrEvent) {
		t.Errorf("a card that erases: %v", err)
	}
	// The largest list still fits an event.
	most := second()
	most.Erasures = dots(many[:record.ErasuresMax]...)
	if _, err := most.Encode(); err != nil {
		t.Error(err)
	}
}

func canonicalEvent(t fataler, b []byte) {
	t.Helper()
	e, err := record.DecodeEvent(b)
	if err != nil {
		if !errors.Is(err, record.ErrEvent) {
			t.Fatalf("DecodeEvent(%x): %v is not ErrEvent", b, err)
		}
		return
	}
	if again, err := e.Encode(); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("accepted %x, re-encoded %x, %v", b, again, err)
	}
}

func canonicalDetails(t fataler, b []byte) {
	t.Helper()
	d, err := record.DecodeDetails(b)
	if err != nil {
		if !errors.Is(err, record.ErrEvent) {
			t.Fatalf("DecodeDetails(%x): %v is not ErrEvent", b, err)
		}
		return
	}
	if again, err := d.Encode(); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("accepted %x, re-encoded %x, %v", b, again, err)
	}
}

// nodeKey is a fixed key: tests need the same signatures in every run.
func nodeKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(seed byte) ed25519.PublicKey { return nodeKey(seed).Public().(ed25519.PublicKey) }

// marked is a replica's id made for the node of the first key.
var marked = record.MarkReplica(one, record.NodeID(public(1)))

func first() record.Event {
	return record.Event{Building: two, Replica: marked, N: 1, Stamp: 1, Actor: record.Actor{Class: record.Automation},
		Card: &record.Card{Node: record.NodeID(public(1)), Tier: record.TierEdge, PublicKey: public(1)}}
}

func second() record.Event {
	return record.Event{Building: two, Replica: one, N: 2, Prev: record.Hash{1}, Stamp: 2, Actor: record.Actor{Class: record.Person},
		Touches: []record.Touch{{Kind: "ticket", ID: two, Field: "note", Replaced: []record.Dot{{Replica: two, N: 1}}}}}
}

// TestDecodeEventRefuses. Cites SPEC R1, SPEC R17, SPEC R18, SPEC R19.
func TestDecodeEventRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(card, plain *record.Event){
		"NoBuilding":            func(_, e *record.Event) { e.Building = record.ID{} },
		"NoReplica":             func(_, e *record.Event) { e.Replica = record.ID{} },
		"NumberZero":            func(_, e *record.Event) { e.N = 0 },
		"NoPrevious":            func(_, e *record.Event) { e.Prev = record.Hash{} },
		"FirstWithPrevious":     func(c, _ *record.Event) { c.Prev = record.Hash{1} },
		"FirstWithoutCard":      func(c, _ *record.Event) { c.Card = nil },
		"CardLater":             func(c, e *record.Event) { e.Card = c.Card },
		"FirstTouches":          func(c, e *record.Event) { c.Touches = e.Touches },
		"NoAuthorClass":         func(_, e *record.Event) { e.Actor.Class = 0 },
		"ActionLong":            func(_, e *record.Event) { e.Action = strings.Repeat("a", record.ActionBytesMax+1) },
		"TouchesMany":           func(_, e *record.Event) { e.Touches = slices.Repeat(e.Touches, record.TouchesMax+1) },
		"TouchNoKind":           func(_, e *record.Event) { e.Touches[0].Kind = "" },
		"TouchNoField":          func(_, e *record.Event) { e.Touches[0].Field = "" },
		"TouchNoID":             func(_, e *record.Event) { e.Touches[0].ID = record.ID{} },
		"ReplacesNoDot":         func(_, e *record.Event) { e.Touches[0].Replaced[0].N = 0 },
		"CardOtherNode":         func(c, _ *record.Event) { c.Card.Node = record.NodeID(public(2)) },
		"CardNoTier":            func(c, _ *record.Event) { c.Card.Tier = 0 },
		"CardOfAnothersReplica": func(c, _ *record.Event) { c.Replica = record.MarkReplica(one, record.NodeID(public(2))) },
		"CardFollowsItself": func(c, _ *record.Event) {
			c.Card.Predecessor, c.Card.PredecessorHash = record.Dot{Replica: marked, N: 3}, record.Hash{1}
		},
		"CardNoPredecessorHash": func(c, _ *record.Event) { c.Card.Predecessor = record.Dot{Replica: two, N: 3} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card, plain := first(), second()
			for _, e := range []record.Event{card, plain} {
				if b, err := e.Encode(); err != nil {
					t.Fatal(err)
				} else if _, err := record.DecodeEvent(b); err != nil {
					t.Fatalf("refused before the change: %v", err)
				}
			}
			change(&card, &plain)
			refused := 0
			for _, e := range []record.Event{card, plain} {
				b, err := e.Encode()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := record.DecodeEvent(b); errors.Is(err, record.ErrEvent) {
					refused++
				}
			}
			if refused != 1 {
				t.Errorf("%d of the two events refused, want the changed one", refused)
			}
		})
	}
}

// TestDetailsBindTheirSalt: bytes cannot move between salt and values under one hash, and
// values without salt are bound by nothing. Cites SPEC R24.
func TestDetailsBindTheirSalt(t *testing.T) {
	t.Parallel()
	salt := bytes.Repeat([]byte{7}, record.SaltBytes)
	vs := []record.Value{record.Text("x"), record.Text("y")}
	e := second()
	e.Touches[0].New = record.HashValues(salt, record.LabelNew, vs)
	moved := append(slices.Clone(salt), append([]byte("2:"), vs[0]...)...)
	if record.HashValues(moved, record.LabelNew, vs[1:]) != e.Touches[0].New {
		t.Fatal("the shifted salt does not collide: this test shows nothing")
	}
	for name, d := range map[string]record.Details{
		"LongSalt":         {{Salt: moved, New: vs[1:]}},
		"ValuesWithoutOne": {{New: vs}},
	} {
		if err := d.Check(e); !errors.Is(err, record.ErrEvent) {
			t.Errorf("%s: Check = %v", name, err)
		}
		b, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := record.DecodeDetails(b); !errors.Is(err, record.ErrEvent) {
			t.Errorf("%s: DecodeDetails = %v", name, err)
		}
		if err := new(record.Decoder).CheckDetails(&e, b); !errors.Is(err, record.ErrEvent) {
			t.Errorf("%s: CheckDetails = %v", name, err)
		}
	}
	if err := (record.Details{{Salt: salt, New: vs}}).Check(e); err != nil {
		t.Errorf("true details: %v", err)
	}
	if err := (record.Details{{Salt: salt}, {Salt: salt}}).Check(e); !errors.Is(err, record.ErrEvent) {
		t.Errorf("too many details: %v", err)
	}
}

// TestDelta: only the event's own dot and the replaced ones, only in fields that the author
// may write, and nothing of a value that is withheld. Cites SPEC R7, SPEC R24.
func TestDelta(t *testing.T) {
	t.Parallel()
	key := record.Key{Building: two, Kind: "ticket", ID: two}
	salt := make([]byte, record.SaltBytes)
	e := second()
	e.Touches[0].New = record.HashValues(salt, record.LabelNew, []record.Value{record.Int(1)})
	e.Touches = append(e.Touches,
		record.Touch{Kind: "ticket", ID: two, Field: "secret", Replaced: []record.Dot{{Replica: two, N: 1}}},
		record.Touch{Kind: "ticket", ID: one, Field: "elsewhere"})
	d := record.Details{{Salt: salt, New: []record.Value{record.Int(1)}}, {Salt: salt}, {Salt: salt}}
	note := func(f string) bool { return f == "note" }

	r := record.Delta(e, d, key, note)
	want := []record.FieldDot{{Field: "note", Dot: e.Dot()}, {Field: "note", Dot: record.Dot{Replica: two, N: 1}}}
	if len(r.Fields) != 1 || len(r.Siblings("note")) != 1 || r.Siblings("note")[0].Dot != e.Dot() || !slices.Equal(r.Context.Dots, want) || len(r.Context.Vector) != 0 {
		t.Errorf("delta %v", r)
	}
	if _, err := r.Encode(); err != nil {
		t.Errorf("delta has no canonical form: %v", err)
	}
	for name, withheld := range map[string]record.Details{"None": nil, "Erased": {{}, {}, {}}} {
		if r := record.Delta(e, withheld, key, note); !r.IsZero() {
			t.Errorf("%s: a withheld value deletes what stands: %v", name, r)
		}
	}
	if r := record.Delta(e, nil, key, func(f string) bool { return f == "secret" }); len(r.Context.Dots) != 2 || len(r.Fields) != 0 {
		t.Errorf("a removal needs no value: %v", r)
	}
}

// TestSignatures: a head or receipt holds for one building, number, hash and key only.
// Cites SPEC R9, SPEC R13, SPEC R23.
func TestSignatures(t *testing.T) {
	t.Parallel()
	h := record.SignHead(nodeKey(1), two, one, 7, record.Hash{7})
	r := record.SignReceipt(nodeKey(1), two, record.Receipt{Replica: one, N: 7, Hash: record.Hash{7}, Settled: 5})
	if err := errors.Join(h.Verify(two, public(1)), r.Verify(two, public(1))); err != nil {
		t.Fatal(err)
	}
	headWith := func(change func(*record.Head)) error { g := h; change(&g); return g.Verify(two, public(1)) }
	receiptWith := func(change func(*record.Receipt)) error { g := r; change(&g); return g.Verify(two, public(1)) }
	for name, err := range map[string]error{
		"HeadBuilding":    h.Verify(one, public(1)),
		"HeadKey":         h.Verify(two, public(2)),
		"HeadNoKey":       h.Verify(two, nil),
		"HeadNumber":      headWith(func(h *record.Head) { h.N++ }),
		"HeadHash":        headWith(func(h *record.Head) { h.Hash[0]++ }),
		"HeadReplica":     headWith(func(h *record.Head) { h.Replica = two }),
		"HeadUnsigned":    headWith(func(h *record.Head) { h.Signature = nil }),
		"ReceiptBuilding": r.Verify(one, public(1)),
		"ReceiptKey":      r.Verify(two, public(2)),
		"ReceiptSettled":  receiptWith(func(r *record.Receipt) { r.Settled = 7 }),
		"ReceiptNumber":   receiptWith(func(r *record.Receipt) { r.N++ }),
		"ReceiptIssuer":   receiptWith(func(r *record.Receipt) { r.Issuer = one }),
	} {
		if !errors.Is(err, record.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
