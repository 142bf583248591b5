package dashboard_test

import (
	"fmt"
	"strings"
	"testing"
)

// assetPart plays the API of equipment.
type assetPart struct {
	assets  []object
	entered object
	refused bool // the list is refused
}

func (p *assetPart) fill() {
	p.assets = []object{
		{"id": "e1", "name": "Boiler 1", "category": "boiler", "unit": "u2", "unit_name": "Cellar", "manufacturer": "Viessmann", "model": "Vitodens 200-W", "serial": "7571-2231-0042", "seen": "e1"},
		{"id": "e2", "name": "Lift A", "category": "lift", "manufacturer": "Kone", "seen": "e2"},
		{"id": "e3", "name": "Sump pump", "category": "pump", "unit": "u2", "unit_name": "Cellar", "seen": "e3"},
	}
}

// asset answers what is asked about equipment; ok is false for what is not.
func (c *canned) asset(route string, body object) (status int, out any, ok bool) {
	switch {
	case route == "GET /assets" && c.refused:
		return 503, object{"code": "unavailable", "message": "The server is busy", "remedy": "Try again in a few seconds."}, true
	case route == "GET /assets":
		return 200, list(c.assets), true
	case route == "POST /assets":
		made := object{"id": fmt.Sprint("n", len(c.assets)), "seen": "new"}
		put(made, body)
		c.entered, c.assets = body, append(c.assets, made)
		c.pushAsset(made)
		return 201, made, true
	}
	method, id, found := strings.Cut(route, " /assets/")
	for i, asset := range c.assets {
		switch {
		case !found || asset["id"] != id:
		case method == "PATCH" && body["deleted"] == true:
			c.assets = append(c.assets[:i:i], c.assets[i+1:]...)
			c.pushAsset(object{"id": id, "deleted": true})
			return 200, asset, true
		case method == "PATCH":
			c.changed = body
			put(asset, body)
			asset["seen"] = fmt.Sprint("after ", c.position)
			c.pushAsset(asset)
			return 200, asset, true
		default:
			return 200, asset, true
		}
	}
	return 0, nil, false
}

// pushAsset pushes what an asset is now; nothing of one that is deleted.
func (c *canned) pushAsset(asset object) {
	c.position++
	message := object{"type": "change", "building": "b1", "kind": "asset", "id": asset["id"], "position": c.position}
	if asset["deleted"] != true {
		message["record"] = asset
	}
	c.push(message)
}

// put sets fields of a record; an empty text clears, with the name of what was named.
func put(record, fields object) {
	for name, value := range fields {
		if record[name] = value; value == "" {
			delete(record, name)
		}
		delete(record, name+"_name")
	}
}

// rowOf is the text of an asset's row.
func rowOf(id string) string {
	return fmt.Sprintf(`document.querySelector('.asset-row a[href="#asset/%s"]')?.closest('li').textContent`, id)
}

// TestAssets plays a manager's visit: equipment with what is known of it, one entered, one changed
// while somebody else does, one hidden.
func TestAssets(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	b.eval(`location.hash = '#assets'`)
	b.await("equipment by name", `[...document.querySelectorAll('.asset-row .row-title')].map((x) => x.textContent).join() === 'Boiler 1,Lift A,Sump pump'`)
	b.await("what is known of it", rowOf("e1")+`.includes('Viessmann Vitodens 200-W') && `+rowOf("e1")+`.includes('7571-2231-0042') && `+rowOf("e1")+`.includes('Cellar') && `+rowOf("e1")+`.includes('1 device · 0 open tickets')`)
	b.await("its open ticket", rowOf("e2")+`.includes('1 open ticket')`)
	c.do(func() {
		c.alarms[0]["asset"], c.alarms[0]["asset_name"] = "e3", "Sump pump"
		c.position++
		c.push(object{"type": "change", "building": "b1", "kind": "alarm", "id": "a1", "position": c.position, "record": c.alarms[0]})
	})
	b.await("an alarm of it, at once", rowOf("e3")+`.includes('Leak') && document.querySelector('.asset-alarm .row-title').textContent === 'Sump pump'`)
	b.await("the alarm with the name of the equipment", `document.querySelector('#section-alarms a[href="#asset/e3"]')?.textContent === 'Sump pump'`)

	b.eval(`document.querySelector('#section-assets a[href="#asset/"]').click()`)
	b.await("an empty form", `document.querySelector('#asset-panel[open] #asset-name')?.value === '' && document.querySelector('#asset-category').value === 'other'`)
	b.eval(`document.querySelector('#asset-name').value = 'Gate'; document.querySelector('#asset-category').value = 'door'; document.querySelector('#asset-unit').value = 'u1';
		document.querySelector('#asset-serial').value = ' G-1 '; document.querySelector('.asset-form').requestSubmit()`)
	b.await("the new one", `!document.querySelector('#asset-panel[open]') && location.hash === '#assets' && `+rowOf("n3")+`.includes('Door or gate')`)
	c.do(func() {
		if fmt.Sprint(c.entered) != fmt.Sprint(object{"name": "Gate", "category": "door", "unit": "u1", "serial": "G-1"}) {
			t.Errorf("entered %v", c.entered)
		}
		c.assets = append(c.assets, object{"id": "e9", "name": "Air handler", "category": "ventilation", "seen": "e9"})
		c.pushAsset(c.assets[4])
	})
	b.await("one that somebody else entered", `document.querySelector('.asset-row .row-title').textContent === 'Air handler'`)
	onePage(t, b, c)
	hide(b, c)
	b.faultless()
}

// onePage looks at one piece of equipment and changes it.
func onePage(t *testing.T, b *browser, c *canned) {
	t.Helper()
	b.eval(`document.querySelector('a[href="#asset/e1"].row-link').click()`)
	b.await("its devices", `document.querySelector('#asset-panel[open] a[href="#device/d2"]')?.closest('li').textContent.includes('Online')`)
	b.await("its alarms", `document.querySelector('#asset-panel .alarm-cleared')?.textContent.includes('Cellar climate')`)
	b.await("its tickets, closed ones too", `document.querySelector('#asset-panel a[href="#ticket/t6"]')?.closest('li').textContent.includes('Resolved')`)
	b.eval(`document.querySelector('#asset-name').value = 'Boiler north'; document.querySelector('#asset-unit').value = '';
		document.querySelector('#asset-name').dispatchEvent(new Event('input', { bubbles: true }))`)
	c.do(func() {
		c.assets[0]["serial"], c.assets[0]["seen"] = "7571-2231-0043", "elsewhere"
		c.pushAsset(c.assets[0])
	})
	b.await("that somebody else changed it", `document.querySelector('.asset-form .notice')?.textContent.includes('while you were editing') && document.querySelector('#asset-name').value === 'Boiler north'`)
	b.eval(`document.querySelector('.asset-form').requestSubmit()`)
	b.await("it saved", `document.querySelector('#asset-panel-title').textContent === 'Boiler north' && document.querySelector('.asset-form').textContent.includes('Saved.') && document.querySelector('#asset-serial').value === '7571-2231-0043'`)
	c.do(func() {
		if fmt.Sprint(c.changed) != fmt.Sprint(object{"name": "Boiler north", "unit": ""}) {
			t.Errorf("changed by %v", c.changed)
		}
		c.conflicts = append(c.conflicts, object{"kind": "asset", "id": "e1", "field": "category", "label": "Boiler north", "shown": "boiler", "seen": "c9", "siblings": []object{
			{"value": "boiler", "stamp": "2030-01-01T00:00:00Z", "shown": true}, {"value": "heat_pump", "stamp": "2030-01-01T00:00:00Z", "shown": false}}})
		c.assets[0]["conflicts"] = []string{"category"}
		c.pushAsset(c.assets[0])
	})
	b.await("a conflict, in words", `document.querySelector('#asset-panel .conflict-card')?.textContent.includes('Heat pump') && document.querySelector('#section-conflicts a[href="#asset/e1"]')`)
	b.await("the new name where a device and an alarm say it", `document.querySelector('#section-alarms').textContent.includes('Boiler north') && document.querySelector('#section-devices').textContent.includes('Boiler north')`)
	b.eval(`document.querySelector('#asset-panel a[href="#device/d2"]').click()`)
	b.await("the way to its device and back", `document.querySelector('#device-panel[open] a[href="#asset/e1"]')?.textContent === 'Boiler north'`)
	b.eval(`document.querySelector('#device-panel a[href="#asset/e1"]').click()`)
	b.await("the equipment again", `document.querySelector('#asset-panel[open] .facts') && !document.querySelector('#device-panel[open]')`)
}

// hide hides a lift that a ticket names, and sees that somebody else hid another.
func hide(b *browser, c *canned) {
	b.t.Helper()
	c.do(func() {
		c.assets = where(c.assets, func(a object) bool { return a["id"] != "e1" })
		c.pushAsset(object{"id": "e1", "deleted": true})
	})
	b.await("what was hidden elsewhere gone", `document.querySelector('#asset-panel-title').textContent.includes('no longer here') && !document.querySelector('.asset-row a[href="#asset/e1"]')`)
	b.eval(`location.hash = '#asset/e2'`)
	b.await("the lift", `document.querySelector('#asset-panel-title').textContent === 'Lift A' && document.querySelector('#asset-panel a[href="#ticket/t1"]')`)
	b.eval(`document.querySelector('#asset-panel .danger').click()`)
	b.await("a question before it", `document.querySelector('dialog.confirm')?.textContent.includes('Hide Lift A?')`)
	b.eval(`document.querySelector('dialog.confirm .danger').click()`)
	b.await("it gone from the list", `!document.querySelector('#asset-panel[open]') && !document.querySelector('.asset-row a[href="#asset/e2"]')`)
	b.eval(`location.hash = '#ticket/t1'`)
	b.await("its name where a ticket has it, without a way there", `document.querySelector('.drawer[open] .facts')?.textContent.includes('Lift A') && !document.querySelector('.drawer[open] a[href="#asset/e2"]') && document.querySelector('#change-asset').value === 'e2'`)
}

// TestAssetOfTicket gives a ticket equipment and takes it away again.
func TestAssetOfTicket(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	b.await("the equipment in the list", `document.querySelector('#section-tickets a[href="#ticket/t1"]').closest('li').textContent.includes('Lift A')`)
	b.eval(`location.hash = '#ticket/t1'`)
	b.await("the way to it", `document.querySelector('.drawer[open] .facts a[href="#asset/e2"]')?.textContent === 'Lift A'`)
	for _, to := range []struct{ id, name string }{{"", ""}, {"e3", "Sump pump"}} {
		b.eval(fmt.Sprintf(`{ const s = document.querySelector('#change-asset'); s.value = '%s'; s.dispatchEvent(new Event('input', { bubbles: true })); s.form.requestSubmit(); }`, to.id))
		b.await("the change saved", fmt.Sprintf(`document.querySelector('.drawer .change').textContent.includes('Saved.') && (document.querySelector('.drawer .facts a[href^="#asset/"]')?.textContent ?? '') === '%s'`, to.name))
		c.do(func() {
			if got := c.tickets[0]["asset"]; got != to.id {
				t.Errorf("the ticket names %v, want %q", got, to.id)
			}
		})
	}
	b.await("the new one in the list", `document.querySelector('#section-tickets a[href="#ticket/t1"]').closest('li').textContent.includes('Sump pump')`)
	b.faultless()
}

// TestAssetsEmpty holds what stands in the place of a list that is empty, or could not be read.
func TestAssetsEmpty(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	b.eval(`location.hash = '#assets'`)
	b.await("equipment", `document.querySelectorAll('.asset-row').length === 3`)
	b.eval(`{ const q = document.querySelector('#assets-search'); q.value = 'escalator'; q.dispatchEvent(new Event('input', { bubbles: true })); }`)
	b.await("nothing found", `document.querySelector('#section-assets .empty').textContent.includes('“escalator”')`)
	b.eval(`{ const q = document.querySelector('#assets-search'); q.value = ''; q.dispatchEvent(new Event('input', { bubbles: true })); }`)
	c.do(func() { c.assets, c.refused, c.stale = nil, true, true })
	c.cut()
	b.await("why there is no list", `document.querySelector('#section-assets .problem')?.textContent.includes('The server is busy')`)
	c.do(func() { c.refused, c.stale = false, false })
	b.eval(`document.querySelector('#section-assets .problem .button').click()`)
	b.await("an empty one, with what to do", `document.querySelector('#section-assets .empty')?.textContent.includes('Enter the lift')`)
	b.faultless()
}
