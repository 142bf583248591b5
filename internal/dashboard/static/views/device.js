// @ts-check
// One device: what it measures, its alarms and tickets, and what can be done with it.

import { h, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { number } from '../plot.js';
import { label, t } from '../strings.js';
import { makeDeviceChange } from './device-change.js';
import { stateBadge, stateOf } from './devices.js';
import { drawTickets, makeAlarmList, part } from './lists.js';
import { nameOf, problemBox, time } from './parts.js';
import { makePanel } from './panel.js';
import { assetLink } from './place.js';
import { makeOrders } from './orders.js';
import { makeReadings } from './readings.js';

/** How often present values are read while they are shown: nothing is pushed for them. */
const readEvery = 10_000;

/** @param {{app: import('../app.js').App, now: () => number, closed: () => void}} deps */
export function makeDevice(deps) {
  const { app } = deps;
  /** @type {any} */
  let shown = null;
  const panel = makePanel({ name: 'device', closed: () => {
    clearInterval(shown?.timer);
    shown = null;
    deps.closed();
  } });
  return { open, close: panel.close, draw, take };

  /** @param {string} id */
  async function open(id) {
    if (shown?.id === id) return;
    clearInterval(shown?.timer);
    const opened = (shown = { id });
    panel.drawHead(t('app.loading'));
    replace(panel.body, h('p', { class: 'quiet', role: 'status' }, t('app.loading')));
    panel.open();
    try {
      const device = await app.api.device(app.state.building, id);
      if (shown !== opened) return;
      app.takeDevice(device);
      fill(device);
    } catch (thrown) {
      if (shown !== opened) return;
      panel.drawHead(t('device.gone'));
      replace(panel.body, problemBox(fromThrown(thrown), () => {
        shown = null;
        void open(id);
      }));
    }
  }

  /** @param {import('../state.js').Device} device */
  function fill(device) {
    shown.facts = h('dl', { class: 'facts' });
    shown.readings = makeReadings({ app, now: deps.now, device, alarms: () => shown?.alarms?.items() ?? [] });
    const opened = shown;
    shown.alarms = makeAlarmList({ app, now: deps.now, of: { device: device.id }, changed: () => shown === opened && draw() });
    shown.tickets = h('ul', { class: 'links' });
    shown.mapping = h('section', { class: 'drawer-part', hidden: true, 'aria-labelledby': 'mapping-head' });
    shown.orders = device.adopted ? makeOrders({ app, now: deps.now, device: device.id }) : null;
    shown.change = makeDeviceChange({ app, id: device.id, done: panel.close });
    shown.adopted = device.adopted;
    replace(panel.body, shown.facts, shown.orders?.element, shown.readings.element, part('device-alarms', t('device.alarms'), shown.alarms.elements),
      part('device-tickets', t('device.tickets'), shown.tickets), shown.mapping, shown.change.element);
    void shown.alarms.load().then(() => shown === opened && opened.readings.load()).then(draw);
    void loadMapping();
    void shown.orders?.load();
    shown.timer = setInterval(() => document.visibilityState === 'visible' && beat(opened), readEvery);
    draw();
  }

  /** @param {any} opened */
  function beat(opened) {
    void opened.orders?.load();
    void opened.readings.load().then(draw);
  }

  async function loadMapping() {
    const opened = shown;
    const got = await app.api.entities(app.state.building, opened.id).catch(() => null); // only the box knows
    const items = (got?.items ?? []).filter((/** @type {any} */ e) => e.needs_mapping);
    if (shown !== opened || items.length === 0) return;
    opened.mapping.hidden = false;
    replace(opened.mapping, h('h3', { id: 'mapping-head' }, t('device.mapping_title')), h('p', { class: 'quiet small' }, t('device.mapping_hint')),
      h('ul', { class: 'cards' }, items.map((/** @type {any} */ e) => h('li', { class: 'card refusal' }, h('h4', {}, e.name || e.key), h('p', { class: 'small' }, t('device.mapping', { reason: e.needs_mapping }))))));
  }

  function draw() {
    if (!shown?.facts) return;
    const device = app.state.devices.get(shown.id);
    const now = deps.now();
    if (!device) return panel.drawHead(t('device.gone'));
    if (shown.adopted !== device.adopted) {
      // Adopted or taken out of service: other things can be done with it.
      const again = shown.id;
      clearInterval(shown.timer);
      shown = null;
      return void open(again);
    }
    const alarms = shown.alarms.items();
    const state = stateOf(app, device, now);
    const form = [nameOf(device), state, alarms.map((/** @type {any} */ a) => a.state).join()].join();
    if (shown.head !== form) {
      shown.head = form;
      panel.drawHead(nameOf(device), [stateBadge(state), alarms.filter((/** @type {any} */ a) => a.state !== 'cleared').map((/** @type {any} */ a) => h('span', { class: `badge alarm-${a.state}` }, label('cause', a.cause)))]);
    }
    replace(shown.facts, facts(app, device, shown.readings.series(), now));
    shown.alarms.draw();
    drawTickets(shown.tickets, ticketsOf(device), now);
    shown.change.draw(device);
  }

  /** @param {import('../state.js').Device} device */
  function ticketsOf(device) {
    const named = new Set(shown.alarms.items().map((/** @type {any} */ a) => a.ticket).filter(Boolean));
    return [...app.state.tickets.values()].filter((x) => x.device === device.id || named.has(x.id));
  }

  /** @param {import('../socket.js').Message} message */
  function take(message) {
    if (!shown?.facts || message.type !== 'change') return;
    const { kind, record } = message;
    if (kind === 'alarm' && (!record || record.device === shown.id)) void shown.alarms.load();
    if (kind === 'action' && record?.device === shown.id) shown.orders?.take(record);
    if (kind === 'control' && record?.device === shown.id) void shown.orders?.load();
  }
}

/** @param {import('../app.js').App} app @param {import('../state.js').Device} device @param {any[]} series @param {number} now */
function facts(app, device, series, now) {
  const last = (/** @type {string} */ kind) => series.find((s) => s.kind === kind && s.at);
  const link = last('link_quality');
  const heard = series.map((s) => s.at ?? '').sort().at(-1) || device.heard_at;
  /** @type {[string, any][]} */
  const all = [
    [t('device.unit'), device.unit_name || t('device.no_unit')], [t('device.asset'), assetLink(app, device)], [t('device.model'), device.model],
    [t('device.heard'), heard ? time(heard, now) : t(device.availability ? 'app.unknown' : 'device.state.never')],
    [t('device.battery_of'), device.battery === undefined || device.battery === null ? '' : `${number(device.battery)} %`],
    [t('device.link'), link ? number(link.last) : ''], [t('device.hardware'), h('span', { class: 'code' }, device.hardware)],
  ];
  return all.filter(([, value]) => value).map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)));
}
