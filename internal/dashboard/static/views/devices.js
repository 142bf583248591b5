// @ts-check
// The building's devices: in service, waiting to be adopted, and what of them was not taken.

import { h, keyed, replace } from '../dom.js';
import { batteryLow, deviceState, shownDevices, waitingDevices } from '../device-state.js';
import { listOf } from '../state.js';
import { label, plural, t } from '../strings.js';
import { clock } from '../time.js';
import { makeWaiting } from './adopt.js';
import { makeHearing } from './hearing.js';
import { listNotice, nameOf, time } from './parts.js';
import { assetName } from './place.js';

/** Rows that are drawn at once; a button shows more. */
const rowsStep = 100;
const views = /** @type {const} */ (['adopted', 'waiting', 'refused']);
const states = ['alarm', 'offline', 'quiet', 'never', 'online', 'heard'];

/** @param {string} state */
export function stateBadge(state) {
  return h('span', { class: `badge device-${state}` }, t(`device.state.${state}`));
}

/**
 * @param {HTMLElement} place
 * @param {{app: import('../app.js').App, now: () => number}} deps
 */
export function makeDevices(place, deps) {
  const { app } = deps;
  let rows = rowsStep;
  /** @type {typeof views[number]} */
  let view = views[0];
  const choice = { query: '', state: '' };
  const waiting = makeWaiting(deps);
  const list = h('ul', { class: 'rows' });
  const refused = h('ul', { class: 'cards' });
  const notice = h('div', { class: 'notice-place' });
  const hint = h('p', { class: 'quiet small hint' });
  const hearing = makeHearing();
  const more = h('button', { type: 'button', class: 'button wide', hidden: true, onclick: () => {
    rows += rowsStep;
    draw();
  } }, t('app.more'));
  const segments = views.map((name) => h('label', { class: 'segment' },
    h('input', { type: 'radio', name: 'devices-view', value: name, checked: name === view, onchange: () => {
      view = name;
      draw();
    } }), h('span', {}, t(`devices.view.${name}`), ' ', h('span', { class: 'segment-count' }))));
  const search = h('input', { type: 'search', id: 'devices-search', maxlength: 200, placeholder: t('devices.search'), oninput: () => {
    choice.query = search.value.trim();
    rows = rowsStep;
    draw();
  } });
  const state = h('select', { id: 'devices-state', onchange: () => {
    choice.state = state.value;
    draw();
  } }, h('option', { value: '' }, t('devices.any')), states.map((s) => h('option', { value: s }, s === 'alarm' ? t('devices.alarm') : t(`device.state.${s}`))));
  const tools = h('div', { class: 'tools' },
    h('label', { class: 'unseen', for: 'devices-search' }, t('devices.search')), search,
    h('label', { class: 'unseen', for: 'devices-state' }, t('devices.state')), state);
  replace(place,
    h('div', { class: 'section-head' }, h('h2', { id: 'devices-title' }, t('devices.title'))), hearing.element,
    h('div', { class: 'tools' }, h('fieldset', { class: 'segments' }, h('legend', { class: 'unseen' }, t('devices.views')), segments)),
    tools, hint, notice, list, waiting.element, refused, more);
  return { draw };

  function draw() {
    const now = deps.now();
    const all = [...app.state.devices.values()];
    const known = listOf(app.state, 'devices').known;
    const counts = { adopted: known ? all.filter((d) => d.adopted).length : null, waiting: known ? all.filter((d) => !d.adopted).length : null, refused: app.state.refusals.size };
    for (const [i, name] of views.entries()) {
      const count = segments[i].querySelector('.segment-count');
      const text = counts[name] ? counts[name].toLocaleString() : '';
      if (count.textContent !== text) count.textContent = text;
    }
    hearing.draw(app.hearing, app.disk, now);
    tools.hidden = view !== 'adopted';
    list.hidden = view !== 'adopted';
    waiting.element.hidden = view !== 'waiting';
    refused.hidden = view !== 'refused';
    if (view === 'adopted') drawAdopted(now);
    if (view === 'waiting') drawWaiting();
    if (view === 'refused') drawRefused(now);
  }

  /** @param {number} now */
  function drawAdopted(now) {
    const current = listOf(app.state, 'devices');
    const found = shownDevices(app.state, choice, now);
    keyed(list, found.slice(0, rows), (x) => x.device.id, (x) => [x.device, x.state, x.alarms.map((a) => a.cause).join(), assetName(app, x.device)], (x) => row(x, assetName(app, x.device), now));
    if (!current.known) list.keyed = null;
    more.hidden = found.length <= rows;
    const searched = choice.query !== '' || choice.state !== '';
    say(current, found.length === 0, searched ? t('devices.empty_search') : t('devices.empty'), searched ? '' : t('devices.empty_hint'), '', () => void app.loadDevices());
  }

  function drawWaiting() {
    const items = waitingDevices(app.state);
    waiting.draw(items);
    more.hidden = true;
    say(listOf(app.state, 'devices'), items.length === 0, t('devices.waiting_empty'), t('devices.waiting_empty_hint'), t('devices.waiting_hint'), () => void app.loadDevices());
  }

  /** @param {number} now */
  function drawRefused(now) {
    const current = listOf(app.state, 'refusals');
    const items = [...app.state.refusals.values()].sort((a, b) => Date.parse(b.last_at) - Date.parse(a.last_at));
    keyed(refused, items.slice(0, rows), (r) => JSON.stringify([r.login, r.topic, r.key, r.code, r.detail]), (r) => [r.count], (r) => refusal(r, now));
    more.hidden = items.length <= rows;
    const elsewhere = current.known && app.hearing === null;
    say(current, items.length === 0, t(elsewhere ? 'devices.refused_elsewhere' : 'devices.refused_empty'), elsewhere ? t('devices.refused_elsewhere_hint') : '', t('devices.refused_hint'), () => void app.loadRefusals());
  }

  /**
   * @param {import('../state.js').List} current @param {boolean} empty @param {string} title @param {string} text
   * @param {string} above what stands above a list that is not empty
   * @param {() => void} retry
   */
  function say(current, empty, title, text, above, retry) {
    hint.hidden = empty || above === '';
    if (hint.textContent !== above) hint.textContent = above;
    const form = [view, current.status, current.known, empty, title].join();
    if (notice.dataset.form === form) return;
    notice.dataset.form = form;
    replace(notice, listNotice(current, empty, retry, title, text));
  }
}

/** @param {{device: import('../state.js').Device, state: string, alarms: import('../state.js').Alarm[]}} x @param {string} asset @param {number} now */
function row(x, asset, now) {
  const { device, state, alarms } = x;
  return h('li', { class: `row device-row device-edge-${alarms.length > 0 ? 'alarm' : state}` },
    h('a', { href: `#device/${device.id}`, class: 'row-link', data: { focus: 'open' } },
      h('span', { class: 'row-title' }, nameOf(device)),
      h('span', { class: 'row-age quiet' }, device.heard_at ? time(device.heard_at, now, 'age') : '')),
    h('div', { class: 'row-meta' }, stateBadge(state),
      alarms.map((a) => h('span', { class: `badge alarm-${a.state}` }, label('cause', a.cause))),
      (device.battery ?? 100) < batteryLow ? h('span', { class: 'badge conflict' }, t('device.battery', { value: Math.round(device.battery ?? 0) })) : null,
      h('span', { class: 'quiet' }, device.unit_name || t('device.no_unit')),
      asset ? h('span', { class: 'quiet' }, asset) : null,
      device.model ? h('span', { class: 'quiet device-model' }, device.model) : null));
}

/** @param {any} r @param {number} now */
function refusal(r, now) {
  const facts = [[t('devices.topic'), r.topic], [t('devices.key'), r.key], [t('devices.login'), r.login]].filter(([, value]) => value);
  return h('li', { class: 'card refusal' },
    h('h3', {}, r.message),
    h('p', { class: 'quiet small' }, plural('devices.times', r.count, { when: clock(Date.parse(r.last_at), now) })),
    r.detail ? h('p', { class: 'small' }, r.detail) : null,
    h('dl', { class: 'facts' }, facts.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', { class: 'code' }, value)))),
    r.remedy ? h('p', { class: 'small remedy' }, t('devices.remedy', { text: r.remedy })) : null);
}

/** How a device is now. @param {import('../app.js').App} app @param {import('../state.js').Device} device @param {number} now */
export function stateOf(app, device, now) {
  return deviceState(device, app.state.alarms.values(), now);
}
