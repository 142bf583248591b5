package jinja

import "regexp"

// regex compiles the pattern of a filter. It runs in linear time: what Python's expressions
// have beyond that (look-ahead, back references) is unsupported.
func regex(s *scope, v any, a args, anchored bool) (*regexp.Regexp, string, *Error) {
	if err := defined(v); err != nil {
		return nil, "", err
	}
	find, _ := a.get(0, "find")
	pattern, text := show(find), show(v)
	if ignore, ok := a.get(-1, "ignorecase"); ok && truth(ignore) {
		pattern = "(?i)" + pattern
	}
	if anchored {
		pattern = `\A(?:` + pattern + ")"
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, "", fail(Unsupported, "the expression %s is not supported: %v", clip(pattern), err)
	}
	return re, text, s.step(1 + len(pattern) + len(text)/16)
}

func matches(anchored bool) function {
	return func(s *scope, v any, a args) (any, *Error) {
		re, text, err := regex(s, v, a, anchored)
		if err != nil {
			return nil, err
		}
		return re.MatchString(text), nil
	}
}

var (
	backReference = regexp.MustCompile(`\\(\d)|\\g<(\w+)>`)
	dollar        = regexp.MustCompile(`\$`)
)

func regexReplace(s *scope, v any, a args) (any, *Error) {
	re, text, err := regex(s, v, a, false)
	if err != nil {
		return nil, err
	}
	by, _ := a.get(1, "replace")
	to := ""
	if by != nil {
		to = backReference.ReplaceAllString(dollar.ReplaceAllString(show(by), "$$$$"), "$${$1$2}")
	}
	if len(re.FindAllStringIndex(text, -1))*(len(to)+len(text)) > 16*outputBytesMax {
		return nil, fail(Exceeded, "a text is longer than %d bytes", outputBytesMax)
	}
	return joined(re.ReplaceAllString(text, to), "")
}

// findAll gives whole matches where the expression has no groups, else what the groups hold.
func findAll(s *scope, v any, a args) (any, *Error) {
	re, text, err := regex(s, v, a, false)
	if err != nil {
		return nil, err
	}
	found := re.FindAllStringSubmatch(text, -1)
	out := make([]any, len(found))
	for i, m := range found {
		switch len(m) {
		case 1:
			out[i] = m[0]
		case 2:
			out[i] = m[1]
		default:
			groups := make([]any, len(m)-1)
			for j := range groups {
				groups[j] = m[j+1]
			}
			out[i] = list{items: groups, tuple: true}
		}
	}
	return list{items: out}, s.step(len(out) * (re.NumSubexp() + 1))
}

func findAllIndex(s *scope, v any, a args) (any, *Error) {
	all, err := findAll(s, v, a)
	if err != nil {
		return nil, err
	}
	at, ok := a.get(1, "index")
	if !ok {
		at = int64(0)
	}
	if out, ok := look(all, at); ok {
		return out, nil
	}
	return nil, fail(Failed, "the expression is found fewer times")
}
