package jinja

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// naive is a date and time of which nobody says in what zone, as strptime gives it; span is the
// time between two.
type (
	naive time.Time
	span  time.Duration
)

// spanMax is how long a span may be: some hundred years, above which the arithmetic of whole
// nanoseconds ends.
const spanMax = 100_000 * 24 * time.Hour

// dates computes with moments and spans; ok is false for other values.
func dates(op string, a, b any) (v any, ok bool, err *Error) {
	x, y := timeOf(a), timeOf(b)
	d, isSpan := a.(span)
	e, alsoSpan := b.(span)
	factor, isNumber := number(b)
	switch {
	case op == "-" && x != nil && y != nil && sameKind(a, b):
		return bounded(x.Sub(*y))
	case (op == "+" || op == "-") && x != nil && alsoSpan:
		return shifted(a, *x, e, op)
	case op == "+" && isSpan && y != nil:
		return shifted(b, *y, d, op)
	case isSpan && alsoSpan && op == "+":
		return bounded(time.Duration(d) + time.Duration(e))
	case isSpan && alsoSpan && op == "-":
		return bounded(time.Duration(d) - time.Duration(e))
	case isSpan && alsoSpan && op == "/" && e != 0:
		return float64(d) / float64(e), true, nil
	case isSpan && isNumber && op == "*" && math.Abs(float64(d)*factor) <= float64(spanMax):
		return span(math.Round(float64(d)*factor/1000) * 1000), true, nil
	case isSpan && isNumber && op == "/" && factor != 0 && math.Abs(float64(d)/factor) <= float64(spanMax):
		return span(math.Round(float64(d)/factor/1000) * 1000), true, nil
	case x != nil || y != nil || isSpan || alsoSpan:
		return nil, true, fail(Failed, "%s %s %s cannot be computed", show(a), op, show(b))
	}
	return nil, false, nil
}

func bounded(d time.Duration) (any, bool, *Error) {
	if d.Abs() > spanMax {
		return nil, true, fail(Failed, "the span is too long")
	}
	return span(d), true, nil
}

func shifted(of any, at time.Time, by span, op string) (any, bool, *Error) {
	if op == "-" {
		by = -by
	}
	at = at.Add(time.Duration(by))
	if _, ok := of.(naive); ok {
		return naive(at), true, nil
	}
	return moment(at), true, nil
}

// timeOf is the time of a moment with or without a zone; nil for other values.
func timeOf(v any) *time.Time {
	switch v := v.(type) {
	case moment:
		t := time.Time(v)
		return &t
	case naive:
		t := time.Time(v)
		return &t
	}
	return nil
}

// sameKind says that both moments have a zone, or neither.
func sameKind(a, b any) bool {
	_, x := a.(naive)
	_, y := b.(naive)
	return x == y
}

// showSpan writes a span as Python does: "1 day, 2:03:04.500000".
func showSpan(d span) string {
	days := int64(math.Floor(float64(d) / float64(24*time.Hour)))
	rest := time.Duration(d) - time.Duration(days)*24*time.Hour
	text := strconv.Itoa(int(rest.Hours())) + time.Time{}.Add(rest).Format(":04:05")
	if micro := rest.Microseconds() % 1e6; micro != 0 {
		text += "." + strconv.FormatInt(1e6+micro, 10)[1:]
	}
	switch days {
	case 0:
		return text
	case 1, -1:
		return strconv.FormatInt(days, 10) + " day, " + text
	}
	return strconv.FormatInt(days, 10) + " days, " + text
}

// timePart is an attribute of a moment or a span.
func timePart(of, key any) (any, bool) {
	name, _ := key.(string)
	if d, ok := of.(span); ok {
		days := int64(math.Floor(float64(d) / float64(24*time.Hour)))
		rest := time.Duration(d) - time.Duration(days)*24*time.Hour
		switch name {
		case "days":
			return days, true
		case "seconds":
			return int64(rest / time.Second), true
		case "microseconds":
			return rest.Microseconds() % 1e6, true
		}
		return nil, false
	}
	t := timeOf(of)
	if t == nil {
		return nil, false
	}
	parts := map[string]int{"year": t.Year(), "month": int(t.Month()), "day": t.Day(), "hour": t.Hour(), "minute": t.Minute(), "second": t.Second(), "microsecond": t.Nanosecond() / 1000}
	n, ok := parts[name]
	return int64(n), ok
}

// asDatetime reads a time: seconds since 1970, or a text in ISO's form.
func asDatetime(_ *scope, v any, a args) (any, *Error) {
	if timeOf(v) != nil {
		return v, nil
	}
	if f, ok := toFloat(v); ok && math.Abs(f) <= 1e11 {
		return moment(time.UnixMicro(int64(math.Round(f * 1e6))).UTC()), nil
	}
	if s, ok := v.(string); ok {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02T15:04:05.999999999Z0700"} {
			if t, err := time.Parse(layout, s); err == nil {
				return moment(t), nil
			}
		}
		for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04"} {
			if t, err := time.Parse(layout, s); err == nil {
				return naive(t), nil
			}
		}
	}
	if d, ok := a.get(0, "default"); ok {
		return d, nil
	}
	if err := defined(v); err != nil {
		return nil, err
	}
	if _, ok := v.(string); ok {
		return nil, nil // as Home Assistant gives none
	}
	return nil, fail(Failed, "%s is no time", repr(v))
}

// asLocal gives a moment in the building's zone; one without a zone is taken for a local one.
func asLocal(s *scope, v any, _ args) (any, *Error) {
	zone := s.now.Location()
	switch v := v.(type) {
	case moment:
		return moment(time.Time(v).In(zone)), nil
	case naive:
		t := time.Time(v)
		return moment(time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)), nil
	}
	if err := defined(v); err != nil {
		return nil, err
	}
	return nil, fail(Failed, "%s is no time", repr(v))
}

// timedelta makes a span.
func timedelta(_ *scope, _ any, a args) (any, *Error) {
	total := 0.0
	for place, of := range []struct {
		name string
		unit time.Duration
	}{{"days", 24 * time.Hour}, {"seconds", time.Second}, {"microseconds", time.Microsecond}, {"milliseconds", time.Millisecond}, {"minutes", time.Minute}, {"hours", time.Hour}, {"weeks", 7 * 24 * time.Hour}} {
		v, told := a.get(place, of.name)
		if !told {
			continue
		}
		f, ok := number(v)
		if !ok || math.Abs(f*float64(of.unit)) > float64(spanMax) {
			return nil, fail(Failed, "%s is no number of %s", repr(v), of.name)
		}
		total += f * float64(of.unit)
	}
	out, _, err := bounded(time.Duration(math.Round(total/1000) * 1000))
	return out, err
}

// layoutOf is Go's form of a format of strftime; ok is false where it has none.
func layoutOf(format string) (layout string, ok bool) {
	var b strings.Builder
	for text := format; text != ""; {
		if text[0] != '%' {
			if text[0] >= '0' && text[0] <= '9' { // Go would take it for a part of the time
				return "", false
			}
			b.WriteByte(text[0])
			text = text[1:]
			continue
		}
		n := min(2, len(text))
		if strings.HasPrefix(text, "%-") {
			n = min(3, len(text))
		}
		part := directives.Replace(text[:n])
		if part == text[:n] {
			return "", false
		}
		b.WriteString(part)
		text = text[n:]
	}
	return b.String(), true
}

// strptime reads a time by a format.
func strptime(_ *scope, v any, a args) (any, *Error) {
	given, _ := a.get(0, "fmt")
	layout, ok := layoutOf(show(given))
	if !ok {
		return nil, fail(Unsupported, "the time format %s is not supported", clip(show(given)))
	}
	t, err := time.Parse(layout, show(v))
	if err == nil && strings.Contains(layout, "-0700") {
		return moment(t), nil
	}
	if err == nil {
		return naive(t), nil
	}
	if d, ok := a.get(1, "default"); ok {
		return d, nil
	}
	if err := defined(v); err != nil {
		return nil, err
	}
	return nil, fail(Failed, "%s is no time in the form %s", clip(show(v)), clip(show(given)))
}

// strftime writes a moment by a format.
func strftime(_ *scope, v any, a args) (any, *Error) {
	t := timeOf(v)
	if t == nil {
		return nil, fail(Failed, "%s is no time", repr(v))
	}
	format, _ := a.get(0, "format")
	return formatTime(*t, show(format))
}

func totalSeconds(_ *scope, v any, _ args) (any, *Error) {
	if d, ok := v.(span); ok {
		return time.Duration(d).Seconds(), nil
	}
	return nil, fail(Failed, "%s is no span of time", repr(v))
}

// weekday counts from Monday, which is 0.
func weekday(first int64) function {
	return func(_ *scope, v any, _ args) (any, *Error) {
		t := timeOf(v)
		if t == nil {
			return nil, fail(Failed, "%s is no time", repr(v))
		}
		return int64(t.Weekday()+6)%7 + first, nil
	}
}
