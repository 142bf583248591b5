// @ts-check
// The devices that wait to be adopted: what they are, what they say, and one press to take
// them into service.

import { h, keyed, replace } from '../dom.js';
import { label, t } from '../strings.js';
import { nameOf, press } from './parts.js';
import { showDone, showProblem } from './notices.js';

/** Cards that are drawn: a neighbour's gateway may have hundreds. */
const cardsMax = 50;
/** Values of a device that are shown here. */
const valuesMax = 8;

/** A list to choose a unit from. @param {import('../app.js').App} app @param {string} id @param {string} chosen */
export function unitChoice(app, id, chosen) {
  const select = h('select', { id }, h('option', { value: '' }, t('device.no_unit')), app.units.map((u) => h('option', { value: u.id }, u.name)));
  select.value = chosen;
  return select;
}

/** @param {{app: import('../app.js').App, now: () => number}} deps */
export function makeWaiting(deps) {
  const { app } = deps;
  const element = h('ul', { class: 'cards' });
  /** What each device says, asked once. @type {Map<string, Promise<any>>} */
  const said = new Map();
  return { element, draw };

  /** @param {import('../state.js').Device[]} items */
  function draw(items) {
    keyed(element, items.slice(0, cardsMax), (d) => d.id, (d) => [d.name, d.model, d.suggested_unit, app.units], card);
  }

  /** @param {import('../state.js').Device} device */
  function card(device) {
    const name = nameOf(device);
    const field = h('input', { type: 'text', id: `adopt-name-${device.id}`, maxlength: 200, value: device.name ?? '' });
    const unit = unitChoice(app, `adopt-unit-${device.id}`, device.suggested_unit ?? '');
    const says = h('p', { class: 'small', hidden: true });
    const button = h('button', { type: 'submit', class: 'button primary', 'aria-label': t('device.adopt_label', { name }) }, t('device.adopt'));
    void ask(device.id, says);
    return h('li', { class: 'card adopt' },
      h('h3', {}, h('a', { href: `#device/${device.id}`, data: { focus: 'open' } }, name)),
      h('p', { class: 'quiet small' }, device.model ? `${device.model} · ` : '', h('span', { class: 'code' }, device.hardware)), says,
      h('form', { class: 'adopt-form', onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void press(button, () => adopt(device, field.value.trim(), unit.value), showProblem);
      } },
      h('div', { class: 'field' }, h('label', { for: field.id }, t('device.name')), field),
      h('div', { class: 'field' }, h('label', { for: unit.id }, t('device.unit')), unit,
        device.suggested_unit_name ? h('p', { class: 'quiet small' }, t('device.unit_suggested', { unit: device.suggested_unit_name })) : null),
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

  /** @param {import('../state.js').Device} device @param {string} name @param {string} unit */
  async function adopt(device, name, unit) {
    const got = await app.api.adopt(app.state.building, device.id, { ...(name ? { name } : {}), ...(unit ? { unit } : {}) });
    app.takeDevice(got);
    showDone(t('device.adopted', { name: nameOf(got) }));
  }
}

/** @param {string} value */
function shownValue(value) {
  if (value === 'true') return t('readings.yes');
  return value === 'false' ? t('readings.no') : value;
}
