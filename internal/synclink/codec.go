package synclink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"estate/sync/wire"
)

// windowBytes bounds the history that our compressor keeps. Another's may be as large as
// the content, so the expander accepts that.
const windowBytes = 1 << 20

// prefixBytes is the length before each frame in the body of a POST.
const prefixBytes = 4

// Codec turns messages into frames and back, compressed where it pays. It is safe for
// concurrent use, and one serves all links of a process.
type Codec struct {
	compress *zstd.Encoder
	expand   *zstd.Decoder
	rooms    sync.Pool // of *bytes.Buffer: an idle link holds none
	writes   sync.Pool // of the uplinks' sockets, likewise
}

// NewCodec builds a codec.
func NewCodec() (*Codec, error) {
	// The frame has a checksum of its own.
	compress, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(windowBytes), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("build compressor: %w", err)
	}
	expand, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(wire.FrameBytesMax), zstd.WithDecoderMaxWindow(wire.FrameBytesMax), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("build expander: %w", err)
	}
	return &Codec{compress: compress, expand: expand}, nil
}

// Encode builds a message's frame, compressed where it pays. It returns wire.ErrTooLarge for
// one beyond the limit, measured before compression, so that every receiver can expand it.
func (c *Codec) Encode(m wire.Message) ([]byte, error) { return c.appendFrame(nil, m) }

// appendFrame is Encode into memory that the caller has, behind what is there.
func (c *Codec) appendFrame(b []byte, m wire.Message) ([]byte, error) {
	room := c.room()
	defer c.rooms.Put(room)
	payload, err := wire.AppendPayload(room.AvailableBuffer(), m)
	if err != nil {
		return nil, err
	}
	*room = *bytes.NewBuffer(payload) // may have grown
	t, at := wire.TypeOf(m), len(b)
	small := len(payload)
	if small > compressOver && small <= wire.FrameBytesMax {
		b = c.compress.EncodeAll(payload, wire.Begin(b, t, wire.FlagCompressed))
		small = len(b) - at - wire.HeaderBytes
	}
	if small >= len(payload) {
		b = append(wire.Begin(b[:at], t, 0), payload...)
	}
	return b, wire.End(b[at:])
}

// appendPlain is appendFrame for a line that is faster than the compressor.
func (c *Codec) appendPlain(b []byte, m wire.Message) ([]byte, error) {
	at := len(b)
	b, err := wire.AppendPayload(wire.Begin(b, wire.TypeOf(m), 0), m)
	if err != nil {
		return nil, err
	}
	return b, wire.End(b[at:])
}

// room is an empty buffer, to be put back once nothing refers to what is in it.
func (c *Codec) room() *bytes.Buffer {
	if room, ok := c.rooms.Get().(*bytes.Buffer); ok {
		room.Reset()
		return room
	}
	return new(bytes.Buffer)
}

// Decode reads a frame; what it returns shares no memory with it. It returns wire.ErrFrame, wire.ErrTooLarge or wire.ErrUnknown.
func (c *Codec) Decode(frame []byte) (wire.Message, error) { return c.decode(frame, false) }

// decode is Decode; a page that came plain keeps the memory of a frame that it may own.
func (c *Codec) decode(frame []byte, own bool) (wire.Message, error) {
	t, flags, payload, err := wire.Unwrap(frame)
	if err != nil {
		return nil, err
	}
	switch flags {
	case 0:
		if !own {
			payload = bytes.Clone(payload)
		}
	case wire.FlagCompressed:
		payload, err = c.expand.DecodeAll(payload, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) || len(payload) > wire.FrameBytesMax {
			return nil, fmt.Errorf("%w: expands beyond it", wire.ErrTooLarge)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: expand: %w", wire.ErrFrame, err)
		}
	default:
		return nil, fmt.Errorf("%w: flags %#x", wire.ErrFrame, flags)
	}
	return wire.DecodePayload(t, payload)
}

// AppendFrame adds a message to the body of a POST.
func (c *Codec) AppendFrame(body *bytes.Buffer, m wire.Message) error {
	room := c.room()
	defer c.rooms.Put(room)
	frame, err := c.appendFrame(room.AvailableBuffer(), m)
	if err != nil {
		return err
	}
	*room = *bytes.NewBuffer(frame)
	var prefix [prefixBytes]byte
	binary.BigEndian.PutUint32(prefix[:], uint32(len(frame)))
	body.Write(prefix[:])
	body.Write(frame)
	return nil
}

// ReadFrame reads the next message of a body and its size; io.EOF at its clean end.
// Unknown frame types are returned as wire.ErrUnknown and may be skipped.
func (c *Codec) ReadFrame(body io.Reader) (wire.Message, int, error) {
	var prefix [prefixBytes]byte
	if _, err := io.ReadFull(body, prefix[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, 0, fmt.Errorf("%w: cut off", wire.ErrFrame)
		}
		return nil, 0, err
	}
	size := binary.BigEndian.Uint32(prefix[:])
	if size > wire.FrameBytesMax {
		return nil, 0, fmt.Errorf("%w: %d bytes", wire.ErrTooLarge, size)
	}
	// The buffer grows with what arrives: a length alone costs nothing.
	var frame bytes.Buffer
	if n, err := io.CopyN(&frame, body, int64(size)); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("%w: cut off after %d of %d bytes", wire.ErrFrame, n, size)
		}
		return nil, 0, err
	}
	m, err := c.decode(frame.Bytes(), true)
	return m, int(size) + prefixBytes, err
}

// frameCode is the wire code of a decoding error.
func frameCode(err error) string {
	if errors.Is(err, wire.ErrTooLarge) {
		return wire.CodeFrameTooLarge
	}
	return wire.CodeFrameMalformed
}
