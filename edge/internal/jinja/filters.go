package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// function is a filter, method or function. What a filter or method is applied to is v.
type function func(s *scope, v any, a args) (any, *Error)

// args are the values of a call.
type args struct {
	values []any
	named  map[string]any
}

// get gives an argument by its place or its name; place -1 has none.
func (a args) get(place int, name string) (any, bool) {
	if place >= 0 && place < len(a.values) {
		return a.values[place], true
	}
	v, ok := a.named[name]
	return v, ok
}

func (a arguments) eval(s *scope) (args, *Error) {
	out := args{}
	places := len(a.values) - len(a.names)
	for i, n := range a.values {
		v, err := n.eval(s)
		if err != nil {
			return out, err
		}
		if i < places {
			out.values = append(out.values, v)
			continue
		}
		if out.named == nil {
			out.named = map[string]any{}
		}
		out.named[a.names[i-places]] = v
	}
	return out, s.step(len(a.values) + 1)
}

func (n filter) eval(s *scope) (any, *Error) { return apply(s, s.filters, n.name, n.of, n.args) }

func (n call) eval(s *scope) (any, *Error) {
	if n.method {
		return apply(s, methods, n.name, n.of, n.args)
	}
	return apply(s, functions, n.name, nil, n.args)
}

func apply(s *scope, table map[string]function, name string, of node, more arguments) (any, *Error) {
	var v any
	var err *Error
	if of != nil {
		if v, err = of.eval(s); err != nil {
			return nil, err
		}
	}
	a, err := more.eval(s)
	if err != nil {
		return nil, err
	}
	return table[name](s, v, a)
}

func defined(v any) *Error {
	if u, ok := v.(undefined); ok {
		return fail(Undefined, "%s is not defined", u.what)
	}
	return nil
}

// onText is a filter of texts; what is none is shown first.
func onText(fn func(string) string) function {
	return func(s *scope, v any, _ args) (any, *Error) {
		if err := defined(v); err != nil {
			return nil, err
		}
		text := show(v)
		return fn(text), s.step(1 + len(text)/64)
	}
}

// onNumber is a filter of numbers and of texts that are numbers. An argument "default" is
// given for what is neither.
func onNumber(place int, fn func(f float64, v any, a args) (any, *Error)) function {
	return func(_ *scope, v any, a args) (any, *Error) {
		f, ok := toFloat(v)
		if !ok {
			if d, ok := a.get(place, "default"); ok {
				return d, nil
			}
			if err := defined(v); err != nil {
				return nil, err
			}
			return nil, fail(Failed, "%s is no number", repr(v))
		}
		return fn(f, v, a)
	}
}

func toFloat(v any) (float64, bool) {
	if s, ok := v.(string); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		return f, err == nil
	}
	return number(v)
}

func toInt(f float64, v any, _ args) (any, *Error) {
	if n, ok := whole(v); ok {
		return n, nil
	}
	if s, ok := v.(string); ok {
		if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
			return n, nil
		}
	}
	if math.IsNaN(f) || math.Abs(f) >= 1<<63 {
		return nil, fail(Failed, "%s is no whole number", show(f))
	}
	return int64(f), nil
}

// round gives a whole number where no digits are asked for, as Home Assistant does.
func round(f float64, _ any, a args) (any, *Error) {
	digits := int64(0)
	if v, ok := a.get(0, "precision"); ok {
		if digits, ok = whole(v); !ok || digits < -15 || digits > 15 {
			return nil, fail(Failed, "%s is no number of digits", repr(v))
		}
	}
	method := "common"
	if v, ok := a.get(1, "method"); ok {
		method = show(v)
	}
	scale := math.Pow(10, float64(digits))
	switch method {
	case "ceil":
		f = math.Ceil(f*scale) / scale
	case "floor":
		f = math.Floor(f*scale) / scale
	case "half":
		f = math.RoundToEven(f*2) / 2
	default:
		if digits < 0 {
			f = math.RoundToEven(f*scale) / scale
			break
		}
		f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(digits), 64), 64)
	}
	if digits == 0 && math.Abs(f) < 1<<62 && method != "half" {
		return int64(f), nil
	}
	return f, nil
}

func byNumber(fn func(x, y float64) float64) function {
	return onNumber(1, func(f float64, v any, a args) (any, *Error) {
		amount, _ := a.get(0, "amount")
		y, ok := toFloat(amount)
		if !ok {
			return nil, fail(Failed, "%s is no number", repr(amount))
		}
		_, ok1 := whole(v)
		_, ok2 := whole(amount)
		if r := fn(f, y); ok1 && ok2 && math.Abs(r) < 1<<53 {
			return int64(r), nil
		}
		return fn(f, y), nil
	})
}

func orElse(_ *scope, v any, a args) (any, *Error) {
	_, missing := v.(undefined)
	if also, ok := a.get(1, "boolean"); ok && truth(also) {
		missing = !truth(v)
	}
	if !missing {
		return v, nil
	}
	if d, ok := a.get(0, "default_value"); ok {
		return d, nil
	}
	return "", nil
}

func isDefined(_ *scope, v any, _ args) (any, *Error) { return v, defined(v) }

// iif gives the first argument for what is true, the second for what is false, and the third
// for nothing.
func iif(_ *scope, v any, a args) (any, *Error) {
	pick := func(place int, name string, otherwise any) any {
		if v, ok := a.get(place, name); ok {
			return v
		}
		return otherwise
	}
	if v == nil {
		if none, ok := a.get(2, "if_none"); ok {
			return none, nil
		}
	}
	if truth(v) {
		return pick(0, "if_true", true), nil
	}
	return pick(1, "if_false", false), nil
}

func asJSON(s *scope, v any, _ args) (any, *Error) {
	text, err := toJSON(v)
	if err == nil && len(text) > outputBytesMax {
		err = fail(Exceeded, "a text is longer than %d bytes", outputBytesMax)
	}
	if err != nil {
		return nil, err
	}
	return text, s.step(1 + len(text)/64)
}

func ofJSON(s *scope, v any, _ args) (any, *Error) {
	text := show(v)
	out, err := parseJSON([]byte(text))
	if err != nil {
		return nil, fail(Failed, "%s is no JSON", clip(text))
	}
	return out, s.step(1 + len(text)/16)
}

// toBool reads what Home Assistant takes for yes and no.
func toBool(_ *scope, v any, a args) (any, *Error) {
	if f, ok := number(v); ok {
		return f != 0, nil
	}
	switch strings.ToLower(strings.TrimSpace(show(v))) {
	case "true", "1", "yes", "on", "enable":
		return true, nil
	case "false", "0", "no", "off", "disable":
		return false, nil
	}
	if d, ok := a.get(0, "default"); ok {
		return d, nil
	}
	if err := defined(v); err != nil {
		return nil, err
	}
	return nil, fail(Failed, "%s is neither true nor false", clip(show(v)))
}

func clip(s string) string {
	const shown = 80
	if r := []rune(s); len(r) > shown {
		return strconv.Quote(string(r[:shown])) + "…"
	}
	return strconv.Quote(s)
}

func capitalize(s string) string {
	r := []rune(strings.ToLower(s))
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}

func titled(s string) string {
	letter := false
	return strings.Map(func(r rune) rune {
		before := letter
		if letter = unicode.IsLetter(r); letter && !before {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func replace(s *scope, v any, a args) (any, *Error) {
	from, ok1 := a.get(0, "old")
	to, ok2 := a.get(1, "new")
	if err := defined(v); err != nil {
		return nil, err
	}
	if !ok1 || !ok2 {
		return nil, fail(Failed, "replace wants two texts")
	}
	times := -1
	if given, ok := a.get(2, "count"); ok && given != nil {
		n, whole := whole(given)
		if !whole || n > 1<<20 {
			return nil, fail(Failed, "%s is no number of times", repr(given))
		}
		times = int(n)
	}
	text, old, by := show(v), show(from), show(to)
	if n := strings.Count(text, old); n*len(by) > outputBytesMax {
		return nil, fail(Exceeded, "a text is longer than %d bytes", outputBytesMax)
	}
	return strings.Replace(text, old, by, times), s.step(1 + len(text)/64)
}

func length(_ *scope, v any, _ args) (any, *Error) {
	parts, ok := items(v)
	if err := defined(v); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fail(Failed, "%s has no length", repr(v))
	}
	return int64(len(parts)), nil
}

// filters are those of the subset.
var filters = map[string]function{
	"float":    onNumber(0, func(f float64, _ any, _ args) (any, *Error) { return f, nil }),
	"int":      wholeOf,
	"round":    onNumber(2, round),
	"abs":      onNumber(0, func(f float64, v any, _ args) (any, *Error) { return abs(f, v), nil }),
	"multiply": byNumber(func(x, y float64) float64 { return x * y }),
	"add":      byNumber(func(x, y float64) float64 { return x + y }),
	"default":  orElse, "d": orElse,
	"bitwise_and": bitAnd, "bitwise_or": bitOr, "bitwise_xor": bitXor, "is_number": isNumeric,
	"sqrt": onNumber(0, root), "log": onNumber(1, logarithm), "average": middle(mean), "median": middle(median),
	"format": format, "base64_decode": decode64, "ord": ord, "contains": holds,
	"is_defined": isDefined,
	"iif":        iif,
	"bool":       toBool,
	"string":     onText(func(s string) string { return s }),
	"lower":      onText(strings.ToLower), "upper": onText(strings.ToUpper), "trim": cutset(strings.TrimSpace, strings.Trim),
	"capitalize": onText(capitalize), "title": onText(titled),
	"replace": replace,
	"length":  length, "count": length,
	"to_json": asJSON, "tojson": asJSON, "from_json": ofJSON,
	"list": toList, "first": edge(0), "last": edge(-1), "reverse": reversed, "sort": sorted, "unique": uniques,
	"min": extreme(-1), "max": extreme(1), "sum": sum, "join": join,
	"map": mapped, "select": selected(true, false), "reject": selected(false, false),
	"selectattr": selected(true, true), "rejectattr": selected(false, true),
	"regex_match": matches(true), "regex_search": matches(false), "regex_replace": regexReplace,
	"regex_findall": findAll, "regex_findall_index": findAllIndex,
	"timestamp_local": timestampLocal, "timestamp_utc": timestampUTC, "timestamp_custom": timestampCustom, "as_timestamp": asTimestamp,
	"as_datetime": asDatetime, "as_local": asLocal, "slugify": slugify,
}

func abs(f float64, v any) any {
	if n, ok := whole(v); ok && n != math.MinInt64 {
		return max(n, -n)
	}
	return math.Abs(f)
}

// methods are what may be called on a value.
var methods = map[string]function{
	"get": func(_ *scope, v any, a args) (any, *Error) {
		if err := defined(v); err != nil {
			return nil, err
		}
		key, _ := a.get(0, "key")
		if keysOf(v) == nil && !isObject(v) {
			return nil, fail(Failed, "%s has no get", repr(v))
		}
		if out, ok := look(v, key); ok {
			return out, nil
		}
		d, _ := a.get(1, "default")
		return d, nil
	},
	"keys": func(_ *scope, v any, _ args) (any, *Error) { return list{items: keysOf(v)}, defined(v) },
	"values": func(_ *scope, v any, _ args) (any, *Error) {
		var out []any
		for _, k := range keysOf(v) {
			item, _ := look(v, k)
			out = append(out, item)
		}
		return list{items: out}, defined(v)
	},
	"items": func(_ *scope, v any, _ args) (any, *Error) {
		var out []any
		for _, k := range keysOf(v) {
			item, _ := look(v, k)
			out = append(out, list{items: []any{k, item}, tuple: true})
		}
		return list{items: out}, defined(v)
	},
	"lower": onText(strings.ToLower), "upper": onText(strings.ToUpper), "strip": cutset(strings.TrimSpace, strings.Trim),
	"lstrip": cutset(leftSpace, strings.TrimLeft), "rstrip": cutset(rightSpace, strings.TrimRight),
	"find": found(strings.Index, false), "rfind": found(strings.LastIndex, false), "index": found(strings.Index, true), "count": counted, "zfill": zeroed,
	"removeprefix": without(strings.TrimPrefix), "removesuffix": without(strings.TrimSuffix),
	"isdigit": each(unicode.IsDigit), "isnumeric": each(unicode.IsNumber), "isalpha": each(unicode.IsLetter),
	"strftime": strftime, "total_seconds": totalSeconds, "weekday": weekday(0), "isoweekday": weekday(1),
	"title": onText(titled), "capitalize": onText(capitalize), "replace": replace,
	"split":      split,
	"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
	"timestamp": asTimestamp, "isoformat": isoFormat,
}

func isObject(v any) bool {
	switch v.(type) {
	case object, dict:
		return true
	}
	return false
}

func affix(has func(s, part string) bool) function {
	return func(_ *scope, v any, a args) (any, *Error) {
		part, _ := a.get(0, "prefix")
		return has(show(v), show(part)), defined(v)
	}
}

// functions are what may be called by name.
var functions = map[string]function{
	"iif": func(s *scope, _ any, a args) (any, *Error) {
		if len(a.values) == 0 {
			return nil, fail(Failed, "iif wants a condition")
		}
		return iif(s, a.values[0], args{a.values[1:], a.named})
	},
	"int":         asFilter(wholeOf),
	"bitwise_and": asFilter(bitAnd), "bitwise_or": asFilter(bitOr), "bitwise_xor": asFilter(bitXor), "is_number": asFilter(isNumeric),
	"sqrt": asFilter(onNumber(0, root)), "log": asFilter(onNumber(1, logarithm)), "average": variadic(middle(mean)), "median": variadic(middle(median)),
	"float": asFilter(onNumber(0, func(f float64, _ any, _ args) (any, *Error) { return f, nil })),
	"bool":  asFilter(toBool),
	"min":   variadic(extreme(-1)), "max": variadic(extreme(1)),
	"zip":            zip,
	"namespace":      namespace,
	"dict.from_keys": fromPairs,
	"now":            func(s *scope, _ any, _ args) (any, *Error) { return moment(s.now), nil },
	"utcnow":         func(s *scope, _ any, _ args) (any, *Error) { return moment(s.now.UTC()), nil },
	"as_timestamp":   asFilter(asTimestamp),
	"as_datetime":    asFilter(asDatetime), "as_local": asFilter(asLocal), "strptime": asFilter(strptime), "timedelta": timedelta,
	"slugify": asFilter(slugify), "range": counting, "dict": named,
}

// asFilter makes a function of a filter: its first argument is what the filter is applied to.
func asFilter(f function) function {
	return func(s *scope, _ any, a args) (any, *Error) {
		if len(a.values) == 0 {
			return nil, fail(Failed, "an argument is missing")
		}
		return f(s, a.values[0], args{a.values[1:], a.named})
	}
}

// variadic takes one list or several values.
func variadic(f function) function {
	return func(s *scope, _ any, a args) (any, *Error) {
		if len(a.values) == 1 {
			return f(s, a.values[0], args{})
		}
		return f(s, list{items: slices.Clone(a.values)}, args{})
	}
}
