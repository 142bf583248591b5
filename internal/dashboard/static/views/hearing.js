// @ts-check
// How the box hears its devices: what is wrong with the broker or the store and what to do, its
// gateways, and how much room readings have.

import { h, replace } from '../dom.js';
import { plural, t } from '../strings.js';
import { clock } from '../time.js';

/** Fewer days of room than this are worth a word of warning. */
const fewDays = 14;
/** More days than this are as good as for good. */
const manyDays = 3650;
/** A blindness that is over is told for a day, one of less than a minute not at all. */
const toldFor = 86_400_000;
const toldFrom = 60;

export function makeHearing() {
  const element = h('div', { class: 'heard', role: 'status' });
  return { element, draw };

  /** @param {any} heard @param {any} disk both null where only the box knows @param {number} now */
  function draw(heard, disk, now) {
    const last = heard && !heard.blind_since && heard.last_blind && heard.last_blind.seconds >= toldFrom && now - Date.parse(heard.last_blind.to) < toldFor ? heard.last_blind : null;
    const form = JSON.stringify([heard?.blind_since, heard?.code, heard?.detail, heard?.store_failing_since, last, heard?.gateways, disk && [disk.state, size(disk.bytes), size(disk.bytes_per_day), disk.days_left, disk.readings_from?.slice(0, 10)]]);
    if (element.dataset.form === form) return;
    element.dataset.form = form;
    replace(element, trouble(heard, now), heard?.store_failing_since ? h('p', { class: 'notice danger-notice' }, t('devices.store', { time: clock(Date.parse(heard.store_failing_since), now) })) : null,
      last ? h('p', { class: 'notice' }, t('devices.was_blind', { from: clock(Date.parse(last.from), now), to: clock(Date.parse(last.to), now) })) : null,
      (heard?.gateways ?? []).map((/** @type {any} */ g) => h('p', { class: g.online ? 'quiet small' : 'notice' },
        t(g.online ? 'devices.gateway' : 'devices.gateway_away', { base: g.base, time: clock(Date.parse(g.since), now) }))),
      room(disk, now));
  }
}

/** @param {any} heard @param {number} now */
function trouble(heard, now) {
  if (!heard?.blind_since && !heard?.code) return null;
  return h('div', { class: 'problem' },
    h('p', { class: 'problem-message' }, heard.blind_since ? t('devices.blind', { time: clock(Date.parse(heard.blind_since), now) }) : t('devices.broker')),
    heard.detail ? h('p', {}, heard.detail) : null, heard.remedy ? h('p', { class: 'problem-remedy' }, heard.remedy) : null);
}

/** How much room readings have. @param {any} disk @param {number} now */
function room(disk, now) {
  if (!disk) return null;
  const values = { used: size(disk.bytes), budget: size(disk.budget_bytes), day: size(disk.bytes_per_day) };
  const since = (/** @type {string|undefined} */ at) => (at ? new Date(at).toLocaleDateString([], { day: 'numeric', month: 'short', year: 'numeric' }) : t('app.unknown'));
  if (disk.state === 'over') {
    return h('div', { class: 'problem' }, h('p', { class: 'problem-message' }, t('disk.over', values)), h('p', { class: 'problem-remedy' }, t('disk.over_remedy')));
  }
  if (disk.state === 'thinning') return h('p', { class: 'quiet small' }, t('disk.thinning', { ...values, readings: since(disk.readings_from), rollups: since(disk.rollups_from) }));
  if (!disk.budget_bytes) return h('p', { class: 'quiet small' }, t('disk.unbounded', values));
  if ((disk.days_left ?? manyDays) >= manyDays) return h('p', { class: 'quiet small' }, t('disk.plenty', values));
  return h('p', { class: disk.days_left < fewDays ? 'notice' : 'quiet small' }, t('disk.room', { ...values, days: plural('disk.days', disk.days_left), until: since(disk.full_at ?? new Date(now).toISOString()) }));
}

const units = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Bytes as people read them. @param {number|undefined} bytes */
function size(bytes) {
  let value = bytes ?? 0;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toLocaleString([], { maximumFractionDigits: value < 10 && unit > 0 ? 1 : 0 })} ${units[unit]}`;
}
