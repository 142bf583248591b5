package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// Each vector was rendered by Jinja 2 3.1.6, with Home Assistant's filters added to it.
func TestAsJinja(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Template, Payload, Want, Error string }
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]Reason{"unsupported": Unsupported, "undefined": Undefined, "failed": Failed, "exceeded": Exceeded}
	for _, v := range vectors {
		tpl, err := Parse(v.Template)
		got := ""
		if err == nil {
			got, err = tpl.Render(Vars{Payload: NewPayload([]byte(v.Payload)), Now: time.Unix(1e9, 0).UTC()})
		}
		var reason *Error
		errors.As(err, &reason)
		switch {
		case v.Error == "" && err != nil:
			t.Errorf("%s\n of %s: %v (want %q)", v.Template, v.Payload, err, v.Want)
		case v.Error == "" && got != v.Want:
			t.Errorf("%s\n of %s: got %q, want %q", v.Template, v.Payload, got, v.Want)
		case v.Error != "" && (reason == nil || reason.Reason != reasons[v.Error]):
			t.Errorf("%s\n of %s: got %q, %v, want %s", v.Template, v.Payload, got, err, v.Error)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	nested := strings.Repeat("[", 40)
	for name, c := range map[string]struct {
		template string
		want     Reason
	}{
		"TooLong":       {strings.Repeat("x", textBytesMax+1), Unsupported},
		"TooDeep":       {"{{ " + strings.Repeat("(", 70) + "1" + strings.Repeat(")", 70) + " }}", Unsupported},
		"SignsTooDeep":  {"{{ " + strings.Repeat("-", 70) + "1 }}", Unsupported},
		"NotsTooDeep":   {"{{ " + strings.Repeat("not ", 70) + "1 }}", Unsupported},
		"IfsTooDeep":    {strings.Repeat("{% if 1 %}", 70) + strings.Repeat("{% endif %}", 70), Unsupported},
		"Loops":         {"{% for a in value_json %}{% for b in value_json %}{% for c in value_json %}{% endfor %}{% endfor %}{% endfor %}", Exceeded},
		"Doubling":      {"{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for a in value_json %}{% set ns.s = ns.s + ns.s %}{% endfor %}", Exceeded},
		"DoublingLists": {"{% set ns = namespace(s=[1]) %}{% for a in value_json %}{% set ns.s = ns.s + ns.s %}{% endfor %}", Exceeded},
		"Nesting":       {"{% set ns = namespace(s=[]) %}{% for a in value_json %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s | to_json }}", Exceeded},
		"Replacing":     {"{{ value | replace('', value) | replace('', value) | replace('', value) }}", Exceeded},
		"RegexReplace":  {"{{ value | regex_replace('', value) | regex_replace('', value) | regex_replace('', value) }}", Exceeded},
		"Printing":      {"{% for a in value_json %}{{ value }}{{ value }}{{ value }}{{ value }}{{ value }}{{ value }}{{ value }}{{ value }}{% endfor %}", Exceeded},
		"LookAhead":     {"{{ value | regex_match('(?=a)') }}", Unsupported},
		"States":        {"{{ states('sensor.x') }}", Unsupported},
		"Include":       {"{% include 'x' %}", Unsupported},
		"Macro":         {"{% macro x() %}{% endmacro %}", Unsupported},
		"Internals":     {"{{ value.__class__() }}", Unsupported},
		"UnknownFilter": {"{{ value | b64decode }}", Unsupported},
		"UnknownTest":   {"{{ value is callable }}", Unsupported},
		"NoEnd":         {"{% if value %}x", Unsupported},
		"NoClose":       {"{{ value ", Unsupported},
		"NoQuote":       {"{{ 'a }}", Unsupported},
		"Brackets":      {"{{ (1] }}", Unsupported},
		"Sliced":        {"{{ value[::2] }}", Unsupported},
		"UTF8":          {"\xff", Unsupported},
		"Comment":       {"{# x", Unsupported},
	} {
		payload := "[" + strings.TrimSuffix(strings.Repeat(`"0123456789",`, 100), ",") + "]"
		tpl, err := Parse(c.template)
		if err == nil {
			_, err = tpl.Render(Vars{Payload: NewPayload([]byte(payload)), Now: time.Unix(1e9, 0).UTC()})
		}
		var got *Error
		if !errors.As(err, &got) || got.Reason != c.want {
			t.Errorf("%s: %v, want reason %d", name, err, c.want)
		}
	}
	if _, err := Parse("{{ " + nested + strings.Repeat("]", 40) + " }}"); err != nil {
		t.Error(err)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	_, err := Parse("{{ value }}\n{% if value %}\n  {{ value | nothing }}{% endif %}")
	if err == nil || err.Error() != `line 3, column 14: the filter "nothing" is not supported` {
		t.Error(err)
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"{{ value_json.a.b }}": "a/b", `{{value_json["switch:0"].temperature.tC}}`: "switch:0/temperature/tC", " {{ value_json.e.0.x|is_defined }}\n": "e/0/x",
		"{{ value }}": "", "{{ value_json }}": "", "{{ value_json.a | int }}": "", "{{ value_json.a }} °C": "", "{{ value_json[x] }}": "",
		"{{ value_json.a }}{{ value_json.b }}": "", "{% if value_json.a %}x{% endif %}": "", "": "",
	} {
		tpl, err := Parse(template)
		if err != nil {
			t.Fatal(err)
		}
		path, ok := tpl.Path()
		if got := strings.Join(path, "/"); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %v, want %q", template, got, ok, want)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("CET", 3600)
	now := time.Date(2026, 1, 2, 13, 4, 5, 6000, berlin)
	for template, want := range map[string]string{
		"{{ now() }}": "2026-01-02 13:04:05.000006+01:00", "{{ now().isoformat() }}": "2026-01-02T13:04:05.000006+01:00",
		"{{ (as_timestamp(now()) - 5.000006) | timestamp_local }}":   "2026-01-02T13:04:00+01:00",
		"{{ 1767355440 | timestamp_utc }}":                           "2026-01-02T12:04:00+00:00",
		"{{ 1767355440 | timestamp_custom('%H:%M %d.%m.%Y %f%%') }}": "13:04 02.01.2026 000000%",
		"{{ 1767355440 | timestamp_custom('%H', false) }}":           "12",
		"{{ as_timestamp('2026-01-02T12:04:00Z') }}":                 "1767355440.0",
		"{{ as_timestamp('soon', 7) }}":                              "7",
	} {
		tpl, err := Parse(template)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Render(Vars{Now: now}); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", template, got, err, want)
		}
	}
}
