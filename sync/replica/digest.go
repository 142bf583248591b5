package replica

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"estate/sync/record"
	"estate/sync/wire"
)

// stretchBytes is about how much of the feed one digest stands for: with wire.DigestItemsMax
// it bounds what a round keeps in memory, however large the building is.
const stretchBytes = 4 << 20

// Stretch is a part of a feed with the digests of its records, read in one snapshot.
type Stretch struct {
	Digest    wire.Digest
	Positions []uint64 // of the digest's items, ascending
	From, To  uint64
	Last      bool // nothing more in the feed at the time of reading
	// Open says that something of it is for the peer whatever it holds: an event, or a
	// record that found no room in the digest.
	Open       bool
	Generation record.ID // of the feed
}

// Checked answers a peer's digest.
type Checked struct {
	Answer wire.Digested
	// Echoes are positions of this node's feed that hold exactly what the peer holds.
	Echoes []uint64
}

// SumSalt binds digests to the runs of the two stores that compare: a sum means nothing in
// another session, and who wrote a record could not know it.
func SumSalt(sender, reader record.ID) []byte {
	return append(append([]byte("estate digest v1\x00"), sender[:]...), reader[:]...)
}

// SumRecord is the digest of a record's stored bytes.
func SumRecord(salt []byte, key record.Key, body []byte) wire.Sum {
	h := sha256.New()
	h.Write(salt)
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(key.Kind)))
	h.Write(n[:])
	h.Write([]byte(key.Kind))
	h.Write(key.ID[:])
	h.Write(body)
	var sum [sha256.Size]byte
	return wire.Sum(h.Sum(sum[:0])[:wire.SumBytes])
}

// ReadDigest reads a stretch of this node's feed as digests for a peer, whose run is reader:
// the records but those that skip names. held is what the peer holds of the events.
func (n *Node) ReadDigest(ctx context.Context, building, reader record.ID, after uint64, held map[record.ReplicaID]uint64, skip func(position uint64) bool) (Stretch, error) {
	feed, err := n.Store.Feed(ctx, building, after, wire.DigestItemsMax, stretchBytes)
	if err != nil {
		return Stretch{}, fmt.Errorf("read feed for digests: %w", err)
	}
	s := Stretch{From: after, To: after, Generation: n.generation(feed.State)}
	salt, kinds := SumSalt(s.Generation, reader), map[string]uint64{}
	for _, item := range feed.Items {
		s.To = item.Position
		if item.Event != nil {
			s.Open = s.Open || item.Event.N > held[item.Event.Replica]
			continue
		}
		if skip(item.Position) {
			continue
		}
		kind, ok := kinds[item.Key.Kind]
		if !ok {
			if len(kinds) == wire.DigestKindsMax {
				s.Open = true
				continue
			}
			kind = uint64(len(kinds))
			kinds[item.Key.Kind] = kind
			s.Digest.Kinds = append(s.Digest.Kinds, item.Key.Kind)
		}
		s.Digest.Items = append(s.Digest.Items, wire.DigestItem{Kind: kind, ID: item.Key.ID, Sum: SumRecord(salt, item.Key, item.Body)})
		s.Positions = append(s.Positions, item.Position)
	}
	s.Last = s.To >= feed.End
	return s, nil
}

// CheckDigest says which of a peer's records this node holds byte for byte; sender is the
// run of the peer's store. A record of which something is held back is wanted whatever is
// stored: with its next state the quarantine may end. It returns a Refusal for a digest that
// is none.
func (n *Node) CheckDigest(ctx context.Context, building record.ID, peer Peer, sender record.ID, d wire.Digest) (Checked, error) {
	out := Checked{Answer: wire.Digested{ID: d.ID, Same: make([]byte, (len(d.Items)+7)/8)}}
	if len(d.Items) > wire.DigestItemsMax || len(d.Kinds) > wire.DigestKindsMax {
		return out, refuse(wire.CodeFrameTooLarge, "digest of %d records of %d kinds", len(d.Items), len(d.Kinds))
	}
	keys := make([]record.Key, len(d.Items))
	for i, item := range d.Items {
		if item.Kind >= uint64(len(d.Kinds)) || len(d.Kinds[item.Kind]) > record.FieldNameMax {
			return out, refuse(wire.CodeFrameMalformed, "digest of a kind that it does not name")
		}
		keys[i] = record.Key{Building: building, Kind: d.Kinds[item.Kind], ID: item.ID}
	}
	need := Need{Peer: peer.Node, Quarantine: quarantineRetry, HeldBack: keys, Sums: SumNeed{Keys: keys, Salt: SumSalt(sender, n.Boot())}}
	have, err := n.Store.Load(ctx, building, need)
	if run := n.generation(have.State); err == nil && run != n.Boot() {
		need.Sums.Salt = SumSalt(sender, run)
		have, err = n.Store.Load(ctx, building, need)
	}
	if err != nil {
		return out, fmt.Errorf("load digests: %w", err)
	}
	heldBack := map[record.Key]bool{}
	for _, q := range have.Quarantine {
		heldBack[q.Key] = !q.Theirs || heldBack[q.Key]
	}
	for i, k := range keys {
		if mine, ok := have.Sums[k]; ok && mine.Sum == d.Items[i].Sum && !heldBack[k] {
			out.Answer.Set(i)
			out.Echoes = append(out.Echoes, mine.Position)
		}
	}
	return out, nil
}
