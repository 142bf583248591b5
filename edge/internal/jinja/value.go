package jinja

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values are nil, bool, int64, float64, string, list, dict, object and undefined.

// list is a list or a tuple, which print alike but for their brackets.
type list struct {
	items []any
	tuple bool
}

// object is a JSON object, or a namespace.
type object map[string]any

// dict is written in a template. Its keys keep their order and may be of any simple type.
type dict struct {
	keys   []any
	values []any
}

// undefined is what a name or a place gives that holds nothing.
type undefined struct{ what string }

// Payload is a message's payload. Its JSON is read at the first use and shared by all
// templates that look at it. It is not safe for concurrent use.
type Payload struct {
	bytes []byte
	read  bool
	json  any
}

// NewPayload wraps the bytes of a message.
func NewPayload(b []byte) *Payload { return &Payload{bytes: b} }

// Text is the payload as a text.
func (p *Payload) Text() string { return string(p.bytes) }

// value gives what the JSON says, or undefined where the payload is none.
func (p *Payload) value() any {
	if !p.read {
		p.read = true
		v, err := parseJSON(p.bytes)
		if err != nil {
			v = undefined{"value_json"}
		}
		p.json = v
	}
	return p.json
}

// At gives the value at a place as Path names it, and whether there is one. Objects and lists
// are given as JSON.
func (p *Payload) At(path []string) (any, bool) {
	v := p.value()
	for _, step := range path {
		switch of := v.(type) {
		case object:
			next, ok := of[step]
			if !ok {
				return nil, false
			}
			v = next
		case list:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(of.items) {
				return nil, false
			}
			v = of.items[n]
		default:
			return nil, false
		}
	}
	switch v.(type) {
	case undefined:
		return nil, false
	case object, list:
		b, err := toJSON(v)
		return b, err == nil
	}
	return v, true
}

func parseJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var raw any
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fail(Failed, "more than one JSON value")
	}
	return fromJSON(raw), nil
}

// fromJSON keeps whole numbers whole, as Python does.
func fromJSON(raw any) any {
	switch raw := raw.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(raw.String(), 10, 64); err == nil {
			return n
		}
		f, err := raw.Float64()
		if err != nil {
			return raw.String()
		}
		return f
	case map[string]any:
		o := make(object, len(raw))
		for k, v := range raw {
			o[k] = fromJSON(v)
		}
		return o
	case []any:
		l := list{items: make([]any, len(raw))}
		for i, v := range raw {
			l.items[i] = fromJSON(v)
		}
		return l
	}
	return raw
}

// toJSON writes a value; keys of dicts become texts.
func toJSON(v any) (string, *Error) {
	var plain func(v any, depth int) (any, *Error)
	plain = func(v any, depth int) (any, *Error) {
		if depth > depthMax {
			return nil, fail(Exceeded, "a value is nested deeper than %d", depthMax)
		}
		var err *Error
		switch v := v.(type) {
		case undefined:
			return nil, fail(Undefined, "%s is not defined", v.what)
		case list:
			out := make([]any, len(v.items))
			for i, item := range v.items {
				if out[i], err = plain(item, depth+1); err != nil {
					return nil, err
				}
			}
			return out, nil
		case object:
			out := make(map[string]any, len(v))
			for k, item := range v {
				if out[k], err = plain(item, depth+1); err != nil {
					return nil, err
				}
			}
			return out, nil
		case dict:
			out := make(map[string]any, len(v.keys))
			for i, k := range v.keys {
				if out[show(k)], err = plain(v.values[i], depth+1); err != nil {
					return nil, err
				}
			}
			return out, nil
		case moment, naive, span:
			return nil, fail(Failed, "JSON has no %s", show(v))
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fail(Failed, "JSON has no %s", show(v))
			}
		}
		return v, nil
	}
	p, err := plain(v, 0)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return "", fail(Failed, "to_json: %v", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// show writes a value as Python's str does.
func show(v any) string {
	switch v := v.(type) {
	case undefined:
		return ""
	case string:
		return v
	case nil, bool, int64, float64, moment, naive, span:
		return repr(v)
	}
	var b strings.Builder
	write(&b, v, 0)
	return b.String()
}

func repr(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return reprFloat(v)
	case string:
		quote := "'"
		if strings.Contains(v, "'") && !strings.Contains(v, `"`) {
			quote = `"`
		}
		v = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, quote, `\`+quote).Replace(v)
		return quote + v + quote
	}
	switch v := v.(type) {
	case moment:
		return iso(time.Time(v), " ")
	case naive:
		text := iso(time.Time(v), " ")
		return text[:len(text)-len("+00:00")]
	case span:
		return showSpan(v)
	}
	return show(v)
}

// reprFloat is the shortest text that reads back as the number, as Python writes it.
func reprFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// write prints a list or dict as Python does, up to the length that may be rendered.
func write(b *strings.Builder, v any, depth int) {
	if depth > depthMax || b.Len() > outputBytesMax {
		b.WriteString("...")
		return
	}
	each := func(n int, item func(int)) {
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			item(i)
		}
	}
	switch v := v.(type) {
	case list:
		open, end := "[", "]"
		if v.tuple {
			open, end = "(", ")"
		}
		if v.tuple && len(v.items) == 1 {
			end = ",)"
		}
		b.WriteString(open)
		each(len(v.items), func(i int) { write(b, v.items[i], depth+1) })
		b.WriteString(end)
	case dict, object:
		keys := keysOf(v)
		b.WriteByte('{')
		each(len(keys), func(i int) {
			b.WriteString(repr(keys[i]) + ": ")
			item, _ := look(v, keys[i])
			write(b, item, depth+1)
		})
		b.WriteByte('}')
	case undefined:
		b.WriteString("Undefined")
	default:
		b.WriteString(repr(v))
	}
}

// keysOf lists the keys of an object (sorted, so that a template's text does not change by
// itself) or of a dict (as written); nil for what has none.
func keysOf(v any) []any {
	switch v := v.(type) {
	case dict:
		return v.keys
	case object:
		keys := make([]any, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		return keys
	}
	return nil
}

// look finds what an object, a dict or a list holds at a key.
func look(of, key any) (any, bool) {
	switch of := of.(type) {
	case moment, naive, span:
		return timePart(of, key)
	case object:
		k, ok := key.(string)
		if !ok {
			return nil, false
		}
		v, ok := of[k]
		return v, ok
	case dict:
		for i, k := range of.keys {
			if equal(k, key) {
				return of.values[i], true
			}
		}
	case list:
		n, ok := whole(key)
		if ok && n < 0 {
			n += int64(len(of.items))
		}
		if ok && n >= 0 && n < int64(len(of.items)) {
			return of.items[n], true
		}
	case string:
		n, ok := whole(key)
		r := []rune(of)
		if ok && n < 0 {
			n += int64(len(r))
		}
		if ok && n >= 0 && n < int64(len(r)) {
			return string(r[n]), true
		}
	}
	return nil, false
}

func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// number reads what arithmetic takes: Python does not compute with texts.
func number(v any) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	n, ok := whole(v)
	return float64(n), ok
}

func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case list:
		return len(v.items) > 0
	case dict:
		return len(v.keys) > 0
	case object:
		return len(v) > 0
	case span:
		return v != 0
	}
	return true
}

// equal compares as Python's == does: numbers by value, lists and dicts by what they hold.
func equal(a, b any) bool { return equalTo(a, b, 0) }

func equalTo(a, b any, depth int) bool {
	if depth > depthMax {
		return false
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		s, ok := b.(string)
		return ok && a == s
	case undefined:
		_, ok := b.(undefined)
		return ok
	case moment, naive:
		x, y := timeOf(a), timeOf(b)
		return y != nil && sameKind(a, b) && x.Equal(*y)
	case span:
		d, ok := b.(span)
		return ok && a == d
	case list:
		l, ok := b.(list)
		return ok && a.tuple == l.tuple && slices.EqualFunc(a.items, l.items, func(x, y any) bool { return equalTo(x, y, depth+1) })
	case object, dict:
		keys := keysOf(a)
		if _, ok := b.(object); !ok {
			if _, ok := b.(dict); !ok {
				return false
			}
		}
		if len(keys) != len(keysOf(b)) {
			return false
		}
		for _, k := range keys {
			x, _ := look(a, k)
			y, ok := look(b, k)
			if !ok || !equalTo(x, y, depth+1) {
				return false
			}
		}
		return true
	}
	return false
}

// items lists what a loop goes over; ok is false for what has no parts.
func items(v any) (out []any, ok bool) {
	switch v := v.(type) {
	case list:
		return v.items, true
	case dict, object:
		return keysOf(v), true
	case undefined:
		return nil, true
	case string:
		for _, r := range v {
			out = append(out, string(r))
		}
		return out, true
	}
	return nil, false
}
