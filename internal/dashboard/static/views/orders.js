// @ts-check
// What a device can be told: its state and how old that is, a question before an order, and
// what became of it.

import { h, keyed, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { strings, t } from '../strings.js';
import { ago } from '../time.js';
import { press, problemBox, time } from './parts.js';
import { showProblem } from './notices.js';

/** Orders of the past that are shown. */
const ordersMax = 10;

/** A state or a wanted one, in words. @param {string} value */
function word(value) {
  return strings[`order.value.${value.toLowerCase()}`] ?? value;
}

/** A state or a wanted one of a control, a number with its unit. @param {string} value @param {any} control */
function valued(value, control) {
  return control?.unit && value !== '' && !Number.isNaN(Number(value)) ? `${value}\u00a0${control.unit}` : word(value);
}

/** @param {any} c */
function called(c) {
  return c.name || c.control_name || strings[`order.sort.${c.sort}`] || c.control;
}

/**
 * @param {{app: import('../app.js').App, now: () => number, device: string}} deps
 */
export function makeOrders(deps) {
  const { app } = deps;
  /** @type {Map<string, any>} */
  const orders = new Map();
  /** @type {any[]} */
  let controls = [];
  const list = h('ul', { class: 'cards' });
  const notice = h('div', {});
  const log = h('ul', { class: 'orders', 'aria-live': 'polite' });
  const element = h('section', { class: 'drawer-part', hidden: true, 'aria-labelledby': 'orders-head' }, h('h3', { id: 'orders-head' }, t('orders.title')), notice, list, log);
  return { element, load, take };

  async function load() {
    try {
      const b = app.state.building;
      const [got, past] = await Promise.all([app.api.controls(b, deps.device), app.api.actions(b, deps.device)]);
      controls = got.items ?? [];
      element.hidden = controls.length === 0;
      replace(notice);
      keyed(list, controls, (c) => c.id, (c) => [c.state, c.state_at, c.refused?.code, c.min, c.max, c.unit, c.values?.join(), c.name], card);
      for (const one of past.items) orders.set(one.id, one);
      drawLog();
    } catch (thrown) {
      element.hidden = false;
      replace(notice, problemBox(fromThrown(thrown), () => void load()));
    }
  }

  /** @param {any} control */
  function card(control) {
    const now = deps.now();
    const name = called(control);
    return h('li', { class: 'card control' },
      h('div', { class: 'card-head' }, h('h4', {}, name), h('strong', { class: 'control-state' }, control.state ? valued(control.state, control) : t('orders.unknown'))),
      h('p', { class: 'quiet small' }, control.state_at ? [t('orders.confirmed'), ' ', time(control.state_at, now)] : t('orders.never')),
      control.refused ? h('div', { class: 'notice' }, h('p', {}, control.refused.message), control.refused.remedy ? h('p', {}, control.refused.remedy) : null) : choices(control, name));
  }

  /** @param {any} control @param {string} name */
  function choices(control, name) {
    const numbers = control.min !== undefined || control.max !== undefined;
    /** @type {[string, string][]} */
    const offered = (control.values ?? []).filter((/** @type {string} */ v) => v !== control.state).map((/** @type {string} */ v) => [v, v === 'stopped' ? t('orders.stop', { name }) : t('orders.make', { name, value: word(v) })]);
    if (control.sort === 'position') {
      const ends = /** @type {[number, string][]} */ ([[control.max, t('orders.open_wide', { name })], [control.min, t('orders.close', { name })]]);
      offered.unshift(...ends.filter(([at]) => String(at) !== control.state).map(([at, text]) => /** @type {[string, string]} */ ([String(at), text])));
    }
    const buttons = h('div', { class: 'actions' }, offered.map(([value, text]) => {
      const button = h('button', { type: 'button', class: 'button', data: { focus: `order-${value}` }, onclick: () => press(button, () => plan(control, value), showProblem) }, text);
      return button;
    }));
    return numbers ? h('div', {}, exact(control, name), buttons) : buttons;
  }

  /** A field for a number. @param {any} control @param {string} name */
  function exact(control, name) {
    const field = h('input', { type: 'number', id: `order-${control.id}`, step: 'any', min: control.min, max: control.max, required: true, value: control.state ?? '' });
    const button = h('button', { type: 'submit', class: 'button', data: { focus: 'order' } }, t('orders.set'));
    const bound = (/** @type {number | undefined} */ n) => (n === undefined ? '…' : valued(String(n), control));
    return h('form', { class: 'try-tools', onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      void press(button, () => plan(control, field.value), showProblem);
    } }, h('div', { class: 'field' }, h('label', { for: field.id }, t('orders.wanted', { name, low: bound(control.min), high: bound(control.max) })), field), button);
  }

  /** Asks in words what would happen. @param {any} control @param {string} value */
  async function plan(control, value) {
    const got = await app.api.planAction(app.state.building, deps.device, control.control, value);
    const name = called(got);
    const wanted = valued(got.value, control);
    const problem = h('div', { role: 'status' });
    const confirm = h('button', { type: 'button', class: got.dangers?.length ? 'button danger' : 'button primary', onclick: () => press(confirm, give, (p) => replace(problem, problemBox(p))) }, t('orders.make', { name, value: wanted }));
    const dialog = h('dialog', { class: 'confirm', 'aria-labelledby': 'order-title', onclose: () => dialog.remove() },
      h('h2', { id: 'order-title' }, t('orders.question', { name, value: wanted })),
      h('p', {}, t('orders.where', { device: got.device_name || deps.device, unit: got.unit_name || t('device.no_unit') })),
      h('p', {}, t('orders.now', { state: valued(got.state, control), when: ago(got.state_at, deps.now()) })),
      (got.dangers ?? []).map((/** @type {any} */ d) => h('p', { class: 'notice danger-notice' }, d.message)), problem,
      h('div', { class: 'actions' }, h('button', { type: 'button', class: 'button', autofocus: true, onclick: () => dialog.close() }, t('app.cancel')), confirm));
    document.body.append(dialog);
    dialog.showModal();

    async function give() {
      take(await app.api.order(app.state.building, deps.device, got.token));
      dialog.close();
    }
  }

  /** Takes in an order as it is now. @param {any} order */
  function take(order) {
    const before = orders.get(order.id);
    orders.set(order.id, order);
    drawLog();
    if (before?.state !== order.state) void load();
  }

  /** The control of an order, where the device still has it. @param {any} order */
  function controlOf(order) {
    return controls.find((c) => c.control === order.control);
  }

  /** What an order is about. @param {any} order */
  function about(order) {
    const control = controlOf(order);
    return t('orders.make', { name: called(control ?? order), value: valued(order.value, control) });
  }

  function drawLog() {
    const shown = [...orders.values()].sort((a, b) => Date.parse(b.asked_at) - Date.parse(a.asked_at)).slice(0, ordersMax);
    keyed(log, shown, (o) => o.id, (o) => [o.state, o.overdue, o.answer], (o) => h('li', { class: `order order-${o.state}` },
      h('span', { class: `badge order-${o.state}` }, o.overdue ? t('orders.overdue') : t(`order.state.${o.state}`)), ' ',
      about(o), ' ',
      h('span', { class: 'quiet small' }, o.asked_by?.name ? `${o.asked_by.name}, ` : '', time(o.asked_at, deps.now())),
      o.answer ? h('p', { class: 'small order-answer' }, t('orders.answer', { answer: valued(o.answer, controlOf(o)) })) : null,
      o.reason ? h('p', { class: 'small' }, o.reason.message, o.reason.remedy ? ` ${o.reason.remedy}` : '') : null));
  }
}
