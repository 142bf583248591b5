package record

import (
	"errors"
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
)

// ValueBytesMax bounds one encoded field value: long texts are split into messages, and
// blobs travel as media.
const ValueBytesMax = 64 << 10

// ErrValue says that bytes are not one well-formed CBOR item of an allowed type.
var ErrValue = errors.New("record: not a value")

// Value is one field value as deterministic CBOR (RFC 8949 §4.2.1): text, integer, float,
// boolean, byte string, or an array or map of these. Replication compares and merges its
// bytes without looking inside.
type Value []byte

// Text builds a text value.
func Text(s string) Value { return encodeValue(s) }

// Int builds an integer value.
func Int(n int64) Value { return encodeValue(n) }

// Float builds a floating-point value.
func Float(f float64) Value { return encodeValue(f) }

// Bool builds a boolean value.
func Bool(b bool) Value { return encodeValue(b) }

// Bytes builds a byte-string value.
func Bytes(b []byte) Value { return encodeValue(b) }

// IDValue builds the byte-string value of an id.
func IDValue(id ID) Value { return encodeValue(id[:]) }

func encodeValue(v any) Value {
	b, err := encoding.Marshal(v)
	if err != nil {
		// Only scalars of this file's constructors come here; a failure is a bug.
		panic(fmt.Sprintf("record: encode %T: %v", v, err))
	}
	return b
}

// AsText reads a text value; ok is false for any other type or invalid UTF-8.
func (v Value) AsText() (s string, ok bool) {
	ok = decoding.Unmarshal(v, &s) == nil && v.major() == 3
	return
}

// AsInt reads an integer value that fits 64 bits.
func (v Value) AsInt() (n int64, ok bool) {
	if m := v.major(); m != 0 && m != 1 {
		return 0, false
	}
	ok = decoding.Unmarshal(v, &n) == nil
	return n, ok
}

// AsFloat reads a float or an integer as a float; NaN and infinities are refused.
func (v Value) AsFloat() (f float64, ok bool) {
	if n, isInt := v.AsInt(); isInt {
		return float64(n), true
	}
	if v.major() != 7 || decoding.Unmarshal(v, &f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// AsBool reads a boolean value.
func (v Value) AsBool() (b bool, ok bool) {
	if v.major() != 7 {
		return false, false
	}
	ok = decoding.Unmarshal(v, &b) == nil
	return b, ok
}

// AsBytes reads a byte-string value.
func (v Value) AsBytes() (b []byte, ok bool) {
	if v.major() != 2 {
		return nil, false
	}
	ok = decoding.Unmarshal(v, &b) == nil
	return b, ok
}

// AsID reads a 16-byte byte string as an id.
func (v Value) AsID() (id ID, ok bool) {
	b, ok := v.AsBytes()
	if !ok || len(b) != len(id) {
		return ID{}, false
	}
	copy(id[:], b)
	return id, true
}

// Validate checks size and form of a value from outside.
func (v Value) Validate() error {
	if len(v) == 0 || len(v) > ValueBytesMax {
		return fmt.Errorf("%w: %d bytes", ErrValue, len(v))
	}
	if err := decoding.Wellformed(v); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	return nil
}

func (v Value) major() int {
	if len(v) == 0 {
		return -1
	}
	return int(v[0] >> 5)
}

// MarshalCBOR embeds the value's own bytes.
func (v Value) MarshalCBOR() ([]byte, error) {
	if len(v) == 0 {
		return nil, ErrValue
	}
	return v, nil
}

// UnmarshalCBOR keeps the bytes of the item as they are.
func (v *Value) UnmarshalCBOR(b []byte) error {
	if len(b) > ValueBytesMax {
		return fmt.Errorf("%w: %d bytes", ErrValue, len(b))
	}
	*v = append(Value(nil), b...)
	return nil
}

// encoding and decoding are the one deterministic CBOR configuration of the module.
var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		MaxNestedLevels:  16,
		MaxArrayElements: 1 << 17,
		MaxMapPairs:      1 << 12,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Marshal encodes any wire value deterministically. It is the only encoder that sync
// packages use.
func Marshal(v any) ([]byte, error) {
	b, err := encoding.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

// Unmarshal decodes one item with the limits of the protocol: no tags, no indefinite
// lengths, no duplicate keys, valid UTF-8, bounded nesting. Trailing bytes are an error.
func Unmarshal(b []byte, v any) error {
	if err := decoding.Unmarshal(b, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}
