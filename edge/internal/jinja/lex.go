package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	tokenText  tokenKind = iota
	tokenOpen            // {{ or {%
	tokenClose           // }} or %}
	tokenName
	tokenNumber
	tokenString
	tokenOperator
	tokenEnd
)

type token struct {
	kind  tokenKind
	s     string
	value any // of a number or a string
	at    int // offset in the template
}

// operators are tried in this order: the longer first.
var operators = [...]string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "|"}

type lexer struct {
	text   string
	at     int
	tokens []token
	nested []byte // brackets that are open inside the current tag
}

func lex(text string) ([]token, *Error) {
	if !utf8.ValidString(text) {
		return nil, fail(Unsupported, "the template is not UTF-8")
	}
	l := &lexer{text: text}
	for l.at < len(text) {
		start, tag := l.find()
		l.plain(l.text[l.at:start], tag)
		if tag == "" {
			break
		}
		l.at = start + 2
		if tag == "{#" {
			end := strings.Index(text[l.at:], "#}")
			if end < 0 {
				return nil, failAt(start, "the comment has no end")
			}
			l.at += end + 2
			l.trimAfter(text[l.at-3] == '-')
			continue
		}
		if err := l.tag(start, tag); err != nil {
			return nil, err
		}
	}
	l.tokens = append(l.tokens, token{kind: tokenEnd, at: len(text)})
	return l.tokens, nil
}

func failAt(at int, format string, args ...any) *Error {
	e := fail(Unsupported, format, args...)
	e.Column = at
	return e
}

// find gives the place of the next tag; the end of the text where there is none.
func (l *lexer) find() (int, string) {
	for i := l.at; i+1 < len(l.text); i++ {
		if l.text[i] == '{' && strings.IndexByte("{%#", l.text[i+1]) >= 0 {
			return i, l.text[i : i+2]
		}
	}
	return len(l.text), ""
}

// plain keeps the text before a tag. A minus in the tag eats the white space before it; a
// statement or comment eats nothing else: the whole is trimmed once it is rendered.
func (l *lexer) plain(s, tag string) {
	next := l.at + len(s) + len(tag)
	if tag != "" && next < len(l.text) && l.text[next] == '-' {
		s = strings.TrimRight(s, " \t\r\n")
	}
	if s != "" {
		l.tokens = append(l.tokens, token{kind: tokenText, s: s, at: l.at})
	}
}

func (l *lexer) trimAfter(minus bool) {
	if minus {
		l.at += len(l.text[l.at:]) - len(strings.TrimLeft(l.text[l.at:], " \t\r\n"))
	}
}

// tag reads {{ … }} or {% … %}.
func (l *lexer) tag(start int, open string) *Error {
	end := map[string]string{"{{": "}}", "{%": "%}"}[open]
	l.tokens = append(l.tokens, token{kind: tokenOpen, s: open, at: start})
	if l.at < len(l.text) && (l.text[l.at] == '-' || l.text[l.at] == '+') {
		l.at++
	}
	l.nested = l.nested[:0]
	for {
		l.at += len(l.text[l.at:]) - len(strings.TrimLeft(l.text[l.at:], " \t\r\n"))
		rest := l.text[l.at:]
		if len(l.nested) == 0 {
			minus := strings.HasPrefix(rest, "-"+end)
			if minus || strings.HasPrefix(rest, end) {
				l.tokens = append(l.tokens, token{kind: tokenClose, s: end, at: l.at})
				l.at += len(end)
				if minus {
					l.at++
				}
				l.trimAfter(minus)
				return nil
			}
		}
		if rest == "" {
			return failAt(start, "%s has no %s", open, end)
		}
		if err := l.token(rest); err != nil {
			return err
		}
	}
}

func (l *lexer) token(rest string) *Error {
	c := rest[0]
	switch {
	case c == '"' || c == '\'':
		return l.quoted(rest)
	case c >= '0' && c <= '9':
		return l.number(rest)
	case isLetter(c):
		n := 1
		for n < len(rest) && (isLetter(rest[n]) || rest[n] >= '0' && rest[n] <= '9') {
			n++
		}
		l.add(tokenName, rest[:n], nil)
		return nil
	}
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		switch op {
		case "(", "[", "{":
			l.nested = append(l.nested, op[0])
		case ")", "]", "}":
			if n := len(l.nested); n == 0 || l.nested[n-1] != map[string]byte{")": '(', "]": '[', "}": '{'}[op] {
				if n > 0 {
					return failAt(l.at, "%q stands here, but %q is not closed", op, string(l.nested[n-1]))
				}
				return failAt(l.at, "%q closes nothing", op)
			}
			l.nested = l.nested[:len(l.nested)-1]
		}
		l.add(tokenOperator, op, nil)
		return nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return failAt(l.at, "%q has no meaning here", r)
}

func (l *lexer) add(kind tokenKind, s string, value any) {
	l.tokens = append(l.tokens, token{kind: kind, s: s, value: value, at: l.at})
	l.at += len(s)
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func (l *lexer) number(rest string) *Error {
	n := 0
	digits := func() {
		for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] == '_') {
			n++
		}
	}
	digits()
	float, last := false, len(l.tokens)-1
	if l.tokens[last].s == "." { // events.0.1 names places, no fraction
		i, err := strconv.ParseInt(rest[:n], 10, 64)
		if err != nil {
			return failAt(l.at, "%s is no place in a list", rest[:n])
		}
		l.add(tokenNumber, rest[:n], i)
		return nil
	}
	if n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
		float = true
		n++
		digits()
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		before := n
		n++
		if n < len(rest) && (rest[n] == '+' || rest[n] == '-') {
			n++
		}
		from := n
		digits()
		if float = true; n == from {
			n, float = before, false
		}
	}
	s := strings.ReplaceAll(rest[:n], "_", "")
	if i, err := strconv.ParseInt(s, 10, 64); err == nil && !float {
		l.add(tokenNumber, rest[:n], i)
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return failAt(l.at, "%s is no number", s)
	}
	l.add(tokenNumber, rest[:n], f)
	return nil
}

var escapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': `\`, '\'': "'", '"': `"`}

func (l *lexer) quoted(rest string) *Error {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == rest[0]:
			l.add(tokenString, rest[:i+1], b.String())
			return nil
		case c == '\\' && i+1 < len(rest):
			i++
			if s, ok := escapes[rest[i]]; ok {
				b.WriteString(s)
				continue
			}
			b.WriteByte('\\') // as Python keeps what is no escape
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return failAt(l.at, "the text has no closing quote")
}
