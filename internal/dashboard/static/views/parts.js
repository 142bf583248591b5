// @ts-check
// Small parts that several views share.

import { h } from '../dom.js';
import { fromThrown } from '../problem.js';
import { label, t } from '../strings.js';
import { age, ago, clock } from '../time.js';

/** @param {string|number|null|undefined} at @param {number} now @param {'ago'|'age'} [form] */
export function time(at, now, form = 'ago') {
  if (at === null || at === undefined || at === '') return t('app.unknown');
  const iso = new Date(at).toISOString();
  return h('time', { datetime: iso, data: { form }, title: clock(Date.parse(iso), 0) }, form === 'age' ? age(iso, now) : ago(iso, now));
}

/** Brings the times of the page up to date. @param {ParentNode} root @param {number} now */
export function tick(root, now) {
  for (const element of root.querySelectorAll('time[data-form]')) {
    const at = element.getAttribute('datetime');
    const text = /** @type {HTMLElement} */ (element).dataset.form === 'age' ? age(at, now) : ago(at, now);
    if (element.textContent !== text) element.textContent = text;
  }
}

/** @param {string} group @param {string|undefined} value @param {string} [title] */
export function badge(group, value, title) {
  return h('span', { class: `badge ${group}-${value ?? 'none'}`, title }, title ? h('span', { class: 'unseen' }, `${title}: `) : null, label(group, value));
}

/** What a device is called. @param {import('../state.js').Device} device */
export function nameOf(device) {
  return device.name || device.hardware || t('device.unnamed');
}

/** @param {any} thrown @param {(() => void)|null} [retry] */
export function problemBox(thrown, retry) {
  const p = fromThrown(thrown);
  return h('div', { class: 'problem' },
    h('p', { class: 'problem-message' }, p.message),
    p.errors.map((e) => h('p', {}, t('problem.field', { field: e.field, message: e.message }))),
    p.remedy ? h('p', { class: 'problem-remedy' }, p.remedy) : null,
    p.requestId ? h('p', { class: 'quiet small' }, t('problem.request', { id: p.requestId })) : null,
    retry ? h('button', { type: 'button', class: 'button', onclick: retry }, t('app.retry')) : null);
}

/**
 * What stands in the place of a list: loading, failed, empty, or nothing.
 * @param {import('../state.js').List} list
 * @param {boolean} empty
 * @param {() => void} retry
 * @param {string} emptyText
 * @param {string} [emptyHint]
 */
export function listNotice(list, empty, retry, emptyText, emptyHint) {
  if (list.status === 'failed') return problemBox(list.problem, retry);
  if (!list.known) return empty ? h('div', { class: 'skeletons' }, h('span', { class: 'unseen' }, t('app.loading')), [1, 2, 3].map(() => h('div', { class: 'skeleton', 'aria-hidden': 'true' }))) : null;
  if (!empty) return null;
  return h('div', { class: 'empty' }, h('p', {}, emptyText), emptyHint ? h('p', { class: 'quiet' }, emptyHint) : null);
}

/** A value of a conflict or of the history, for people. @param {string} field @param {any} value @returns {string} */
export function valueText(field, value) {
  if (value === null || value === undefined || value === '') return t('app.none');
  if (Array.isArray(value)) return value.length === 0 ? t('app.none') : value.map((v) => valueText(field, v)).join(', ');
  if (field === 'status' || field === 'priority' || field === 'category') return label(field, String(value));
  if (/_at$/.test(field) && !Number.isNaN(Date.parse(value))) return clock(Date.parse(value), 0);
  return typeof value === 'object' ? value.name ?? JSON.stringify(value) : String(value);
}

/**
 * Runs what a button does: once at a time, with its problem shown.
 * @param {HTMLButtonElement} button
 * @param {() => Promise<void>} act
 * @param {(problem: any) => void} failed
 */
export async function press(button, act, failed) {
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  try {
    await act();
  } catch (thrown) {
    failed(fromThrown(thrown));
  } finally {
    button.removeAttribute('aria-busy');
  }
}
