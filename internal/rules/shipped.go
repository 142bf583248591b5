package rules

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

//go:embed shipped.json
var shippedText []byte

// Shipped lists the rules that every building has until somebody changes them.
func Shipped() []Rule {
	var texts []json.RawMessage
	if err := json.Unmarshal(shippedText, &texts); err != nil {
		panic(fmt.Sprintf("rules: the shipped rules are no JSON: %v", err)) // a test reads them
	}
	out := make([]Rule, 0, len(texts))
	for _, text := range texts {
		r, problems := Parse(text)
		if len(problems) > 0 {
			panic(fmt.Sprintf("rules: shipped rule %q: %v", r.ID, problems))
		}
		out = append(out, r)
	}
	return out
}

// tickEvery is how often a trial lets time pass.
const tickEvery = time.Minute

// Try shows what rules would have done with observations of the past, which come in the order
// of their arrival, and time up to the end after the last of them. Effects that time alone
// brought about are at most tickEvery late.
func Try(list []Rule, zone *time.Location, history func(yield func(Observation) bool), end time.Time) []Effect {
	e := New(list, zone)
	var out []Effect
	var now time.Time
	pass := func(until time.Time) {
		for !now.IsZero() && until.Sub(now) > tickEvery {
			now = now.Add(tickEvery)
			out = append(out, e.Tick(now, true)...)
		}
	}
	for o := range history {
		pass(o.Arrival)
		if now.IsZero() || o.Arrival.After(now) {
			now = o.Arrival
		}
		out = append(out, e.Observe(o)...)
		clear(e.dirty)
	}
	pass(end)
	return slices.Clip(out)
}
