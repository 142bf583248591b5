// Package wire is how replicas speak: versioned frames of deterministic CBOR with a
// checksum and a hard size limit. It is pure: bytes in, values out.
//
// A decoder must never trust a length before checking it, and must never drop a field that
// it does not know of a kind that it relays (records travel as opaque bytes).
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"

	"estate/sync/record"
)

// Protocol is the version that this release speaks; it understands Protocol and
// Protocol-1. Version 2 added Digest and Digested.
const (
	Protocol        = 2
	ProtocolDigests = 2 // the first that knows Digest and Digested
)

// Sizes. A frame carries at most one page; a page's target leaves room for one record at
// its own limit.
const (
	FrameBytesMax  = 4 << 20
	PageBytesGoal  = 1 << 20
	PageItemsMax   = 2000
	PushItemsMax   = 500
	HeldMax        = 1 << 16
	PullChainsMax  = 64
	PushProofsMax  = 512 // heads, and cards: far more replicas than a push's records have writers
	PullHeadsMax   = 512 // newest replicas first: who runs now, and was copied, is among them
	ReturnItemsMax = 500 // one transaction of the receiver, a tenth of a second of checking seals
	ReturnKeysMax  = 64  // keys of servers: a building is served by few in its life
	HeaderBytes    = 7   // version, type, flags and checksum of a frame
	frameVersion   = 1
	FlagCompressed = 1 << 0 // the payload is one zstd frame; the link expands it before Decode
)

// Errors of Decode.
var (
	ErrFrame    = errors.New("wire: malformed frame")
	ErrTooLarge = errors.New("wire: frame beyond the size limit")
	ErrUnknown  = errors.New("wire: unknown frame type")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Wrap builds a frame around a payload: version, type, flags and CRC-32C, then the
// payload. The checksum covers all of the frame but itself: it catches truncation and
// corruption before a decoder sees the bytes. Authenticity is the link's and the
// signatures'.
func Wrap(t Type, flags byte, payload []byte) ([]byte, error) {
	b := append(Begin(make([]byte, 0, HeaderBytes+len(payload)), t, flags), payload...)
	return b, End(b)
}

// Begin starts a frame at the end of b: its payload is written in place behind, and End makes
// it whole.
func Begin(b []byte, t Type, flags byte) []byte {
	return append(b, frameVersion, byte(t), flags, 0, 0, 0, 0)
}

// End writes the checksum of a frame whose payload is there. It returns ErrTooLarge for one
// beyond the limit.
func End(frame []byte) error {
	if len(frame) > FrameBytesMax {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(frame))
	}
	binary.BigEndian.PutUint32(frame[checksumAt:], checksum(frame, frame[HeaderBytes:]))
	return nil
}

// checksumAt is where the header's checksum starts, after version, type and flags.
const checksumAt = 3

func checksum(header, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(header[:checksumAt], castagnoli), castagnoli, payload)
}

// Unwrap checks a frame and returns its parts. The payload aliases the input.
func Unwrap(b []byte) (t Type, flags byte, payload []byte, err error) {
	switch {
	case len(b) > FrameBytesMax:
		return 0, 0, nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(b))
	case len(b) < HeaderBytes:
		return 0, 0, nil, fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	case b[0] != frameVersion:
		return 0, 0, nil, fmt.Errorf("%w: version %d", ErrFrame, b[0])
	}
	payload = b[HeaderBytes:]
	if checksum(b, payload) != binary.BigEndian.Uint32(b[checksumAt:]) {
		return 0, 0, nil, fmt.Errorf("%w: checksum", ErrFrame)
	}
	return Type(b[1]), b[2], payload, nil
}

// Message is any of the frame bodies of this package.
type Message interface{ frameType() Type }

func (Hello) frameType() Type  { return TypeHello }
func (Page) frameType() Type   { return TypePage }
func (Ack) frameType() Type    { return TypeAck }
func (Want) frameType() Type   { return TypeWant }
func (Credit) frameType() Type { return TypeCredit }
func (Push) frameType() Type   { return TypePush }
func (Pushed) frameType() Type { return TypePushed }
func (Pull) frameType() Type   { return TypePull }
func (Bye) frameType() Type    { return TypeBye }
func (Ping) frameType() Type   { return TypePing }
func (Pong) frameType() Type   { return TypePong }

func (Digest) frameType() Type   { return TypeDigest }
func (Digested) frameType() Type { return TypeDigested }

func (Returned) frameType() Type { return TypeReturned }
func (Taken) frameType() Type    { return TypeTaken }

// Pong answers a Ping with its id and the sender's time.
type Pong Ping

// Encode builds an uncompressed frame of a message.
func Encode(m Message) ([]byte, error) {
	b, err := AppendPayload(Begin(nil, m.frameType(), 0), m)
	if err != nil {
		return nil, err
	}
	return b, End(b)
}

// AppendPayload adds the body of a message's frame to b.
func AppendPayload(b []byte, m Message) ([]byte, error) {
	var err error
	if p, ok := m.(Page); ok {
		b, err = appendPage(b, p)
	} else {
		var payload []byte
		payload, err = record.Marshal(m)
		b = append(b, payload...)
	}
	if err != nil {
		return nil, fmt.Errorf("frame %d: %w", m.frameType(), err)
	}
	return b, nil
}

// TypeOf is the type of a message's frame.
func TypeOf(m Message) Type { return m.frameType() }

// Decode reads an uncompressed frame. It returns ErrFrame, ErrTooLarge or ErrUnknown; an
// unknown type is safe to skip.
func Decode(b []byte) (Message, error) {
	t, flags, payload, err := Unwrap(b)
	if err != nil {
		return nil, err
	}
	if flags != 0 {
		return nil, fmt.Errorf("%w: flags %#x", ErrFrame, flags)
	}
	return DecodePayload(t, payload)
}

// DecodePayload reads the body of a frame of a given type. A page may share memory with the
// payload, which must not change afterwards.
func DecodePayload(t Type, payload []byte) (Message, error) {
	switch t {
	case TypeHello:
		return decode[Hello](payload)
	case TypePage:
		if p, ok := decodePage(payload); ok {
			return p, nil
		}
		return decode[Page](payload)
	case TypeAck:
		return decode[Ack](payload)
	case TypeWant:
		return decode[Want](payload)
	case TypeCredit:
		return decode[Credit](payload)
	case TypePush:
		return decode[Push](payload)
	case TypePushed:
		return decode[Pushed](payload)
	case TypePull:
		return decode[Pull](payload)
	case TypeBye:
		return decode[Bye](payload)
	case TypePing:
		return decode[Ping](payload)
	case TypePong:
		return decode[Pong](payload)
	case TypeDigest:
		return decode[Digest](payload)
	case TypeDigested:
		return decode[Digested](payload)
	case TypeReturned:
		return decode[Returned](payload)
	case TypeTaken:
		return decode[Taken](payload)
	case TypeForget:
	}
	return nil, fmt.Errorf("%w: %d", ErrUnknown, t)
}

// lenient skips map keys that it does not know: a later release may add fields to a
// message, and this one must still read its own part. Records and events inside are opaque
// bytes with a version of their own, decoded strictly.
var lenient = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 16, MaxArrayElements: 1 << 17, MaxMapPairs: 32,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

func decode[M Message](payload []byte) (Message, error) {
	var m M
	if err := lenient.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return m, nil
}
