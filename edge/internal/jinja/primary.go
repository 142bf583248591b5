package jinja

import "slices"

// constants are the words that stand for values.
var constants = map[string]any{"true": true, "True": true, "false": false, "False": false, "none": nil, "None": nil}

func (p *parser) primary() (node, *Error) {
	t := p.take()
	switch {
	case t.kind == tokenName:
		if v, ok := constants[t.s]; ok {
			return literal{v}, nil
		}
		return name{t.s}, nil
	case t.kind == tokenNumber:
		return literal{t.value}, nil
	case t.kind == tokenString:
		s, _ := t.value.(string)
		for p.peek().kind == tokenString { // neighbours are one text
			more, _ := p.take().value.(string)
			s += more
		}
		return literal{s}, nil
	case t.kind != tokenOperator:
	case t.s == "(":
		if p.skip(")") {
			return listing{tuple: true}, nil
		}
		n, err := p.tuple()
		if err == nil {
			err = p.want(")")
		}
		return n, err
	case t.s == "[":
		items, err := p.list("]")
		return listing{items: items}, err
	case t.s == "{":
		return p.dict()
	}
	p.next = max(0, p.next-1)
	return nil, p.wrong("a value is wanted here")
}

// list reads expressions up to the bracket that ends them.
func (p *parser) list(end string) ([]node, *Error) {
	var out []node
	for !p.skip(end) {
		if len(out) > 0 {
			if err := p.want(","); err != nil {
				return nil, err
			}
			if p.skip(end) {
				break
			}
		}
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func (p *parser) dict() (node, *Error) {
	var d mapping
	for !p.skip("}") {
		if len(d.keys) > 0 {
			if err := p.want(","); err != nil {
				return nil, err
			}
			if p.skip("}") {
				break
			}
		}
		k, err := p.expression()
		if err == nil {
			err = p.want(":")
		}
		if err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, k), append(d.values, v)
	}
	return d, nil
}

// inBrackets reads [key] or [from:to].
func (p *parser) inBrackets(of node) (n node, err *Error) {
	p.take()
	var from, to node
	if !p.is(":") {
		if from, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if !p.skip(":") {
		return member{of: of, name: from}, p.want("]")
	}
	if !p.is("]") {
		if to, err = p.expression(); err != nil {
			return nil, err
		}
	}
	return part{of, from, to}, p.want("]")
}

// postfix reads .name, .0, [key], [from:to] and calls.
func (p *parser) postfix(n node) (node, *Error) {
	for {
		switch {
		case p.skip("."):
			t := p.take()
			switch {
			case t.kind == tokenNumber:
				n = member{of: n, name: literal{t.value}}
			case t.kind != tokenName:
				return nil, failAt(t.at, "a name is wanted behind the dot")
			case p.is("("):
				args, err := p.arguments()
				if err != nil {
					return nil, err
				}
				if of, ok := n.(name); ok && of.name == "dict" && t.s == "from_keys" {
					n = call{name: "dict.from_keys", args: args}
					continue
				}
				if _, ok := methods[t.s]; !ok {
					return nil, failAt(t.at, "the method %q is not supported", t.s)
				}
				if why := fits(t.s, args); why != "" {
					return nil, failAt(t.at, "the method %s", why)
				}
				n = call{method: true, name: t.s, of: n, args: args}
			default:
				n = member{of: n, name: literal{t.s}}
			}
		case p.is("["):
			found, err := p.inBrackets(n)
			if err != nil {
				return nil, err
			}
			n = found
		case p.is("("):
			f, ok := n.(name)
			if !ok {
				return nil, p.wrong("this cannot be called")
			}
			if _, ok := functions[f.name]; !ok {
				return nil, p.wrong("the function %q is not supported", f.name)
			}
			args, err := p.arguments()
			if err != nil {
				return nil, err
			}
			n = call{name: f.name, args: args}
		default:
			return n, nil
		}
	}
}

// arguments reads (a, b, name=c).
func (p *parser) arguments() (arguments, *Error) {
	var out arguments
	if !p.skip("(") {
		return out, nil
	}
	for first := true; !p.skip(")"); first = false {
		if !first {
			if err := p.want(","); err != nil {
				return out, err
			}
			if p.skip(")") {
				break
			}
		}
		name := ""
		if p.peek().kind == tokenName && p.tokens[p.next+1].kind == tokenOperator && p.tokens[p.next+1].s == "=" {
			name = p.take().s
			p.next++
		}
		n, err := p.expression()
		if err != nil {
			return out, err
		}
		if name == "" && len(out.names) > 0 {
			return out, p.wrong("an argument without a name follows one with a name")
		}
		if out.values = append(out.values, n); name != "" {
			out.names = append(out.names, name)
		}
	}
	return out, nil
}

// filters reads |filter and "is test".
func (p *parser) filters(n node) (node, *Error) {
	for {
		switch {
		case p.skip("|"):
			t := p.take()
			if _, ok := filters[t.s]; !ok || t.kind != tokenName {
				return nil, failAt(t.at, "the filter %q is not supported", t.s)
			}
			args, err := p.arguments()
			if err != nil {
				return nil, err
			}
			if why := fits(t.s, args); why != "" {
				return nil, failAt(t.at, "the filter %s", why)
			}
			n = filter{name: t.s, of: n, args: args}
		case p.skip("is"):
			not := p.skip("not")
			t := p.take()
			if _, ok := tests[t.s]; !ok || t.kind != tokenName && t.s != "==" {
				return nil, failAt(t.at, "the test %q is not supported", t.s)
			}
			c := check{name: t.s, of: n}
			if p.is("(") {
				args, err := p.arguments()
				if err != nil {
					return nil, err
				}
				c.args = args
			} else if p.testArgument() {
				arg, err := p.primary()
				if err == nil {
					arg, err = p.postfix(arg)
				}
				if err != nil {
					return nil, err
				}
				c.args.values = []node{arg}
			}
			if n = c; not {
				n = negation{c}
			}
		default:
			return n, nil
		}
	}
}

// testArgument tells whether a test's argument follows without brackets, as in "is in [1, 2]".
func (p *parser) testArgument() bool {
	switch t := p.peek(); t.kind {
	case tokenNumber, tokenString:
		return true
	case tokenName:
		return !slices.Contains([]string{"and", "or", "not", "is", "in", "if", "else"}, t.s)
	case tokenOperator:
		return t.s == "[" || t.s == "{"
	default:
		return false
	}
}
