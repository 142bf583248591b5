package jinja

import (
	"math"
	"testing"
	"time"
)

// TestNumbersAtTheirEnds: numbers that a device chooses at the ends of what there is fail, or give
// something, and never end the program.
func TestNumbersAtTheirEnds(t *testing.T) {
	t.Parallel()
	payload := NewPayload([]byte(`{"low":-9223372036854775808,"high":9223372036854775807,"big":1e308,"text":"x"}`))
	for _, text := range []string{
		"{{ value_json.text.zfill(value_json.low) }}", "{{ value_json.text.zfill(value_json.high) }}",
		"{{ value_json.text.split('x', value_json.low) }}", "{{ value_json.text | replace('x', 'y', value_json.low) }}",
		"{{ range(value_json.low, value_json.high) | list }}", "{{ range(value_json.high - 1, value_json.high, value_json.high) | list }}",
		"{{ timedelta(value_json.big) }}", "{{ timedelta(days=value_json.low) }}", "{{ timedelta(days=99999) * value_json.big }}",
		"{{ timedelta(days=99999) + timedelta(days=99999) }}", "{{ value_json.low | as_datetime }}", "{{ value_json.big | as_datetime }}",
		"{{ now() + timedelta(days=99999) + timedelta(days=99999) + timedelta(days=99999) }}", "{{ -timedelta(days=-1) }}",
		"{{ as_datetime('9999-12-31T23:59:59Z') - as_datetime('0001-01-01T00:00:00Z') }}",
	} {
		tpl, err := Parse(text)
		if err != nil {
			continue // it is not supported, which is said where it is announced
		}
		for _, now := range []time.Time{time.Unix(0, 0).UTC(), time.Unix(math.MaxInt32, 0).UTC()} {
			if got, err := tpl.Render(Vars{Payload: payload, Now: now}); err == nil && len(got) > outputBytesMax {
				t.Errorf("%s gives %d bytes", text, len(got))
			}
		}
	}
}
