// Package term prints what others wrote.
//
// It must never let their words steer the terminal.
package term

import "strings"

// Clean takes control characters out of a text that a device or a person chose.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
