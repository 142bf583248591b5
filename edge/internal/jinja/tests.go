package jinja

import (
	"math"
	"strings"
)

// test is what stands behind "is".
type test func(v any, against []any) (bool, *Error)

func (n check) eval(s *scope) (any, *Error) {
	v, err := n.of.eval(s)
	if err != nil {
		return nil, err
	}
	a, err := n.args.eval(s)
	if err != nil {
		return nil, err
	}
	return tests[n.name](v, a.values)
}

func truthTest(v any, _ []any) (bool, *Error) { return truth(v), nil }

func typed(is func(v any) bool) test {
	return func(v any, _ []any) (bool, *Error) { return is(v), nil }
}

func isUndefined(v any) bool {
	_, ok := v.(undefined)
	return ok
}

func isNumber(v any) bool {
	switch v.(type) {
	case int64, float64, bool:
		return true
	}
	return false
}

// ordering compares with the argument.
func ordering(op string) test {
	return func(v any, against []any) (bool, *Error) {
		if len(against) != 1 {
			return false, fail(Failed, "the test wants one argument")
		}
		out, err := compare(op, v, against[0])
		return truth(out), err
	}
}

func equality(want bool) test {
	return func(v any, against []any) (bool, *Error) {
		if len(against) != 1 {
			return false, fail(Failed, "the test wants one argument")
		}
		return equal(v, against[0]) == want, nil
	}
}

func among(v any, against []any) (bool, *Error) {
	if len(against) != 1 {
		return false, fail(Failed, "the test wants one argument")
	}
	in, err := contains(against[0], v)
	return truth(in), err
}

// divisible tells whether a whole number has no rest.
func divisible(v any, against []any) (bool, *Error) {
	n, ok := whole(v)
	by := int64(0)
	if len(against) == 1 {
		by, _ = whole(against[0])
	}
	if !ok || by == 0 {
		return false, fail(Failed, "%s is no whole number to be divided", repr(v))
	}
	return by == -1 || n%by == 0, nil
}

// tests are those of the subset.
var tests = map[string]test{
	"defined":   typed(func(v any) bool { return !isUndefined(v) }),
	"undefined": typed(isUndefined),
	"none":      typed(func(v any) bool { return v == nil }),
	"number":    typed(isNumber),
	"boolean":   typed(func(v any) bool { _, ok := v.(bool); return ok }),
	"integer":   typed(func(v any) bool { _, ok := v.(int64); return ok }),
	"float":     typed(func(v any) bool { _, ok := v.(float64); return ok }),
	"string":    typed(func(v any) bool { _, ok := v.(string); return ok }),
	"mapping":   typed(isObject),
	"list":      typed(func(v any) bool { l, ok := v.(list); return ok && !l.tuple }),
	"sequence":  typed(func(v any) bool { _, ok := items(v); return ok }),
	"iterable":  typed(func(v any) bool { _, ok := items(v); return ok }),
	"true":      typed(func(v any) bool { return v == true }),
	"false":     typed(func(v any) bool { return v == false }),
	"lower":     typed(func(v any) bool { return show(v) == strings.ToLower(show(v)) }),
	"upper":     typed(func(v any) bool { return show(v) == strings.ToUpper(show(v)) }),
	"odd":       typed(func(v any) bool { f, ok := number(v); return ok && math.Mod(f, 2) != 0 }),
	"even":      typed(func(v any) bool { f, ok := number(v); return ok && math.Mod(f, 2) == 0 }),
	"eq":        equality(true), "equalto": equality(true), "==": equality(true), "sameas": equality(true), "ne": equality(false),
	"lt": ordering("<"), "lessthan": ordering("<"), "le": ordering("<="), "gt": ordering(">"), "greaterthan": ordering(">"), "ge": ordering(">="),
	"in":          among,
	"divisibleby": divisible,
}
