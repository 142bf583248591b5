package record

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"estate/sync/cborhead"
)

// ValueBytesMax bounds one encoded field value: long texts are split into messages, and
// blobs travel as media.
const ValueBytesMax = 64 << 10

// valueNestingMax bounds arrays and maps inside a value. It must stay below what the
// record's own decoder allows (16) less the five levels around a value, or a value that
// passes Validate would make a record that nobody can read.
const valueNestingMax = 8

// ErrValue says that bytes are not one well-formed CBOR item of an allowed type.
var ErrValue = errors.New("record: not a value")

// Value is one field value as deterministic CBOR (RFC 8949 §4.2.1): text, integer, float,
// boolean, byte string, or an array or map of these. Replication compares and merges its
// bytes without looking inside.
type Value []byte

// Text builds a text value.
func Text(s string) Value { return appendText(make([]byte, 0, len(s)+3), s) }

// Int builds an integer value.
func Int(n int64) Value { return encodeValue(n) }

// Float builds a floating-point value.
func Float(f float64) Value { return encodeValue(f) }

// Bool builds a boolean value.
func Bool(b bool) Value {
	if b {
		return Value{byteTrue}
	}
	return Value{byteFalse}
}

// Bytes builds a byte-string value.
func Bytes(b []byte) Value {
	return append(cborhead.Append(make([]byte, 0, len(b)+3), cborhead.Bytes, uint64(len(b))), b...)
}

// IDValue builds the byte-string value of an id.
func IDValue(id ID) Value { return Bytes(id[:]) }

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
	content, ok := v.content(cborhead.Text)
	if !ok || !utf8.Valid(content) {
		return "", false
	}
	return string(content), true
}

// TextBytes is what a text value holds, without a copy and without a look at its UTF-8: ask
// only a value that passed Validate.
func (v Value) TextBytes() ([]byte, bool) { return v.content(cborhead.Text) }

// RawBytes is what a byte-string value holds, without a copy.
func (v Value) RawBytes() ([]byte, bool) { return v.content(cborhead.Bytes) }

// content is what a byte or text string holds; it shares the value's memory.
func (v Value) content(want byte) ([]byte, bool) {
	major, n, size := cborhead.Parse(v)
	if size == 0 || major != want || n != uint64(len(v)-size) {
		return nil, false
	}
	return v[size:], true
}

// AsInt reads an integer value that fits 64 bits.
func (v Value) AsInt() (n int64, ok bool) {
	major, u, size := cborhead.Parse(v)
	if size == 0 || size != len(v) || u > math.MaxInt64 || major != cborhead.Uint && major != cborhead.Negative {
		return 0, false
	}
	if major == cborhead.Negative {
		return -1 - int64(u), true
	}
	return int64(u), true
}

// Initial bytes of major type 7 that are values here. The decoder also reads null and
// unassigned simple values into a Go float or bool, as zero: so they are checked first.
const (
	byteFalse   = 0xf4
	byteTrue    = 0xf5
	byteFloat16 = 0xf9
	byteFloat64 = 0xfb
)

// AsFloat reads a float or an integer as a float; NaN and infinities are refused.
func (v Value) AsFloat() (f float64, ok bool) {
	if n, isInt := v.AsInt(); isInt {
		return float64(n), true
	}
	if len(v) == 0 || v[0] < byteFloat16 || v[0] > byteFloat64 || decoding.Unmarshal(v, &f) != nil || !finite(f) {
		return 0, false
	}
	return f, true
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// AsBool reads a boolean value.
func (v Value) AsBool() (b bool, ok bool) {
	if len(v) != 1 || v[0] != byteFalse && v[0] != byteTrue {
		return false, false
	}
	return v[0] == byteTrue, true
}

// AsBytes reads a byte-string value.
func (v Value) AsBytes() (b []byte, ok bool) {
	content, ok := v.content(cborhead.Bytes)
	return slices.Clone(content), ok
}

// AsID reads a 16-byte byte string as an id.
func (v Value) AsID() (id ID, ok bool) {
	b, ok := v.content(cborhead.Bytes)
	if !ok || len(b) != len(id) {
		return ID{}, false
	}
	copy(id[:], b)
	return id, true
}

// Validate checks size, types and canonical form of a value from outside. Values are told
// apart by their bytes, so one number written in two ways would be two values.
func (v Value) Validate() error {
	if len(v) == 0 || len(v) > ValueBytesMax {
		return fmt.Errorf("%w: %d bytes", ErrValue, len(v))
	}
	if v.plain() {
		return nil
	}
	var item any
	if err := valueDecoding.Unmarshal(v, &item); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	if err := allowed(item); err != nil {
		return err
	}
	again, err := encoding.Marshal(item)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	if !bytes.Equal(again, v) {
		return fmt.Errorf("%w: not in canonical form", ErrValue)
	}
	return nil
}

// plain reports whether the value is a text, byte string, 64-bit number or boolean in its one
// form: nearly all are, and need no look inside. What is not plain may be valid all the same.
func (v Value) plain() bool {
	major, n, size := cborhead.Parse(v)
	if !cborhead.Shortest(n, size) {
		return false
	}
	switch major {
	case cborhead.Uint, cborhead.Negative:
		return size == len(v) && n <= math.MaxInt64
	case cborhead.Bytes:
		return n == uint64(len(v)-size)
	case cborhead.Text:
		return n == uint64(len(v)-size) && utf8.Valid(v[size:])
	case cborhead.Simple:
		_, ok := v.AsBool()
		return ok
	}
	return false
}

// allowed walks a decoded value and refuses what is no field value: null, other simple
// values, numbers that are not finite or do not fit 64 bits.
func allowed(item any) error {
	switch x := item.(type) {
	case string, bool, int64, uint64, []byte, cbor.ByteString:
		return nil
	case float64:
		if !finite(x) {
			return fmt.Errorf("%w: %v", ErrValue, x)
		}
		return nil
	case []any:
		for _, e := range x {
			if err := allowed(e); err != nil {
				return err
			}
		}
		return nil
	case map[any]any:
		for k, e := range x {
			if err := errors.Join(allowed(k), allowed(e)); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%w: type %T", ErrValue, item)
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

// encoding and decoding are the one deterministic CBOR configuration of the module. An
// empty list has one form, whether Go holds it as nil or not.
var (
	encoding      = must(encodeOptions().EncMode())
	decoding      = must(decodeOptions(16).DecMode())
	valueDecoding = must(decodeOptions(valueNestingMax).DecMode())
)

func encodeOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	return o
}

func decodeOptions(nesting int) cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		MaxNestedLevels:  nesting,
		MaxArrayElements: 1 << 17,
		MaxMapPairs:      1 << 12,
	}
}

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
