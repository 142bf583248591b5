package jinja

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// letters are those that no accent makes of others.
var letters = strings.NewReplacer("ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "œ", "oe", "Œ", "OE", "ø", "o", "Ø", "O", "ł", "l", "Ł", "L", "đ", "d", "Đ", "D", "ð", "d", "Ð", "D", "þ", "th", "Þ", "Th", "ı", "i",
	"’", "", "'", "")

// slugify makes a text of small letters, digits and separators. Letters of other scripts have no
// form here, so a text with one fails.
func slugify(s *scope, v any, a args) (any, *Error) {
	if err := defined(v); err != nil {
		return nil, err
	}
	separator := "_"
	if given, ok := a.get(0, "separator"); ok {
		separator = show(given)
	}
	text := show(v)
	if text == "" {
		return "", nil
	}
	if len(separator)*len(text) > outputBytesMax {
		return nil, fail(Exceeded, "a text is longer than %d bytes", outputBytesMax)
	}
	var words []string
	var word strings.Builder
	for _, r := range norm.NFD.String(letters.Replace(text)) {
		switch lower := unicode.ToLower(r); {
		case unicode.Is(unicode.Mn, r): // an accent
		case lower >= 'a' && lower <= 'z' || r >= '0' && r <= '9':
			word.WriteRune(lower)
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			return nil, fail(Failed, "%s has letters that have no form in Latin ones", clip(text))
		case word.Len() > 0:
			words = append(words, word.String())
			word.Reset()
		}
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return "unknown", nil
	}
	return strings.Join(words, separator), s.step(1 + len(text)/16)
}

// cutset is strip, lstrip or rstrip, with the characters that are taken off.
func cutset(space func(string) string, chars func(string, string) string) function {
	return func(s *scope, v any, a args) (any, *Error) {
		text := show(v)
		if err := defined(v); err != nil {
			return nil, err
		}
		if given, ok := a.get(0, "chars"); ok && given != nil {
			return chars(text, show(given)), s.step(1 + len(text)/64)
		}
		return space(text), s.step(1 + len(text)/64)
	}
}

func leftSpace(s string) string  { return strings.TrimLeftFunc(s, unicode.IsSpace) }
func rightSpace(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }

// split parts a text at most so many times.
func split(s *scope, v any, a args) (any, *Error) {
	text, times := show(v), -1
	if err := defined(v); err != nil {
		return nil, err
	}
	if given, ok := a.get(1, "maxsplit"); ok {
		n, whole := whole(given)
		if !whole || n > 1<<20 {
			return nil, fail(Failed, "%s is no number of times", repr(given))
		}
		times = int(n)
	}
	parts := strings.Fields(text)
	switch sep, ok := a.get(0, "sep"); {
	case ok && sep != nil && show(sep) == "":
		return nil, fail(Failed, "an empty text parts nothing")
	case ok && sep != nil && times >= 0:
		parts = strings.SplitN(text, show(sep), times+1)
	case ok && sep != nil:
		parts = strings.Split(text, show(sep))
	case times >= 0:
		return nil, fail(Unsupported, "split at white space a number of times is not supported")
	}
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return list{items: out}, s.step(len(parts))
}

// found is find, rfind or index: the place of a part in characters; -1 or a failure where it is not.
func found(at func(s, part string) int, must bool) function {
	return func(_ *scope, v any, a args) (any, *Error) {
		part, _ := a.get(0, "sub")
		text := show(v)
		n := at(text, show(part))
		if n < 0 && must {
			return nil, fail(Failed, "%s is not in %s", clip(show(part)), clip(text))
		}
		if n > 0 {
			n = len([]rune(text[:n]))
		}
		return int64(n), defined(v)
	}
}

// counted is how often a part is in a text.
func counted(_ *scope, v any, a args) (any, *Error) {
	part, _ := a.get(0, "sub")
	if show(part) == "" {
		return nil, fail(Failed, "an empty text is not counted")
	}
	return int64(strings.Count(show(v), show(part))), defined(v)
}

// each says that a text has characters, all of a kind.
func each(is func(rune) bool) function {
	return func(_ *scope, v any, _ args) (any, *Error) {
		text := show(v)
		return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !is(r) }), defined(v)
	}
}

// zeroed puts zeros before a number.
func zeroed(_ *scope, v any, a args) (any, *Error) {
	given, _ := a.get(0, "width")
	n, ok := whole(given)
	if !ok || n > widthMax {
		return nil, fail(Failed, "%s is no width", repr(given))
	}
	text := show(v)
	sign := ""
	if text != "" && (text[0] == '-' || text[0] == '+') {
		sign, text = text[:1], text[1:]
	}
	return sign + strings.Repeat("0", max(0, int(max(n, 0))-len(sign)-len([]rune(text)))) + text, defined(v)
}

// without takes a prefix or suffix off.
func without(trim func(s, part string) string) function {
	return func(_ *scope, v any, a args) (any, *Error) {
		part, _ := a.get(0, "part")
		return trim(show(v), show(part)), defined(v)
	}
}

// counting is range: whole numbers from one to before another.
func counting(s *scope, _ any, a args) (any, *Error) {
	var n [3]int64
	for i, v := range a.values {
		one, ok := whole(v)
		if i > 2 || !ok {
			return nil, fail(Failed, "%s is no bound of whole numbers", repr(v))
		}
		n[i] = one
	}
	from, to, by := n[0], n[1], n[2]
	switch len(a.values) {
	case 1:
		from, to, by = 0, n[0], 1
	case 2:
		by = 1
	case 3:
	default:
		return nil, fail(Failed, "range wants bounds")
	}
	if by == 0 {
		return nil, fail(Failed, "range wants a step")
	}
	var out []any
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		if err := s.step(1); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return list{items: out}, nil
}

// named makes a dict of arguments with names.
func named(_ *scope, _ any, a args) (any, *Error) {
	if len(a.values) > 0 {
		return nil, fail(Unsupported, "dict of other values is not supported")
	}
	out := object{}
	for k, v := range a.named {
		out[k] = v
	}
	return out, nil
}

// takes is how many arguments those take at most that would leave more out without a word. What a
// template asks for beyond is not supported, rather than answered wrongly.
var takes = map[string]int{
	"string": 0, "lower": 0, "upper": 0, "capitalize": 0, "title": 0, "trim": 1, "strip": 1, "lstrip": 1, "rstrip": 1, "length": 0, "count": 1, "list": 0, "first": 0, "last": 0, "reverse": 0,
	"unique": 0, "min": 0, "max": 0, "sum": 0, "join": 1, "sort": 1, "replace": 3, "split": 2, "to_json": 0, "tojson": 0, "from_json": 1, "abs": 0, "ord": 0, "is_defined": 0, "is_number": 0,
	"startswith": 1, "endswith": 1, "keys": 0, "values": 0, "items": 0, "get": 2, "timestamp": 0, "isoformat": 0, "regex_match": 1, "regex_search": 1, "regex_findall": 1, "regex_findall_index": 2, "regex_replace": 2,
	"find": 1, "rfind": 1, "index": 1, "zfill": 1, "strftime": 1, "total_seconds": 0, "weekday": 0, "isoweekday": 0, "removeprefix": 1, "removesuffix": 1, "isdigit": 0, "isnumeric": 0, "isalpha": 0, "isupper": 0, "islower": 0,
	"base64_decode": 0, "as_local": 0, "slugify": 1, "contains": 1, "multiply": 2, "add": 2, "float": 1, "int": 2, "bool": 1, "default": 2, "d": 2, "iif": 3, "sqrt": 1, "log": 2,
}

// fits says why a call has arguments that are not supported; empty where it has none.
func fits(name string, a arguments) string {
	most, known := takes[name]
	n := len(a.values)
	for _, word := range a.names {
		if word == "ignorecase" { // beside the others
			n--
		}
	}
	if !known || n <= most {
		return ""
	}
	return strconv.Quote(name) + " with these arguments is not supported"
}
