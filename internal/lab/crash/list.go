package crash

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"estate/internal/apiclient"
	"estate/internal/problem"
)

// list collects what was found, from many goroutines.
type list struct {
	mu    sync.Mutex
	lines []string
	more  map[string]int // what was left out, by kind
	count map[string]int
}

func newList() *list { return &list{more: map[string]int{}, count: map[string]int{}} }

// add keeps the first lines of each kind.
func (l *list) add(kind, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count[kind]++; l.count[kind] > findingsMax {
		l.more[kind]++
		return
	}
	l.lines = append(l.lines, kind+": "+fmt.Sprintf(format, args...))
}

func (l *list) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.lines)
	for _, kind := range slices.Sorted(maps.Keys(l.more)) {
		out = append(out, fmt.Sprintf("%s: and %d more", kind, l.more[kind]))
	}
	return out
}

// answers counts how requests under fire ended.
type answers struct {
	mu    sync.Mutex
	count map[string]int
	first map[string]string
}

func newAnswers() *answers { return &answers{count: map[string]int{}, first: map[string]string{}} }

// note counts an answer. One that says "internal", or has no code at all, is a finding: a
// program that loses its database must know what to say.
func (a *answers) note(w *world, where string, head bool, err error) {
	key := where + " answered"
	var refused *apiclient.Error
	switch {
	case err == nil:
	case errors.As(err, &refused):
		key = fmt.Sprintf("%s refused: %d %s", where, refused.Status, refused.Code)
		// An answer to HEAD has no body to hold a code.
		bare := refused.Code == "" && refused.Status == http.StatusServiceUnavailable && head
		if refused.Status >= 500 && refused.Code != problem.Unavailable && !bare {
			w.findings.add("no coded refusal", "%s: %v", where, err)
		}
	default:
		key = where + " was gone"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[key]++; err != nil && a.first[key] == "" {
		a.first[key] = err.Error()
	}
}

func (a *answers) notes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(a.count), func(x, y string) int { return cmp.Compare(x, y) })
	var out []string
	for _, key := range keys {
		line := fmt.Sprintf("%s: %d times", key, a.count[key])
		if first := a.first[key]; first != "" {
			line += " (first: " + first + ")"
		}
		out = append(out, line)
	}
	return out
}
