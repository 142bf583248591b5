package rules

import (
	"strings"
	"time"
)

// verdict is whether a condition holds, since when, and why in words.
type verdict struct {
	holds, known bool
	since        time.Time
	tell         string
}

// value evaluates a condition; next counts the conditions without parts, in the order of Each.
func (e *Engine) value(r *rule, c *Condition, w *watch, next *int, now time.Time) verdict {
	switch {
	case len(c.All) > 0:
		return e.all(r, c.All, w, next, now)
	case len(c.Any) > 0:
		return e.any(r, c.Any, w, next, now)
	case c.Not != nil:
		v := e.value(r, c.Not, w, next, now)
		return verdict{holds: v.known && !v.holds, known: v.known, since: now, tell: c.Not.tellNot(v.tell)}
	}
	i := *next
	*next++
	if !e.deaf.IsZero() && now.After(e.deaf) && c.kind() != Broker {
		now = e.deaf
	}
	if c.Silence != nil {
		met, known, since := w.Silence.met(*c.Silence, now)
		out := verdict{holds: met, known: known, since: since}
		if met {
			out.tell = w.Silence.tell(now)
		}
		return out
	}
	out := verdict{}
	for name, s := range w.Leaves[i] {
		if !s.Known {
			continue
		}
		out.known = true
		if c.Is != nil && out.tell == "" {
			out.tell = c.tell(name, s)
		}
		if met, since := c.met(s, now); met && (!out.holds || since.Before(out.since)) {
			out.holds, out.since, out.tell = true, since, c.tell(name, s)
		}
	}
	return out
}

func (e *Engine) all(r *rule, parts []Condition, w *watch, next *int, now time.Time) verdict {
	out := verdict{holds: true, known: true}
	var tells []string
	for i := range parts {
		v := e.value(r, &parts[i], w, next, now)
		if v.known && !v.holds {
			out.holds = false
		}
		out.known = out.known && v.known
		if v.since.After(out.since) {
			out.since = v.since
		}
		tells = append(tells, v.tell)
	}
	out.known = out.known || !out.holds
	out.tell = strings.Join(tells, " and ")
	return out
}

func (e *Engine) any(r *rule, parts []Condition, w *watch, next *int, now time.Time) verdict {
	out := verdict{}
	for i := range parts {
		v := e.value(r, &parts[i], w, next, now)
		out.known = out.known || v.known
		if v.holds && (!out.holds || v.since.Before(out.since)) {
			out.holds, out.since, out.tell = true, v.since, v.tell
		}
	}
	return out
}
