package record

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
)

// BeyondSpansMax bounds one statement: more spans than a receiver lets wait behind a gap.
const BeyondSpansMax = 4096

// Span is a stretch of numbers, both ends included.
type Span struct {
	_    struct{} `cbor:",toarray"`
	From uint64
	To   uint64
}

// Beyond is the cloud's signed statement that transactions of a phone's replica are settled
// one by one, above the number up to which its receipt says so of all. A number below them
// may be lost for ever: the phone had let go of it before the cloud was restored.
type Beyond struct {
	_         struct{} `cbor:",toarray"`
	Issuer    ID
	Replica   ReplicaID
	Spans     []Span // ascending, apart from each other
	Signature []byte
}

func (b Beyond) message(building ID) []byte {
	h := sha256.New()
	for _, s := range b.Spans {
		fmt.Fprintf(h, "%020d%020d", s.From, s.To)
	}
	return fmt.Appendf(nil, "estate beyond v1\x00%s%s%s%020d%s", building[:], b.Issuer[:], b.Replica[:], len(b.Spans), h.Sum(nil))
}

// SignBeyond signs a statement with the issuing node's key.
func SignBeyond(key ed25519.PrivateKey, building ID, b Beyond) Beyond {
	b.Issuer = NodeID(key.Public().(ed25519.PublicKey))
	b.Signature = ed25519.Sign(key, b.message(building))
	return b
}

// Verify checks the statement against the issuer's public key. It returns ErrSignature.
func (b Beyond) Verify(building ID, public []byte) error {
	if len(public) != ed25519.PublicKeySize || len(b.Spans) > BeyondSpansMax || NodeID(public) != b.Issuer || !ed25519.Verify(public, b.message(building), b.Signature) {
		return fmt.Errorf("%w: what is settled of replica %s", ErrSignature, b.Replica)
	}
	return nil
}

// Has reports whether the statement names a number.
func (b Beyond) Has(n uint64) bool {
	for _, s := range b.Spans {
		if s.From <= n && n <= s.To {
			return true
		}
	}
	return false
}
