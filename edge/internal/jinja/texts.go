package jinja

import (
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// widthMax bounds the width and precision of a formatted value.
const widthMax = 64

// verb is one place of a format in Python's old form, as %05.1f.
var verb = regexp.MustCompile(`%([-+ 0#]*)(\d*)(?:\.(\d+))?([dfsxXeEgG%])`)

// formatted puts values into a text, as Python's % does.
func formatted(s *scope, text string, values []any) (any, *Error) {
	var out strings.Builder
	next, end := 0, 0
	for _, at := range verb.FindAllStringSubmatchIndex(text, -1) {
		if strings.Contains(text[end:at[0]], "%") {
			return nil, fail(Failed, "the format %s is not known", clip(text))
		}
		out.WriteString(text[end:at[0]])
		end = at[1]
		kind := text[at[8]]
		if kind == '%' {
			out.WriteByte('%')
			continue
		}
		width, _ := strconv.Atoi(text[at[4]:at[5]])
		precision := 0
		if at[6] >= 0 {
			precision, _ = strconv.Atoi(text[at[6]:at[7]])
		}
		if width > widthMax || precision > widthMax || next >= len(values) {
			return nil, fail(Failed, "the format %s does not fit its values", clip(text))
		}
		part, err := formatOne(text[at[0]:at[8]], kind, values[next])
		if err != nil {
			return nil, err
		}
		next++
		out.WriteString(part)
	}
	if strings.Contains(text[end:], "%") || next < len(values) {
		return nil, fail(Failed, "the format %s does not fit its values", clip(text))
	}
	out.WriteString(text[end:])
	if out.Len() > outputBytesMax {
		return nil, fail(Exceeded, "a text is longer than %d bytes", outputBytesMax)
	}
	return out.String(), s.step(1 + out.Len()/64)
}

func formatOne(flags string, kind byte, v any) (string, *Error) {
	if err := defined(v); err != nil {
		return "", err
	}
	if kind == 's' {
		return fmt.Sprintf(flags+"s", show(v)), nil
	}
	f, ok := number(v)
	if !ok {
		return "", fail(Failed, "%s is no number", repr(v))
	}
	switch kind {
	case 'd', 'x', 'X':
		n, whole := whole(v)
		if !whole {
			if kind != 'd' || math.IsNaN(f) || math.Abs(f) >= 1<<62 {
				return "", fail(Failed, "%s is no whole number", repr(v))
			}
			n = int64(f)
		}
		return fmt.Sprintf(flags+string(kind), n), nil
	}
	return fmt.Sprintf(flags+string(kind), f), nil
}

// format is a filter: what it is applied to is the format.
func format(s *scope, v any, a args) (any, *Error) {
	text, ok := v.(string)
	if !ok || len(a.named) > 0 {
		return nil, fail(Failed, "format wants a text and its values")
	}
	return formatted(s, text, a.values)
}

// part is a piece of a text or a list, as value[1:3].
type part struct{ of, from, to node }

func (n part) eval(s *scope) (any, *Error) {
	of, err := n.of.eval(s)
	if err == nil {
		err = defined(of)
	}
	if err != nil {
		return nil, err
	}
	var runes []rune
	length := 0
	all, isList := of.(list)
	if text, ok := of.(string); ok {
		runes = []rune(text)
		length = len(runes)
	} else if length = len(all.items); !isList {
		return nil, fail(Failed, "%s has no parts", repr(of))
	}
	from, err := bound(s, n.from, 0, length)
	if err != nil {
		return nil, err
	}
	to, err := bound(s, n.to, length, length)
	if err != nil {
		return nil, err
	}
	to = max(from, to)
	if isList {
		return list{items: all.items[from:to:to], tuple: all.tuple}, s.step(1 + (to-from)/16)
	}
	return string(runes[from:to]), s.step(1 + length/64)
}

// bound is a place in something of a length; places below zero count from its end.
func bound(s *scope, n node, otherwise, length int) (int, *Error) {
	if n == nil {
		return otherwise, nil
	}
	v, err := n.eval(s)
	if err != nil {
		return 0, err
	}
	at, ok := whole(v)
	if !ok {
		return 0, fail(Failed, "%s is no place", repr(v))
	}
	if at < 0 {
		at = max(at, -int64(length)) + int64(length)
	}
	return int(min(at, int64(length))), nil
}

func decode64(s *scope, v any, _ args) (any, *Error) {
	text := show(v)
	out, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !utf8.Valid(out) {
		return nil, fail(Failed, "%s is no base64 text", clip(text))
	}
	return string(out), s.step(1 + len(text)/64)
}

func ord(_ *scope, v any, _ args) (any, *Error) {
	r := []rune(show(v))
	if len(r) != 1 {
		return nil, fail(Failed, "%s is no single character", repr(v))
	}
	return int64(r[0]), nil
}

func holds(_ *scope, v any, a args) (any, *Error) {
	what, _ := a.get(0, "value")
	return contains(v, what)
}
