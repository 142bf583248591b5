package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
)

// Tier is a node's place: offsets flow down, refusals of stamps come from above, and only
// edges and the cloud hold whole buildings.
type Tier uint8

// Tiers, from the top down.
const (
	TierCloud Tier = 1
	TierEdge  Tier = 2
	TierPhone Tier = 3
)

// String names the tier in logs and on screens.
func (t Tier) String() string {
	switch t {
	case TierCloud:
		return "cloud"
	case TierEdge:
		return "edge"
	case TierPhone:
		return "phone"
	}
	return fmt.Sprintf("tier %d", uint8(t))
}

// ErrSignature says that a head or receipt was not signed by the node it names.
var ErrSignature = errors.New("record: signature does not verify")

// Card is the content of event 1: who writes under this replica, and where its lineage
// continues. Node is derived from PublicKey, so a card cannot name another's node.
type Card struct {
	_         struct{} `cbor:",toarray"`
	Node      ID
	Tier      Tier
	PublicKey []byte
	// Predecessor is the node's previous replica of this building, up to the number and
	// hash that it had written when this one started; zero for the first.
	Predecessor     Dot
	PredecessorHash Hash
}

// NodeID is the id of the node that holds a key: derived from it, hence self-certifying.
func NodeID(public ed25519.PublicKey) ID { return DerivedID("node", hex.EncodeToString(public)) }

// Owns reports whether a replica's id was made for the card's node.
func (c Card) Owns(r ReplicaID) bool {
	return bytes.Equal(r[len(r)-replicaMarkBytes:], replicaMark(c.Node))
}

// Validate checks that the card's node is its key's.
func (c Card) Validate() error {
	if len(c.PublicKey) != ed25519.PublicKeySize || NodeID(c.PublicKey) != c.Node {
		return fmt.Errorf("%w: node is not the key's", ErrEvent)
	}
	if c.Tier < TierCloud || c.Tier > TierPhone {
		return fmt.Errorf("%w: %s", ErrEvent, c.Tier)
	}
	if (c.Predecessor.N == 0) != c.Predecessor.Replica.IsZero() || (c.Predecessor.N == 0) != c.PredecessorHash.IsZero() {
		return fmt.Errorf("%w: predecessor", ErrEvent)
	}
	return nil
}

// Head is a node's signed statement "my replica's chain has N events, the last with this
// hash". A head of N = 1 together with event 1 is the signed card.
type Head struct {
	_         struct{} `cbor:",toarray"`
	Replica   ReplicaID
	N         uint64
	Hash      Hash
	Signature []byte
}

func (h Head) message(building ID) []byte {
	return fmt.Appendf(nil, "estate head v1\x00%s%s%020d%s", building[:], h.Replica[:], h.N, h.Hash[:])
}

// SignHead signs a head with the node's key.
func SignHead(key ed25519.PrivateKey, building ID, replica ReplicaID, n uint64, hash Hash) Head {
	h := Head{Replica: replica, N: n, Hash: hash}
	h.Signature = ed25519.Sign(key, h.message(building))
	return h
}

// Verify checks the head against the node's public key. It returns ErrSignature.
func (h Head) Verify(building ID, public []byte) error {
	if len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, h.message(building), h.Signature) {
		return fmt.Errorf("%w: head %d of replica %s", ErrSignature, h.N, h.Replica)
	}
	return nil
}

// Receipt is a node's signed statement "I hold events 1..N of this replica, and the last
// has this hash". Settled is the number up to which every part of the replica's
// transactions is in its record here or was refused; a phone keeps its transactions until
// the cloud's receipt says so.
type Receipt struct {
	_         struct{} `cbor:",toarray"`
	Issuer    ID
	Replica   ReplicaID
	N         uint64
	Hash      Hash
	Settled   uint64
	Signature []byte
}

func (r Receipt) message(building ID) []byte {
	return fmt.Appendf(nil, "estate receipt v1\x00%s%s%s%020d%020d%s", building[:], r.Issuer[:], r.Replica[:], r.N, r.Settled, r.Hash[:])
}

// SignReceipt signs a receipt with the issuing node's key.
func SignReceipt(key ed25519.PrivateKey, building ID, r Receipt) Receipt {
	r.Issuer = NodeID(key.Public().(ed25519.PublicKey))
	r.Signature = ed25519.Sign(key, r.message(building))
	return r
}

// Verify checks the receipt against the issuer's public key. It returns ErrSignature.
func (r Receipt) Verify(building ID, public []byte) error {
	if len(public) != ed25519.PublicKeySize || NodeID(public) != r.Issuer || !ed25519.Verify(public, r.message(building), r.Signature) {
		return fmt.Errorf("%w: receipt for replica %s", ErrSignature, r.Replica)
	}
	return nil
}
