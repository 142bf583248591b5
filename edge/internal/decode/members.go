package decode

import (
	"bytes"
	"encoding/json"
)

// members parts a JSON object into its keys and values, the last where a key comes twice. The
// text must be valid: then the parts lie between quotes, brackets and commas, and no value has to
// be read to find the next. ok is false for what is no object.
func members(raw []byte) (out map[string]json.RawMessage, ok bool) {
	i := space(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil, false
	}
	out = make(map[string]json.RawMessage, 8)
	for i = space(raw, i+1); i < len(raw) && raw[i] == '"'; i = space(raw, i) {
		end := text(raw, i)
		key := raw[i:end]
		i = space(raw, space(raw, end)+1) // the colon
		end = value(raw, i)
		if name, ok := unquote(key); ok {
			out[name] = raw[i:end:end]
		}
		if i = space(raw, end); i < len(raw) && raw[i] == ',' {
			i++
		}
	}
	return out, true
}

// unquote reads a key, most of which hold nothing that is escaped.
func unquote(key []byte) (string, bool) {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key[1 : len(key)-1]), true
	}
	var name string
	err := json.Unmarshal(key, &name)
	return name, err == nil
}

// space is where what is no white space begins.
func space(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// text is where a quoted text ends that begins at i.
func text(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// value is where a value ends that begins at i.
func value(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			if i = text(raw, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of the object around it
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(raw)
}
