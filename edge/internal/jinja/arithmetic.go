package jinja

import "math"

// compute does what Python's operators do with numbers, and + with texts and lists.
func compute(s *scope, op string, a, b any) (any, *Error) {
	for _, v := range []any{a, b} {
		if u, ok := v.(undefined); ok {
			return nil, fail(Undefined, "%s is not defined", u.what)
		}
	}
	if v, ok, err := dates(op, a, b); ok {
		return v, err
	}
	if op == "+" {
		switch x := a.(type) {
		case string:
			if y, ok := b.(string); ok {
				return joined(x, y)
			}
		case list:
			if y, ok := b.(list); ok {
				all := append(append(make([]any, 0, len(x.items)+len(y.items)), x.items...), y.items...)
				return list{items: all, tuple: x.tuple}, s.step(len(all))
			}
		}
	}
	if text, ok := a.(string); ok && op == "%" {
		if l, several := b.(list); several && l.tuple {
			return formatted(s, text, l.items)
		}
		return formatted(s, text, []any{b})
	}
	x, ok1 := number(a)
	y, ok2 := number(b)
	if !ok1 || !ok2 {
		return nil, fail(Failed, "%s %s %s cannot be computed", repr(a), op, repr(b))
	}
	i, ok1 := whole(a)
	j, ok2 := whole(b)
	if ok1 && ok2 {
		if n, ok := computeWhole(op, i, j); ok {
			return n, nil
		}
	}
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		return math.Pow(x, y), nil
	}
	if y == 0 {
		return nil, fail(Failed, "division by zero")
	}
	switch op {
	case "//":
		return math.Floor(x / y), nil
	case "%":
		return x - y*math.Floor(x/y), nil
	}
	return x / y, nil
}

// computeWhole gives ok only where the result is whole and exact.
func computeWhole(op string, i, j int64) (int64, bool) {
	switch op {
	case "+":
		n := i + j
		return n, (n > i) == (j > 0)
	case "-":
		n := i - j
		return n, (n < i) == (j > 0)
	case "*":
		if i == 0 || j == 0 {
			return 0, true
		}
		n := i * j
		return n, n/j == i && (i != -1 || j != math.MinInt64) && (j != -1 || i != math.MinInt64)
	case "//", "%":
		if j == 0 || j == -1 {
			return 0, j == -1 && op == "%"
		}
		quotient, rest := i/j, i%j
		if rest != 0 && (rest < 0) != (j < 0) { // as Python, towards minus infinity
			quotient, rest = quotient-1, rest+j
		}
		if op == "%" {
			return rest, true
		}
		return quotient, true
	case "**":
		if j < 0 || j > 62 {
			return 0, false
		}
		n := int64(1)
		for range j {
			next, ok := computeWhole("*", n, i)
			if !ok {
				return 0, false
			}
			n = next
		}
		return n, true
	}
	return 0, false
}
