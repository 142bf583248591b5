package jinja

import (
	"cmp"
	"maps"
	"math"
	"strings"
	"time"
)

// node is a part of a template: an expression, which gives a value, or a statement, which
// gives a flow or nil.
type node interface {
	eval(s *scope) (any, *Error)
}

// flow is what a statement says of the loop it stands in.
type flow int

const (
	flowContinue flow = iota + 1
	flowBreak
)

type (
	text   struct{ s string }
	output struct{ expr node }
	branch struct {
		test            node
		then, otherwise []node
	}
	loop struct {
		names      []string
		over, only node
		body, none []node
	}
	assignment struct {
		name, member string
		value        node
	}
	jump    struct{ breaks bool }
	literal struct{ v any }
	name    struct{ name string }
	listing struct {
		items []node
		tuple bool
	}
	mapping   struct{ keys, values []node }
	member    struct{ of, name node }
	operation struct {
		op          string
		left, right node
	}
	negation struct{ of node }
	choice   struct{ test, then, otherwise node }
	call     struct {
		method bool
		name   string
		of     node
		args   arguments
	}
	filter struct {
		name string
		of   node
		args arguments
	}
	check struct {
		name string
		of   node
		args arguments
	}
	// arguments are values, of which the last len(names) have names.
	arguments struct {
		values []node
		names  []string
	}
)

// scope is one rendering, or a loop's part of it.
type scope struct {
	parent  *scope
	vars    map[string]any
	payload *Payload
	more    map[string]any
	now     time.Time
	out     *strings.Builder
	steps   *int
	filters map[string]function // for filters that take a filter's name
}

// step counts work.
func (s *scope) step(n int) *Error {
	if *s.steps += n; *s.steps > stepsMax {
		return fail(Exceeded, "the template takes more than %d steps", stepsMax)
	}
	return nil
}

func (s *scope) run(body []node) (flow, *Error) {
	for _, n := range body {
		v, err := n.eval(s)
		if err != nil {
			return 0, err
		}
		if f, ok := v.(flow); ok {
			return f, nil
		}
	}
	return 0, nil
}

// flowOf gives a statement's result.
func flowOf(f flow, err *Error) (any, *Error) {
	if err != nil || f == 0 {
		return nil, err
	}
	return f, nil
}

func (s *scope) print(text string) *Error {
	if s.out.Len()+len(text) > outputBytesMax {
		return fail(Exceeded, "the template makes more than %d bytes", outputBytesMax)
	}
	s.out.WriteString(text)
	return nil
}

func (n text) eval(s *scope) (any, *Error) { return nil, s.print(n.s) }

func (n output) eval(s *scope) (any, *Error) {
	v, err := n.expr.eval(s)
	if err != nil {
		return nil, err
	}
	return nil, s.print(show(v))
}

func (n branch) eval(s *scope) (any, *Error) {
	v, err := n.test.eval(s)
	if err != nil {
		return nil, err
	}
	if truth(v) {
		return flowOf(s.run(n.then))
	}
	return flowOf(s.run(n.otherwise))
}

func (n loop) eval(s *scope) (any, *Error) {
	v, err := n.over.eval(s)
	if err != nil {
		return nil, err
	}
	parts, ok := items(v)
	if !ok {
		return nil, fail(Failed, "%s has no parts to go over", repr(v))
	}
	ran := false
	for _, item := range parts {
		inner := *s
		inner.parent, inner.vars = s, map[string]any{}
		if err := inner.bind(n.names, item); err != nil {
			return nil, err
		}
		if n.only != nil {
			v, err := n.only.eval(&inner)
			if err != nil {
				return nil, err
			}
			if !truth(v) {
				continue
			}
		}
		ran = true
		f, err := inner.run(n.body)
		if err != nil {
			return nil, err
		}
		if f == flowBreak {
			break
		}
	}
	if !ran {
		return flowOf(s.run(n.none))
	}
	return nil, nil
}

// bind gives a loop's item its name, or its parts theirs.
func (s *scope) bind(names []string, item any) *Error {
	if err := s.step(1); err != nil {
		return err
	}
	if len(names) == 1 {
		s.vars[names[0]] = item
		return nil
	}
	parts, ok := items(item)
	if !ok || len(parts) != len(names) {
		return fail(Failed, "%s has not the %d parts that the loop names", repr(item), len(names))
	}
	for i, name := range names {
		s.vars[name] = parts[i]
	}
	return nil
}

func (n assignment) eval(s *scope) (any, *Error) {
	v, err := n.value.eval(s)
	if err != nil {
		return nil, err
	}
	if n.member == "" {
		s.vars[n.name] = v
		return nil, nil
	}
	space, ok := s.lookUp(n.name).(object)
	if !ok {
		return nil, fail(Failed, "%s is no namespace", n.name)
	}
	// A namespace is copied: what the payload holds is never changed.
	space = maps.Clone(space)
	space[n.member] = v
	for at := s; at != nil; at = at.parent {
		if _, ok := at.vars[n.name]; ok {
			at.vars[n.name] = space
			break
		}
	}
	return nil, nil
}

func (n jump) eval(*scope) (any, *Error) {
	if n.breaks {
		return flowBreak, nil
	}
	return flowContinue, nil
}

func (n literal) eval(s *scope) (any, *Error) { return n.v, s.step(1) }

func (n name) eval(s *scope) (any, *Error) { return s.lookUp(n.name), s.step(1) }

func (s *scope) lookUp(name string) any {
	for at := s; at != nil; at = at.parent {
		if v, ok := at.vars[name]; ok {
			return v
		}
	}
	if v, ok := s.more[name]; ok {
		return v
	}
	switch {
	case s.payload == nil:
	case name == "value":
		return s.payload.Text()
	case name == "value_json":
		return s.payload.value()
	}
	return undefined{name}
}

func (n listing) eval(s *scope) (any, *Error) {
	out := list{items: make([]any, len(n.items)), tuple: n.tuple}
	for i, item := range n.items {
		var err *Error
		if out.items[i], err = item.eval(s); err != nil {
			return nil, err
		}
	}
	return out, s.step(len(n.items))
}

func (n mapping) eval(s *scope) (any, *Error) {
	var d dict
	for i, key := range n.keys {
		k, err := key.eval(s)
		if err != nil {
			return nil, err
		}
		v, err := n.values[i].eval(s)
		if err != nil {
			return nil, err
		}
		if d, err = d.with(k, v); err != nil {
			return nil, err
		}
	}
	return d, s.step(len(n.keys) * len(n.keys))
}

// with adds an entry or replaces its value.
func (d dict) with(k, v any) (dict, *Error) {
	switch k.(type) {
	case nil, bool, int64, float64, string:
	default:
		return d, fail(Failed, "%s cannot be a key", repr(k))
	}
	for i := range d.keys {
		if equal(d.keys[i], k) {
			d.values[i] = v
			return d, nil
		}
	}
	d.keys, d.values = append(d.keys, k), append(d.values, v)
	return d, nil
}

func (n member) eval(s *scope) (any, *Error) {
	of, err := n.of.eval(s)
	if err != nil {
		return nil, err
	}
	key, err := n.name.eval(s)
	if err != nil {
		return nil, err
	}
	if u, ok := of.(undefined); ok {
		return nil, fail(Undefined, "%s is not defined", u.what)
	}
	v, ok := look(of, key)
	if !ok {
		return undefined{show(key)}, nil
	}
	return v, nil
}

func (n negation) eval(s *scope) (any, *Error) {
	v, err := n.of.eval(s)
	return !truth(v), err
}

func (n choice) eval(s *scope) (any, *Error) {
	v, err := n.test.eval(s)
	switch {
	case err != nil:
		return nil, err
	case truth(v):
		return n.then.eval(s)
	case n.otherwise == nil:
		return undefined{"the value of an if without else"}, nil
	}
	return n.otherwise.eval(s)
}

func (n operation) eval(s *scope) (any, *Error) {
	a, err := n.left.eval(s)
	if err != nil {
		return nil, err
	}
	if n.op == "and" && !truth(a) || n.op == "or" && truth(a) {
		return a, nil
	}
	b, err := n.right.eval(s)
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "and", "or":
		return b, nil
	case "==":
		return equal(a, b), nil
	case "!=":
		return !equal(a, b), nil
	case "in":
		return contains(b, a)
	case "not in":
		in, err := contains(b, a)
		return !truth(in), err
	case "~":
		return joined(show(a), show(b))
	case "<", "<=", ">", ">=":
		return compare(n.op, a, b)
	}
	return compute(s, n.op, a, b)
}

func joined(a, b string) (any, *Error) {
	if len(a)+len(b) > outputBytesMax {
		return nil, fail(Exceeded, "a text is longer than %d bytes", outputBytesMax)
	}
	return a + b, nil
}

func contains(in, v any) (any, *Error) {
	if s, ok := in.(string); ok {
		part, ok := v.(string)
		if !ok {
			return nil, fail(Failed, "%s cannot be looked for in a text", repr(v))
		}
		return strings.Contains(s, part), nil
	}
	if u, ok := in.(undefined); ok {
		return nil, fail(Undefined, "%s is not defined", u.what)
	}
	parts, ok := items(in)
	if !ok {
		return nil, fail(Failed, "%s has no parts", repr(in))
	}
	for _, p := range parts {
		if equal(p, v) {
			return true, nil
		}
	}
	return false, nil
}

// order gives -1, 0 or 1 for what can be compared.
func order(a, b any) (int, *Error) {
	x, ok1 := number(a)
	y, ok2 := number(b)
	if ok1 && ok2 {
		switch {
		case x < y:
			return -1, nil
		case x > y:
			return 1, nil
		}
		return 0, nil
	}
	s, ok1 := a.(string)
	t, ok2 := b.(string)
	if ok1 && ok2 {
		return strings.Compare(s, t), nil
	}
	if x, y := timeOf(a), timeOf(b); x != nil && y != nil && sameKind(a, b) {
		return x.Compare(*y), nil
	}
	d, ok1 := a.(span)
	e, ok2 := b.(span)
	if ok1 && ok2 {
		return cmp.Compare(d, e), nil
	}
	for _, v := range []any{a, b} {
		if u, ok := v.(undefined); ok {
			return 0, fail(Undefined, "%s is not defined", u.what)
		}
	}
	return 0, fail(Failed, "%s and %s cannot be compared", repr(a), repr(b))
}

func compare(op string, a, b any) (any, *Error) {
	if x, ok := a.(float64); ok && math.IsNaN(x) {
		return false, nil
	}
	if y, ok := b.(float64); ok && math.IsNaN(y) {
		return false, nil
	}
	c, err := order(a, b)
	switch op {
	case "<":
		return c < 0, err
	case "<=":
		return c <= 0, err
	case ">":
		return c > 0, err
	}
	return c >= 0, err
}
