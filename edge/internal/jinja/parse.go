package jinja

import "slices"

// parser reads statements and expressions with the precedence that Jinja gives them:
// … if … else …; or; and; not; comparisons; + -; ~; * / // %; **; signs; filters and tests;
// members and calls.
type parser struct {
	tokens []token
	next   int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.next] }

func (p *parser) take() token {
	t := p.tokens[p.next]
	if t.kind != tokenEnd {
		p.next++
	}
	return t
}

// is tells whether the next token is an operator or a word.
func (p *parser) is(s string) bool {
	t := p.peek()
	return t.s == s && (t.kind == tokenOperator || t.kind == tokenName)
}

func (p *parser) skip(s string) bool {
	if p.is(s) {
		p.next++
		return true
	}
	return false
}

func (p *parser) want(s string) *Error {
	if t := p.peek(); t.s == s && t.kind != tokenString && t.kind != tokenText {
		p.next++
		return nil
	}
	return p.wrong("%q is wanted here", s)
}

func (p *parser) wrong(format string, args ...any) *Error {
	return failAt(p.peek().at, format, args...)
}

// enter bounds how deep a template's parts are nested.
func (p *parser) enter() *Error {
	if p.depth++; p.depth > depthMax {
		return p.wrong("the template is nested deeper than %d", depthMax)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) template() ([]node, *Error) {
	body, _, err := p.body()
	return body, err
}

// body reads up to one of the words that end it, whose tag is left open behind the word; up
// to the end of the template where none is given.
func (p *parser) body(ends ...string) ([]node, string, *Error) {
	if err := p.enter(); err != nil {
		return nil, "", err
	}
	defer p.leave()
	var out []node
	for {
		t := p.take()
		switch {
		case t.kind == tokenEnd && len(ends) > 0:
			return nil, "", failAt(t.at, "%q is missing", ends[len(ends)-1])
		case t.kind == tokenEnd:
			return out, "", nil
		case t.kind == tokenText:
			out = append(out, text{t.s})
		case t.s == "{{":
			e, err := p.expression()
			if err == nil {
				err = p.want("}}")
			}
			if err != nil {
				return nil, "", err
			}
			out = append(out, output{e})
		default:
			if word := p.peek(); word.kind == tokenName && slices.Contains(ends, word.s) {
				p.next++
				return out, word.s, nil
			}
			n, err := p.statement()
			if err != nil {
				return nil, "", err
			}
			out = append(out, n)
		}
	}
}

func (p *parser) statement() (node, *Error) {
	word := p.take()
	var n node
	var err *Error
	switch word.s {
	case "if":
		return p.condition()
	case "for":
		return p.loop()
	case "set":
		n, err = p.assignment()
	case "continue", "break":
		n = jump{word.s == "break"}
	default:
		return nil, failAt(word.at, "the statement %q is not supported", word.s)
	}
	if err == nil {
		err = p.want("%}")
	}
	return n, err
}

// condition reads what follows {% if.
func (p *parser) condition() (node, *Error) {
	var c branch
	var err *Error
	if c.test, err = p.expression(); err != nil {
		return nil, err
	}
	if err = p.want("%}"); err != nil {
		return nil, err
	}
	var end string
	if c.then, end, err = p.body("elif", "else", "endif"); err != nil {
		return nil, err
	}
	switch end {
	case "elif":
		n, err := p.condition()
		c.otherwise = []node{n}
		return c, err
	case "else":
		if err = p.want("%}"); err != nil {
			return nil, err
		}
		if c.otherwise, _, err = p.body("endif"); err != nil {
			return nil, err
		}
	}
	return c, p.want("%}")
}

// loop reads what follows {% for.
func (p *parser) loop() (node, *Error) {
	var l loop
	for {
		t := p.take()
		if t.kind != tokenName {
			return nil, failAt(t.at, "a name is wanted here")
		}
		l.names = append(l.names, t.s)
		if !p.skip(",") {
			break
		}
	}
	err := p.want("in")
	if err != nil {
		return nil, err
	}
	if l.over, err = p.or(); err != nil {
		return nil, err
	}
	if p.skip("if") {
		if l.only, err = p.or(); err != nil {
			return nil, err
		}
	}
	if err = p.want("%}"); err != nil {
		return nil, err
	}
	var end string
	if l.body, end, err = p.body("else", "endfor"); err != nil {
		return nil, err
	}
	if end == "else" {
		if err = p.want("%}"); err != nil {
			return nil, err
		}
		if l.none, _, err = p.body("endfor"); err != nil {
			return nil, err
		}
	}
	return l, p.want("%}")
}

// assignment reads what follows {% set.
func (p *parser) assignment() (node, *Error) {
	t := p.take()
	if t.kind != tokenName {
		return nil, failAt(t.at, "a name is wanted here")
	}
	a := assignment{name: t.s}
	if p.skip(".") {
		if t = p.take(); t.kind != tokenName {
			return nil, failAt(t.at, "a name is wanted here")
		}
		a.member = t.s
	}
	if err := p.want("="); err != nil {
		return nil, err
	}
	var err *Error
	a.value, err = p.tuple()
	return a, err
}

// tuple reads an expression, or several with commas between.
func (p *parser) tuple() (node, *Error) {
	first, err := p.expression()
	if err != nil || !p.is(",") {
		return first, err
	}
	l := listing{items: []node{first}, tuple: true}
	for p.skip(",") {
		if t := p.peek(); t.kind == tokenClose || p.is(")") {
			break
		}
		item, err := p.expression()
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item)
	}
	return l, nil
}

func (p *parser) expression() (node, *Error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	n, err := p.or()
	for err == nil && p.skip("if") {
		c := choice{then: n}
		if c.test, err = p.or(); err != nil {
			break
		}
		if p.skip("else") {
			c.otherwise, err = p.expression()
		}
		n = c
	}
	return n, err
}

// left reads operands with operators of one precedence between, from left to right.
func (p *parser) left(operand func() (node, *Error), ops ...string) (node, *Error) {
	n, err := operand()
	for err == nil {
		t := p.peek()
		if t.kind != tokenOperator && t.kind != tokenName || !slices.Contains(ops, t.s) {
			break
		}
		p.next++
		var right node
		if right, err = operand(); err == nil {
			n = operation{t.s, n, right}
		}
	}
	return n, err
}

func (p *parser) or() (node, *Error)  { return p.left(p.and, "or") }
func (p *parser) and() (node, *Error) { return p.left(p.not, "and") }

func (p *parser) not() (node, *Error) {
	if !p.is("not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	p.next++
	n, err := p.not()
	return negation{n}, err
}

func (p *parser) comparison() (node, *Error) {
	n, err := p.sum()
	for err == nil {
		t := p.peek()
		op := t.s
		switch {
		case t.kind == tokenOperator && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op):
		case t.kind == tokenName && op == "in":
		case t.kind == tokenName && op == "not" && p.tokens[p.next+1].s == "in":
			p.next++
			op = "not in"
		default:
			return n, nil
		}
		p.next++
		var right node
		if right, err = p.sum(); err == nil {
			n = operation{op, n, right}
		}
	}
	return n, err
}

func (p *parser) sum() (node, *Error)     { return p.left(p.concat, "+", "-") }
func (p *parser) concat() (node, *Error)  { return p.left(p.product, "~") }
func (p *parser) product() (node, *Error) { return p.left(p.power, "*", "/", "//", "%") }
func (p *parser) power() (node, *Error)   { return p.left(p.signed, "**") }

// signed reads a value with its signs, and the filters and tests behind it: they take it
// with its sign.
func (p *parser) signed() (node, *Error) {
	n, err := p.unfiltered()
	if err != nil {
		return nil, err
	}
	return p.filters(n)
}

func (p *parser) unfiltered() (node, *Error) {
	if !p.is("-") && !p.is("+") {
		n, err := p.primary()
		if err != nil {
			return nil, err
		}
		return p.postfix(n)
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	op := p.take()
	n, err := p.unfiltered()
	return operation{op.s, literal{int64(0)}, n}, err
}
