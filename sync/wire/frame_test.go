package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"estate/internal/lab/fuzztest"
	"estate/sync/record"
	"estate/sync/wire"
)

var (
	one = record.ID{1}
	two = record.ID{2}
)

type sample struct {
	name string
	m    wire.Message
}

// messages has one of every type with every field set, and the empty form of each.
func messages() []sample {
	head := record.Head{Replica: one, N: 7, Hash: record.Hash{7}, Signature: bytes.Repeat([]byte{9}, 64)}
	receipt := record.Receipt{Issuer: two, Replica: one, N: 7, Hash: record.Hash{7}, Settled: 5, Signature: bytes.Repeat([]byte{9}, 64)}
	beyond := record.Beyond{Issuer: two, Replica: one, Spans: []record.Span{{From: 7, To: 9}}, Signature: bytes.Repeat([]byte{9}, 64)}
	cursor := wire.Cursor{Generation: one, View: record.Hash{3}, Position: 42, Anchor: 41}
	events := []wire.EventItem{{Body: []byte{1, 2}, Details: []byte{3}}, {Body: []byte{4}, Replica: one, N: 7}}
	return []sample{
		{"hello", wire.Hello{Protocol: 2, Schema: 3, Building: one, Node: two, Tier: record.TierEdge, Generation: one, Time: 1_800_000_000_000, Cursor: cursor,
			Held: []wire.Held{{Replica: one, N: 7, Hash: record.Hash{7}, Signed: &head, Receipted: 5, Settled: 4, Fork: 6, Proof: &head,
				Predecessor: record.Dot{Replica: two, N: 3}, PredecessorHash: record.Hash{8}}}}},
		{"page", wire.Page{ID: 4, From: 10, To: 20, Last: true, Heads: []record.Head{head}, Events: events,
			Records:  []wire.RecordItem{{Kind: "ticket", ID: one, Body: []byte{5}, Seal: &wire.Seal{Node: two, Time: 6, Signature: []byte{7}}}, {Kind: "unit", ID: two, Body: []byte{6}, Tag: []byte{4}}},
			Receipts: []record.Receipt{receipt}, View: record.Hash{3}, Generation: two, Reader: one, Vouched: []record.Receipt{receipt}, Issuer: []byte{8}, Forget: [][]byte{{1, 2}}, Beyond: []record.Beyond{beyond}, Forks: []record.Dot{{Replica: two, N: 3}}, Anchor: 19}},
		{"ack", wire.Ack{Page: 4, To: 20, Quarantined: []wire.Quarantined{{Kind: "ticket", ID: one, Code: wire.CodeContextUnsigned}}, Receipts: []record.Receipt{receipt}, Time: 8,
			Released: []wire.Quarantined{{Kind: "unit", ID: two}}}},
		{"want", wire.Want{Replica: one, From: 3, To: 9}},
		{"credit", wire.Credit{Bytes: 1 << 20}},
		{"ping", wire.Ping{ID: 1, Time: 2}},
		{"pong", wire.Pong{ID: 1, Time: 2}},
		{"push", wire.Push{ID: 5, Head: head, Transactions: events, Heads: []record.Head{head}, Cards: []wire.Vouched{{Card: events[0], Issuer: []byte{8}, Receipt: receipt}}}},
		{"pushed", wire.Pushed{ID: 5, Results: []wire.PushResult{{Dot: record.Dot{Replica: one, N: 3}, Refused: []wire.RefusedPart{{Kind: "ticket", ID: one, Field: "note", Code: wire.CodeFieldForbidden}}}},
			Receipt: &receipt, Wants: []wire.Want{{Replica: one, From: 3}}, Time: 8, Beyond: &beyond}},
		{"digest", wire.Digest{ID: 6, Kinds: []string{"ticket", "unit"}, Items: []wire.DigestItem{{Kind: 0, ID: one, Sum: wire.Sum{1, 2}}, {Kind: 1, ID: two, Sum: wire.Sum{3}}}}},
		{"digested", wire.Digested{ID: 6, Same: []byte{0b10}}},
		{"pull", wire.Pull{Cursor: cursor, Limit: 100, Replicas: []record.ReplicaID{one, two}, Holds: true, Heads: []record.Head{head}}},
		{"returned", wire.Returned{ID: 6, Records: []wire.RecordItem{{Kind: "ticket", ID: one, Body: []byte{5}, Seal: &wire.Seal{Node: two, Time: 6, Signature: []byte{7}}}},
			Heads: []record.Head{head}, Cards: []wire.Vouched{{Card: events[0], Issuer: []byte{8}, Receipt: receipt}}, Issuers: [][]byte{{8}}, Doubts: []record.Dot{{Replica: one, N: 2}}}},
		{"taken", wire.Taken{ID: 6, Results: []wire.TakenResult{{Kind: "ticket", ID: one, Code: wire.CodeBadSignature}, {Kind: "unit", ID: two, Forget: true}}}},
		{"bye", wire.Bye{Code: wire.CodeNodeRevoked, Detail: "revoked on Monday", Remedy: "enrol again"}},
		{"empty page", wire.Page{}},
		{"empty pull", wire.Pull{}},
	}
}

// TestFrameRoundTrip. Cites SPEC R28.
func TestFrameRoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range messages() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			b, err := wire.Encode(s.m)
			if err != nil {
				t.Fatal(err)
			}
			back, err := wire.Decode(b)
			if err != nil || !reflect.DeepEqual(back, s.m) {
				t.Fatalf("Decode = %#v, %v; want %#v", back, err, s.m)
			}
			for i := range b {
				for _, flip := range []byte{0x01, 0x80, 0xff} {
					bad := bytes.Clone(b)
					bad[i] ^= flip
					if m, err := wire.Decode(bad); err == nil {
						t.Fatalf("byte %d changed by %#x goes unnoticed: %#v", i, flip, m)
					}
				}
				if m, err := wire.Decode(b[:i]); !errors.Is(err, wire.ErrFrame) {
					t.Fatalf("cut at %d: %#v, %v", i, m, err)
				}
			}
		})
	}
}

// frame builds a frame whose checksum is right, whatever its parts.
func frame(version, kind, flags byte, payload []byte) []byte {
	b := append([]byte{version, kind, flags, 0, 0, 0, 0}, payload...)
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(b[3:], crc32.Update(crc32.Checksum(b[:3], table), table, payload))
	return b
}

// TestFrameRefuses: a peer's frame with a right checksum and a wrong content is an error
// with its own kind, never a panic. Cites SPEC R28.
func TestFrameRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"Version":          {frame(2, byte(wire.TypePing), 0, []byte{0xa0}), wire.ErrFrame},
		"TypeUnknown":      {frame(1, 200, 0, []byte{0xa0}), wire.ErrUnknown},
		"TypeReserved":     {frame(1, byte(wire.TypeForget), 0, []byte{0xa0}), wire.ErrUnknown},
		"FlagUnknown":      {frame(1, byte(wire.TypePing), 0x80, []byte{0xa0}), wire.ErrFrame},
		"StillCompressed":  {frame(1, byte(wire.TypePing), wire.FlagCompressed, []byte{0xa0}), wire.ErrFrame},
		"NoPayload":        {frame(1, byte(wire.TypePing), 0, nil), wire.ErrFrame},
		"NotAMap":          {frame(1, byte(wire.TypePing), 0, []byte{0x01}), wire.ErrFrame},
		"Trailing":         {frame(1, byte(wire.TypePing), 0, []byte{0xa0, 0xa0}), wire.ErrFrame},
		"KeyTwice":         {frame(1, byte(wire.TypePing), 0, []byte{0xa2, 0x01, 0x01, 0x01, 0x02}), wire.ErrFrame},
		"Tag":              {frame(1, byte(wire.TypePing), 0, []byte{0xa1, 0x01, 0xc1, 0x01}), wire.ErrFrame},
		"NegativeNumber":   {frame(1, byte(wire.TypePing), 0, []byte{0xa1, 0x01, 0x20}), wire.ErrFrame},
		"NotUTF8":          {frame(1, byte(wire.TypeBye), 0, []byte{0xa1, 0x01, 0x61, 0xff}), wire.ErrFrame},
		"ListClaimsTooBig": {frame(1, byte(wire.TypePage), 0, []byte{0xa1, 0x05, 0x9b, 0, 0, 1, 0, 0, 0, 0, 0}), wire.ErrFrame},
		"ShortID":          {frame(1, byte(wire.TypeWant), 0, []byte{0xa1, 0x01, 0x41, 0x01}), wire.ErrFrame},
		"LongID":           {frame(1, byte(wire.TypeWant), 0, append([]byte{0xa1, 0x01, 0x51}, make([]byte, 17)...)), wire.ErrFrame},
		"TooLarge":         {make([]byte, wire.FrameBytesMax+1), wire.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if m, err := wire.Decode(c.b); !errors.Is(err, c.want) {
				t.Errorf("Decode = %#v, %v; want %v", m, err, c.want)
			}
		})
	}
	if _, err := wire.Wrap(wire.TypePage, 0, make([]byte, wire.FrameBytesMax)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("Wrap of a frame beyond the limit: %v", err)
	}
}

// TestLaterFieldsAreSkipped: a later release may add a field to a message. Cites SPEC R26.
func TestLaterFieldsAreSkipped(t *testing.T) {
	t.Parallel()
	m, err := wire.Decode(frame(1, byte(wire.TypePing), 0, []byte{0xa2, 0x01, 0x07, 0x18, 0x63, 0x82, 0x01, 0x02}))
	if err != nil || m != (wire.Ping{ID: 7}) {
		t.Errorf("Decode = %#v, %v", m, err)
	}
}

// TestUnwrapKeepsFlags: the link expands a compressed payload before it is decoded.
// Cites SPEC R28.
func TestUnwrapKeepsFlags(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
		b, err := wire.Wrap(wire.TypePage, wire.FlagCompressed, payload)
		if err != nil {
			t.Fatal(err)
		}
		kind, flags, got, err := wire.Unwrap(b)
		if err != nil || kind != wire.TypePage || flags != wire.FlagCompressed || !bytes.Equal(got, payload) {
			t.Fatalf("Unwrap = %d, %d, %x, %v", kind, flags, got, err)
		}
	})
}

// perByte is what a decoder may allocate for a byte: an empty map of one byte is an item of
// a list, and stands for a struct of some hundred bytes that the list's growth copies once.
const perByte = 768

// FuzzDecode: no panic, memory in proportion to the frame, and what is accepted can be sent
// again and means the same. Cites SPEC R28.
func FuzzDecode(f *testing.F) {
	for _, v := range readFrames(f) {
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[1], b[7:])
	}
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		var m wire.Message
		var err error
		fuzztest.Bounded(t, len(payload), perByte, func() { m, err = wire.Decode(frame(1, kind, 0, payload)) })
		if err != nil {
			if !errors.Is(err, wire.ErrFrame) && !errors.Is(err, wire.ErrUnknown) && !errors.Is(err, wire.ErrTooLarge) {
				t.Fatalf("error without kind: %v", err)
			}
			return
		}
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := wire.Decode(b)
		if err != nil {
			t.Fatalf("%x accepted, its own form %x refused: %v", payload, b, err)
		}
		if again, err := wire.Encode(back); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x, then %x, %v", b, again, err)
		}
	})
}

// FuzzUnwrap takes any bytes as a frame: what passes is exactly what Wrap would build.
func FuzzUnwrap(f *testing.F) {
	for _, v := range readFrames(f) {
		b, err := hex.DecodeString(v.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, flags, payload, err := wire.Unwrap(b)
		if err != nil {
			if !errors.Is(err, wire.ErrFrame) && !errors.Is(err, wire.ErrTooLarge) {
				t.Fatalf("error without kind: %v", err)
			}
			return
		}
		if again, err := wire.Wrap(kind, flags, payload); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %x, %v", b, again, err)
		}
	})
}
