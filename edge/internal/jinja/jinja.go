// Package jinja renders the templates that publishers put into Home Assistant's discovery
// messages: how a value is found in a payload, how a command is written.
//
// It is a subset of Jinja 2 as Home Assistant extends it: expressions, conditions, sets,
// loops over what the payload holds, and the filters and functions that say something about
// a payload. What reads the state of a home (states, is_state, …), includes, macros and
// whatever else is not here makes a template unsupported, with the place and the reason: its
// entity then waits for a person to map it. A template is foreign text. It must never reach
// anything but the payload and the time, and its work, its output and its depth are bounded.
package jinja

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// textBytesMax is some times the longest template of a real publisher (2 KB).
	textBytesMax = 16 << 10
	// depthMax bounds nesting, of a template as of what it builds.
	depthMax = 64
	// stepsMax bounds the work of one rendering: the longest real template takes some hundreds.
	stepsMax = 20_000
	// outputBytesMax bounds what is rendered, and each text made on the way.
	outputBytesMax = 64 << 10
)

// Reason says why a template gives no value.
type Reason int

const (
	// Unsupported is for what is not in the subset, and for text that is no template: a
	// person must map the entity.
	Unsupported Reason = iota + 1
	// Undefined is for a payload that does not hold what the template asks for: the message
	// is not about this entity.
	Undefined
	// Failed is for a payload that the template cannot work with, as a text to be multiplied.
	Failed
	// Exceeded is for a template that takes more work, or makes a longer text, than any
	// honest one.
	Exceeded
)

// Error is what Parse and Render return.
type Error struct {
	Reason Reason
	// Line and Column, from 1, are the place in the template; zero where there is none.
	Line, Column int
	Message      string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

func fail(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// Template is a parsed template. It is safe for concurrent use.
type Template struct {
	text string
	body []node
}

// Parse reads a template. Its error is an *Error whose Reason is Unsupported.
func Parse(text string) (*Template, error) {
	if len(text) > textBytesMax {
		return nil, fail(Unsupported, "the template of %d bytes is longer than %d", len(text), textBytesMax)
	}
	tokens, err := lex(text)
	if err == nil {
		p := &parser{tokens: tokens}
		var body []node
		if body, err = p.template(); err == nil {
			return &Template{text: text, body: body}, nil
		}
	}
	err.place(text)
	return nil, err
}

// Text is what Parse was given.
func (t *Template) Text() string { return t.text }

// Vars is what a template may use.
type Vars struct {
	// Payload is the message: "value" and "value_json". May be nil.
	Payload *Payload
	// More are other names, as "position" in a command's template: texts, booleans, int64 and
	// float64.
	More map[string]any
	// Now is the time that now() gives, in the building's zone.
	Now time.Time
}

// Render gives the template's text without the white space around it. Its error is an *Error.
func (t *Template) Render(v Vars) (string, error) {
	var b strings.Builder
	s := &scope{vars: map[string]any{}, payload: v.Payload, more: v.More, now: v.Now, out: &b, steps: new(int), filters: filters}
	if _, err := s.run(t.body); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// Path is the place in the payload's JSON that a template shows unchanged, as "a", "b" of
// {{ value_json.a.b }}; numbers of lists are in digits. It says nothing of other templates.
func (t *Template) Path() (path []string, ok bool) {
	var expr node
	for _, n := range t.body {
		switch n := n.(type) {
		case text:
			if strings.TrimSpace(n.s) != "" {
				return nil, false
			}
		case output:
			if expr != nil {
				return nil, false
			}
			expr = n.expr
		default:
			return nil, false
		}
	}
	for {
		switch n := expr.(type) {
		case member:
			name, ok := n.name.(literal)
			if !ok {
				return nil, false
			}
			path, expr = append([]string{show(name.v)}, path...), n.of
			continue
		case filter:
			if n.name == "is_defined" {
				expr = n.of
				continue
			}
		case name:
			return path, n.name == "value_json" && len(path) > 0
		}
		return nil, false
	}
}

// place sets line and column from the offset that lexer and parser leave in Column.
func (e *Error) place(text string) {
	offset := min(max(e.Column, 0), len(text))
	e.Line = 1 + strings.Count(text[:offset], "\n")
	e.Column = offset - strings.LastIndexByte(text[:offset], '\n')
}

// Source is the only place in the payload's JSON that a template looks at, in whatever way;
// ok is false where it looks at several or at none.
func (t *Template) Source() (path []string, ok bool) {
	var found [][]string
	for _, n := range t.body {
		sources(n, &found)
	}
	if len(found) == 0 {
		return nil, false
	}
	for _, f := range found[1:] {
		if !slices.Equal(f, found[0]) {
			return nil, false
		}
	}
	return found[0], len(found[0]) > 0
}
