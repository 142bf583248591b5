package wire

import "estate/sync/record"

// Sizes of a digest round.
const (
	// SumBytes is the length of a record's digest: half of a SHA-256, which nobody can make
	// two records share.
	SumBytes = 16
	// DigestItemsMax bounds one Digest: some 300 KB on the wire, and what both sides keep in
	// memory for it.
	DigestItemsMax = 8192
	// DigestKindsMax bounds the kinds that one Digest names.
	DigestKindsMax = 256
)

// Sum is the digest of one record's state, bound to the two runs of the stores that compare
// (replica.SumRecord).
type Sum [SumBytes]byte

// Digest asks, ahead of a stretch of the sender's feed, which of its records the receiver
// holds byte for byte: those need not be sent (SPEC R31).
type Digest struct {
	ID    uint64       `cbor:"1,keyasint,omitempty"`
	Kinds []string     `cbor:"2,keyasint,omitempty"`
	Items []DigestItem `cbor:"3,keyasint,omitempty"`
}

// DigestItem is one record of a Digest.
type DigestItem struct {
	_    struct{} `cbor:",toarray"`
	Kind uint64   // index into the digest's Kinds
	ID   record.ID
	Sum  Sum
}

// Digested answers a Digest: bit i, from the lowest of the first byte on, is set where the
// receiver holds item i exactly.
type Digested struct {
	ID   uint64 `cbor:"1,keyasint,omitempty"`
	Same []byte `cbor:"2,keyasint,omitempty"`
}

// Set marks item i as held; Same must be long enough.
func (d Digested) Set(i int) { d.Same[i/8] |= 1 << (i % 8) }

// Has reports whether item i is held; false for what the answer does not reach.
func (d Digested) Has(i int) bool { return i/8 < len(d.Same) && d.Same[i/8]&(1<<(i%8)) != 0 }
