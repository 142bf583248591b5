// @ts-check
// The conditions of a rule as fields: each says which value and what about it.

import { h, replace } from '../dom.js';
import { beginnings, fieldsOf, numbers, rowsOf, whenOf } from '../rule-form.js';
import { sentence } from '../rule-text.js';
import { strings, t, valuesOf } from '../strings.js';

/** Conditions of one rule; the server has the same bound. */
const rowsMax = 32;

/** The kinds that have a name, as choices. */
const kinds = valuesOf('kind');

/** @param {string} text @param {any} control @param {string} [hint] */
export function field(text, control, hint) {
  return h('div', { class: 'field' }, h('label', { for: control.id }, text), control, hint ? h('p', { class: 'quiet small' }, hint) : null);
}

/** @param {string} text @param {boolean} checked */
export function check(text, checked) {
  const input = h('input', { type: 'checkbox', checked });
  return { input, element: h('label', { class: 'check' }, input, ' ', text) };
}

/** @param {any} when */
export function makeConditions(when) {
  const { join, rows } = rowsOf(when);
  let next = 0;
  const list = h('ol', { class: 'conditions' });
  const joins = h('select', { id: 'rule-join' }, ['any', 'all'].map((name) => h('option', { value: name }, t(`rule.join.${name}`))));
  joins.value = join;
  const joinField = h('div', { class: 'field' }, h('label', { class: 'unseen', for: 'rule-join' }, t('rule.join')), joins);
  const more = h('button', { type: 'button', class: 'button', onclick: () => add({ type: 'above', values: {} }) }, t('rule.add'));
  const element = h('fieldset', { class: 'rule-when' }, h('legend', {}, t('rule.when')), joinField, list, more);
  for (const row of rows) add(row);
  return { element, value };

  function renumber() {
    joinField.hidden = list.children.length < 2;
    more.hidden = list.children.length >= rowsMax;
    for (const [i, item] of [...list.children].entries()) {
      item.querySelector('legend').textContent = t('rule.condition', { number: i + 1 });
      item.querySelector('.take').hidden = list.children.length < 2;
    }
  }

  /** @param {import('../rule-form.js').Row} row */
  function add(row) {
    const id = `condition-${next++}`;
    const values = { ...row.values };
    const places = h('div', { class: 'condition-fields' });
    const type = h('select', { id: `${id}-type`, onchange: () => fill() }, Object.keys(fieldsOf).map((name) => h('option', { value: name }, t(`rule.type.${name}`))));
    const take = h('button', { type: 'button', class: 'button take', onclick: () => {
      item.remove();
      renumber();
    } }, t('rule.take'));
    const item = h('li', {}, h('fieldset', { class: 'condition' }, h('legend', {}), places, take));
    item.read = () => (row.type === 'kept' ? row : { type: type.value, values: read() });
    list.append(item);
    if (row.type === 'kept') replace(places, h('p', {}, sentence(row.kept)), h('p', { class: 'quiet small' }, t('rule.kept')));
    else {
      type.value = row.type;
      fill();
    }
    renumber();

    function read() {
      for (const control of places.querySelectorAll('[data-name]')) values[control.dataset.name] = control.value;
      return values;
    }

    function fill() {
      read();
      const names = fieldsOf[type.value];
      const control = (/** @type {string} */ name) => {
        const made = name === 'kind' ? h('select', { id: `${id}-kind`, data: { name } }, [...new Set([...kinds, values.kind ?? beginnings.kind])].map((k) => h('option', { value: k }, strings[`kind.${k}`] ?? k)))
          : h('input', { type: numbers.includes(name) ? 'number' : 'text', step: 'any', id: `${id}-${name}`, maxlength: 40, data: { name } });
        made.value = values[name] ?? beginnings[name] ?? '';
        return made;
      };
      const hints = { clear: t('rule.clear_hint'), after: t('rule.after_hint'), for: t('rule.duration_hint'), within: t('rule.duration_hint') };
      const fields = names.map((name) => field(t(`rule.${name}`), control(name), hints[/** @type {keyof typeof hints} */ (name)]));
      replace(places, names[0] === 'kind' ? fields[0] : null, field(t('rule.type'), type), names[0] === 'kind' ? fields.slice(1) : fields);
    }
  }

  function value() {
    return whenOf(joins.value, [...list.children].map((item) => /** @type {any} */ (item).read()));
  }
}
