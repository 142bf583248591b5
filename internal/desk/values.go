package desk

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	"estate/schema"
	"estate/sync/record"
)

// jsonValue is a field's value as JSON shows it: times as RFC 3339, ids as UUID text. A
// value of another type than the field's is shown as its type says.
func jsonValue(t schema.Type, v record.Value) any {
	switch t {
	case schema.Time:
		if ms, ok := v.AsInt(); ok {
			return shownTime(ms)
		}
	case schema.ID:
		if id, ok := v.AsID(); ok {
			return id
		}
	case schema.Digest:
		if b, ok := v.AsBytes(); ok {
			return hex.EncodeToString(b)
		}
	case schema.Text, schema.Enum, schema.Int, schema.Float, schema.Bool, schema.Blob:
	}
	return plainValue(v)
}

// The first and last millisecond that RFC 3339 can write.
const (
	shownTimeMin = -62_135_596_800_000
	shownTimeMax = 253_402_300_799_999
)

// shownTime is a time from outside as JSON can write it: an event is a link of its chain
// whatever time its author gave it, and one that cannot be written would take every list
// that holds it away.
func shownTime(ms int64) time.Time {
	return time.UnixMilli(min(max(ms, shownTimeMin), shownTimeMax)).UTC()
}

func plainValue(v record.Value) any {
	if s, ok := v.AsText(); ok {
		return s
	}
	if b, ok := v.AsBool(); ok {
		return b
	}
	if n, ok := v.AsInt(); ok {
		return n
	}
	if n, ok := v.AsFloat(); ok {
		return n
	}
	if b, ok := v.AsBytes(); ok {
		return base64.StdEncoding.EncodeToString(b)
	}
	return nil
}

// parseValue reads a field's JSON form.
func parseValue(f schema.Field, raw json.RawMessage) (record.Value, error) {
	value := readValue(f.Type, raw)
	if value == nil {
		return nil, invalid("value", "is not a value of %s", f.Name)
	}
	return value, nil
}

// readValue returns nil for what is no value of the type.
func readValue(t schema.Type, raw json.RawMessage) record.Value {
	switch t {
	case schema.Text, schema.Enum:
		return parseAs(raw, record.Text)
	case schema.Int:
		return parseAs(raw, record.Int)
	case schema.Float:
		return parseAs(raw, record.Float)
	case schema.Bool:
		return parseAs(raw, record.Bool)
	case schema.Time:
		return parseAs(raw, timeValue)
	case schema.ID:
		return parseAs(raw, record.IDValue)
	case schema.Blob:
		return parseAs(raw, record.Bytes)
	case schema.Digest:
		return parseAs(raw, func(s string) record.Value {
			b, err := hex.DecodeString(s)
			if err != nil {
				return nil
			}
			return record.Bytes(b)
		})
	}
	return nil
}

func parseAs[T any](raw json.RawMessage, build func(T) record.Value) record.Value {
	var v *T
	if json.Unmarshal(raw, &v) != nil || v == nil {
		return nil
	}
	return build(*v)
}
