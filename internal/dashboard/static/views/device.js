// @ts-check
// One device: what it measures, its alarms and tickets, and what can be done with it.

import { h, keyed, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { number } from '../plot.js';
import { label, t } from '../strings.js';
import { unitChoice } from './adopt.js';
import { stateBadge, stateOf } from './devices.js';
import { badge, nameOf, press, problemBox, time } from './parts.js';
import { ask, makePanel } from './panel.js';
import { showDone, showProblem } from './notices.js';
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
    const opened = (shown = { id, alarms: [] });
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
    shown.readings = makeReadings({ app, now: deps.now, device, alarms: () => shown?.alarms ?? [] });
    shown.alarmList = h('ul', { class: 'cards' });
    shown.alarmNotice = h('div', { class: 'quiet', role: 'status' }, t('app.loading'));
    shown.tickets = h('ul', { class: 'links' });
    shown.mapping = h('section', { class: 'drawer-part', hidden: true, 'aria-labelledby': 'mapping-head' });
    shown.orders = device.adopted ? makeOrders({ app, now: deps.now, device: device.id }) : null;
    shown.change = makeDeviceChange({ app, id: device.id, done: panel.close });
    shown.adopted = device.adopted;
    const part = (/** @type {string} */ id, /** @type {string} */ title, /** @type {any[]} */ ...content) => h('section', { class: 'drawer-part', 'aria-labelledby': id }, h('h3', { id }, title), content);
    replace(panel.body, shown.facts, shown.orders?.element, shown.readings.element, part('device-alarms', t('device.alarms'), shown.alarmNotice, shown.alarmList),
      part('device-tickets', t('device.tickets'), shown.tickets), shown.mapping, shown.change.element);
    const opened = shown;
    void loadAlarms().then(() => shown === opened && opened.readings.load()).then(draw);
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

  async function loadAlarms() {
    const opened = shown;
    try {
      const got = await app.api.alarmsOf(app.state.building, opened.id);
      opened.alarms = got.items;
      if (shown === opened) draw();
    } catch (thrown) {
      if (shown === opened) replace(opened.alarmNotice, problemBox(fromThrown(thrown), () => void loadAlarms()));
    }
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
    const alarms = shown.alarms;
    const state = stateOf(app, device, now);
    const form = [nameOf(device), state, alarms.map((/** @type {any} */ a) => a.state).join()].join();
    if (shown.head !== form) {
      shown.head = form;
      panel.drawHead(nameOf(device), [stateBadge(state), alarms.filter((/** @type {any} */ a) => a.state !== 'cleared').map((/** @type {any} */ a) => h('span', { class: `badge alarm-${a.state}` }, label('cause', a.cause)))]);
    }
    replace(shown.facts, facts(device, shown.readings.series(), now));
    replace(shown.alarmNotice, alarms.length > 0 ? null : t('device.alarms_empty'));
    keyed(shown.alarmList, alarms, (a) => a.id, (a) => [a.state, a.detail, a.flapping], (a) => alarmCard(a, now));
    drawTickets(device);
    shown.change.draw(device);
  }

  /** @param {import('../state.js').Device} device */
  function drawTickets(device) {
    const named = new Set(shown.alarms.map((/** @type {any} */ a) => a.ticket).filter(Boolean));
    const tickets = [...app.state.tickets.values()].filter((x) => x.device === device.id || named.has(x.id));
    keyed(shown.tickets, tickets, (x) => x.id, (x) => [x], (x) => h('li', {}, h('a', { href: `#ticket/${x.id}`, data: { focus: 'open' } }, x.title), ' ', badge('status', x.status)));
    if (tickets.length === 0) {
      shown.tickets.keyed = null;
      replace(shown.tickets, h('li', { class: 'quiet' }, t('device.tickets_empty')));
    }
  }

  /** @param {import('../state.js').Alarm} alarm @param {number} now */
  function alarmCard(alarm, now) {
    const cause = label('cause', alarm.cause);
    const acknowledge = h('button', { type: 'button', class: 'button', data: { focus: 'acknowledge' }, onclick: () => press(acknowledge, async () => {
      await app.api.acknowledge(app.state.building, alarm.id);
      showDone(t('alarms.acknowledged', { cause }));
      await loadAlarms();
    }, showProblem) }, t('alarms.acknowledge'));
    const end = h('button', { type: 'button', class: 'button', data: { focus: 'end' }, 'aria-label': t('device.end_label', { cause }), onclick: () => confirmEnd(alarm, cause) }, t('device.end'));
    const [raised, raisedEnd] = t('alarms.raised').split('{when}');
    const [cleared, clearedEnd] = t('alarms.cleared').split('{when}');
    return h('li', { class: `card alarm alarm-${alarm.state}` },
      h('div', { class: 'card-head' }, h('h4', {}, cause), badge('alarm', alarm.state), alarm.flapping ? h('span', { class: 'badge flapping' }, t('alarms.flapping')) : null),
      h('p', { class: 'quiet small' }, raised, time(alarm.raised_at, now), raisedEnd, alarm.cleared_at ? [', ', cleared, time(alarm.cleared_at, now), clearedEnd] : null),
      alarm.detail ? h('p', { class: 'small' }, alarm.detail) : null,
      alarm.state === 'cleared' ? null : h('div', { class: 'actions' }, alarm.state === 'active' ? acknowledge : null, end));
  }

  /** @param {import('../state.js').Alarm} alarm @param {string} cause */
  function confirmEnd(alarm, cause) {
    const button = ask({ title: t('device.end_title'), text: t('device.end_text'), confirm: t('device.end'), danger: true, act: (close) => press(button, async () => {
      await app.api.endAlarm(app.state.building, alarm.id);
      close();
      showDone(t('device.ended', { cause }));
      await loadAlarms();
    }, showProblem) });
  }

  /** @param {import('../socket.js').Message} message */
  function take(message) {
    if (!shown?.facts || message.type !== 'change') return;
    const { kind, record } = message;
    if (kind === 'alarm' && (!record || record.device === shown.id)) void loadAlarms();
    if (kind === 'action' && record?.device === shown.id) shown.orders?.take(record);
    if (kind === 'control' && record?.device === shown.id) void shown.orders?.load();
  }
}

/** @param {import('../state.js').Device} device @param {any[]} series @param {number} now */
function facts(device, series, now) {
  const last = (/** @type {string} */ kind) => series.find((s) => s.kind === kind && s.at);
  const link = last('link_quality');
  const heard = series.map((s) => s.at ?? '').sort().at(-1) || device.heard_at;
  /** @type {[string, any][]} */
  const all = [
    [t('device.unit'), device.unit_name || t('device.no_unit')], [t('device.model'), device.model],
    [t('device.heard'), heard ? time(heard, now) : t(device.availability ? 'app.unknown' : 'device.state.never')],
    [t('device.battery_of'), device.battery === undefined || device.battery === null ? '' : `${number(device.battery)} %`],
    [t('device.link'), link ? number(link.last) : ''], [t('device.hardware'), h('span', { class: 'code' }, device.hardware)],
  ];
  return all.filter(([, value]) => value).map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)));
}

/** Name and unit, adoption, and the ways out. @param {{app: import('../app.js').App, id: string, done: () => void}} deps */
function makeDeviceChange(deps) {
  const { app } = deps;
  const status = h('div', { role: 'status' });
  const name = h('input', { type: 'text', id: 'device-name', maxlength: 200 });
  const unitPlace = h('div', { class: 'field' });
  const save = h('button', { type: 'submit', class: 'button primary' });
  const ways = h('div', { class: 'actions' });
  const form = h('form', { class: 'change', onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void press(save, send, (problem) => replace(status, problemBox(problem)));
  } }, h('div', { class: 'field' }, h('label', { for: 'device-name' }, t('device.name')), name), unitPlace, h('div', { class: 'actions' }, save, status));
  const element = h('section', { class: 'drawer-part', 'aria-labelledby': 'change-head' }, h('h3', { id: 'change-head' }, t('device.change')), form, ways);
  /** @type {import('../state.js').Device|null} */
  let base = null;
  /** @type {any} */
  let unit = null;
  /** @type {any} */
  let units = null;
  return { element, draw };

  /** @param {import('../state.js').Device} device */
  function draw(device) {
    if (base && units === app.units && (dirty() || base.seen === device.seen)) return;
    const edited = base && dirty() ? unit.value : null;
    units = app.units;
    if (!edited) base = device;
    unit = unitChoice(app, 'device-unit', edited ?? device.unit ?? device.suggested_unit ?? '');
    replace(unitPlace, h('label', { for: 'device-unit' }, t('device.unit')), unit,
      device.suggested_unit_name ? h('p', { class: 'quiet small' }, t('device.unit_suggested', { unit: device.suggested_unit_name })) : null);
    if (edited === null) name.value = device.name ?? '';
    save.textContent = t(device.adopted ? 'device.save' : 'device.adopt');
    replace(ways, device.adopted ? h('button', { type: 'button', class: 'button', onclick: () => leave('retire') }, t('device.retire')) : null,
      app.manages ? h('button', { type: 'button', class: 'button danger', onclick: () => leave('remove') }, t('device.remove')) : null);
  }

  function dirty() {
    return base !== null && (name.value !== (base.name ?? '') || unit.value !== (base.unit ?? base.suggested_unit ?? ''));
  }

  async function send() {
    if (!base) return;
    const as = { name: name.value.trim(), unit: unit.value };
    const adopting = !base.adopted;
    const got = adopting ? await app.api.adopt(app.state.building, deps.id, { ...(as.name ? { name: as.name } : {}), ...(as.unit ? { unit: as.unit } : {}) })
      : await app.api.changeDevice(app.state.building, deps.id, base.seen, { ...(as.name !== (base.name ?? '') ? { name: as.name } : {}), ...(as.unit && as.unit !== (base.unit ?? '') ? { unit: as.unit } : {}) });
    base = null;
    app.takeDevice(got);
    if (adopting) showDone(t('device.adopted', { name: nameOf(got) }));
    else replace(status, h('span', { class: 'quiet small' }, t('device.saved')));
  }

  /** @param {'retire'|'remove'} way */
  function leave(way) {
    const device = app.state.devices.get(deps.id);
    if (!device) return;
    const called = nameOf(device);
    const button = ask({ title: t(`device.${way}_title`, { name: called }), text: t(`device.${way}_text`), confirm: t(`device.${way}`), danger: way === 'remove', act: (close) => press(button, async () => {
      const got = await app.api.changeDevice(app.state.building, deps.id, device.seen, way === 'remove' ? { deleted: true } : { adopted: false });
      close();
      deps.done();
      if (way === 'remove') app.dropDevice(deps.id);
      else app.takeDevice(got);
      showDone(t(way === 'remove' ? 'device.removed' : 'device.retired', { name: called }));
    }, showProblem) });
  }
}
