// @ts-check
// At which times a rule holds, in the building's time.

import { h } from '../dom.js';
import { label, t } from '../strings.js';
import { check, field } from './condition.js';

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** The name of a month in the language of the page. @param {number} month 1 to 12 */
function monthName(month) {
  return new Date(2026, month - 1, 1).toLocaleDateString([], { month: 'short' });
}

/** @param {any} times undefined for always */
export function makeTimes(times) {
  const form = !times ? 'always' : times.except ? 'except' : 'only';
  const choice = h('select', { id: 'rule-times', onchange: () => (detail.hidden = choice.value === 'always') }, ['always', 'only', 'except'].map((name) => h('option', { value: name }, t(`rule.times_${name}`))));
  choice.value = form;
  const dayBoxes = days.map((d) => ({ d, ...check(label('day', d), times?.days?.includes(d) ?? false) }));
  const monthBoxes = Array.from({ length: 12 }, (_, i) => ({ m: i + 1, ...check(monthName(i + 1), times?.months?.includes(i + 1) ?? false) }));
  const from = h('input', { type: 'time', id: 'rule-from', value: times?.from ?? '' });
  const to = h('input', { type: 'time', id: 'rule-to', value: times?.to ?? '' });
  const detail = h('div', { class: 'times', hidden: form === 'always' },
    h('fieldset', {}, h('legend', {}, t('rule.days')), h('div', { class: 'checks' }, dayBoxes.map((b) => b.element))),
    h('div', { class: 'grid' }, field(t('rule.from'), from), field(t('rule.to'), to)),
    h('fieldset', {}, h('legend', {}, t('rule.months')), h('div', { class: 'checks' }, monthBoxes.map((b) => b.element))));
  return { element: h('div', {}, field(t('rule.times'), choice), detail), value };

  function value() {
    if (choice.value === 'always') return null;
    const out = /** @type {any} */ ({ days: dayBoxes.filter((b) => b.input.checked).map((b) => b.d), months: monthBoxes.filter((b) => b.input.checked).map((b) => b.m) });
    if (from.value || to.value) Object.assign(out, { from: from.value, to: to.value });
    if (choice.value === 'except') out.except = true;
    return out;
  }
}
