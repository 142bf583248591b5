package dashboard_test

import "testing"

// TestDevices plays a technician's visit: a device that waits is adopted, another's readings are
// looked at, its alarm ended, and what was not taken is read with its remedy.
func TestDevices(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	b.eval(`location.hash = '#devices'`)
	b.await("devices in service, those with an alarm first", `[...document.querySelectorAll('.device-row .row-title')].map((x) => x.textContent).join() === 'Leak sensor sink,Pump,Cellar climate'`)
	b.await("a low battery", `document.querySelector('.device-row').textContent.includes('Battery 9 %')`)
	b.eval(`const q = document.querySelector('#devices-search'); q.value = 'aqara wsd'; q.dispatchEvent(new Event('input', { bubbles: true }))`)
	b.await("what was searched for", `document.querySelectorAll('.device-row').length === 1`)
	b.eval(`const q2 = document.querySelector('#devices-search'); q2.value = ''; q2.dispatchEvent(new Event('input', { bubbles: true }))`)

	b.eval(`document.querySelector('input[value="waiting"]').click()`)
	b.await("the device that waits, with its suggestion and what it says", `document.querySelector('.adopt select').value === 'u1' && document.querySelector('.adopt').textContent.includes('Open yes')`)
	b.eval(`document.querySelector('.adopt input').value = 'Bedroom window'; document.querySelector('.adopt form').requestSubmit()`)
	b.await("nobody waits", `!document.querySelector('.adopt') && document.querySelector('#section-devices').textContent.includes('No device waits')`)
	c.do(func() {
		if c.adopted["name"] != "Bedroom window" || c.adopted["unit"] != "u1" {
			t.Errorf("adopted as %v", c.adopted)
		}
	})
	b.eval(`document.querySelector('input[value="refused"]').click()`)
	b.await("what was not taken, with its remedy", `document.querySelector('.refusal').textContent.includes('without spaces') && document.querySelector('.refusal').textContent.includes('3 times')`)
	b.eval(`document.querySelector('input[value="adopted"]').click()`)
	readingsOf(b)
	b.faultless()
}

// readingsOf looks at a device's chart with pointer and keyboard, ends its alarm and moves it.
func readingsOf(b *browser) {
	b.t.Helper()
	b.eval(`document.querySelector('#section-alarms a[href="#device/d1"]').click()`)
	b.await("the chart in two pieces, with its band", `document.querySelectorAll('.plot .trace').length === 2 && document.querySelectorAll('.plot .band').length === 2`)
	b.await("the alarm's window", `document.querySelector('.alarm-window')?.textContent === 'Leak'`)
	b.await("present values", `document.querySelector('.values').textContent.includes('4.5 °C')`)
	before := b.eval(`document.querySelector('.readout').textContent`)
	b.eval(`const r = document.querySelector('.chart-cursor'); r.value = 0; r.dispatchEvent(new Event('input', { bubbles: true }))`)
	if now := b.eval(`document.querySelector('.readout').textContent`); now == before {
		b.t.Errorf("the keyboard reads out %q as before", now)
	}
	b.eval(`document.querySelector('.plot-table summary').click()`)
	b.await("the table beside it", `document.querySelectorAll('.plot-table tbody tr').length === 84`)
	b.eval(`[...document.querySelectorAll('.value-row')].find((x) => x.textContent.includes('Contact')).click()`)
	b.await("another value", `document.querySelector('.plot-title').textContent.startsWith('Contact')`)
	b.eval(`document.querySelector('input[value="week"]').click()`)
	b.await("a week", `document.querySelector('.plot-title').textContent.includes('7 days')`)
	b.await("what needs mapping", `document.querySelector('#device-panel').textContent.includes('timestamp_local')`)

	b.eval(`document.querySelector('#device-panel [aria-label="End Leak alarm"]').click()`)
	b.await("a question before it", `document.querySelector('dialog.confirm')?.textContent.includes('danger is over')`)
	b.eval(`document.querySelector('dialog.confirm .danger').click()`)
	b.await("the alarm ended", `!document.querySelector('#device-panel [aria-label="End Leak alarm"]') && document.querySelector('#device-panel .alarm-cleared')`)
	b.eval(`const n = document.querySelector('#device-name'); n.value = 'Sink'; n.form.requestSubmit()`)
	b.await("the new name", `document.querySelector('#device-panel-title').textContent === 'Sink' && document.querySelector('.device-row').textContent.includes('Sink')`)
	b.eval(`document.querySelector('#device-panel [aria-label="Close"]').click()`)
	b.await("the page again", `!document.querySelector('#device-panel[open]') && location.hash === '#devices'`)
}

// TestOrders plays an order to a valve: a question in words with its danger, then what became of
// it, live; and one that is plainly refused.
func TestOrders(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	b.eval(`location.hash = '#device/d2'`)
	b.await("the state of each control", `[...document.querySelectorAll('.control-state')].map((x) => x.textContent).join() === 'open,on'`)
	b.await("a stale one refused plainly", `!document.querySelectorAll('.control')[1].querySelector('button') && document.querySelectorAll('.control')[1].textContent.includes('Wait until it is heard again')`)
	b.eval(`document.querySelector('.control .button').click()`)
	b.await("the question", `document.querySelector('dialog.confirm')?.textContent.includes('Set Main valve to “closed”?')`)
	b.await("what is known, and the danger", `/“open” now/.test(document.querySelector('dialog.confirm').textContent) && document.querySelector('.danger-notice').textContent.includes('alarm')`)
	c.do(func() {
		if len(c.actions) != 0 {
			t.Error("ordered before it was confirmed")
		}
	})
	b.eval(`document.querySelector('dialog.confirm .danger').click()`)
	b.await("the order", `document.querySelector('.order')?.textContent.includes('Asked')`)
	step := func(state string, more object) {
		c.do(func() {
			order := c.actions[0]
			order["state"] = state
			for name, value := range more {
				order[name] = value
			}
			c.position++
			c.push(object{"type": "change", "building": "b1", "kind": "action", "id": "o1", "position": c.position, "record": order})
		})
	}
	step("sent", nil)
	b.await("sent", `document.querySelector('.order').textContent.includes('Sent to the device')`)
	c.do(func() { c.controls[0]["state"] = "closed" })
	step("answered", nil)
	b.await("done, and the new state", `document.querySelector('.order').textContent.includes('Done') && document.querySelector('.control-state').textContent === 'closed'`)
	step("failed", object{"reason": object{"code": "device_no_answer", "message": "The device did not answer", "remedy": "Look at the valve."}})
	b.await("failed, with the remedy", `document.querySelector('.order').textContent.includes('Look at the valve.')`)
	b.faultless()
}
