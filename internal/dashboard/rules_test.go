package dashboard_test

import (
	"strings"
	"testing"
	"time"
)

// rulePart plays the API of rules.
type rulePart struct {
	rules []object
	saved map[string]object
	tried object
	reset string
}

func (p *rulePart) fill() {
	p.saved = map[string]object{}
	p.rules = []object{
		{"id": "freezing", "version": 1, "name": "Close to freezing", "cause": "freezing", "severity": "urgent", "category": "heating", "ticket": true, "clear_after": "30m0s", "shipped": true, "changed": true, "seen": "r1",
			"when": object{"threshold": object{"kind": "temperature", "unit": "°C", "below": 4, "clear": 6, "for": "15m"}}},
		{"id": "left_open", "version": 1, "name": "Door or window left open", "cause": "left_open", "severity": "low", "category": "security", "ticket": false, "shipped": true, "changed": false, "disabled": true,
			"when": object{"any": []object{{"is": object{"kind": "opening", "value": true, "for": "1h"}}, {"is": object{"kind": "contact", "value": false, "for": "1h"}}}}, "times": object{"months": []int{5, 6}, "except": true}},
	}
}

// rule answers what is asked about rules; ok is false for what is not.
func (c *canned) rule(route string, body object) (status int, out any, ok bool) {
	switch route {
	case "GET /rules":
		return 200, object{"items": c.rules}, true
	case "POST /rules/try":
		c.tried = body
		at := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }
		return 200, object{"from": at(30 * 24 * time.Hour), "to": at(0), "devices": 3, "readings": 900, "span_seconds": 900, "alarms": 2, "tickets": 1, "effects": []object{
			{"at": at(20 * time.Hour), "what": "raise", "device": "z2m:0x02", "device_name": "Cellar climate", "detail": "temperature 3.9 °C"},
			{"at": at(18 * time.Hour), "what": "clear", "device": "z2m:0x02", "device_name": "Cellar climate"},
			{"at": at(2 * time.Hour), "what": "raise", "device": "z2m:0x02", "device_name": "Cellar climate", "detail": "temperature 3.8 °C"}}}, true
	}
	method, id, found := strings.Cut(route, " /rules/")
	switch {
	case !found:
		return 0, nil, false
	case method == "PUT":
		c.saved[id] = body
		made := object{"id": id, "shipped": false, "changed": true, "seen": "new"}
		for name, value := range body {
			made[name] = value
		}
		c.rules = append(where(c.rules, func(r object) bool { return r["id"] != id }), made)
		return 200, made, true
	case method == "DELETE":
		c.reset = id
		return 204, nil, true
	}
	return 0, nil, false
}

// TestRules plays a manager's visit: a threshold is changed, tried on the past and saved; a rule
// is made, and another set back.
func TestRules(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	b.eval(`location.hash = '#rules'`)
	b.await("the rules in words", `[...document.querySelectorAll('.rule-says')].map((x) => x.textContent).join('|') === 'Temperature below 4 °C for 15m, until it is back at 6 °C|Open: yes for 1h, or Contact closed: no for 1h · only at some times'`)
	b.eval(`document.querySelector('a[href="#rule/freezing"]').click()`)
	b.await("its form", `document.querySelector('[data-name="limit"]')?.value === '4' && document.querySelector('[data-name="clear"]').value === '6'`)
	b.eval(`document.querySelector('[data-name="limit"]').value = '5'; document.querySelector('.trial .button').click()`)
	b.await("what it would have done", `document.querySelector('.try-result')?.textContent === '2 alarms and 1 ticket, of 3 devices' && document.querySelectorAll('.trial .table')[0].rows.length >= 2`)
	b.await("marks on the chart", `document.querySelectorAll('.trial .alarm-window').length === 2 && document.querySelector('.trial .threshold')`)
	c.do(func() {
		if when := c.tried["when"].(object)["threshold"].(object); when["below"] != 5.0 || when["clear"] != 6.0 || c.tried["seen"] != nil {
			t.Errorf("tried %v", c.tried)
		}
		if len(c.saved) != 0 {
			t.Errorf("a trial saved %v", c.saved)
		}
	})
	b.eval(`document.querySelector('.rule-form').requestSubmit()`)
	b.await("the rule saved", `!document.querySelector('#rule-panel[open]') && document.querySelector('.rule-says').textContent.includes('below 5 °C')`)
	b.eval(`document.querySelector('a[href="#rule/freezing"]').click()`)
	b.await("its form again", `document.querySelector('#rule-panel[open] [data-name="limit"]')?.value === '5'`)
	c.do(func() { c.rules = where(c.rules, func(r object) bool { return r["id"] != "freezing" }) })
	b.eval(`[...document.querySelectorAll('#rule-panel button')].find((x) => x.textContent === 'Delete').click()`)
	b.await("a question before it", `document.querySelector('dialog.confirm .danger')`)
	b.eval(`document.querySelector('dialog.confirm .danger').click()`)
	b.await("the rule gone", `!document.querySelector('a[href="#rule/freezing"]')`)
	makeRule(t, b, c)
	b.faultless()
}

// makeRule makes a rule of two conditions that holds at night.
func makeRule(t *testing.T, b *browser, c *canned) {
	t.Helper()
	b.eval(`location.hash = '#rule/'`)
	b.await("an empty form", `document.querySelector('#rule-panel[open] #rule-name')?.value === ''`)
	b.eval(`const at = (id) => document.getElementById(id);
		const put = (e, v) => { e.value = v; e.dispatchEvent(new Event('change', { bubbles: true })); };
		put(at('rule-name'), 'Pump at night'); put(at('rule-cause'), 'pump_night');
		[...document.querySelectorAll('#rule-panel button')].find((x) => x.textContent === 'Add a condition').click();
		put(document.querySelectorAll('.condition')[1].querySelector('[id$="-type"]'), 'silence');
		put(at('rule-join'), 'any'); put(at('rule-times'), 'only'); at('rule-from').value = '22:00'; at('rule-to').value = '06:00';
		put(at('rule-devices'), 'some'); [...document.querySelectorAll('.which input')][0].click(); put(at('rule-across'), 'unit');
		document.querySelector('.rule-form').requestSubmit()`)
	b.await("the new rule", `document.querySelector('a[href="#rule/pump_at_night"]')`)
	c.do(func() {
		got := c.saved["pump_at_night"]
		parts, _ := got["when"].(object)["any"].([]any)
		if len(parts) != 2 || parts[1].(object)["silence"] == nil || got["times"].(object)["from"] != "22:00" || len(got["devices"].([]any)) != 1 || got["across"] != "unit" {
			t.Errorf("saved %v", got)
		}
	})
}
