package record

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrID says that a text or byte string is not an id (or hash) in its canonical form.
var ErrID = errors.New("record: not a UUID")

// ID is a UUID (RFC 9562): a record's, a building's, a node's or a person's identity.
// The zero ID means "none".
type ID [16]byte

// ReplicaID names one replica: a node writing one building's data in one run of its
// process.
type ReplicaID = ID

// ParseID reads the canonical 36-character form. Upper-case hex is accepted.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, fmt.Errorf("%w: %d characters", ErrID, len(s))
	}
	at := 0
	for _, part := range [...]string{s[:8], s[9:13], s[14:18], s[19:23], s[24:]} {
		n, err := hex.Decode(id[at:], []byte(part))
		if err != nil {
			return ID{}, fmt.Errorf("%w: bad hex digit", ErrID)
		}
		at += n
	}
	return id, nil
}

// String is the canonical lower-case form.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[:8], id[:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:], id[10:])
	return string(b[:])
}

// IsZero reports whether the id is unset.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders ids by their bytes.
func (id ID) Compare(o ID) int {
	a, b := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(o[:8])
	if a == b {
		a, b = binary.BigEndian.Uint64(id[8:]), binary.BigEndian.Uint64(o[8:])
	}
	return cmp.Compare(a, b)
}

// MarshalText writes the canonical form (JSON, CSV, flags).
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the canonical form; an empty text is the zero ID.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	v, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// UnmarshalCBOR reads a byte string of exactly 16 bytes. Left to itself the decoder would
// fill up a shorter one and cut a longer one.
func (id *ID) UnmarshalCBOR(b []byte) error {
	return exactBytes(id[:], []byte{0x50}, b)
}

// UnmarshalCBOR reads a byte string of exactly 32 bytes.
func (h *Hash) UnmarshalCBOR(b []byte) error {
	return exactBytes(h[:], []byte{0x58, 0x20}, b)
}

func exactBytes(into, head, b []byte) error {
	if len(b) != len(head)+len(into) || !bytes.HasPrefix(b, head) {
		return fmt.Errorf("%w: want a byte string of %d", ErrID, len(into))
	}
	copy(into, b[len(head):])
	return nil
}

// NewID builds a UUIDv7 from a wall time in Unix milliseconds and a source of random
// bytes. It returns the source's error.
func NewID(wallMillis int64, random io.Reader) (ID, error) {
	var id ID
	if _, err := io.ReadFull(random, id[6:]); err != nil {
		return ID{}, fmt.Errorf("new id: %w", err)
	}
	ms := uint64(max(wallMillis, 0))
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}

// NewReplicaID builds the id of a node's new replica: a UUIDv7 whose last six bytes are a
// digest of the node. So nobody else can claim a replica that they have seen: its card must
// name the node that the id is made for (SPEC R1). The 26 random bits that remain keep two
// copies of one node apart that start in the same millisecond.
func NewReplicaID(wallMillis int64, random io.Reader, node ID) (ReplicaID, error) {
	id, err := NewID(wallMillis, random)
	return MarkReplica(id, node), err
}

// MarkReplica puts a node's mark on an id.
func MarkReplica(id, node ID) ReplicaID {
	copy(id[len(id)-replicaMarkBytes:], replicaMark(node))
	return id
}

// replicaMarkBytes leaves forging another node's mark to who makes 2^48 keys.
const replicaMarkBytes = 6

func replicaMark(node ID) []byte {
	sum := sha256.Sum256(append([]byte("estate replica v1\x00"), node[:]...))
	return sum[:replicaMarkBytes]
}

// derivedRoom holds most causes, which then cost no allocation.
const derivedRoom = 256

// DerivedID builds a UUIDv8 from the parts of a cause, so that two automations that act on
// the same cause make one record (design §3, Write). Parts are length-prefixed before
// hashing: ("ab","c") and ("a","bc") differ.
func DerivedID(parts ...string) ID {
	var room [derivedRoom]byte
	b := room[:0]
	for _, p := range parts {
		b = append(append(strconv.AppendInt(b, int64(len(p)), 10), ':'), p...)
	}
	sum := sha256.Sum256(b)
	var id ID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
