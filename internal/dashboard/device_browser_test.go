package dashboard_test

import (
	"fmt"
	"testing"
	"time"
)

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
	b.await("the equipment that its name suggests, and that it is so", `document.querySelectorAll('.adopt select')[1].value === 'e2' && document.querySelector('.adopt').textContent.includes('Suggested by its name: Lift A')`)
	b.shoot("adopt-phone-light")
	b.look(desk, 800, "dark")
	b.shoot("adopt-wide-dark")
	b.look(phone, 844, "light")
	b.eval(`const name = document.querySelector('.adopt input'), lift = document.querySelectorAll('.adopt select')[1];
		name.value = 'Bedroom window'; lift.value = 'e3'; lift.dispatchEvent(new Event('input', { bubbles: true })); window.card = document.querySelector('.adopt')`)
	c.do(func() {
		c.devices[3]["suggested_asset"], c.devices[3]["suggested_asset_name"] = "e1", "Boiler 1"
		c.pushDevice(c.devices[3])
	})
	b.await("another suggestion, and what was chosen beside it", `document.querySelector('.adopt').textContent.includes('Boiler 1') && document.querySelector('.adopt') !== window.card`)
	if got := b.eval(`[document.querySelector('.adopt input').value, ...[...document.querySelectorAll('.adopt select')].map((x) => x.value)].join()`); got != "Bedroom window,u1,e3" {
		t.Errorf("another suggestion left the form with %v", got)
	}
	b.eval(`document.querySelector('.adopt form').requestSubmit()`)
	b.await("nobody waits", `!document.querySelector('.adopt') && document.querySelector('#section-devices').textContent.includes('No device waits')`)
	c.do(func() {
		if c.adopted["name"] != "Bedroom window" || c.adopted["unit"] != "u1" || c.adopted["asset"] != "e3" {
			t.Errorf("adopted as %v", c.adopted)
		}
	})
	b.eval(`document.querySelector('input[value="refused"]').click()`)
	b.await("what was not taken, with its remedy", `document.querySelector('.refusal').textContent.includes('without spaces') && document.querySelector('.refusal').textContent.includes('3 times')`)
	b.eval(`document.querySelector('input[value="adopted"]').click()`)
	readingsOf(b, c)
	b.faultless()
}

// readingsOf looks at a device's chart with pointer and keyboard, ends its alarm and moves it.
func readingsOf(b *browser, c *canned) {
	b.t.Helper()
	b.eval(`document.querySelector('#section-alarms a[href="#device/d1"]').click()`)
	b.await("the chart in two pieces, with its band", `document.querySelectorAll('.plot .trace').length === 2 && document.querySelectorAll('.plot .band').length === 2`)
	b.await("the alarm's window", `document.querySelector('.alarm-window')?.textContent === 'Leak'`)
	b.await("present values", `document.querySelector('.values').textContent.includes('4.5 °C')`)
	before := b.eval(`document.querySelector('.readout').textContent`)
	if now := b.eval(`const r = document.querySelector('.chart-cursor'); r.value = 0; r.dispatchEvent(new Event('input', { bubbles: true })); document.querySelector('.readout').textContent`); now == before {
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
	placeOf(b, c)
	b.eval(`const n = document.querySelector('#device-name'); n.value = 'Sink'; n.form.requestSubmit()`)
	b.await("the new name", `document.querySelector('#device-panel-title').textContent === 'Sink' && document.querySelector('.device-row').textContent.includes('Sink')`)
	b.eval(`document.querySelector('#device-panel [aria-label="Close"]').click()`)
	b.await("the page again", `!document.querySelector('#device-panel[open]') && location.hash === '#devices'`)
}

// placeOf gives a device equipment and takes its unit away, and then the other way round.
func placeOf(b *browser, c *canned) {
	b.t.Helper()
	b.await("its place", `document.querySelector('#device-unit').value === 'u1' && document.querySelector('#device-asset').value === ''`)
	for _, to := range []struct{ unit, asset string }{{"", "e1"}, {"u2", ""}} {
		c.do(func() { c.changed = nil })
		b.eval(fmt.Sprintf(`{ const put = (id, v) => { document.getElementById(id).value = v; };
			document.querySelector('#device-panel .change [role=status]').replaceChildren();
			put('device-unit', '%s'); put('device-asset', '%s'); document.querySelector('#device-asset').form.requestSubmit(); }`, to.unit, to.asset))
		b.await("the change saved", `document.querySelector('#device-panel .change').textContent.includes('Saved.')`)
		c.do(func() {
			if len(c.changed) != 2 || c.changed["unit"] != to.unit || c.changed["asset"] != to.asset {
				b.t.Errorf("the device was changed by %v, want unit %q and asset %q", c.changed, to.unit, to.asset)
			}
		})
	}
}

// A device that was in service before waits with the unit and equipment that it had; taking them
// away at adoption takes them away.
func TestAdoptedAgain(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	b.eval(`location.hash = '#device/d3'`)
	b.await("its equipment", `document.querySelector('#device-panel .facts').textContent.includes('Sump pump')`)
	c.do(func() { c.devices[2]["adopted"] = false; c.pushDevice(c.devices[2]) })
	b.await("the form that adopts it", `document.querySelector('#device-panel .change .primary').textContent === 'Adopt' && document.querySelector('#device-asset').value === 'e3' && document.querySelector('#device-unit').value === 'u2'`)
	b.eval(`document.querySelector('#device-unit').value = ''; document.querySelector('#device-asset').value = ''; document.querySelector('#device-asset').form.requestSubmit()`)
	b.await("it in service", `document.querySelector('#device-panel .change .primary').textContent === 'Save changes'`)
	c.do(func() {
		unit, hasUnit := c.devices[2]["unit"]
		asset, hasAsset := c.devices[2]["asset"]
		if c.devices[2]["adopted"] != true || hasUnit || hasAsset {
			t.Errorf("in service with unit %v and asset %v", unit, asset)
		}
	})
	b.faultless()
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
	step("answered", object{"answer": "closed"})
	b.await("done, what the device says, and the new state", `document.querySelector('.order').textContent.includes('Done') && document.querySelector('.order-answer')?.textContent === 'The device says: closed' && document.querySelector('.control-state').textContent === 'closed'`)
	step("failed", object{"answer": "locked by hand", "reason": object{"code": "device_no_answer", "message": "The device did not answer", "remedy": "Look at the valve."}})
	b.await("failed, with the device's words and the remedy", `document.querySelector('.order').textContent.includes('The device says: locked by hand') && document.querySelector('.order').textContent.includes('Look at the valve.')`)
	b.faultless()
}

// TestOrdersOfAllSorts: a thermostat, its mode, a blind and its position are shown as what they
// are, and ordered: a number by its field, within its bounds; the ends of a motor's way and its
// stop by buttons.
func TestOrdersOfAllSorts(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	at := time.Now().Add(-20 * time.Second).UTC().Format(time.RFC3339)
	c.do(func() {
		c.controls = []object{
			{"id": "k1", "device": "d2", "control": "occupied_heating_setpoint", "name": "Setpoint", "sort": "setpoint", "min": 5, "max": 30, "unit": "°C", "state": "21", "state_at": at, "expires_after_seconds": 900},
			{"id": "k2", "device": "d2", "control": "system_mode", "name": "Mode", "sort": "mode", "values": []string{"off", "auto", "heat"}, "state": "heat", "state_at": at, "expires_after_seconds": 900},
			{"id": "k3", "device": "d2", "control": "state", "name": "Blind", "sort": "cover", "values": []string{"open", "closed", "stopped"}, "state": "opening", "state_at": at, "expires_after_seconds": 900},
			{"id": "k4", "device": "d2", "control": "position", "name": "Height", "sort": "position", "min": 0, "max": 100, "unit": "%", "state": "40", "state_at": at, "expires_after_seconds": 900},
		}
	})
	b.eval(`location.hash = '#device/d2'`)
	b.await("each state with its unit", `[...document.querySelectorAll('.control-state')].map((x) => x.textContent.replace('\u00a0', ' ')).join() === '21 °C,heat,opening,40 %'`)
	b.await("what each can be told", `[...document.querySelectorAll('.control')].map((x) => [...x.querySelectorAll('.actions button')].map((y) => y.textContent).join('|')).join(';') ===
		';Mode: off|Mode: auto;Blind: open|Blind: closed|Blind: stop;Height: open|Height: close'`)
	b.await("a field within bounds for each number", `[...document.querySelectorAll('.control input[type=number]')].map((x) => [x.value, x.min, x.max].join()).join(';') === '21,5,30;40,0,100' &&
		document.querySelector('.control label').textContent.replaceAll('\u00a0', ' ') === 'Wanted: Setpoint, 5 °C to 30 °C'`)
	b.eval(`const f = document.querySelectorAll('.control input')[0]; f.value = '31'; f.form.requestSubmit()`)
	b.await("a number out of bounds is not even asked about", `!document.querySelector('dialog.confirm') && !document.querySelectorAll('.control input')[0].validity.valid`)
	for _, one := range []struct{ act, question, control, value string }{
		{`const g = document.querySelectorAll('.control input')[0]; g.value = '21.5'; g.form.requestSubmit()`, "Set Setpoint to “21.5 °C”?", "occupied_heating_setpoint", "21.5"},
		{`document.querySelectorAll('.control')[1].querySelectorAll('.actions button')[1].click()`, "Set Mode to “auto”?", "system_mode", "auto"},
		{`document.querySelectorAll('.control')[2].querySelectorAll('.actions button')[2].click()`, "Set Blind to “stopped”?", "state", "stopped"},
		{`document.querySelectorAll('.control')[3].querySelectorAll('.actions button')[0].click()`, "Set Height to “100 %”?", "position", "100"},
		{`const p = document.querySelectorAll('.control input')[1]; p.value = '65'; p.form.requestSubmit()`, "Set Height to “65 %”?", "position", "65"},
	} {
		b.eval(one.act)
		b.await("the question "+one.question, fmt.Sprintf(`document.querySelector('dialog.confirm h2')?.textContent.replaceAll('\u00a0', ' ') === %q`, one.question))
		b.await("no danger", `!document.querySelector('.danger-notice') && document.querySelector('dialog.confirm .primary')`)
		b.eval(`document.querySelector('dialog.confirm .primary').click()`)
		b.await("the order", `!document.querySelector('dialog.confirm') && document.querySelector('.order')?.textContent.includes('Asked')`)
		c.do(func() {
			if got := c.actions[0]; got["control"] != one.control || got["value"] != one.value {
				t.Errorf("ordered %v", got)
			}
		})
	}
	b.faultless()
}
