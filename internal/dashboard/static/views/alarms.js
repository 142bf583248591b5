// @ts-check
import { h, keyed, replace } from '../dom.js';
import { listOf, shownAlarms } from '../state.js';
import { label, t } from '../strings.js';
import { badge, listNotice, press, time } from './parts.js';
import { assetLink, assetName, assetVersion } from './place.js';
import { showDone, showProblem } from './notices.js';

/** Where an alarm is, for people. @param {import('../state.js').Alarm} alarm */
export function placeOf(alarm) {
  return alarm.unit_name || alarm.asset_name || alarm.device_name || alarm.hardware || t('alarms.no_place');
}

/**
 * @param {HTMLElement} place
 * @param {{app: import('../app.js').App, now: () => number}} deps
 */
export function makeAlarms(place, deps) {
  const { app } = deps;
  const list = h('ul', { class: 'cards' });
  const notice = h('div', { class: 'notice-place' });
  replace(place, h('div', { class: 'section-head' }, h('h2', { id: 'alarms-title' }, t('alarms.title'))), notice, list);
  return { draw };

  function draw() {
    const current = listOf(app.state, 'alarms');
    const items = shownAlarms(app.state);
    keyed(list, items, (a) => a.id, (a) => [a, assetVersion(app, a)], card);
    if (!current.known) list.keyed = null;
    const form = [current.status, current.known, items.length === 0].join();
    if (notice.dataset.form === form) return;
    notice.dataset.form = form;
    replace(notice, listNotice(current, items.length === 0, () => void app.loadAlarms(), t('alarms.empty'), t('alarms.empty_hint')));
  }

  /** @param {import('../state.js').Alarm} alarm */
  function card(alarm) {
    const now = deps.now();
    const cause = label('cause', alarm.cause);
    const [raised, end] = t('alarms.raised').split('{when}');
    const [cleared, clearedEnd] = t('alarms.cleared').split('{when}');
    const button = alarm.state !== 'active' || !app.staff ? null : h('button', {
      type: 'button', class: 'button', data: { focus: 'acknowledge' }, 'aria-label': t('alarms.acknowledge_label', { cause, place: placeOf(alarm) }),
      onclick: () => press(button, () => acknowledge(alarm, cause), showProblem),
    }, t('alarms.acknowledge'));
    return h('li', { class: `card alarm alarm-${alarm.state}` },
      h('div', { class: 'card-head' }, h('h3', {}, t('alarms.title_of', { cause, place: placeOf(alarm) })), badge('alarm', alarm.state),
        alarm.flapping ? h('span', { class: 'badge flapping' }, t('alarms.flapping')) : null),
      h('p', { class: 'quiet small' }, raised, time(alarm.raised_at, now), end, alarm.cleared_at ? [', ', cleared, time(alarm.cleared_at, now), clearedEnd] : null,
        assetName(app, alarm) ? [' · ', assetLink(app, alarm)] : null,
        alarm.device_name && placeOf(alarm) !== alarm.device_name ? [' · ', app.staff ? h('a', { href: `#device/${alarm.device}`, data: { focus: 'device' } }, alarm.device_name) : alarm.device_name] : null),
      alarm.detail ? h('p', { class: 'small' }, alarm.detail) : null,
      button || alarm.ticket ? h('div', { class: 'actions' }, button, alarm.ticket ? h('a', { class: 'small', href: `#ticket/${alarm.ticket}`, data: { focus: 'ticket' } }, t('alarms.ticket')) : null) : null);
  }

  /** @param {import('../state.js').Alarm} alarm @param {string} cause */
  async function acknowledge(alarm, cause) {
    const got = await app.api.acknowledge(app.state.building, alarm.id);
    // The answer has no position: it is as new as what is shown, and the push follows.
    app.dispatch({ type: 'change', kind: 'alarm', id: alarm.id, position: app.state.positions.get(`alarm ${alarm.id}`) ?? 0, item: got });
    showDone(t('alarms.acknowledged', { cause }));
  }
}
