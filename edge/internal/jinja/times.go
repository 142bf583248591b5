package jinja

import (
	"math"
	"strings"
	"time"
)

// moment is a date and time, as now() gives it.
type moment time.Time

const isoLayout = "2006-01-02T15:04:05"

// iso writes a time as Python's isoformat does: with microseconds only where there are any.
func iso(t time.Time, between string) string {
	layout := strings.Replace(isoLayout, "T", between, 1)
	if t.Nanosecond()/1000 != 0 {
		layout += ".000000"
	}
	return t.Format(layout + "-07:00")
}

func isoFormat(_ *scope, v any, _ args) (any, *Error) {
	switch m := v.(type) {
	case moment:
		return iso(time.Time(m), "T"), nil
	case naive:
		text := iso(time.Time(m), "T")
		return text[:len(text)-len("+00:00")], nil
	}
	return nil, fail(Failed, "%s is no time", repr(v))
}

// asTimestamp gives seconds since 1970.
func asTimestamp(s *scope, v any, a args) (any, *Error) {
	if _, ok := v.(naive); ok {
		v, _ = asLocal(s, v, args{})
	}
	if m, ok := v.(moment); ok {
		return float64(time.Time(m).UnixMicro()) / 1e6, nil
	}
	if f, ok := number(v); ok {
		return f, nil
	}
	if s, ok := v.(string); ok {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00"} {
			if t, err := time.Parse(layout, s); err == nil {
				return float64(t.UnixMicro()) / 1e6, nil
			}
		}
	}
	if d, ok := a.get(0, "default"); ok {
		return d, nil
	}
	if err := defined(v); err != nil {
		return nil, err
	}
	return nil, fail(Failed, "%s is no time with a zone", repr(v))
}

// at reads seconds since 1970.
func at(v any) (time.Time, *Error) {
	f, ok := toFloat(v)
	if !ok || math.Abs(f) > 1e11 {
		if err := defined(v); err != nil {
			return time.Time{}, err
		}
		return time.Time{}, fail(Failed, "%s is no time", repr(v))
	}
	return time.UnixMicro(int64(math.Round(f * 1e6))), nil
}

func timestampLocal(s *scope, v any, _ args) (any, *Error) {
	t, err := at(v)
	return iso(t.In(s.now.Location()), "T"), err
}

func timestampUTC(_ *scope, v any, _ args) (any, *Error) {
	t, err := at(v)
	return iso(t.UTC(), "T"), err
}

// directives are those of strftime that have a Go layout.
var directives = strings.NewReplacer("%Y", "2006", "%m", "01", "%d", "02", "%H", "15", "%I", "03", "%M", "04", "%S", "05", "%y", "06",
	"%b", "Jan", "%B", "January", "%a", "Mon", "%A", "Monday", "%p", "PM", "%Z", "MST", "%z", "-0700", "%-d", "2", "%-m", "1", "%-I", "3")

func timestampCustom(s *scope, v any, a args) (any, *Error) {
	t, err := at(v)
	if err != nil {
		return nil, err
	}
	zone := s.now.Location()
	if local, ok := a.get(1, "local"); ok && !truth(local) {
		zone = time.UTC
	}
	format, _ := a.get(0, "format_string")
	return formatTime(t.In(zone), show(format))
}

// formatTime writes a time by a format of strftime.
func formatTime(t time.Time, text string) (any, *Error) {
	var b strings.Builder
	for text != "" {
		n := strings.IndexByte(text, '%')
		if n < 0 {
			n = len(text)
		}
		b.WriteString(text[:n])
		if text = text[n:]; text == "" {
			break
		}
		n = 2
		if strings.HasPrefix(text, "%-") {
			n = 3
		}
		n = min(n, len(text))
		switch layout := directives.Replace(text[:n]); {
		case text[:n] == "%%":
			b.WriteByte('%')
		case text[:n] == "%f":
			b.WriteString(t.Format(".000000")[1:])
		case layout == text[:n]:
			return nil, fail(Unsupported, "the time format %q is not supported", text[:n])
		default:
			b.WriteString(t.Format(layout))
		}
		text = text[n:]
	}
	return b.String(), nil
}
