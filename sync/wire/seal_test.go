package wire_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"

	"estate/sync/record"
	"estate/sync/wire"
)

var sealKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// SPEC R30: a seal stands for key, bytes, server and time, and for nothing else.
func TestSeal(t *testing.T) {
	t.Parallel()
	public, _ := sealKey.Public().(ed25519.PublicKey)
	other, _ := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), 1)).Public().(ed25519.PublicKey)
	sealed := func() wire.RecordItem {
		item := wire.RecordItem{Kind: "ticket", ID: one, Body: []byte{1, 2, 3}}
		item.Seal = wire.SealRecord(sealKey, two, 99, item)
		return item
	}
	if err := wire.CheckSeal(public, two, sealed()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		public   []byte
		building record.ID
		change   func(*wire.RecordItem)
	}{
		"Body":          {public, two, func(i *wire.RecordItem) { i.Body = []byte{1, 2, 4} }},
		"Kind":          {public, two, func(i *wire.RecordItem) { i.Kind = "Ticket" }},
		"ID":            {public, two, func(i *wire.RecordItem) { i.ID = two }},
		"Time":          {public, two, func(i *wire.RecordItem) { i.Seal.Time++ }},
		"Node":          {public, two, func(i *wire.RecordItem) { i.Seal.Node = record.NodeID(other) }},
		"Signature":     {public, two, func(i *wire.RecordItem) { i.Seal.Signature[0] ^= 1 }},
		"NoSignature":   {public, two, func(i *wire.RecordItem) { i.Seal.Signature = nil }},
		"NoSeal":        {public, two, func(i *wire.RecordItem) { i.Seal = nil }},
		"Building":      {public, one, func(*wire.RecordItem) {}},
		"AnotherKey":    {other, two, func(*wire.RecordItem) {}},
		"NoKey":         {nil, two, func(*wire.RecordItem) {}},
		"KeyAndNode":    {other, two, func(i *wire.RecordItem) { i.Seal.Node = record.NodeID(other) }},
		"KindIntoID":    {public, two, func(i *wire.RecordItem) { i.Kind = i.Kind[:5] }},
		"EmptyEnvelope": {public, two, func(i *wire.RecordItem) { *i = wire.RecordItem{Seal: i.Seal} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			item := sealed()
			c.change(&item)
			if err := wire.CheckSeal(c.public, c.building, item); !errors.Is(err, record.ErrSignature) {
				t.Fatalf("CheckSeal = %v", err)
			}
		})
	}
}

// SPEC R29, SPEC R30: the golden forms of a seal and of a mark.
func TestSealVectors(t *testing.T) {
	t.Parallel()
	item := wire.RecordItem{Kind: "ticket", ID: one, Body: []byte{1, 2, 3}}
	seal := wire.SealRecord(sealKey, two, 99, item)
	const sealed = "3c22e29ff84a0ac3b3000e56aa12a8e615b34c91958da3d89dc3ba05c50fb07f874c9f5b9e290607fceeece2ecd9c2c0a753a1f6f5c9931430654a4755c59804"
	if got := hex.EncodeToString(seal.Signature); got != sealed {
		t.Errorf("seal %s", got)
	}
	const marked = "bc5fcbc059b77df4a06ae3ee49818d26"
	tag := []byte("0123456789abcdef")
	if got := hex.EncodeToString(wire.Mark(tag, one, 7)); got != marked {
		t.Errorf("mark %s", got)
	}
	for name, m := range map[string][]byte{"tag": wire.Mark([]byte("0123456789abcdeg"), one, 7), "generation": wire.Mark(tag, two, 7), "page": wire.Mark(tag, one, 8)} {
		if hex.EncodeToString(m) == marked || len(m) != wire.MarkBytes {
			t.Errorf("another %s has the same mark", name)
		}
	}
}
