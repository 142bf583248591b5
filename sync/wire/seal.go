package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"estate/sync/record"
)

// SealMessage is what a seal signs: the whole key, the server, the time and the bytes. The
// kind is preceded by its length, so that no two records share a message.
func SealMessage(building, node record.ID, millis int64, item RecordItem) []byte {
	body := sha256.Sum256(item.Body)
	b := []byte("estate seal v1\x00")
	b = append(append(b, building[:]...), node[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(millis))
	b = binary.BigEndian.AppendUint32(b, uint32(len(item.Kind)))
	b = append(append(b, item.Kind...), item.ID[:]...)
	return append(b, body[:]...)
}

// SealRecord signs a record as it is served at a time.
func SealRecord(key ed25519.PrivateKey, building record.ID, millis int64, item RecordItem) *Seal {
	public, _ := key.Public().(ed25519.PublicKey)
	s := &Seal{Node: record.NodeID(public), Time: millis}
	s.Signature = ed25519.Sign(key, SealMessage(building, s.Node, millis, item))
	return s
}

// CheckSeal holds a record to its seal. It returns record.ErrSignature.
func CheckSeal(public []byte, building record.ID, item RecordItem) error {
	s := item.Seal
	if s == nil || len(public) != ed25519.PublicKeySize || record.NodeID(public) != s.Node ||
		!ed25519.Verify(public, SealMessage(building, s.Node, s.Time, item), s.Signature) {
		return fmt.Errorf("%w: seal of %s %s", record.ErrSignature, item.Kind, item.ID)
	}
	return nil
}

// The lengths of what names a record that left a view.
const (
	TagBytes  = 16
	MarkBytes = 16
)

// Mark says on one page that the record with this tag is no longer the reader's to see.
// Who was never served the record knows no tag and learns nothing: neither which record
// it is, nor that it is the one that was marked before.
func Mark(tag []byte, generation record.ID, to uint64) []byte {
	b := []byte("estate forget v1\x00")
	b = binary.BigEndian.AppendUint64(append(b, generation[:]...), to)
	sum := sha256.Sum256(append(b, tag...))
	return sum[:MarkBytes]
}
