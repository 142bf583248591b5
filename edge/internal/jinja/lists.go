package jinja

import (
	"maps"
	"slices"
	"strings"
)

// partsOf lists the parts of what a filter of lists is applied to.
func partsOf(s *scope, v any) ([]any, *Error) {
	parts, ok := items(v)
	if !ok {
		return nil, fail(Failed, "%s has no parts", repr(v))
	}
	return parts, s.step(len(parts))
}

func toList(s *scope, v any, _ args) (any, *Error) {
	parts, err := partsOf(s, v)
	return list{items: parts}, err
}

// edge gives the first (0) or last (-1) part.
func edge(at int) function {
	return func(s *scope, v any, _ args) (any, *Error) {
		parts, err := partsOf(s, v)
		if err != nil || len(parts) == 0 {
			return undefined{"the part of an empty list"}, err
		}
		return parts[(at+len(parts))%len(parts)], nil
	}
}

func reversed(s *scope, v any, _ args) (any, *Error) {
	parts, err := partsOf(s, v)
	parts = slices.Clone(parts)
	slices.Reverse(parts)
	return list{items: parts}, err
}

// sorted sorts texts without regard to their case, as Jinja does.
func sorted(s *scope, v any, a args) (any, *Error) {
	parts, err := partsOf(s, v)
	parts = slices.Clone(parts)
	sign := 1
	for name := range a.named {
		if name != "reverse" {
			return nil, fail(Unsupported, "sort by %s is not supported", name)
		}
	}
	if down, ok := a.get(0, "reverse"); ok && truth(down) {
		sign = -1
	}
	slices.SortStableFunc(parts, func(a, b any) int {
		c, wrong := order(folded(a), folded(b))
		c *= sign
		if wrong != nil && err == nil {
			err = wrong
		}
		return c
	})
	return list{items: parts}, err
}

// folded is a text in small letters.
func folded(v any) any {
	if text, ok := v.(string); ok {
		return strings.ToLower(text)
	}
	return v
}

func uniques(s *scope, v any, _ args) (any, *Error) {
	parts, err := partsOf(s, v)
	var out []any
	for _, p := range parts {
		if err = s.step(len(out)); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o any) bool { return equal(folded(o), folded(p)) }) {
			out = append(out, p)
		}
	}
	return list{items: out}, err
}

// extreme gives the least (-1) or greatest (1) part.
func extreme(sign int) function {
	return func(s *scope, v any, _ args) (any, *Error) {
		parts, err := partsOf(s, v)
		if err != nil || len(parts) == 0 {
			return undefined{"the part of an empty list"}, err
		}
		best := parts[0]
		for _, p := range parts[1:] {
			c, err := order(folded(p), folded(best))
			if err != nil {
				return nil, err
			}
			if c*sign > 0 {
				best = p
			}
		}
		return best, nil
	}
}

func sum(s *scope, v any, _ args) (any, *Error) {
	parts, err := partsOf(s, v)
	var total any = int64(0)
	for _, p := range parts {
		if total, err = compute(s, "+", total, p); err != nil {
			return nil, err
		}
	}
	return total, err
}

func join(s *scope, v any, a args) (any, *Error) {
	parts, err := partsOf(s, v)
	if err != nil {
		return nil, err
	}
	sep, _ := a.get(0, "d")
	between := ""
	if sep != nil {
		between = show(sep)
	}
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteString(between)
		}
		if b.WriteString(show(p)); b.Len() > outputBytesMax {
			return nil, fail(Exceeded, "a text is longer than %d bytes", outputBytesMax)
		}
	}
	return b.String(), nil
}

// mapped takes an attribute of each part, or applies a filter to it.
func mapped(s *scope, v any, a args) (any, *Error) {
	parts, err := partsOf(s, v)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(parts))
	attribute, ok := a.named["attribute"]
	if ok {
		for i, p := range parts {
			if out[i], ok = look(p, attribute); !ok {
				out[i] = undefined{show(attribute)}
				if d, ok := a.named["default"]; ok {
					out[i] = d
				}
			}
		}
		return list{items: out}, nil
	}
	if len(a.values) == 0 {
		return nil, fail(Unsupported, "map wants an attribute or a filter")
	}
	f, ok := s.filters[show(a.values[0])]
	if !ok {
		return nil, fail(Unsupported, "the filter %q is not supported", show(a.values[0]))
	}
	for i, p := range parts {
		if out[i], err = f(s, p, args{a.values[1:], a.named}); err != nil {
			return nil, err
		}
	}
	return list{items: out}, nil
}

// selected keeps the parts that pass a test, or with keep false the others; the test may
// look at an attribute of each.
func selected(keep, attribute bool) function {
	return func(s *scope, v any, a args) (any, *Error) {
		parts, err := partsOf(s, v)
		if err != nil {
			return nil, err
		}
		rest := a.values
		var name any
		if attribute {
			if len(rest) == 0 {
				return nil, fail(Unsupported, "the attribute to look at is not named")
			}
			name, rest = rest[0], rest[1:]
		}
		test, against := truthTest, []any(nil)
		if len(rest) > 0 {
			var ok bool
			if test, ok = tests[show(rest[0])]; !ok {
				return nil, fail(Unsupported, "the test %q is not supported", show(rest[0]))
			}
			against = rest[1:]
		}
		var out []any
		for _, p := range parts {
			looked := p
			if attribute {
				var ok bool
				if looked, ok = look(p, name); !ok {
					looked = undefined{show(name)}
				}
			}
			passed, err := test(looked, against)
			if err != nil {
				return nil, err
			}
			if passed == keep {
				out = append(out, p)
			}
		}
		return list{items: out}, nil
	}
}

func zip(s *scope, _ any, a args) (any, *Error) {
	var out []any
	for n := 0; ; n++ {
		row := make([]any, 0, len(a.values))
		for _, v := range a.values {
			parts, ok := items(v)
			if !ok {
				return nil, fail(Failed, "%s has no parts", repr(v))
			}
			if n < len(parts) {
				row = append(row, parts[n])
			}
		}
		if len(row) < len(a.values) || len(a.values) == 0 {
			return list{items: out}, nil
		}
		if err := s.step(len(row)); err != nil {
			return nil, err
		}
		out = append(out, list{items: row, tuple: true})
	}
}

func namespace(_ *scope, _ any, a args) (any, *Error) { return object(maps.Clone(a.named)), nil }

// fromPairs makes a dict of a list of pairs.
func fromPairs(s *scope, _ any, a args) (any, *Error) {
	if len(a.values) != 1 {
		return nil, fail(Failed, "dict.from_keys wants one list")
	}
	pairs, err := partsOf(s, a.values[0])
	var d dict
	for _, p := range pairs {
		pair, ok := items(p)
		if !ok || len(pair) != 2 {
			return nil, fail(Failed, "%s is no pair", repr(p))
		}
		if err = s.step(len(d.keys)); err != nil {
			return nil, err
		}
		if d, err = d.with(pair[0], pair[1]); err != nil {
			return nil, err
		}
	}
	return d, err
}
