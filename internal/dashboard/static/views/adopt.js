// @ts-check
// The devices that wait to be adopted: what they are, what they say, and one press to take
// them into service.

import { h, keyed, replace } from '../dom.js';
import { label, t } from '../strings.js';
import { nameOf, press } from './parts.js';
import { adopt, makePlace, proposed } from './place.js';
import { showDone, showProblem } from './notices.js';

/** Cards that are drawn: a neighbour's gateway may have hundreds. */
const cardsMax = 50;
/** Values of a device that are shown here. */
const valuesMax = 8;

/** @param {{app: import('../app.js').App, now: () => number}} deps */
export function makeWaiting(deps) {
  const { app } = deps;
  const element = h('ul', { class: 'cards' });
  /** What each device says, asked once. @type {Map<string, Promise<any>>} */
  const said = new Map();
  /** What somebody typed or chose for each device: no news of it takes that away. @type {Map<string, {name?: string, unit?: string, asset?: string}>} */
  const picked = new Map();
  return { element, draw };

  /** @param {import('../state.js').Device[]} items */
  function draw(items) {
    keyed(element, items.slice(0, cardsMax), (d) => d.id, (d) => [d.name, d.model, d.unit, d.asset, d.suggested_unit, d.suggested_asset, app.units, app.state.assets], card);
  }

  /** @param {import('../state.js').Device} device */
  function card(device) {
    const name = nameOf(device);
    const mine = picked.get(device.id) ?? {};
    const field = h('input', { type: 'text', id: `adopt-${device.id}-name`, maxlength: 200, data: { focus: 'name' }, value: mine.name ?? device.name ?? '' });
    const place = makePlace(app, `adopt-${device.id}`);
    place.fill(device, mine);
    const says = h('p', { class: 'small', hidden: true });
    const button = h('button', { type: 'submit', class: 'button primary', data: { focus: 'adopt' }, 'aria-label': t('device.adopt_label', { name }) }, t('device.adopt'));
    void ask(device.id, says);
    return h('li', { class: 'card adopt' },
      h('h3', {}, h('a', { href: `#device/${device.id}`, data: { focus: 'open' } }, name)),
      h('p', { class: 'quiet small' }, device.model ? `${device.model} · ` : '', h('span', { class: 'code' }, device.hardware)), says,
      h('form', { class: 'adopt-form', oninput: () => pick(device, field.value, place.value()), onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void press(button, () => take(device, { name: field.value.trim(), ...place.value() }), showProblem);
      } },
      h('div', { class: 'field' }, h('label', { for: field.id }, t('device.name')), field), place.elements,
      h('div', { class: 'actions' }, button)));
  }

  /** @param {string} id @param {any} place */
  async function ask(id, place) {
    if (!said.has(id)) said.set(id, app.api.entities(app.state.building, id).catch(() => null));
    const items = ((await said.get(id))?.items ?? []).filter((/** @type {any} */ e) => e.kind !== 'availability');
    if (items.length === 0) return;
    place.hidden = false;
    const parts = items.slice(0, valuesMax).map((/** @type {any} */ e) => {
      const what = e.kind ? label('kind', e.kind) : e.name || e.key;
      if (e.needs_mapping) return `${what} (${t('device.mapping', { reason: e.needs_mapping })})`;
      return e.value ? `${what} ${shownValue(e.value)}${e.unit_of_measure ? ` ${e.unit_of_measure}` : ''}` : what;
    });
    replace(place, `${t('device.says')}: ${parts.join(', ')}`);
  }

  /** Notes what differs from where the form began. @param {import('../state.js').Device} device @param {string} name @param {{unit: string, asset: string}} chosen */
  function pick(device, name, chosen) {
    const [begun, before] = [proposed(device), picked.get(device.id) ?? {}];
    const differs = (/** @type {'unit'|'asset'} */ field) => field in before || chosen[field] !== begun[field];
    picked.set(device.id, { ...('name' in before || name !== (device.name ?? '') ? { name } : {}),
      ...(differs('unit') ? { unit: chosen.unit } : {}), ...(differs('asset') ? { asset: chosen.asset } : {}) });
  }

  /** @param {import('../state.js').Device} device @param {{name: string, unit: string, asset: string}} as */
  async function take(device, as) {
    const got = await adopt(app, device, as);
    picked.delete(device.id);
    app.takeDevice(got);
    showDone(t('device.adopted', { name: nameOf(got) }));
  }
}

/** @param {string} value */
function shownValue(value) {
  if (value === 'true') return t('readings.yes');
  return value === 'false' ? t('readings.no') : value;
}
