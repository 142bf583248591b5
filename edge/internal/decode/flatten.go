package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// leavesMax bounds the values of one message.
	leavesMax = 500
	// nestingMax bounds how deep values are looked for.
	nestingMax = 6
	// keyBytesMax bounds a value's key: a sender's word that is kept.
	keyBytesMax = 200
)

// leaf is one value of a JSON payload.
type leaf struct {
	path []string
	raw  json.RawMessage
}

// key is the payload's own word for the value.
func (l leaf) key() string { return strings.Join(l.path, ".") }

func (l leaf) name() string { return l.path[len(l.path)-1] }

// object reads a JSON object, with its values unread.
func object(raw json.RawMessage) (map[string]json.RawMessage, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("payload is not UTF-8")
	}
	if !json.Valid(raw) {
		return nil, notJSON(raw)
	}
	fields, ok := members(raw)
	if !ok {
		return nil, errors.New("payload is not a JSON object")
	}
	return fields, nil
}

// notJSON says what is wrong with a text that is no JSON.
func notJSON(raw []byte) error {
	var v any
	err := json.Unmarshal(raw, &v)
	text := bytes.TrimSpace(raw)
	switch {
	case len(text) == 0:
		return errors.New("payload is empty")
	case text[0] != '{':
		return errors.New("payload is not a JSON object")
	case err != nil && err.Error() == "unexpected end of JSON input":
		return errors.New("payload is not a JSON object: it is cut off")
	}
	return fmt.Errorf("payload is not a JSON object: %w", err)
}

// leaves lists the values of a JSON object, those of nested objects and lists among them, in
// the order of their keys.
func leaves(raw json.RawMessage) (out []leaf, err error) {
	if _, err := object(raw); err != nil {
		return nil, err
	}
	var walk func(path []string, raw json.RawMessage) bool
	walk = func(path []string, raw json.RawMessage) bool {
		raw = bytes.TrimSpace(raw)
		if len(path) > nestingMax || len(out) >= leavesMax || len(raw) == 0 {
			return len(out) < leavesMax
		}
		switch raw[0] {
		case '{':
			var inner map[string]json.RawMessage
			if json.Unmarshal(raw, &inner) != nil {
				return true
			}
			keys := make([]string, 0, len(inner))
			for k := range inner {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for _, k := range keys {
				if !walk(append(slices.Clip(path), k), inner[k]) {
					return false
				}
			}
		case '[':
			var inner []json.RawMessage
			if json.Unmarshal(raw, &inner) != nil {
				return true
			}
			for i, v := range inner {
				if !walk(append(slices.Clip(path), strconv.Itoa(i)), v) {
					return false
				}
			}
		default:
			out = append(out, leaf{path, raw})
		}
		return true
	}
	if !walk(nil, raw) {
		err = fmt.Errorf("payload holds more than %d values: the first are taken", leavesMax)
	}
	return out, err
}

// auto reads a value whose meaning nobody told: truth values and the words for them, numbers,
// texts. ok is false for null and for the empty text.
func auto(raw json.RawMessage) (v Value, ok bool) {
	text, quoted := readText(raw)
	if !quoted {
		switch string(raw) {
		case "null":
			return v, false
		case "true", "false":
			return BoolValue(raw[0] == 't'), true
		}
		n, err := strconv.ParseFloat(string(raw), 64)
		return NumberValue(n), err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
	}
	switch strings.ToUpper(text) {
	case "":
		return v, false
	case "ON":
		return BoolValue(true), true
	case "OFF":
		return BoolValue(false), true
	}
	return Value{Type: Text, Text: clip(text)}, true
}

// observe adds the value of a leaf as an observation of a device, and as an entity that the
// device has.
func (d *Decoder) observe(r *Result, m Message, o Observation, l leaf, q quantity) {
	o.Key, o.Kind, o.Unit = l.key(), q.kind, q.unit
	if len(o.Key) > keyBytesMax {
		r.refuse(m, o.Key, "the key is longer than "+strconv.Itoa(keyBytesMax)+" bytes")
		return
	}
	if o.Kind == "" {
		o.Kind = Other
	}
	v, ok, err := q.read(l.raw)
	if err != nil {
		code := WrongValue
		if errors.Is(err, errRange) {
			code = OutOfRange
		}
		r.refuseAs(code, m, o.Key, err.Error())
		return
	}
	if !ok {
		return
	}
	o.Value = v
	if v.Type == Text {
		o.Unit = ""
	}
	d.add(r, o)
}

// add adds an observation, with what was told of its entity.
func (d *Decoder) add(r *Result, o Observation) {
	if dev := d.device(o.Hardware); dev != nil {
		known := len(dev.Entities)
		if e := dev.entity(o.Key); e != nil {
			if e.Kind == "" || e.Kind == Other {
				e.Kind = o.Kind
			}
			if e.Unit == "" {
				e.Unit = o.Unit
			}
			if o.Kind == Other {
				o.Kind = e.Kind
			}
			if o.Unit == "" && o.Value.Type == Number {
				o.Unit = e.Unit
			}
		}
		if dev.Name == "" {
			dev.Name = o.Name
		}
		if len(dev.Entities) > known {
			r.changed(o.Hardware)
		}
	}
	r.Observations = append(r.Observations, o)
}

func (r *Result) changed(hardware string) {
	if !slices.Contains(r.Changed, hardware) {
		r.Changed = append(r.Changed, hardware)
	}
}
