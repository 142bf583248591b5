// @ts-check
// Times for people. Everything takes "now" so that tests can say what time it is.

import { plural, t } from './strings.js';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** @param {Date} a @param {Date} b */
function sameDay(a, b) {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate();
}

/**
 * The time of day, with the date where it is not today's.
 * @param {number} at
 * @param {number} now
 */
export function clock(at, now) {
  const date = new Date(at);
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  return sameDay(date, new Date(now)) ? time : `${shortDay(at)} ${time}`;
}

/** @param {number} at */
export function shortDay(at) {
  return new Date(at).toLocaleDateString([], { day: 'numeric', month: 'short' });
}

/**
 * How long ago, and the date after a day. A time ahead of ours is "just now" for a minute
 * of disagreement between clocks, and the plain time beyond that.
 * @param {string|number|null|undefined} value
 * @param {number} now
 */
export function ago(value, now) {
  if (value === null || value === undefined || value === '') return t('app.unknown');
  const at = typeof value === 'number' ? value : Date.parse(value);
  if (Number.isNaN(at)) return t('app.unknown');
  const past = now - at;
  if (past < -minute || past >= day) return clock(at, now);
  if (past < minute) return t('time.now');
  if (past < hour) return plural('time.minutes', Math.floor(past / minute));
  return plural('time.hours', Math.floor(past / hour));
}

/**
 * How long ago, in few characters for a list.
 * @param {string|null|undefined} value
 * @param {number} now
 */
export function age(value, now) {
  const past = now - Date.parse(value ?? '');
  if (Number.isNaN(past)) return '';
  if (past < minute) return '<1 min';
  if (past < hour) return `${Math.floor(past / minute)} min`;
  if (past < day) return `${Math.floor(past / hour)} h`;
  if (past < 100 * day) return `${Math.floor(past / day)} d`;
  return new Date(value ?? '').toLocaleDateString([], { month: 'short', year: 'numeric' });
}

/**
 * The start of the local day, some days before now.
 * @param {number} now
 * @param {number} before
 */
export function dayStart(now, before) {
  const d = new Date(now);
  return new Date(d.getFullYear(), d.getMonth(), d.getDate() - before).getTime();
}
