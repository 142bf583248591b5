package jinja

import (
	"testing"
	"time"
	"unicode/utf8"

	"estate/internal/lab/fuzztest"
)

// FuzzRender renders any template of any payload: no panic, bounded work and memory, and what
// is rendered is text within its limit.
func FuzzRender(f *testing.F) {
	f.Add("{{ value_json.a.b | round(1) }}", `{"a":{"b":21.37}}`)
	f.Add("{% set ns = namespace(r=[]) %}{% for k, v in value_json.items() if v is not none %}{% set ns.r = ns.r + [(k, v)] %}{% endfor %}{{ dict.from_keys(ns.r) | to_json }}", `{"a":1,"b":null}`)
	f.Add("{%- if value | regex_search('^o(n)$') -%}{{ 'x' if 1 }}{%- elif value in [1, 'a'] -%}{{ -1 ** 2 }}{% endif %}", "on")
	f.Add("{{ (now() - timedelta(seconds=value_json.up)).isoformat() }}{{ strptime(value_json.at, '%H:%M').hour * 2 }}{{ value_json.name | slugify }}", `{"up":7,"at":"07:05","name":"Küche"}`)
	f.Add("{{ now() | as_timestamp | timestamp_custom('%H%f') }}{# x #}", "")
	const perByte, base = 4096, 8 << 20 // the work of stepsMax, each with a small value
	f.Fuzz(func(t *testing.T, template, payload string) {
		fuzztest.Bounded(t, base/perByte+len(template)+len(payload), perByte, func() {
			tpl, err := Parse(template)
			if err != nil {
				return
			}
			tpl.Path()
			out, err := tpl.Render(Vars{Payload: NewPayload([]byte(payload)), Now: time.Unix(1e9, 0).UTC()})
			if err == nil && (len(out) > outputBytesMax || utf8.ValidString(payload) && !utf8.ValidString(out)) {
				t.Errorf("%q of %q renders %q", template, payload, out)
			}
		})
	})
}
