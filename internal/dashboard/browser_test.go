package dashboard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	phone = 390
	desk  = 1280
	// gutter is the place that the page keeps for its scroll bar behind a dialog.
	gutter = float64(-15)
)

// watch notes what a browser would only tell its console.
const watch = `window.faults = [];
	addEventListener('securitypolicyviolation', (e) => faults.push('policy: ' + e.violatedDirective + ' ' + e.blockedURI));
	addEventListener('error', (e) => faults.push('error: ' + e.message));
	addEventListener('unhandledrejection', (e) => faults.push('rejection: ' + e.reason));`

// faultless fails for an error in the page's code or a breach of its content policy.
func (b *browser) faultless() {
	b.t.Helper()
	if faults := b.eval(`window.faults.join('\n')`); faults != "" {
		b.t.Errorf("the page has faults: %v", faults)
	}
}

func signedIn(t *testing.T) (*browser, *canned) {
	t.Helper()
	c := serve(t, time.Now())
	b := startBrowser(t)
	b.look(phone, 844, "light")
	b.call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watch}, nil)
	b.call("Page.navigate", map[string]any{"url": c.URL + "/dashboard/"}, nil)
	b.await("the sign-in form", `document.querySelector('#email')`)
	b.shoot("sign-in-phone-light")
	b.eval(`document.querySelector('#email').value = 'ada@example.org'; document.querySelector('#password').value = 'wrong'; document.querySelector('form').requestSubmit()`)
	b.await("the refusal with its remedy", `document.querySelector('.problem-remedy')?.textContent.includes('Check both')`)
	b.eval(`document.querySelector('#password').value = 'correct horse'; document.querySelector('form').requestSubmit()`)
	b.await("a live page", `document.querySelector('.connection')?.dataset.form === 'live' && document.querySelectorAll('#section-tickets .row').length === 4`)
	return b, c
}

// TestPage plays a manager's visit in a real browser under the page's content policy.
func TestPage(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	b.eval(`window.mark = 'not reloaded'; window.row = document.querySelector('a[href="#ticket/t3"]').closest('li')`)
	b.await("counts", `[...document.querySelectorAll('.count-value')].map((x) => x.textContent).join() === '4,1,1,1,1'`)

	c.do(func() {
		c.change("ticket", "t1", object{"status": "in_progress"})
		c.tickets = append(c.tickets, object{"id": "t9", "building": "b1", "code": "OAK-NEW1", "title": "Smell of gas", "status": "new", "priority": "urgent", "reported_at": time.Now().UTC().Format(time.RFC3339Nano)})
		c.change("ticket", "t9", object{})
	})
	b.await("the change in its row", `document.querySelector('a[href="#ticket/t1"]').closest('li').textContent.includes('In progress')`)
	b.await("the new ticket on top", `document.querySelector('.row').textContent.includes('Smell of gas')`)
	b.await("the counts", `document.querySelector('.count-open .count-value').textContent === '5' && document.querySelector('.count-urgent .count-value').textContent === '2'`)
	b.await("the change to be announced", `document.querySelector('#announce').textContent.includes('OAK-NEW1')`)
	b.await("other rows untouched", `window.mark && window.row.isConnected`)

	b.eval(`document.querySelector('[aria-label="Use this: Urgent for Priority of OAK-2M9Q"]').click()`)
	b.await("the conflict resolved with one press", `document.querySelector('#section-conflicts').textContent.includes('No conflicts') && !document.querySelector('#section-tickets .row .conflict')`)
	b.eval(`document.querySelector('[aria-label^="Acknowledge Leak"]').click()`)
	b.await("the alarm acknowledged", `document.querySelector('#section-alarms .badge').textContent === 'Acknowledged'`)

	change(b, c)
	reconnect(t, b, c)
	b.faultless()
	b.call("Page.reload", nil, nil)
	b.await("the session after a reload", `!window.mark && document.querySelectorAll('#section-tickets .row').length > 3`)
	b.eval(`[...document.querySelectorAll('button')].find((x) => x.textContent === 'Sign out').click()`)
	b.await("the sign-in form", `document.querySelector('#email') && sessionStorage.getItem('estate.refresh') === null`)
}

// change edits a ticket in its drawer.
func change(b *browser, c *canned) {
	b.t.Helper()
	b.eval(`location.hash = '#ticket/t2'`)
	b.await("the drawer", `document.querySelector('.drawer[open] .thumb canvas') && document.querySelector('.said-text')`)
	b.eval(`const s = document.querySelector('#change-status'); s.value = 'waiting'; s.dispatchEvent(new Event('input', { bubbles: true })); s.form.requestSubmit()`)
	b.await("the change saved", `document.querySelector('.drawer .badge').textContent === 'Waiting' && document.querySelector('.change').textContent.includes('Saved.')`)
	b.eval(`document.querySelector('#notes-text').value = 'Valve closed.'; document.querySelector('#notes-text').form.requestSubmit()`)
	b.await("the note", `[...document.querySelectorAll('.said-text')].some((x) => x.textContent === 'Valve closed.')`)
	c.do(func() {
		c.push(object{"type": "change", "building": "b1", "kind": "message", "id": "g2", "ticket": "t2", "position": 900, "record": object{"id": "g2", "ticket": "t2", "text": "Thank you!", "sent_at": "2030-01-01T00:00:00Z"}})
	})
	b.await("a message from elsewhere", `[...document.querySelectorAll('.said-text')].at(-2).textContent === 'Thank you!' || document.querySelector('.drawer').textContent.includes('Thank you!')`)
	b.eval(`document.querySelector('.drawer summary').click()`)
	b.await("the history", `document.querySelector('.history').textContent.includes('Status: Assigned → In progress')`)
	b.eval(`document.querySelector('.drawer [aria-label="Close"]').click()`)
	b.await("the drawer closed", `!document.querySelector('.drawer[open]') && location.hash === '#tickets'`)
}

// reconnect loses the line, and later the cursor.
func reconnect(t *testing.T, b *browser, c *canned) {
	t.Helper()
	c.do(func() { c.down = true })
	c.cut()
	b.await("an honest connection", `['reconnecting', 'offline'].includes(document.querySelector('.connection').dataset.form) && !document.querySelector('.stale').hidden`)
	b.look(phone, 844, "light")
	b.shoot("reconnecting-phone-light")
	cursor := ""
	c.do(func() { c.down, cursor = false, fmt.Sprint("subscribe g.", c.position) })
	b.await("the line again", `document.querySelector('.connection').dataset.form === 'live' && document.querySelector('.stale').hidden`)
	c.do(func() {
		if !slices.Contains(c.requests, cursor) {
			t.Errorf("the page did not continue at its cursor %s: %q", cursor, c.requests)
		}
		c.tickets[3]["title"], c.tickets[3]["position"], c.stale = "Restored from a backup", 1, true
	})
	c.cut()
	b.await("everything loaded again after a refused cursor", `document.querySelector('#section-tickets').textContent.includes('Restored from a backup')`)
	c.do(func() { c.stale = false })
}

// TestLooks holds that nothing is wider than the screen, in each place, and keeps pictures
// where ESTATE_PICTURES names a folder for them.
func TestLooks(t *testing.T) {
	t.Parallel()
	b, _ := signedIn(t)
	for _, scheme := range []string{"light", "dark"} {
		for _, hash := range []string{"tickets", "devices", "assets", "rules", "alarms", "conflicts", "edges", "ticket/t2", "device/d2", "asset/e1", "asset/", "rule/left_open"} {
			if strings.Contains(hash, "/") {
				b.eval(`document.querySelector('.drawer[open]')?.close()`)
			}
			for name, size := range map[string][2]int{"phone": {phone, 844}, "small": {360, 640}, "wide": {desk, 800}} {
				b.look(size[0], size[1], scheme)
				b.eval(fmt.Sprintf(`location.hash = '#%s'`, hash))
				ready := fmt.Sprintf(`document.querySelector('#section-%s').checkVisibility() && !document.querySelector('.drawer[open]')`, hash)
				if hash == "ticket/t2" {
					ready = `document.querySelector('.drawer[open] .thumb canvas')`
				}
				if hash == "asset/e1" {
					ready = `document.querySelector('#asset-panel[open] .alarm') && document.querySelector('#asset-panel .links a[href="#ticket/t6"]')`
				}
				if hash == "asset/" {
					ready = `document.querySelector('#asset-panel[open] #asset-name')?.value === ''`
				}
				if hash == "rule/left_open" {
					ready = `document.querySelector('#rule-panel[open] .conditions')`
				}
				if hash == "device/d2" {
					ready = `document.querySelector('#device-panel[open] .plot .trace')`
				}
				b.await(hash, ready)
				if wide := b.eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide != float64(0) && wide != gutter {
					t.Errorf("%s at %d pixels is %v too wide", hash, size[0], wide)
				}
				if cut := b.eval(`[...document.querySelectorAll('#tabs a > span:first-child')].filter((x) => x.scrollWidth > x.clientWidth).map((x) => x.textContent).join()`); cut != "" {
					t.Errorf("%s at %d pixels cuts %v in the navigation", hash, size[0], cut)
				}
				if name != "small" || strings.HasPrefix(hash, "asset") {
					b.shoot(fmt.Sprintf("%s-%s-%s", strings.ReplaceAll(hash, "/", "-"), name, scheme))
				}
			}
		}
	}
	b.faultless()
}

// A list that was forgotten and drawn anew shows each item once: changes that came before
// the list was loaded had left edges on the page three times.
func TestForgottenListIsDrawnOnce(t *testing.T) {
	t.Parallel()
	b, _ := signedIn(t)
	got := b.eval(`import('/dashboard/dom.js').then(({ keyed }) => {
		const list = document.createElement('ul');
		const draw = (...names) => keyed(list, names, (n) => n, (n) => [n], (n) => Object.assign(document.createElement('li'), { textContent: n }));
		draw('a');
		list.keyed = null;
		draw('a', 'b');
		draw('b');
		return list.textContent;
	})`)
	if got != "b" {
		t.Errorf("the list shows %q, want %q", got, "b")
	}
}
