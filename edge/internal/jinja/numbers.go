package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// bits is a filter of whole numbers with another.
func bits(fn func(x, y int64) int64) function {
	return func(_ *scope, v any, a args) (any, *Error) {
		other, _ := a.get(0, "second_value")
		for _, one := range []any{v, other} {
			if err := defined(one); err != nil {
				return nil, err
			}
		}
		x, ok1 := whole(v)
		y, ok2 := whole(other)
		if !ok1 || !ok2 {
			return nil, fail(Failed, "%s and %s are not both whole numbers", repr(v), repr(other))
		}
		return fn(x, y), nil
	}
}

var (
	bitAnd = bits(func(x, y int64) int64 { return x & y })
	bitOr  = bits(func(x, y int64) int64 { return x | y })
	bitXor = bits(func(x, y int64) int64 { return x ^ y })
)

// wholeOf is the filter int: with a base it reads texts in it.
func wholeOf(s *scope, v any, a args) (any, *Error) {
	text, isText := v.(string)
	if given, ok := a.get(1, "base"); ok && isText {
		base, _ := whole(given)
		digits := strings.ToLower(strings.TrimSpace(text))
		for prefix, of := range map[string]int64{"0x": 16, "0o": 8, "0b": 2} {
			if base == of {
				digits = strings.TrimPrefix(digits, prefix)
			}
		}
		if base >= 2 && base <= 36 {
			if n, err := strconv.ParseInt(digits, int(base), 64); err == nil {
				return n, nil
			}
		}
		if d, ok := a.get(0, "default"); ok {
			return d, nil
		}
		return nil, fail(Failed, "%s is no whole number", repr(v))
	}
	return onNumber(0, toInt)(s, v, a)
}

func isNumeric(_ *scope, v any, _ args) (any, *Error) {
	f, ok := toFloat(v)
	return ok && !math.IsNaN(f) && !math.IsInf(f, 0), nil
}

// root and logarithm refuse what has none.
func root(f float64, v any, _ args) (any, *Error) {
	if f < 0 || math.IsNaN(f) {
		return nil, fail(Failed, "%s has no root", repr(v))
	}
	return math.Sqrt(f), nil
}

func logarithm(f float64, v any, a args) (any, *Error) {
	base := math.E
	if given, ok := a.get(0, "base"); ok {
		if base, ok = toFloat(given); !ok {
			return nil, fail(Failed, "%s is no base", repr(given))
		}
	}
	if f <= 0 || base <= 0 || base == 1 {
		return nil, fail(Failed, "%s has no logarithm", repr(v))
	}
	if base == 10 {
		return math.Log10(f), nil
	}
	return math.Log(f) / math.Log(base), nil
}

// middle is a filter of lists of numbers.
func middle(fn func(sorted []float64) float64) function {
	return func(s *scope, v any, a args) (any, *Error) {
		parts, err := partsOf(s, v)
		if err != nil {
			return nil, err
		}
		all := make([]float64, 0, len(parts))
		for _, p := range parts {
			f, ok := toFloat(p)
			if !ok {
				return nil, fail(Failed, "%s is no number", repr(p))
			}
			all = append(all, f)
		}
		if len(all) == 0 {
			if d, ok := a.get(0, "default"); ok {
				return d, nil
			}
			return nil, fail(Failed, "an empty list has no mean")
		}
		slices.Sort(all)
		return fn(all), s.step(len(all))
	}
}

func mean(all []float64) float64 {
	total := 0.0
	for _, f := range all {
		total += f
	}
	return total / float64(len(all))
}

func median(all []float64) float64 {
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}
