// @ts-check
// Lists of alarms and of tickets on the page of one thing.

import { h, keyed, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { label, t } from '../strings.js';
import { badge, press, problemBox, time } from './parts.js';
import { ask } from './panel.js';
import { showDone, showProblem } from './notices.js';

/** A part of a panel under its own heading. @param {string} id @param {string} title @param {...any} content */
export function part(id, title, ...content) {
  return h('section', { class: 'drawer-part', 'aria-labelledby': id }, h('h3', { id }, title), content);
}

/**
 * The alarms of one thing, the latest first, with what can be done about them.
 * @param {{app: import('../app.js').App, now: () => number, of: {device: string}|{asset: string}, changed: () => void}} deps
 *   changed is called when other alarms are here
 */
export function makeAlarmList(deps) {
  const { app } = deps;
  const list = h('ul', { class: 'cards' });
  const notice = h('div', { class: 'quiet', role: 'status' }, t('app.loading'));
  /** @type {import('../state.js').Alarm[]} */
  let items = [];
  return { elements: [notice, list], items: () => items, load, draw };

  async function load() {
    try {
      items = (await app.api.alarmsOf(app.state.building, deps.of)).items;
      replace(notice, items.length > 0 ? null : t('device.alarms_empty'));
      deps.changed();
    } catch (thrown) {
      replace(notice, problemBox(fromThrown(thrown), () => void load()));
    }
  }

  function draw() {
    const now = deps.now();
    keyed(list, items, (a) => a.id, (a) => [a.state, a.detail, a.flapping], (a) => card(a, now));
  }

  /** @param {import('../state.js').Alarm} alarm @param {number} now */
  function card(alarm, now) {
    const cause = label('cause', alarm.cause);
    const acknowledge = h('button', { type: 'button', class: 'button', data: { focus: 'acknowledge' }, onclick: () => press(acknowledge, async () => {
      await app.api.acknowledge(app.state.building, alarm.id);
      showDone(t('alarms.acknowledged', { cause }));
      await load();
    }, showProblem) }, t('alarms.acknowledge'));
    const end = h('button', { type: 'button', class: 'button', data: { focus: 'end' }, 'aria-label': t('device.end_label', { cause }), onclick: () => confirmEnd(alarm, cause) }, t('device.end'));
    const [raised, raisedEnd] = t('alarms.raised').split('{when}');
    const [cleared, clearedEnd] = t('alarms.cleared').split('{when}');
    const elsewhere = 'asset' in deps.of && (alarm.device_name || alarm.hardware);
    return h('li', { class: `card alarm alarm-${alarm.state}` },
      h('div', { class: 'card-head' }, h('h4', {}, cause), badge('alarm', alarm.state), alarm.flapping ? h('span', { class: 'badge flapping' }, t('alarms.flapping')) : null),
      h('p', { class: 'quiet small' }, raised, time(alarm.raised_at, now), raisedEnd, alarm.cleared_at ? [', ', cleared, time(alarm.cleared_at, now), clearedEnd] : null,
        elsewhere ? [' · ', h('a', { href: `#device/${alarm.device}`, data: { focus: 'device' } }, elsewhere)] : null),
      alarm.detail ? h('p', { class: 'small' }, alarm.detail) : null,
      alarm.state === 'cleared' ? null : h('div', { class: 'actions' }, alarm.state === 'active' ? acknowledge : null, end));
  }

  /** @param {import('../state.js').Alarm} alarm @param {string} cause */
  function confirmEnd(alarm, cause) {
    const button = ask({ title: t('device.end_title'), text: t('device.end_text'), confirm: t('device.end'), danger: true, act: (close) => press(button, async () => {
      await app.api.endAlarm(app.state.building, alarm.id);
      close();
      showDone(t('device.ended', { cause }));
      await load();
    }, showProblem) });
  }
}

/** Tickets with their state. @param {any} list @param {import('../state.js').Ticket[]} tickets @param {number} now */
export function drawTickets(list, tickets, now) {
  keyed(list, tickets, (x) => x.id, (x) => [x], (x) => h('li', {}, h('a', { href: `#ticket/${x.id}`, data: { focus: 'open' } }, x.title), ' ', badge('status', x.status),
    ' ', h('span', { class: 'quiet small' }, time(x.reported_at, now))));
  if (tickets.length > 0) return;
  list.keyed = null;
  replace(list, h('li', { class: 'quiet' }, t('device.tickets_empty')));
}
